"""What notebooks show of the benchmark: fragments of HTML without scripts, and Markdown; all text escaped.

Colours are the notebook's own, so that fragments are at home on light pages and on dark ones.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from lacbench.hints import Hint
from lacbench.images import Array, encode_png
from lacbench.leaderboard import REPORTED, Leaderboard, cell, escaped, head, notes, rank, reported
from lacbench.records import Dataset
from lacbench.scorecard import ScoreCard
from lacbench.tables import Cell, Column, groups_of, scores_of
from lacbench.tracks import Track

SIDE = 288
"""Pixels of the longest side of a picture that is shown."""
QUIET = "opacity:.7;font-size:90%"
CELL = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
WRAPPED = 24
"""Characters from which on a cell's text may be broken into lines."""
HEADS = ("figure", "value", "± standard error", "95% interval", "pictures", "protocol")
"""Columns of a score card."""


@dataclass(frozen=True)
class Gallery:
    """Line arts with their outputs, one row each."""

    rows: tuple[str, ...]
    """HTML of each row."""

    def _repr_html_(self) -> str:
        return "".join(self.rows) or "<p>no line arts</p>"


def item_html(
    key: str,
    line_art: Array,
    hints: Sequence[Hint],
    *,
    output: Array | None = None,
    truth: Array | None = None,
) -> str:
    """A line art with its hints upon it and, as far as they are given, its output and true version.

    Args:
        key: the line art's id.
        line_art: uint8 (H, W).
        hints: its hints.
        output: uint8 (H', W', 3) RGB.
        truth: uint8 (H', W', 3) RGB.
    """
    told = f"line art {key[:12]}" + (f", {len(hints)} hints" if hints else "")
    pictures = [(told, dabbed(line_art, hints)), ("output", output), ("true picture", truth)]
    figures = "".join(_figure(caption, shown) for caption, shown in pictures if shown is not None)
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin:8px 0">{figures}</div>'


def dabbed(line_art: Array, hints: Sequence[Hint]) -> Array:
    """A line art uint8 (H, W) at the size that is shown, with a ringed dab for each hint: (h, w, 3) RGB."""
    small = np.repeat(_small(line_art)[..., None], 3, axis=2)
    height, width = small.shape[:2]
    for hint in hints:
        row, column = hint.pixel(height, width)
        for radius, color in ((6, (40, 40, 40)), (5, hint.color)):
            cv2.circle(small, (column, row), radius, color, cv2.FILLED, cv2.LINE_AA)
    return small


def benchmark_html(dataset: Dataset, track: Track) -> str:
    """What a benchmark is of."""
    truths = sum(dataset.truth(member) is not None for member in dataset.linearts)
    rows = [
        ("data set", dataset.name),
        ("digest", dataset.digest[:12]),
        ("track", f"{track.name}: {track.title}"),
        ("line arts", f"{len(dataset.linearts):,}, {truths:,} of them with true colours"),
        ("illustrations", f"{len(dataset.illustrations):,}"),
        ("ranked by", track.rank),
    ]
    return _table((), rows)


def card_html(card: ScoreCard) -> str:
    """A score card as a table."""
    told = "".join(f'<p style="{QUIET}">{escape(note)}</p>' for note in _card_notes(card))
    return f"<p><strong>{escape(card.name)}</strong></p>{_table(HEADS, _card_rows(card))}{told}"


def card_markdown(card: ScoreCard) -> str:
    """A score card as a table of Markdown."""
    told = "".join(f"\n{escaped(note)}\n" for note in _card_notes(card))
    rows = (tuple(map(escaped, row)) for row in _card_rows(card))
    lines = (HEADS, ("---", "---:", "---:", "---:", "---:", "---"), *rows)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{escaped(card.name)}**\n\n{table}\n{told}"


def leaderboard_fragment(board: Leaderboard) -> str:
    """A leaderboard as a table, for a page of others."""
    heads = ("rank", "method", *(head(name, board) for name in board.columns))
    rows: list[Sequence[str]] = [
        (
            rank(row),
            row.score.card.name + " †" * row.score.floor,
            *(cell(row.score.figures.get(name)) for name in board.columns),
        )
        for row in board.rows
    ]
    blank = [""] * (len(board.columns) - 1)
    rows += [("–", f"{name} ({REPORTED})", f"{value:.2f}", *blank) for name, value, _ in reported(board)]
    return (
        f"<p><strong>{escape(board.track.title)}</strong></p>{_table(heads, rows)}"
        f'<p style="{QUIET}">{escape(notes(board))}</p>'
    )


def _card_rows(card: ScoreCard) -> list[tuple[str, ...]]:
    """The figures of a card as the report has them, one row each. Raises InputError for what are none."""
    tables = [table for group in groups_of(scores_of([card], card.dataset)) for table in group.tables]
    return [
        _card_row(column, shown)
        for table in tables
        for _, cells in table.rows
        for column, shown in zip(table.columns, cells, strict=True)
        if shown is not None
    ]


def _card_row(column: Column, shown: Cell) -> tuple[str, ...]:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(column.better, "")
    pictures = "; ".join((*column.notes, *shown.notes))
    return column.title + arrow, shown.value, shown.error, shown.interval, pictures, column.protocol


def _card_notes(card: ScoreCard) -> list[str]:
    """What to know of a card beside its figures, a sentence each."""
    told = [f"{'With' if card.hints else 'Without'} hints; data set {card.dataset[:12]}."]
    told += [f"{name} is not measured: {reason}." for name, reason in card.not_measured.items()]
    warnings = {str(figure["warning"]) for figure in card.metrics.values() if figure.get("warning")}
    return told + [f"{warning[:1].upper()}{warning[1:]}." for warning in sorted(warnings)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text as a table of HTML; the first column of what has no heads is the rows' own."""
    top = "".join(f'<th scope="col" style="{_style(text)}">{escape(text)}</th>' for text in heads)
    lines = []
    for row in rows:
        first = "" if heads else f'<th scope="row" style="{_style(row[0])}">{escape(row[0])}</th>'
        cells = row if heads else row[1:]
        lines.append(first + "".join(f'<td style="{_style(text)}">{escape(text)}</td>' for text in cells))
    above = f"<thead><tr>{top}</tr></thead>" if heads else ""
    return f"<table>{above}<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"


def _style(text: str) -> str:
    """That of a cell: numbers and intervals are not broken into lines."""
    return CELL + ";white-space:nowrap" * (len(text) < WRAPPED)


def _figure(caption: str, picture: Array) -> str:
    data = base64.b64encode(encode_png(_small(picture))).decode("ascii")
    return (
        f'<figure style="margin:0"><img alt="{escape(caption)}" src="data:image/png;base64,{data}" '
        f'style="max-width:100%"><figcaption style="{QUIET}">{escape(caption)}</figcaption></figure>'
    )


def _small(picture: Array) -> Array:
    """uint8 (H, W) or (H, W, 3), shrunk so that its longest side has at most SIDE pixels."""
    scale = SIDE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    width, height = (max(1, round(length * scale)) for length in (picture.shape[1], picture.shape[0]))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
