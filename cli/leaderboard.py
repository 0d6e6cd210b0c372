"""`lacbench leaderboard`: score cards of one track, ranked."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import print_table

if TYPE_CHECKING:
    from lacbench.leaderboard import Leaderboard


@click.command()
@click.argument("cards", type=ANY_PATH, nargs=-1, required=True)
@click.option(
    "--track", default="auto", show_default=True, help="auto, hints or paired; see docs/leaderboard.md."
)
@click.option("-o", "--out", type=ANY_PATH, help="Write it: a file that ends in .md, .html or .json.")
@json_option
def leaderboard(cards: tuple[Path, ...], track: str, out: Path | None, as_json: bool) -> None:
    """Rank the methods of CARDS (JSON files of `lacbench score`) that are of one track.

    Methods whose 95% intervals overlap are shown as ties. Cards of different data sets or protocols are
    refused.
    """
    from lacbench.leaderboard import leaderboard_json, make_leaderboard, save_leaderboard
    from lacbench.scorecard import load_card
    from lacbench.tracks import find_track

    board = make_leaderboard([load_card(card) for card in cards], find_track(track))
    if out:
        save_leaderboard(out, board)
    if as_json:
        print_json(leaderboard_json(board))
    else:
        _print(board)
        if out:
            click.echo(out)


def _print(board: "Leaderboard") -> None:
    """The table and what a reader must know."""
    from lacbench.leaderboard import cell, head, notes, rank, reported

    rows = [
        [row.score.card.name + " †" * row.score.floor, rank(row)]
        + [cell(row.score.figures.get(name)) for name in board.columns]
        for row in board.rows
    ]
    blank = [""] * (len(board.columns) - 1)
    rows += [[f"({name})", "–", f"{value:.2f}", *blank] for name, value, _ in reported(board)]
    click.echo(board.track.title)
    print_table(["method", "rank", *(head(name, board) for name in board.columns)], rows)
    click.echo(notes(board))
