"""`report.html`: one page that shows a data set, its pairs, what methods made of it, and their scores."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import lacbench
from lacbench.errors import InputError
from lacbench.files import write_text
from lacbench.hints import Hints
from lacbench.leaderboard import PAPER, Leaderboard, board_parts, make_leaderboard, reported
from lacbench.page import load_template
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair
from lacbench.report.contents import (
    DROPPED,
    counts,
    drawings,
    origins,
    reasons,
    taste,
    without_folders,
)  # fmt: skip
from lacbench.report.gallery import Method, flips, rows
from lacbench.report.growth import axis, growths
from lacbench.report.leakage import leakage
from lacbench.report.opinions import options, told_of
from lacbench.reproduce import demo_command, steps
from lacbench.scorecard import ScoreCard
from lacbench.study.report import Findings
from lacbench.tables import TITLES, Score, charts_of, groups_of, scores_of
from lacbench.tracks import TRACKS, why_not

__all__ = ["DROPPED", "ENOUGH", "PAPER", "write_report"]

ENOUGH = 2048
"""Pictures on each side below which an FID proves the line, not a ranking: one per Inception feature."""


def write_report(
    path: Path,
    dataset: Dataset,
    pairs: Sequence[Pair],
    cards: Sequence[ScoreCard],
    *,
    hints: Hints | None = None,
    opinions: Findings | None = None,
    examples: int = 12,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained HTML page, atomically: the same input gives the same bytes.

    FIDs of parts of a submission are shown where their features lie in the cache folder; see `growths`.

    Args:
        path: the page's file.
        dataset: what was built; its pictures are read from its folder.
        pairs: line drawings of its illustrations, as `lacbench.pairs.load_pairs` gives them; may be empty.
        cards: one for each method; outputs are read from their `submission` folders or archives, a missing
            one shows as such.
        hints: colour hints that the methods were given, drawn over the line arts.
        opinions: what raters said, as `lacbench.study.report.find` gives it.
        examples: line arts shown, half of them with their true colours where there are as many.
        progress: who listens.

    Returns:
        `path`.

    Raises:
        MissingError: Jinja is not installed; for figures of `opinions`, Matplotlib.
        InputError: no cards, cards without figures or with broken ones, or of another data set; a submission
            that cannot be opened, or an output of another aspect than its line art.
        ImageError: a kept picture or an output cannot be read.
        OutputError: the page cannot be written.
    """
    template, progress = load_template("report.html.j2"), progress or Silent()
    scores = scores_of(cards, dataset.digest)
    ordered = [score.card for score in scores]
    methods = [Method.of(score, dataset) for score in scores]
    fids = [score.fid for score in scores if score.fid]
    chosen, measured = flips(dataset, methods, hints, progress)
    grown, ungrown = growths(dataset, methods)
    boards = leaderboards(ordered)
    page = template.render(
        name=dataset.name,
        dataset=dataset,
        taste=taste(dataset),
        version=lacbench.__version__,
        counts=counts(dataset),
        origins=origins(dataset, path),
        reasons=reasons(dataset),
        drawings=drawings(dataset, pairs),
        sigmas=sorted({pair.sigma for pair in pairs}),
        sizes=sorted({pair.size for pair in pairs}),
        scores=scores,
        digests=[(score.card.name, list(_digests(score))) for score in scores],
        weights=_weights(scores),
        charts=charts_of(scores),
        groups=groups_of(scores),
        rows=list(rows(dataset, methods, hints, examples, progress)),
        flips=chosen,
        measured=measured,
        hinted=hints is not None,
        true_pairs=sum(dataset.truth(m) is not None for m in dataset.linearts),
        fewest=min((n for fid in fids for n in _both(fid.n) if n is not None), default=ENOUGH),
        enough=ENOUGH,
        boards=[board if isinstance(board, str) else board_parts(board) for board in boards],
        growths=grown,
        ungrown=ungrown,
        axis=axis(grown),
        leakage=leakage(dataset),
        **told_of(opinions),
        paper=() if any(reported(board) for board in boards if isinstance(board, Leaderboard)) else PAPER,
        recipe=without_folders(dataset.recipe),
        shortened=without_folders(dataset.recipe) != dataset.recipe,
        demo=demo_command(dataset),
        steps=steps(dataset, pairs, ordered, hints, options(opinions)),
    )
    write_text(path, page)
    return path


def leaderboards(cards: Sequence[ScoreCard]) -> list[Leaderboard | str]:
    """The leaderboard of each track that a card is of; where its cards do not compare, why."""
    found: list[Leaderboard | str] = []
    for track in TRACKS.values():
        entered = [card for card in cards if not why_not(card, track)]
        try:
            found += [make_leaderboard(cards, track)] if entered else []
        except InputError as error:
            found.append(f"{track.title}: no ranking, since {error}")
    return found


def _digests(score: Score) -> Iterable[tuple[str, str]]:
    """SHA-256 of what was scored, by what it is."""
    found = dict(score.card.digests)
    told = score.fid.more.get("digests") if score.fid else None
    if isinstance(told, list | tuple):
        found |= dict(zip(("submission", "reference"), map(str, told), strict=False))
    return sorted(found.items())


def _weights(scores: Sequence[Score]) -> dict[str, list[str]]:
    """SHA-256 of the networks' weights by which figures were taken, with the figures' titles."""
    found: dict[str, list[str]] = {}
    for name, figure in ((n, f) for score in scores for n, f in sorted(score.figures.items())):
        told = figure.more.get("weights_sha256")
        for digest in told.values() if isinstance(told, Mapping) else [told] if told else []:
            titles = found.setdefault(str(digest), [])
            titles += [TITLES.get(name, name)] * (TITLES.get(name, name) not in titles)
    return found


def _both(n: int | tuple[int | None, int | None]) -> tuple[int | None, ...]:
    return n if isinstance(n, tuple) else (n,)
