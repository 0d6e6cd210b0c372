"""`lacbench mos report`: one self-contained page of what raters said, and what it shows."""

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import lacbench
from lacbench.errors import StudyError
from lacbench.files import write_text
from lacbench.page import load_template
from lacbench.study.analysis import Analysis, analyse
from lacbench.study.choices import Choices
from lacbench.study.drawing import Plot
from lacbench.study.figures import choices_plot, counts_plot, differences_plot, map_plot, times_plot
from lacbench.study.pairwise import Tournament, compare
from lacbench.study.pairwise import verdict as verdict_of_choices
from lacbench.study.planning import Plan, estimated, plan, typical
from lacbench.study.ratings import Ratings
from lacbench.study.sources import Source
from lacbench.study.verdict import beats_all, claimed, shown_p, verdict

DEFAULT_RULE = "median-4mad"
"""The screening rule that is looked at where no study file names one."""
PLANNED_RATERS, PLANNED_ITEMS = (8, 16, 24, 32), (30, 94, 300)
"""Sizes of studies in the planning table, beside this one's."""


@dataclass(frozen=True)
class Findings:
    """What a source shows."""

    source: Source
    everybody: Analysis | Tournament
    """Of ratings, or of choices."""
    result: Analysis | Tournament
    """What the verdict follows: without flagged raters, where the study stated that beforehand."""
    verdict: str
    """In plain words."""
    plots: tuple[Plot, ...]
    """Figures of `result`."""

    @property
    def beside(self) -> Analysis | Tournament | None:
        """What the verdict does not follow: all raters, or all but the flagged ones; None where nobody is."""
        if self.result is not self.everybody:
            return self.everybody
        return self.everybody.with_screening if isinstance(self.everybody, Analysis) else None

    def as_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`: the analysis of everybody, and the verdict."""
        events = [dict(event) for event in self.source.events]
        return {
            **self.everybody.as_json(),
            "verdict": self.verdict,
            "open": self.source.open,
            "events": events,
        }


def find(
    source: Source,
    ours: str | None = None,
    *,
    confidence: float = 0.95,
    rule: str | None = None,
    seed: int = 0,
    alpha: float = 0.0,
) -> Findings:
    """Analyse a source and draw up its figures.

    Args:
        source: what raters said.
        ours: the method that is claimed to be above the others.
        confidence: of intervals; claims are made at the level 1 − this.
        rule: screening of ratings; None for the one that the study stated, else `DEFAULT_RULE`.
        seed: of the bootstrap of choices.
        alpha: regularisation of choices.

    Raises:
        StudyError: what cannot be analysed, an unknown method or rule.
        MissingError: a library of the extra `study` is not installed.
    """
    table = source.table
    if isinstance(table, Choices):
        found = compare(table, ours, confidence=confidence, seed=seed, alpha=alpha)
        return Findings(source, found, found, verdict_of_choices(found), _plots_of_choices(table, found))
    stated = source.rule if source.rule != "none" else None
    everybody = analyse(table, ours, confidence=confidence, screening=rule or stated or DEFAULT_RULE)
    without = everybody.with_screening
    if not (without and source.exclude and everybody.rule == stated):
        plots = _plots_of_ratings(table, everybody)
        return Findings(source, everybody, everybody, verdict(everybody), plots)
    plots = _plots_of_ratings(table.without(everybody.excluded), without)
    return Findings(source, everybody, without, _verdict_without(everybody, without), plots)


def write_report(path: Path, findings: Findings) -> Path:
    """Write one self-contained HTML page, atomically: the same input gives the same bytes.

    Raises MissingError where Jinja or Matplotlib is not installed, OutputError where it cannot be written.
    """
    write_text(path, page_of(findings))
    return path


def page_of(findings: Findings) -> str:
    """The page as text. Raises MissingError."""
    source, result = findings.source, findings.result
    return load_template("study.html.j2").render(
        source=source,
        verdict=findings.verdict,
        everybody=findings.everybody,
        beside=findings.beside,
        result=result,
        pairwise=isinstance(result, Tournament),
        claimed=claimed(result) if result.ours else (),
        beats_all=beats_all(result),
        figures={plot.name: (embedded(plot), plot) for plot in findings.plots},
        plans=_plans(source.table, result.ours) if isinstance(source.table, Ratings) else (),
        p=shown_p,
        steps=_steps(findings),
        version=lacbench.__version__,
    )


def embedded(plot: Plot) -> str:
    """The figure as a data: URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(plot.svg).decode()}"


def _verdict_without(everybody: Analysis, without: Analysis) -> str:
    """The verdict without flagged raters, left out as was stated beforehand, and whether that matters."""
    flagged = f"the raters that the rule {everybody.rule} flags"
    told = f"As stated beforehand, without {flagged}: {verdict(without)}"
    if set(claimed(without)) == set(claimed(everybody)):
        return f"{told} It is the same with everybody."
    return f"{told} With everybody: {verdict(replace(everybody, with_screening=None))}"


def _plots_of_ratings(ratings: Ratings, analysis: Analysis) -> tuple[Plot, ...]:
    plots = [counts_plot(analysis.methods, analysis.ours)]
    if analysis.ours:
        plots.append(_differences(analysis, "points of the scale"))
    plots.append(map_plot(ratings, analysis.ours))
    if np.isfinite(ratings.milliseconds).any():
        plots.append(times_plot(ratings))
    return tuple(plots)


def _plots_of_choices(choices: Choices, found: Tournament) -> tuple[Plot, ...]:
    order = [choices.index(strength.method) for strength in found.methods]
    plots = [choices_plot([choices.methods[m] for m in order], choices.wins()[np.ix_(order, order)])]
    if found.ours:
        plots.append(_differences(found, "log odds of being preferred"))
    if np.isfinite(choices.milliseconds).any():
        plots.append(times_plot(choices))
    return tuple(plots)


def _differences(result: Analysis | Tournament, label: str) -> Plot:
    return differences_plot(result.ours or "", result.comparisons, claimed(result), label, result.confidence)


def _plans(ratings: Ratings, ours: str | None) -> tuple[tuple[Plan, ...], ...]:
    """Rows of the planning table: by raters, and in each by items; sizes like this study's among them."""
    try:
        components = estimated(ratings, ours) if ours else typical()
        sizes = (
            sorted({*PLANNED_RATERS, len(ratings.raters)}),
            sorted({*PLANNED_ITEMS, len(ratings.items)}),
        )
        return tuple(plan([raters], sizes[1], 0.2, components) for raters in sizes[0])
    except StudyError:  # ratings that do not vary: there is nothing to plan with
        return ()


def _steps(findings: Findings) -> Sequence[tuple[str, str]]:
    """Commands that give the same figures again, each with a comment."""
    source, result = findings.source, findings.everybody
    ours = f" --ours {shlex.quote(result.ours)}" if result.ours else ""
    options = f" --confidence {result.confidence:g}" if result.confidence != 0.95 else ""
    file = shlex.quote(source.file or "ratings.parquet")
    steps = [(f"lacbench mos export STUDY -o {file}", "what raters said")] if source.name else []
    if isinstance(result, Analysis):
        options += f" --screening {result.rule}"
        steps.append((f"lacbench significance {file}{ours}{options}", "the same figures on a terminal"))
    else:
        options += f" --seed {result.seed}" + (f" --regularise {result.alpha:g}" if result.alpha else "")
    steps.append((f"lacbench mos report {file}{ours}{options} -o mos.html", "this page"))
    return steps
