"""What raters said of the methods, as the page of a benchmark tells it."""

import shlex
from typing import Any

from lacbench.study.pairwise import Tournament
from lacbench.study.report import Findings, embedded
from lacbench.study.verdict import shown_p

SHOWN = ("counts", "choices", "differences")
"""Names of the figures that are shown; the others are on the study's own page."""


def told_of(findings: Findings | None) -> dict[str, Any]:
    """What `opinions.html.j2` shows. Raises MissingError where Matplotlib is not installed."""
    if findings is None:
        return {"opinions": None}
    return {
        "opinions": findings,
        "chosen": isinstance(findings.result, Tournament),
        "figures": {plot.name: (embedded(plot), plot) for plot in findings.plots if plot.name in SHOWN},
        "p": shown_p,
    }


def options(findings: Findings | None) -> str:
    """The options by which `lacbench report` is told of these ratings; of a study, as its export."""
    if findings is None:
        return ""
    ours = findings.result.ours
    told = f" --ratings {shlex.quote(findings.source.file or 'study')}"
    return told + (f" --ours {shlex.quote(ours)}" if ours else "")
