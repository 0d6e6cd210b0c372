"""Pictures drawn by number: the same bytes on every machine and in every process."""

import hashlib
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache, cached_property

import cv2
import numpy as np

WIDTH, HEIGHT = 260, 280
YEAR_2024 = 1_704_067_200
"""Seconds since 1970."""


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture, and what a server tells of them."""

    data: bytes
    modified: str
    """HTTP date of its last change."""

    @cached_property
    def md5(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def etag(self) -> str:
        """A strong one: equal tags, equal bytes."""
        return f'"{self.sha256[:20]}"'


def set_of(number: int) -> str:
    """Even numbers are coloured figures, odd ones black lines on white paper."""
    return "linearts" if number % 2 else "illustrations"


@cache
def picture(number: int, edition: int = 0) -> Picture:
    """Picture `number` as PNG; another edition is another drawing of the same set."""
    random = np.random.default_rng([number, edition])
    drawn = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    shapes = [random.integers((20, 20), (WIDTH - 20, HEIGHT - 20), (5, 2)).astype(np.int32) for _ in range(5)]
    for shape in shapes:
        color = random.integers(40, 255, 3).tolist()
        if set_of(number) == "illustrations":
            cv2.fillPoly(drawn, [shape], color)
    cv2.polylines(drawn, shapes, True, (0, 0, 0), 2, cv2.LINE_AA)
    data = cv2.imencode(".png", drawn)[1].tobytes()
    return Picture(data, formatdate(YEAR_2024 + 3600 * (number + edition), usegmt=True))
