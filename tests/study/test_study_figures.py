"""A study's figures: what they show, in any light and for any eye, and the same bytes each time."""

import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import cv2
import matplotlib
import numpy as np
import pytest
from PIL import Image

from lacbench.errors import MissingError, StudyError
from lacbench.study.analysis import MethodScore, analyse
from lacbench.study.drawing import Plot, ink_on, save_figures, shades
from lacbench.study.figures import EM, choices_plot, counts_plot, differences_plot, map_plot, times_plot
from lacbench.study.ratings import Ratings, make_ratings

from opinions import simulated

SIMULATIONS = {
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
"""What an eye makes of linear RGB: luminance alone; Machado, Oliveira and Fernandes 2009, severity 1."""
CONTRASTS = [
    SimpleNamespace(other="near", difference=0.23, interval=(0.01, 0.45), p_holm=0.02),
    SimpleNamespace(other="far $x^2$", difference=0.6, interval=(0.3, 0.9), p_holm=0.0),
    SimpleNamespace(other="better", difference=-0.2, interval=(-0.6, 0.2), p_holm=0.8),
    SimpleNamespace(other="same", difference=0.0, interval=None, p_holm=None),
]


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return make_ratings(simulated(missing=0.1))


def texts(plot: Plot) -> list[str]:
    """What an SVG says, in its order."""
    return ["".join(node.itertext()) for node in ElementTree.fromstring(plot.svg).iter(SVG + "text")]


SVG = "{http://www.w3.org/2000/svg}"


def seen(name: str) -> np.ndarray:
    """The scores' colours as an eye sees them: (5, 3) L*a*b*."""
    encoded = np.array(shades())
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    changed = np.clip(linear @ np.array(SIMULATIONS[name]).T, 0, 1)
    back = np.where(changed <= 0.0031308, changed * 12.92, 1.055 * changed ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(back[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0]


@pytest.mark.parametrize("eye", SIMULATIONS)
def test_scores_are_told_apart_by_lightness_alone(eye: str) -> None:
    lightness = seen(eye)[:, 0]
    assert (np.diff(lightness) > 12).all(), lightness


@pytest.mark.parametrize("color", shades())
def test_counts_can_be_read_on_their_colours(color: tuple[float, float, float]) -> None:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    black, white = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    assert {"#000000": black, "#ffffff": white}[ink_on(color)] == max(black, white) >= 4.5


def scored(ratings: Ratings) -> tuple[MethodScore, ...]:
    return analyse(ratings).methods


def test_every_count_is_written_and_every_method_named(ratings: Ratings) -> None:
    plot = counts_plot(scored(ratings), "ours")
    said = texts(plot)
    for m, name in enumerate(ratings.methods):
        counts = [int((ratings.score[ratings.method == m] == score).sum()) for score in range(1, 6)]
        assert name in said
        assert all(str(count) in said for count in counts if count)
        assert f"{name}: {', '.join(map(str, counts))}, mean" in plot.alt
    names = [text for text in said if text in ratings.methods]
    means = {name: ratings.score[ratings.method == m].mean() for m, name in enumerate(ratings.methods)}
    assert names == sorted(names, key=lambda name: -means[name])


def test_narrow_counts_do_not_lie_on_one_another() -> None:
    svg = ElementTree.fromstring(counts_plot([method("m", (1, 2, 292, 3, 2))]).svg)
    small = [node for node in svg.iter(f"{SVG}text") if "7px" in node.get("style", "")]
    assert [node.text for node in small] == ["1", "2", "3", "2"]
    across = [float(node.get("x", "nan")) for node in small]
    assert min(np.diff(across)) > 7


def method(name: str, counts: tuple[int, ...]) -> MethodScore:
    return MethodScore(name, sum(counts), 0, counts, 3.0, 1.0, None)


def test_differences_stand_against_zero_with_their_intervals() -> None:
    plot = differences_plot("ours", CONTRASTS, ("near", "far $x^2$"), "points", 0.95)
    said = texts(plot)
    names = ["near", "far $x^2$", "better", "same"]
    assert [text for text in said if text in names] == names
    rows = [["+0.60", "[+0.30, +0.90]", "< .0001"], ["−0.20", "[−0.60, +0.20]", ".8000"]]
    rows.append(["+0.00", "no interval", "–"])
    assert {EM.join(row) for row in rows} <= set(said)
    assert "better: -0.20, from -0.60 to +0.20" in plot.alt and "same: +0.00." in plot.alt
    assert plot.svg.decode().count("fill: #ffffff; stroke: #1c1c1e") == 2  # those not claimed


def test_choices_are_shown_as_shares_with_their_counts() -> None:
    wins = np.array([[0, 30, 7], [10, 0, 0], [0, 0, 0]])
    plot = choices_plot(("ours", "second", "third"), wins)
    said = texts(plot)
    assert {"75%", "30 of 40", "25%", "10 of 40", "100%", "7 of 7", "0%", "0 of 7"} <= set(said)
    assert "ours 30, second 10; ours 7, third 0." in plot.alt


def test_the_map_shows_each_cell_once_and_leaves_gaps(ratings: Ratings) -> None:
    plot = map_plot(ratings, "ours")
    drawn: list[np.ma.MaskedArray] = []
    figure = matplotlib.figure.Figure(plot.size)
    plot.draw(figure)
    for axes in figure.axes:
        drawn += [image.get_array() for image in axes.get_images()]
    cells = ratings.matrix("ours") - np.nanmean(np.delete(ratings.cube(), ratings.index("ours"), 0), axis=0)
    assert drawn[0].shape == cells.shape
    assert drawn[0].count() == np.isfinite(cells).sum() < cells.size
    assert np.allclose(np.sort(drawn[0].compressed()), np.sort(cells[np.isfinite(cells)]))
    means = [row.mean() for row in drawn[0]]
    assert means == sorted(means, reverse=True)
    assert f"for {(np.nanmean(cells, axis=1) > 0).sum()} of {len(cells)} raters" in plot.alt
    assert map_plot(ratings).title == "Rater by image: mean score"


def test_times_are_medians_of_raters_and_of_the_session(ratings: Ratings) -> None:
    plot = times_plot(ratings)
    medians = [np.median(ratings.milliseconds[ratings.rater == r]) / 1000 for r in range(len(ratings.raters))]
    assert f"from {min(medians):.1f} to {max(medians):.1f} s" in plot.alt
    raters = [text for text in texts(plot) if text in ratings.raters]
    assert raters == [ratings.raters[r] for r in np.argsort(medians)]


def test_times_need_no_positions() -> None:
    columns = simulated(raters=2, items=3)
    del columns["position"]
    assert not [text for text in texts(times_plot(make_ratings(columns))) if "session" in text]


def test_the_same_data_give_the_same_bytes(ratings: Ratings, tmp_path: Path) -> None:
    rows = list(range(len(simulated(missing=0.1)["score"])))
    np.random.default_rng(1).shuffle(rows)
    other = make_ratings({k: [v[r] for r in rows] for k, v in simulated(missing=0.1).items()})
    for maker in (lambda r: counts_plot(scored(r)), lambda r: map_plot(r, "ours")):
        plots = [maker(each) for each in (ratings, other)]
        one, two = (save_figures(tmp_path / str(n), [plot]) for n, plot in enumerate(plots))
        assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    names = {path.name for path in one}
    assert names == {"map.png", "map.svg"}
    with Image.open(one[0]) as picture:
        assert picture.size[0] == 1600 and not {"Software", "Creation Time"} & set(picture.info)
    assert "dc:date" not in one[1].read_text()


def test_settings_of_the_process_stay_as_they_were(ratings: Ratings) -> None:
    with matplotlib.rc_context({"font.size": 31, "text.parse_math": True}):
        before = dict(matplotlib.rcParams)
        drawn = counts_plot(scored(ratings)).svg
        assert dict(matplotlib.rcParams) == before
    assert drawn == counts_plot(scored(ratings)).svg


def test_names_in_any_script_and_of_any_length_are_drawn() -> None:
    names = ("a" * 50 + "b" * 10, "方法 <b>&")
    said = texts(counts_plot([method(name, (1, 2, 3, 2, 1)) for name in names], names[1]))
    assert "a" * 17 + "…" + "b" * 10 in said and "方法 <b>&" in said


def test_an_unknown_method_is_named(ratings: Ratings) -> None:
    with pytest.raises(StudyError, match="no method is called 'nobody'"):
        map_plot(ratings, "nobody")


def test_without_matplotlib_it_names_the_extra(ratings: Ratings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingError, match=r"pip install 'lacbench\[study\]'"):
        map_plot(ratings).png  # noqa: B018
