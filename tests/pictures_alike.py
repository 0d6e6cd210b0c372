"""Two pictures of which one is a distortion of the other, for measures of pairs."""

import numpy as np


def alike(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Waves of colour, and the same with other waves and noise: uint8 (height, width, 3) RGB each."""
    y, x = np.mgrid[:height, :width]
    a = np.stack([128 + 100 * np.sin(x / (9 + 4 * c)) * np.cos(y / (13 - 3 * c)) for c in range(3)], axis=2)
    b = a + 30 * np.sin(x / 5 + y / 7)[..., None] + np.random.default_rng(0).normal(0, 8, a.shape)
    first, second = (np.clip(p.round(), 0, 255).astype(np.uint8) for p in (a, b))
    return first, second
