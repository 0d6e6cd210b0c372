"""Pictures made by code, to ask filters about: what passes for line art, and what hides among illustrations.

Every function gives uint8 (H, W, 3) RGB, the same for the same arguments.
"""

import io

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lacbench.images import Array, decode, resize_shortest, to_grey
from lacbench.xdog import xdog

PAPERS = {"peach": (240, 200, 176), "blue": (190, 215, 240), "green": (206, 222, 140)}
"""Tints of paper, RGB 0–255."""
INKS = {"black": (20, 20, 20), "blue": (40, 60, 140), "red": (150, 40, 50)}
"""Colours of ink, RGB 0–255."""


def on_paper(image: Array, paper: tuple[int, int, int]) -> Array:
    """A picture as if it had been drawn on paper of a tint: its black stays black."""
    return np.rint(image / 255 * np.array(paper)).astype(np.uint8)


def lettering(seed: int, size: int = 512) -> Array:
    """A page of made-up words, printed or handwritten, 12 to 90 pixels high."""
    random = np.random.default_rng(seed)
    page = Image.new("RGB", (size, size * 5 // 4), "white")
    height = int(random.choice([12, 16, 24, 36, 50, 70, 90]))
    words = ["".join(random.choice(list("etaoinshrdlu"), random.integers(2, 9))) for _ in range(2000)]
    if seed % 2:
        return _handwriting(np.array(page), words, height)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(height)
    for y in range(height, page.height - 2 * height, height * 3 // 2):
        line = words.pop()
        while draw.textlength(f"{line} {words[-1]}", font) < size - 2 * height:
            line += f" {words.pop()}"
        draw.text((height, y), line, fill="black", font=font)
    return np.array(page)


def _handwriting(page: Array, words: list[str], height: int) -> Array:
    for y in range(2 * height, page.shape[0] - height, height * 3 // 2):
        text = " ".join(words.pop() for _ in range(1 + 500 // (height * 4)))
        style = (cv2.FONT_HERSHEY_SCRIPT_COMPLEX, height / 28, (0, 0, 0), max(1, height // 16), cv2.LINE_AA)
        cv2.putText(page, text, (height, y), *style)
    return page


def filled_map(seed: int, size: int = 512) -> Array:
    """A map in greys: countries filled and outlined on a white sea."""
    random = np.random.default_rng(seed)
    page = np.full((size, size, 3), 255, np.uint8)
    for _ in range(random.integers(6, 14)):
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        waves = sum(
            random.normal(0, 0.25 / k) * np.sin(k * angles + random.uniform(0, 7)) for k in range(1, 9)
        )
        radius = random.uniform(0.1, 0.22) * size * (1 + waves)
        center = random.uniform(0.2, 0.8, 2) * size
        coast = np.rint(center + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)).astype(
            np.int32
        )
        cv2.fillPoly(page, [coast], [int(random.integers(110, 225))] * 3)
        cv2.polylines(page, [coast], True, (0, 0, 0), 2, cv2.LINE_AA)
    return page


def planet(seed: int, size: int = 512) -> Array:
    """A shaded ball with clouds, in greys, on white paper (or, every third, on a black sky)."""
    random = np.random.default_rng(seed)
    radius, ground = random.uniform(0.25, 0.45), 0.0 if seed % 3 == 0 else 1.0
    y, x = (np.mgrid[:size, :size] / size - 0.5) / radius
    height = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    sun = random.normal(size=3)
    sun[2] = abs(sun[2]) + 0.5
    light = np.clip((x * sun[0] + y * sun[1] + height * sun[2]) / np.linalg.norm(sun), 0, 1)
    ball = np.clip(0.1 + 0.8 * light + 0.2 * (_clouds(random, size) - 0.5), 0, 1)
    return _grey_picture(np.where(x**2 + y**2 < 1, ball, ground))


def photo(seed: int, size: int = 512) -> Array:
    """Something like a grey photo: light at all scales, grain; every other with a burnt-out sky."""
    random = np.random.default_rng(seed)
    tones = _clouds(random, size) * 0.9
    if seed % 2:
        tones[: int(size * random.uniform(0.4, 0.7))] = 1.0
    return _grey_picture(tones + random.normal(0, 0.02, tones.shape))


def letterboxed(image: Array, seed: int) -> Array:
    """A picture in bars (letterbox, pillarbox, frame) on 15% to 50% of the area; black, or white on dark."""
    share = np.random.default_rng(seed).uniform(0.15, 0.5)
    tone = 0 if np.median([image[0].mean(), image[-1].mean(), image[:, 0].mean()]) > 60 else 255
    height, width = image.shape[:2]
    if seed % 3 == 2:
        bars = [round((1 / np.sqrt(1 - share) - 1) / 2 * side) for side in (height, width)]
    else:
        bars = [round(share / (1 - share) / 2 * side) for side in (height, width)]
        bars[seed % 3] = 0
    framed = cv2.copyMakeBorder(
        image, bars[0], bars[0], bars[1], bars[1], cv2.BORDER_CONSTANT, value=(tone,) * 3
    )
    return as_jpeg(np.asarray(framed, dtype=np.uint8))


def sketch(image: Array, kind: str, seed: int) -> Array:
    """What a sketch of an illustration would look like, saved as JPEG.

    Kinds: `lines` (XDoG on tinted paper), `grey`, `sepia`, `pencil` (soft, in coloured lead, on grainy paper
    in uneven light), `two inks` (lines, the upper half in another ink).
    """
    random = np.random.default_rng(seed)
    small = resize_shortest(image, 512)
    grey = to_grey(small)
    paper = np.array(list(PAPERS.values())[seed % 3], float)
    if kind == "grey":
        return as_jpeg(_grey_picture(grey / 255))
    if kind == "sepia":
        return as_jpeg(_between(grey / 255, np.array([50, 30, 15.0]), np.array([250, 235, 205.0])))
    if kind == "pencil":
        soft = grey / np.maximum(cv2.GaussianBlur(grey, (0, 0), 8).astype(float), 1)
        drawn = _between(np.clip(soft, 0, 1), np.array(list(INKS.values())[seed // 3 % 3], float), paper)
        light = 0.8 + 0.2 * _clouds(random, max(grey.shape))[: grey.shape[0], : grey.shape[1]]
        grain = random.normal(0, 4, (*grey.shape, 1))
        return as_jpeg(np.clip(drawn * light[..., None] + grain, 0, 255).astype(np.uint8))
    lines = xdog(small, 0.5) / 255
    drawn = _between(lines, np.array(INKS["black"], float), paper)
    if kind == "two inks":
        half = grey.shape[0] // 2
        drawn[:half] = _between(lines[:half], np.array(INKS["red"], float), paper)
    return as_jpeg(drawn)


def as_jpeg(image: Array, quality: int = 90) -> Array:
    """What a JPEG, its colours at half resolution, leaves of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=2)
    return decode(buffer.getvalue())


def _between(share: np.ndarray, dark: np.ndarray, light: np.ndarray) -> Array:
    """Colours from dark (0) to light (1)."""
    return np.rint(dark + share[..., None] * (light - dark)).astype(np.uint8)


def _grey_picture(tones: np.ndarray) -> Array:
    grey = np.rint(np.clip(tones, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _clouds(random: np.random.Generator, size: int) -> np.ndarray:
    """Smooth noise at several scales, (size, size), 0–1."""
    clouds = np.zeros((size, size))
    for cells in (3, 6, 12, 24, 48):
        coarse = random.normal(size=(cells, cells)).astype(np.float32) / np.sqrt(cells)
        clouds += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return (clouds - clouds.min()) / np.ptp(clouds)
