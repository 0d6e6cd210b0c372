"""Tracks of the benchmark: what a method is given, and which figures rank it."""

from collections.abc import Mapping
from dataclasses import dataclass

from lacbench.errors import InputError
from lacbench.scorecard import ScoreCard


@dataclass(frozen=True)
class Track:
    """One contest."""

    name: str
    """What `--track` calls it."""
    title: str
    """What people call it."""
    hints: bool | None
    """Whether its methods are given colour hints; None where both may enter."""
    rank: str
    """The figure that ranks."""
    beside: tuple[str, ...]
    """Figures that stand beside it."""


TRACKS: Mapping[str, Track] = {
    track.name: track
    for track in (
        Track(
            "auto", "Automatic: line art alone", False, "fid", ("kid", "line-f", "bleeding", "colorfulness")
        ),
        Track(
            "hints", "With the published hints", True, "fid",
            ("hint-difference", "hint-reach", "line-f", "bleeding"),
        ),
        Track(
            "paired", "Against the true colours", None, "lpips-alex",
            ("psnr-lab", "psnr", "ssim", "ms-ssim"),
        ),
    )
}  # fmt: skip
"""The tracks by name: `auto` is the paper's Table 1; `paired` is secondary, since a line art allows many
colourings."""


def find_track(name: str) -> Track:
    """The track of that name. Raises InputError for an unknown one."""
    if name not in TRACKS:
        raise InputError(f"there is no track {name!r}; expected one of {', '.join(TRACKS)}")
    return TRACKS[name]


def why_not(card: ScoreCard, track: Track) -> str:
    """Why a card cannot enter the track; empty where it can."""
    if track.hints is not None and card.hints != track.hints:
        return "it was given hints" if card.hints else "it was given no hints"
    if track.rank not in card.metrics:
        return f"it has no {track.rank}" + _because(card.not_measured.get(track.rank, ""))
    if card.metrics[track.rank].get("value") is None:
        return f"nothing could be measured for its {track.rank}"
    return ""


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
