"""Regions of a line art: what its lines enclose, small gaps in them counted as closed."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lacbench.images import Array

INK_TONE = 160
"""Pixels darker than this, in 0–255, bound a region."""
BALL_SHARE = 128
"""The largest ball's radius is the shortest side over this, at least 1 pixel: 4 pixels at 512."""

Labels = NDArray[np.int32]
Distances = NDArray[np.float32]


def regions(line_art: Array) -> Labels:
    """Label (H, W) of each pixel's region, 1 and up; 0 is line.

    Trapped balls (Zhang et al. 2009, "Vectorizing cartoon animations"): where the largest ball can
    roll without touching a line is a region; then the ball shrinks pixel by pixel to nothing, regions grow as
    far as it now reaches them, and what holds it but is in reach of no region becomes one of its own. So
    regions stay apart at gaps narrower than the ball's diameter and than both regions. The picture's edge
    stops a ball as a line does: a line that ends just before it still parts two regions.

    Args:
        line_art: uint8 (H, W), 0 ink, 255 paper.
    """
    room = to_ink(np.pad(line_art < INK_TONE, 1, constant_values=True))[1:-1, 1:-1]
    labels = np.zeros(line_art.shape, np.int32)
    for radius in range(largest_ball(*line_art.shape), -1, -1):
        labels = _grown(labels, room >= radius + 1)
    return labels


def snapped(labels: Labels, places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The labelled pixel nearest to each place, row and column; there must be a label above 0."""
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(labels)
    number = np.zeros(nearest.max() + 1, np.int64)
    number[nearest[rows, columns]] = np.arange(len(rows))
    found = [int(number[nearest[place]]) for place in places]
    return [(int(rows[i]), int(columns[i])) for i in found]


def largest_ball(height: int, width: int) -> int:
    """Radius in pixels of the first ball in a picture of that size."""
    return max(1, round(min(height, width) / BALL_SHARE))


def to_ink(ink: NDArray[np.bool_]) -> Distances:
    """Distance (H, W) in pixels from each pixel to the nearest ink, middle to middle; far without ink."""
    if not ink.any():
        return np.full(ink.shape, sum(ink.shape), np.float32)
    distance = cv2.distanceTransform((~ink).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, dtype=np.float32)


def _grown(labels: Labels, open_: NDArray[np.bool_]) -> Labels:
    """Regions grown, each as fast as the others, through the open pixels; parts that none reaches are new."""
    count, parts = cv2.connectedComponents(open_.view(np.uint8), connectivity=4)
    reached = np.zeros(count, np.bool_)
    reached[parts[labels > 0]] = True
    reached[0] = True
    fresh = np.cumsum(~reached).astype(np.int32) * ~reached
    seeds = np.where(labels > 0, labels, fresh[parts] + (fresh[parts] > 0) * labels.max())
    return _flooded(seeds, open_)


def _flooded(labels: Labels, open_: NDArray[np.bool_]) -> Labels:
    """Labels spread over all open pixels that they can reach, one pixel (4-connected) at a time."""
    padded = np.pad(labels, 1)
    flat, todo = padded.ravel(), np.pad(open_ & (labels == 0), 1).ravel()
    steps = (1, -1, padded.shape[1], -padded.shape[1])
    front = np.flatnonzero(flat)
    while len(front):
        taken = []
        for step in steps:
            into = todo[front + step]
            new = front[into] + step
            flat[new], todo[new] = flat[front[into]], False
            taken.append(new)
        front = np.concatenate(taken)
    return padded[1:-1, 1:-1].copy()
