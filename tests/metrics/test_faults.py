"""Each measure moves with its own fault, and stays where it is under the others'."""

import numpy as np
import pytest

from lacbench.regions import regions

from faults import FAULTS, MEASURES, Sample, measures, sample, under_lines
from made import draw_figure


@pytest.fixture(scope="module")
def figure() -> Sample:
    """Outlined shapes of even colours, 512 pixels; hints in the larger ones."""
    inked = draw_figure(4, 512)[1][..., 0]
    labels = regions(inked)
    palette = np.random.default_rng(4).integers(60, 255, (labels.max() + 1, 3)).astype(np.uint8)
    return sample(inked, under_lines(palette[labels], labels > 0), 4)


CASES = [
    ("colours spilled by 4 px", {"bleeding": (0.3, 0.6)}, ("F", "ΔE₀₀ at hints")),
    ("saturation × 0.5", {"ΔE₀₀ at hints": (1, 40)}, ("F", "bleeding")),
    ("60% of the lines erased", {"recall": (-0.9, -0.2)}, ("ΔE₀₀ at hints", "reach", "bleeding")),
    ("5 strokes over it", {"precision": (-0.9, -0.1)}, ("recall", "bleeding")),
    ("hues turned by 180°", {"ΔE₀₀ at hints": (5, 80), "reach": (-1.01, -0.5)}, ("F", "bleeding")),
    ("resized to 1024 px", {}, MEASURES),
    ("JPEG, quality 90", {}, MEASURES),
]
STILL = {"ΔE₀₀ at hints": 1.0}
"""How far a measure may move under others' faults; 0.05 where it is not named."""


@pytest.mark.parametrize(("fault", "moving", "still"), CASES, ids=[case[0] for case in CASES])
def test_a_fault_moves_its_measure_alone(
    figure: Sample, fault: str, moving: dict[str, tuple[float, float]], still: tuple[str, ...]
) -> None:
    before = dict(zip(MEASURES, measures(figure, figure.output), strict=True))
    after = dict(zip(MEASURES, measures(figure, FAULTS[fault](figure)), strict=True))
    moved = {name: (after[name] or 0) - (before[name] or 0) for name in MEASURES}
    assert before["bleeding"] is not None and after["bleeding"] is not None
    for name, (low, high) in moving.items():
        assert low < moved[name] < high, (name, moved)
    for name in still:
        assert abs(moved[name]) < STILL.get(name, 0.05), (name, moved)
