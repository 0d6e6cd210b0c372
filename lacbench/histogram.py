"""A histogram as a small SVG picture."""

import html

import numpy as np
from numpy.typing import NDArray

BINS = 24
"""Bars."""
WIDTH, HEIGHT, FOOT, HEAD = 360, 150, 20, 22
"""Of the picture in pixels; of the space below the bars, and above them."""


def draw_histogram(values: NDArray[np.float64], title: str) -> str:
    """Draw (N,) values as bars; the range is that of the values but for the outermost hundredth.

    What is no finite number (a stranger's manifest may have it) is left out.
    """
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    counts, edges = np.histogram(np.clip(values, low, high), BINS, (low, high if high > low else low + 1))
    step, tallest = WIDTH / BINS, max(int(counts.max()), 1)
    bars = [
        f'<rect x="{i * step:.1f}" y="{HEIGHT - FOOT - h:.1f}" width="{step - 1:.1f}" height="{h:.1f}"/>'
        for i, count in enumerate(counts)
        if (h := (HEIGHT - FOOT - HEAD) * int(count) / tallest)
    ]
    last = WIDTH - 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" '
        f'fill="#fff"/><text x="2" y="14">{html.escape(title)} (n = {len(values):,})</text>'
        f'<g fill="#4a6fa5">{"".join(bars)}</g><text x="2" y="{HEIGHT - 5}">{edges[0]:.4g}</text>'
        f'<text x="{last}" y="{HEIGHT - 5}" text-anchor="end">{edges[-1]:.4g}</text></svg>\n'
    )
