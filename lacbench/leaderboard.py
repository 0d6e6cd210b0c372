"""The leaderboard of a track: cards of one data set and protocol, ranked; what overlaps is tied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lacbench
from lacbench.errors import InputError
from lacbench.files import write_json, write_text
from lacbench.metrics.figure import Figure
from lacbench.page import load_template
from lacbench.scorecard import ScoreCard
from lacbench.tables import TITLES, Score, decimals, scores_of, way
from lacbench.tracks import Track, why_not

PAPER = (
    ("PaintsChainer canna", 103.24, 0.18),
    ("PaintsChainer tanpopo", 85.38, 0.21),
    ("PaintsChainer satsuki", 81.91, 0.26),
    ("Ci et al. without adversarial loss", 70.90, 0.13),
    ("Ci et al. without local features", 60.73, 0.22),
    ("Ci et al.", 57.06, 0.16),
)
"""Method, FID and its spread as Ci et al. report them (2018, arXiv:1808.03240, Table 1): other data,
and another protocol, so that they have no rank here."""
REPORTED = "as reported in the paper, other data"
"""What is said of these rows."""


@dataclass(frozen=True)
class Row:
    """One method."""

    rank: int
    """One more than the number of methods that are better beyond doubt; see `ranked`."""
    tied: bool
    """Whether another has the same rank."""
    score: Score
    """Its card."""


@dataclass(frozen=True)
class Leaderboard:
    """Methods of one track on one data set, the best first."""

    track: Track
    """The contest."""
    dataset: str
    """Digest of the data set."""
    rows: tuple[Row, ...]
    """The methods."""
    left_out: Mapping[str, str]
    """Why a card is not ranked, by its method's name."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Figures that some card has, the ranking one first."""
        names = (self.track.rank, *self.track.beside)
        return tuple(name for name in names if any(name in row.score.figures for row in self.rows))

    def _repr_html_(self) -> str:
        from lacbench.notebook import leaderboard_fragment

        return leaderboard_fragment(self)

    def _repr_markdown_(self) -> str:
        return leaderboard_markdown(self)


def make_leaderboard(cards: Sequence[ScoreCard], track: Track) -> Leaderboard:
    """Rank the cards.

    Raises InputError for cards of different data sets, whose figures of one name were taken by different
    protocols, weights, references or hints, for two cards of one name, and where no card can enter the track.
    """
    if not cards:
        raise InputError("no score cards: expected one or more; score a submission: lacbench score")
    left_out = {card.name: reason for card in cards if (reason := why_not(card, track))}
    entered = [card for card in cards if card.name not in left_out]
    names = [card.name for card in cards]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"several cards are called {twice[0]!r}; expected one each; name them: score --name")
    if not entered:
        first, reason = next(iter(left_out.items()))
        raise InputError(
            f"none of the {len(cards)} cards is of the track {track.name}: of {first}, {reason}; choose "
            "another track: --track"
        )
    scores = scores_of(entered, entered[0].dataset)
    _comparable(scores, (track.rank, *track.beside))
    return Leaderboard(track, entered[0].dataset, tuple(ranked(scores, track.rank)), left_out)


def ranked(scores: Iterable[Score], name: str) -> list[Row]:
    """The scores by one figure, the best first.

    A method is better than another beyond doubt where their 95% intervals do not overlap; a rank is one more
    than the number of methods that are better so, and those with one rank are ties. Figures without an
    interval are taken as they are. Overlap is a cautious rule: intervals of two means may overlap though
    their difference is significant.
    """
    scores = list(scores)
    spans = {score.card.name: _span(score.figures[name]) for score in scores}
    order = sorted(scores, key=lambda score: (_badness(score.figures[name]), score.card.name))
    ranks = {
        score.card.name: 1 + sum(high < spans[score.card.name][0] for _, high in spans.values())
        for score in order
    }
    taken = list(ranks.values())
    return [Row(ranks[s.card.name], taken.count(ranks[s.card.name]) > 1, s) for s in order]


def leaderboard_json(board: Leaderboard) -> dict[str, Any]:
    """The leaderboard for programs."""
    return {
        "track": board.track.name,
        "ranked_by": board.track.rank,
        "dataset": board.dataset,
        "rows": [
            {
                "rank": row.rank,
                "tied": row.tied,
                "name": row.score.card.name,
                "hints": row.score.card.hints,
                "figures": {name: figure.as_json() for name, figure in row.score.figures.items()},
            }
            for row in board.rows
        ],
        "left_out": dict(board.left_out),
        "reported": [{"name": n, "fid": v, "spread": s, "note": REPORTED} for n, v, s in reported(board)],
    }


def reported(board: Leaderboard) -> tuple[tuple[str, float, float], ...]:
    """The paper's rows, where they are of the same track."""
    return PAPER if board.track.name == "auto" else ()


def leaderboard_markdown(board: Leaderboard) -> str:
    """The leaderboard as a table of Markdown, with what is needed to quote it."""
    heads = ["rank", "method", *(head(name, board) for name in board.columns)]
    lines = [heads, ["---:", "---", *("---:" for _ in board.columns)]]
    for row in board.rows:
        cells = [cell(row.score.figures.get(name)) for name in board.columns]
        lines.append([rank(row), escaped(row.score.card.name) + (" †" if row.score.floor else ""), *cells])
    blank = [""] * (len(board.columns) - 1)
    lines += [["–", f"*{name}*", f"*{value:.2f}*", *blank] for name, value, _ in reported(board)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"# {board.track.title}\n\n{table}\n\n{escaped(notes(board))}\n"


def save_leaderboard(path: Path, board: Leaderboard) -> None:
    """Write the leaderboard, atomically: Markdown, HTML or JSON, by the file's suffix.

    Raises InputError for another suffix, MissingError for HTML without Jinja.
    """
    match path.suffix.lower():
        case ".md":
            write_text(path, leaderboard_markdown(board))
        case ".json":
            write_json(path, leaderboard_json(board))
        case ".html":
            write_text(path, leaderboard_html(board))
        case other:
            raise InputError(f"{path} ends in {other or 'nothing'}; expected .md, .html or .json; rename it")


def leaderboard_html(board: Leaderboard) -> str:
    """The leaderboard as one self-contained page."""
    return load_template("leaderboard.html.j2").render(**board_parts(board), version=lacbench.__version__)


def board_parts(board: Leaderboard) -> dict[str, Any]:
    """What `ranking.html.j2` shows of a leaderboard."""
    return {
        "board": board,
        "cells": [[cell(row.score.figures.get(name)) for name in board.columns] for row in board.rows],
        "heads": [head(name, board) for name in board.columns],
        "ranks": [rank(row) for row in board.rows],
        "reported": reported(board),
        "note": REPORTED,
        "notes": notes(board),
    }


def notes(board: Leaderboard) -> str:
    """What a reader must know, as sentences."""
    figure = board.rows[0].score.figures[board.track.rank]
    told = [
        f"Ranked by {TITLES.get(board.track.rank, board.track.rank)}; methods whose 95% intervals overlap "
        "are ties (=).",
        f"Protocol {figure.more.get('protocol', 'not told')}; data set {board.dataset[:12]}.",
    ]
    if any(row.score.floor for row in board.rows):
        told.append("† no model, but a floor that any model must beat.")
    if reported(board):
        told.append(f"Without a rank: {REPORTED}.")
    told += [f"{name} is not ranked: {reason}." for name, reason in board.left_out.items()]
    return " ".join(told)


def cell(figure: Figure | None) -> str:
    """A figure with its standard error."""
    if figure is None or figure.value is None:
        return "–"
    error = figure.standard_error
    places = decimals([error] if error else [])
    return f"{figure.value:.{places}f}" + (f" ± {error:.{places}f}" if error else "")


def head(name: str, board: Leaderboard) -> str:
    """A column's head: the figure's name, and the arrow to its better side."""
    better = next(r.score.figures[name].better for r in board.rows if name in r.score.figures)
    arrow = {"higher": " ↑", "lower": " ↓"}.get(better, "")
    return TITLES.get(name, name) + arrow


def rank(row: Row) -> str:
    """A row's rank, with = where it is shared."""
    return f"{row.rank}{'=' * row.tied}"


def escaped(text: str) -> str:
    """Text for a cell of a Markdown table: what would be markup is shown as it is."""
    for mark in "\\`*_[]<>|$&~":
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())


def _comparable(scores: Sequence[Score], names: Iterable[str]) -> None:
    """Raise InputError unless the figures of each name were taken in one way, with the same hints."""
    for name in names:
        ways = {way(score.figures[name]): score.card.name for score in scores if name in score.figures}
        if len(ways) > 1:
            first, second = list(ways.values())[:2]
            raise InputError(
                f"the {name} of {first} and of {second} do not compare: they were taken by different "
                "protocols, weights or references; score both by one, or rank them apart"
            )
    hints = {
        score.card.digests["hints"]: score.card.name for score in scores if "hints" in score.card.digests
    }
    if len(hints) > 1:
        first, second = list(hints.values())[:2]
        raise InputError(
            f"{first} and {second} were given different hints; score both with the published ones"
        )


def _span(figure: Figure) -> tuple[float, float]:
    """Its interval, turned so that lower is better."""
    assert figure.value is not None
    low, high = figure.interval or (figure.value, figure.value)
    return (-high, -low) if figure.better == "higher" else (low, high)


def _badness(figure: Figure) -> float:
    assert figure.value is not None
    return -figure.value if figure.better == "higher" else figure.value
