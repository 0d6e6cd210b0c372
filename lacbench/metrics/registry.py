"""The metrics that `lacbench score` takes: what each needs, and the figures that it gives.

A metric is one line in METRICS: its name, a function from a context to figures, and what it lacks there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from lacbench import weights
from lacbench.errors import InputError
from lacbench.hints import AnyHints, Hint, Strokes, dabs_of
from lacbench.images import Array, resized_shape
from lacbench.lineart import colorfulness
from lacbench.metrics.adherence import hints_of
from lacbench.metrics.bleeding import bleeding_of
from lacbench.metrics.claims import ASPECT, SIZE, each, mean
from lacbench.metrics.decoding import read_on_white
from lacbench.metrics.features import DEFAULT, cached_features
from lacbench.metrics.fid import ON_WHITE, FidResult, fid
from lacbench.metrics.figure import Better, Figure, averaged
from lacbench.metrics.kid import kid
from lacbench.metrics.lines import lines_of
from lacbench.metrics.lpips import LINEAR, Lpips, Network
from lacbench.metrics.mmd import SCALE, SIGMA, cmmd
from lacbench.metrics.paired import matched, ms_ssim, psnr, psnr_lab, ssim
from lacbench.metrics.prdc import DENSITY_K, PRECISION_K, prdc
from lacbench.metrics.protocols import CLIP, DINOV2, FeatureProtocol
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import Features
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset
from lacbench.submission import File, Submission

T = TypeVar("T")
Kind = Literal["sets", "claims", "pairs"]
"""What outputs are compared with: the set of illustrations, their own line arts and hints, true pictures."""


@dataclass(frozen=True)
class Context:
    """What there is to measure a submission by."""

    submission: Submission
    """The outputs, one for each line art."""
    dataset: Dataset
    """Whose line arts they are."""
    hints: AnyHints | None = None
    """The hints that the method was given, where it was given some and they are known."""
    device: str = "cpu"
    """Torch's name for the place where networks run."""
    progress: Progress = field(default_factory=Silent)
    """Who listens."""

    @property
    def outputs(self) -> Mapping[str, File]:
        """The outputs by the line art's sha256."""
        return self.submission.outputs

    @cached_property
    def pictures(self) -> Pictures:
        """The outputs as a set of pictures."""
        return Pictures.of(self.outputs.values())

    @cached_property
    def linearts(self) -> dict[str, Path]:
        """The line arts by their sha256."""
        return {m.record.sha256: self.dataset.file(m) for m in self.dataset.linearts}

    @cached_property
    def truths(self) -> dict[str, Path]:
        """The true coloured versions by the line art's sha256, of one aspect with it."""
        found = {}
        for lineart in self.dataset.linearts:
            truth = self.dataset.truth(lineart)
            if truth is not None:
                shapes = [(m.record.statistics.width, m.record.statistics.height) for m in (lineart, truth)]
                ratio = shapes[0][0] * shapes[1][1] / (shapes[0][1] * shapes[1][0])
                if abs(ratio - 1) <= ASPECT:
                    found[lineart.record.sha256] = self.dataset.file(truth)
        return found

    @cached_property
    def true_pairs(self) -> int:
        """How many true pairs there are, also those of two aspects."""
        return sum(self.dataset.truth(m) is not None for m in self.dataset.linearts)

    def features(self, protocol: FeatureProtocol) -> tuple[Features, Features]:
        """Features by the protocol of the outputs, and of the illustrations."""
        sides = [s for s in (self.pictures, find(self.dataset)) if isinstance(s, Pictures)]
        first, second = (
            cached_features(side, protocol=protocol, device=self.device, progress=self.progress)
            for side in sides
        )
        return first, second


Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Metric:
    """Figures that are measured in one go."""

    name: str
    """What `--metrics` calls all of them."""
    kind: Kind
    """What outputs are compared with."""
    figures: tuple[str, ...]
    """Their names."""
    measure: Callable[[Context], Figures]
    """Takes them, by the figure's name; raises what its parts raise."""
    lacks: Callable[[Context], str] = lambda _: ""
    """Why it cannot be taken there: empty where it can."""
    usual: bool = True
    """Whether it is taken unless others are asked for."""


def chosen(names: Iterable[str] | None) -> dict[str, set[str]]:
    """Metrics by name, in the registry's order, with the figures that are wanted of each; of None the usual.

    A name is a metric's, for all its figures, or a figure's. Raises InputError for unknown names, or no name.
    """
    if names is None:
        return {metric.name: set(metric.figures) for metric in METRICS.values() if metric.usual}
    wanted = set(names)
    unknown = sorted(wanted - {name for m in METRICS.values() for name in (m.name, *m.figures)})
    if unknown or not wanted:
        several = (f"{m.name} ({', '.join(m.figures)})" for m in METRICS.values() if m.figures != (m.name,))
        single = (m.name for m in METRICS.values() if m.figures == (m.name,))
        raise InputError(
            f"no metric is called {', '.join(map(repr, unknown)) or 'nothing'}; expected some of "
            f"{', '.join((*single, *several))}"
        )
    taken = {m.name: {f for f in m.figures if wanted & {f, m.name}} for m in METRICS.values()}
    return {name: figures for name, figures in taken.items() if figures}


def fid_figure(result: FidResult) -> Figure:
    """An FID as it stands on a card: what scripts may rely on, and the warning where there is one."""
    told = {k: v for k, v in result.as_json().items() if k not in Figure.__dataclass_fields__}
    if result.warning:
        told["warning"] = result.warning
    return Figure(result.value, "lower", result.standard_error, result.interval, result.n, told)


def _fid(context: Context) -> Figures:
    return _frechet(context, DEFAULT)


def _fd_dinov2(context: Context) -> Figures:
    return _frechet(context, DINOV2)


def _frechet(context: Context, protocol: FeatureProtocol) -> Figures:
    result = fid(
        context.pictures, context.dataset, protocol=protocol, device=context.device,
        progress=context.progress,
    )  # fmt: skip
    return {result.metric: fid_figure(result)}


def _kid(context: Context) -> Figures:
    result = kid(*context.features(DEFAULT))
    told = _of_features(DEFAULT, "all pairs, no subsets")
    return {"kid": Figure(result.value, "lower", result.standard_error, result.interval, result.n, told)}


def _cmmd(context: Context) -> Figures:
    result = cmmd(*context.features(CLIP))
    told = _of_features(CLIP, f"σ = {SIGMA:g}, times {SCALE:g}")
    return {"cmmd": Figure(result.value, "lower", result.standard_error, result.interval, result.n, told)}


def _prdc(context: Context) -> Figures:
    result = prdc(*context.features(DEFAULT))
    figures = {}
    for name, k in (
        ("precision", PRECISION_K), ("recall", PRECISION_K), ("density", DENSITY_K), ("coverage", DENSITY_K)
    ):  # fmt: skip
        told = _of_features(DEFAULT, f"k = {k}")
        figures[name] = Figure(getattr(result, name), "higher", None, None, result.n, told)
    return figures


def _of_features(protocol: FeatureProtocol, how: str) -> dict[str, object]:
    """What a card tells of figures that are taken of features."""
    told = f"{protocol.label}{ON_WHITE}; {how}"
    return {"protocol": told, "weights_sha256": weights.digest(protocol.weights)}


def _lines(context: Context) -> Figures:
    found = lines_of(context.outputs, context.linearts, context.progress)
    return {
        "line-f": averaged(found.f, "higher"),
        "line-precision": averaged(found.precision, "higher"),
        "line-recall": averaged(found.recall, "higher"),
    }


def _hints(context: Context) -> Figures:
    found = hints_of(context.outputs, context.linearts, _dabs(context), context.progress)
    return {
        "hint-difference": averaged(found.difference, "lower", protocol="CIEDE2000"),
        "hint-reach": averaged(found.reach, "higher"),
    }


def _dabs(context: Context) -> dict[str, Sequence[Hint]]:
    """The hints as dabs; strokes are made dabs at the size that adherence is measured at."""
    found: dict[str, Sequence[Hint]] = {}
    for member in context.dataset.linearts:
        given = (context.hints or {}).get(member.record.sha256, ())
        if isinstance(given, Strokes):
            given.check_fits(context.dataset.file(member))
        told = member.record.statistics
        found[member.record.sha256] = dabs_of(given, *resized_shape(told.height, told.width, SIZE))
    return found


def _bleeding(context: Context) -> Figures:
    return {"bleeding": averaged(bleeding_of(context.outputs, context.linearts, context.progress), "lower")}


def _colorfulness(context: Context) -> Figures:
    tracked = context.progress.track(context.outputs.values(), "colorfulness", len(context.outputs))
    values = mean(colorfulness(read_on_white(path)) for path in tracked)
    told = mean(m.record.statistics.colorfulness for m in context.dataset.illustrations)
    return {"colorfulness": averaged(values, "", of_illustrations=told.value)}


PAIRED: Mapping[str, tuple[Callable[[Array, Array], float], str]] = {
    "psnr": (psnr, "RGB, peak 255, in dB"),
    "psnr-lab": (psnr_lab, "L*a*b* (D65), peak 100, in dB"),
    "ssim": (ssim, "RGB, mean of channels, Gaussian 11 × 11, σ 1.5"),
    "ms-ssim": (ms_ssim, "RGB, mean of channels, Gaussian 11 × 11, σ 1.5, five scales"),
}
"""Figures of a pair of pictures, and what their cards say of them."""


def _paired(context: Context) -> Figures:
    def measure(lineart: str) -> list[float]:
        pair = _pair(context, lineart)
        return [take(*pair) for take, _ in PAIRED.values()]

    rows = each(context.truths, measure, "paired", context.progress)
    columns = dict(zip(PAIRED, zip(*rows, strict=True), strict=True))
    return {
        name: _of_pairs(context, columns[name], "higher", protocol=_at_size(protocol))
        for name, (_, protocol) in PAIRED.items()
    }


def _lpips(network: Network) -> Callable[[Context], Figures]:
    def measure(context: Context) -> Figures:
        lpips = Lpips(network, device=context.device, progress=context.progress)
        linearts = context.progress.track(context.truths, LINEAR[network], len(context.truths))
        values = [lpips.distance(*_pair(context, lineart)) for lineart in linearts]
        told = {"protocol": _at_size(f"v0.1, {network}"), "weights_sha256": lpips.digests}
        return {LINEAR[network]: _of_pairs(context, values, "lower", **told)}

    return measure


def _of_pairs(context: Context, values: Sequence[float], better: Better, **more: object) -> Figure:
    """The mean over true pairs; those of two aspects are counted as left out."""
    return averaged(mean([*values, *[None] * (context.true_pairs - len(values))]), better, **more)


def _pair(context: Context, lineart: str) -> tuple[Array, Array]:
    """The line art's output and its true picture, brought to one size."""
    try:
        return matched(read_on_white(context.outputs[lineart]), read_on_white(context.truths[lineart]))
    except InputError as error:
        raise InputError(f"{context.outputs[lineart]}: {error}") from error


def _at_size(protocol: str) -> str:
    return f"{protocol}; shortest side {SIZE}"


def _enough(fewest: int) -> Callable[[Context], str]:
    """What a comparison of two sets lacks that asks for so many pictures in each."""

    def lacks(context: Context) -> str:
        counts = len(context.dataset.linearts), len(context.dataset.illustrations)
        if min(counts) >= fewest:
            return ""
        return f"{counts[0]} line arts and {counts[1]} illustrations; it needs {fewest} of each"

    return lacks


def _without_hints(context: Context) -> str:
    if context.hints is None:
        return "none are given (--hints FILE)"
    given = any(context.hints.get(lineart) for lineart in context.linearts)
    return "" if given else "those that are given are of other line arts"


def _without_pairs(context: Context) -> str:
    if context.truths:
        return ""
    return "no true pair in the data set" + " of one aspect" * bool(context.true_pairs)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("fid", "sets", ("fid",), _fid, _enough(2)),
        Metric("kid", "sets", ("kid",), _kid, _enough(2)),
        Metric("fd-dinov2", "sets", ("fd-dinov2",), _fd_dinov2, _enough(2), usual=False),
        Metric("cmmd", "sets", ("cmmd",), _cmmd, _enough(2), usual=False),
        Metric("prdc", "sets", ("precision", "recall", "density", "coverage"), _prdc, _enough(DENSITY_K + 1)),
        Metric("lines", "claims", ("line-f", "line-precision", "line-recall"), _lines),
        Metric("bleeding", "claims", ("bleeding",), _bleeding),
        Metric("hints", "claims", ("hint-difference", "hint-reach"), _hints, _without_hints),
        Metric("colorfulness", "sets", ("colorfulness",), _colorfulness),
        Metric("paired", "pairs", tuple(PAIRED), _paired, _without_pairs),
        Metric("lpips-alex", "pairs", ("lpips-alex",), _lpips("alexnet"), _without_pairs),
        Metric("lpips-vgg", "pairs", ("lpips-vgg",), _lpips("vgg16"), _without_pairs, usual=False),
    )
}
"""The metrics by name, in the order that a card has them."""
