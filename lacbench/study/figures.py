"""A study's figures: counts per score, differences with intervals, a rater × image map, rating times."""

import math
import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lacbench.study.analysis import MethodScore
from lacbench.study.choices import Choices
from lacbench.study.design import LABELS
from lacbench.study.drawing import PALETTE, Plot, ink_on, name_rows, shades, shorten
from lacbench.study.effects import Interval
from lacbench.study.ratings import SCORES, FloatArray, IntArray, Ratings
from lacbench.study.verdict import shown_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EM = "\N{EM SPACE}"
"""Parts columns: more than one common space is none in SVG."""


class Contrast(Protocol):
    """A method compared with ours: of ratings (`Comparison`) or of choices (`Preference`)."""

    @property
    def other(self) -> str:
        """The method that ours is compared with."""

    @property
    def difference(self) -> float:
        """Ours − the other."""

    @property
    def interval(self) -> Interval | None:
        """Of the difference."""

    @property
    def p_holm(self) -> float | None:
        """One-sided p, adjusted for the number of comparisons."""


def counts_plot(methods: Sequence[MethodScore], ours: str | None = None) -> Plot:
    """Figure 7 of the paper: how often each method was given each score, in the order given, ours in bold.

    Bars are shares of a method's ratings, the middle of "fair" at 0; counts are written in.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for row, method in enumerate(methods):
            _draw_counts(axes, row, np.array(method.counts))
            _beside(axes, row, f"{method.mean:.2f}")
        _beside(axes, -0.72, "mean", color="#5a5a5f")
        name_rows(axes, [method.method for method in methods], ours)
        axes.axvline(0, color="#1c1c1e", linewidth=0.8, zorder=0)  # between the bars, not through counts
        axes.use_sticky_edges = False
        axes.margins(x=0.02)
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):.0%}")
        axes.set_xlabel("share of the method’s ratings, from the middle of “fair”")
        _draw_scale(figure)

    told = "; ".join(f"{m.method}: {', '.join(map(str, m.counts))}, mean {m.mean:.2f}" for m in methods)
    alt = f"Ratings of 1 (bad), 2, 3, 4 and 5 (excellent) that each method was given. {told}."
    return Plot("counts", "Ratings by score and method", alt, (8.0, 1.3 + 0.5 * len(methods)), draw)


def _draw_counts(axes: "Axes", row: int, counts: IntArray) -> None:
    """One method's bar, with the counts in it, or over it where a piece is too narrow."""
    share = counts / counts.sum()
    left = np.concatenate([[0.0], np.cumsum(share)[:-1]]) - share[:2].sum() - share[2] / 2
    outside: list[tuple[float, str]] = []
    for start, width, color, count in zip(left, share, shades(), counts, strict=True):
        if not count:
            continue
        axes.barh(row, width, left=start, height=0.62, color=color, edgecolor="white", linewidth=0.8)
        if width > 0.008 + 0.02 * len(str(count)):
            ink = ink_on(color)
            axes.text(start + width / 2, row, str(count), ha="center", va="center_baseline", color=ink)
        else:
            outside.append((start + width / 2, str(count)))
    place = -math.inf
    for middle, text in outside:
        place = max(middle, place)
        axes.text(place, row - 0.33, text, ha="center", va="bottom", fontsize=7, color="#1c1c1e")
        place += 0.012 + 0.017 * len(text)


def _beside(axes: "Axes", row: float, text: str, **style: Any) -> None:
    """Text on the right of a row."""
    axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center_baseline", **style)


def _draw_scale(figure: "Figure") -> None:
    """The scores' colours and what they are called."""
    from matplotlib.patches import Patch

    names = [f"{score:.0f} {label.lower()}" for score, label in zip(SCORES, LABELS, strict=True)]
    patches = [
        Patch(facecolor=color, edgecolor="#8b8b92", linewidth=0.5, label=name)
        for color, name in zip(shades(), names, strict=True)
    ]
    figure.legend(handles=patches, loc="outside upper center", ncols=5, frameon=False, handlelength=1.2)


def differences_plot(
    ours: str, contrasts: Sequence[Contrast], claimed: Collection[str], label: str, confidence: float
) -> Plot:
    """Ours less each other method, with intervals, against 0, in the order given.

    Marks of the methods that ours is `claimed` to be above are filled; `label` is the difference's unit.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        axes.axvline(0, color="#1c1c1e", linewidth=1)
        for row, contrast in enumerate(contrasts):
            low, high = contrast.interval or (contrast.difference,) * 2
            fill = "#1c1c1e" if contrast.other in claimed else "white"
            axes.plot([low, high], [row, row], color="#3449a8", linewidth=2.2, solid_capstyle="butt")
            axes.plot(contrast.difference, row, "s", color="#1c1c1e", markerfacecolor=fill, markersize=6)
            between = f"[{low:+.2f}, {high:+.2f}]" if contrast.interval else "no interval"
            told = f"{contrast.difference:+.2f}", between, shown_p(contrast.p_holm)
            _beside(axes, row, EM.join(told).replace("-", "−"))
        head = "difference", f"[{confidence:.0%} interval]", "Holm’s p"
        _beside(axes, -0.85, EM.join(head), color="#5a5a5f")
        name_rows(axes, [contrast.other for contrast in contrasts])
        axes.margins(x=0.06)
        axes.grid(axis="x", color="#dedede", linewidth=0.6)
        axes.set_xlabel(f"{shorten(ours)} less the other method, {label}")

    title = f"Differences from {ours}, with {confidence:.0%} intervals"
    alt = f"{title}, {label}. {'; '.join(map(_told, contrasts))}."
    return Plot("differences", title, alt, (8.0, 1.1 + 0.36 * len(contrasts)), draw)


def _told(contrast: Contrast) -> str:
    between = ", from {:+.2f} to {:+.2f}".format(*contrast.interval) if contrast.interval else ""
    return f"{contrast.other}: {contrast.difference:+.2f}{between}"


def choices_plot(methods: Sequence[str], wins: IntArray) -> Plot:
    """How often the row's method was chosen where the column's was shown too: (M, M), in the order given."""
    together = wins + wins.T
    shares = np.divide(wins, together, out=np.full(wins.shape, np.nan), where=together > 0)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        image = axes.imshow(np.ma.masked_invalid(shares), PALETTE, aspect="auto", vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(together), strict=True):
            ink = ink_on(tuple(image.to_rgba(shares[row, column])))
            told = f"{shares[row, column]:.0%}\n{wins[row, column]} of {together[row, column]}"
            axes.text(column, row, told, ha="center", va="center", color=ink, fontsize=8)
        name_rows(axes, methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        names = [textwrap.fill(shorten(name), 12) for name in methods]
        axes.set_xticks(range(len(methods)), names)
        axes.tick_params(axis="x", length=0, labelcolor="#1c1c1e")
        axes.set(xlabel="… over this one, where both were shown", ylabel="this method was chosen …")
        axes.spines["bottom"].set_visible(False)

    pairs = [(a, b) for a in range(len(methods)) for b in range(a + 1, len(methods)) if together[a, b]]
    told = "; ".join(f"{methods[a]} {wins[a, b]}, {methods[b]} {wins[b, a]}" for a, b in pairs)
    alt = f"How often one method was chosen over another where both were shown. {told}."
    return Plot("choices", "Choices between methods", alt, (8.0, 1.2 + 0.5 * len(methods)), draw)


def map_plot(ratings: Ratings, ours: str | None = None) -> Plot:
    """Rater × image: ours less the mean of the other methods; without `ours`, the mean score of all.

    Raters and images are ordered by their means, the highest first; what nobody rated is hatched.
    """
    values = _cells(ratings, ours)
    by_rater, by_item = _means(values, 1), _means(values, 0)
    rows, columns = (np.argsort(-means, kind="stable") for means in (by_rater, by_item))  # NaN last
    what = f"{shorten(ours)} less the mean of the others" if ours else "mean score"
    most = math.ceil(max(1.0, np.abs(values[np.isfinite(values)]).max(initial=0.0)))
    bounds = (-most, most) if ours else (1, 5)

    def draw(figure: "Figure") -> None:
        ratios: dict[str, Any] = {"width_ratios": [5.2, 1], "height_ratios": [1, len(rows) / 5]}
        grid = figure.subplots(2, 2, **ratios)
        (top, corner), (axes, right) = grid
        corner.set_axis_off()
        axes.set_facecolor("white")
        axes.patch.set(hatch="////", edgecolor="#b9b9bd", linewidth=0)
        shown = np.ma.masked_invalid(values[np.ix_(rows, columns)])
        image = axes.imshow(shown, PALETTE, aspect="auto", interpolation="none")
        image.set_clim(*bounds)
        figure.colorbar(image, ax=grid.ravel().tolist(), label=what, location="bottom", aspect=50, shrink=0.6)
        _name_cells(axes, [ratings.raters[r] for r in rows], len(columns))
        base = 0.0 if ours else 1.0
        right.barh(range(len(rows)), by_rater[rows] - base, left=base, color="#3449a8", height=0.7)
        right.set(ylim=axes.get_ylim(), yticks=[], xlabel="rater’s mean")
        top.bar(range(len(columns)), by_item[columns] - base, bottom=base, color="#3449a8", width=0.8)
        top.set(xlim=axes.get_xlim(), xticks=[], ylabel="image’s\nmean")
        for line in (right.axvline, top.axhline):
            line(base, color="#1c1c1e", linewidth=0.8)

    good = [int((means > (0 if ours else 3)).sum()) for means in (by_rater, by_item)]
    beyond = "above 0" if ours else "above 3"
    alt = (
        f"Map of {len(rows)} raters by {len(columns)} images, {what}. The mean is {beyond} for {good[0]} of "
        f"{len(rows)} raters and for {good[1]} of {len(columns)} images."
    )
    height = 2.4 + 0.21 * max(len(rows), 4)
    return Plot("map", f"Rater by image: {what}", alt, (8.0, min(height, 14.0)), draw)


def _cells(ratings: Ratings, ours: str | None) -> FloatArray:
    """(R, I): ours less the mean of the others, or the mean of all; NaN where there is nothing."""
    cube = ratings.cube()
    if not ours:
        return _means(cube, 0)
    place = ratings.index(ours)
    differences: FloatArray = cube[place] - _means(np.delete(cube, place, axis=0), 0)
    return differences


def _means(values: FloatArray, axis: int) -> FloatArray:
    """Means of what is there; NaN, without a warning, where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=axis)
    return np.where(count > 0, np.where(there, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _name_cells(axes: "Axes", raters: Sequence[str], images: int) -> None:
    """Every rater's name, or as many as can be read."""
    step = -(-len(raters) // 45)
    axes.set_yticks(range(0, len(raters), step), [shorten(name) for name in raters[::step]], fontsize=7.5)
    axes.set(xticks=[], xlabel=f"{images} images, the highest mean first")
    for spine in axes.spines.values():
        spine.set_visible(False)


def times_plot(ratings: Ratings | Choices, parts: int = 10) -> Plot:
    """Seconds from picture to score or choice: each rater's distribution, and the median over the session.

    Needs times; positions where there are any. Raters are ordered by their medians, the quickest first.
    """
    there = np.isfinite(ratings.milliseconds)
    seconds, rater = np.maximum(ratings.milliseconds[there], 1.0) / 1000, ratings.rater[there]
    times = [seconds[rater == r] for r in range(len(ratings.raters))]
    order = sorted((r for r, own in enumerate(times) if len(own)), key=lambda r: float(np.median(times[r])))
    session = _over_session(ratings, parts)
    told = bool(np.isfinite(session).any())

    def draw(figure: "Figure") -> None:
        axes, *courses = figure.subplots(1, 1 + told, width_ratios=[3, 2][: 1 + told], squeeze=False)[0]
        line = {"color": "#1c1c1e", "linewidth": 0.9}
        axes.boxplot(
            [times[r] for r in order], positions=range(len(order)), orientation="horizontal", widths=0.6,
            whis=(5, 95), showfliers=False, patch_artist=True, manage_ticks=False,
            boxprops={**line, "facecolor": "#c9d0ee"}, medianprops={**line, "linewidth": 1.8},
            whiskerprops=line, capprops=line,
        )  # fmt: skip
        _log_seconds(axes)
        step = -(-len(order) // 45)
        axes.set_yticks(range(0, len(order), step), [shorten(ratings.raters[r]) for r in order[::step]])
        axes.set(ylim=(len(order) - 0.4, -0.6), xlabel="seconds: quartiles, 5% and 95%")
        axes.grid(axis="x", color="#dedede", linewidth=0.6)
        for course in courses:
            course.plot(range(1, parts + 1), session, "o-", color="#3449a8", markersize=4)
            course.set(xlabel=f"part of the session, of {parts}", ylabel="median seconds", ylim=(0, None))
            course.grid(axis="y", color="#dedede", linewidth=0.6)

    medians = [float(np.median(times[r])) for r in order]
    alt = (
        f"Seconds from picture to answer. Raters’ medians run from {medians[0]:.1f} to {medians[-1]:.1f} s, "
        f"the median of all ratings is {np.median(seconds):.1f} s."
    )
    return Plot("times", "Rating times", alt, (8.0, min(1.2 + 0.21 * max(len(order), 8), 14.0)), draw)


def _log_seconds(axes: "Axes") -> None:
    """A logarithmic axis of seconds with round numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _over_session(ratings: Ratings | Choices, parts: int) -> FloatArray:
    """(parts,) median seconds of each part of the raters' sessions; NaN where none were told."""
    there = np.isfinite(ratings.milliseconds) & np.isfinite(ratings.position)
    place, rater = ratings.position[there], ratings.rater[there]
    last = np.ones(len(ratings.raters))
    np.maximum.at(last, rater, place + 1)
    part = (place / last[rater] * parts).astype(np.int64)
    seconds = ratings.milliseconds[there] / 1000
    return np.array([np.median(seconds[part == k]) if (part == k).any() else np.nan for k in range(parts)])
