"""`lacbench scorecard`: whether a score card is true."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import listener, print_table

if TYPE_CHECKING:
    from lacbench.verification import Check

SHOWN = 20
"""Characters shown of a digest; `--json` has all."""


@click.group()
def scorecard() -> None:
    """Score cards, as others hand them in."""


@scorecard.command()
@click.argument("card", type=ANY_PATH)
@click.argument("submission", type=ANY_PATH)
@click.argument("data", type=ANY_PATH)
@click.option(
    "--hints",
    type=ANY_PATH,
    help="The colour hints that the method was given: a JSON file, or a folder of strokes.",
)
@click.option("--device", default="cpu", show_default=True, help="Where networks run: auto, cpu, cuda …")
@json_option
def verify(card: Path, submission: Path, data: Path, hints: Path | None, device: str, as_json: bool) -> None:
    """Score SUBMISSION again on the data set DATA, and compare with CARD.

    Exit status 1 where a digest differs, or a figure by more than its tolerance; that another version of
    lacbench made the card is a note. See docs/leaderboard.md.
    """
    from lacbench.hints import load_given
    from lacbench.scorecard import load_card, open_dataset
    from lacbench.verification import verify_card

    checks = verify_card(
        load_card(card),
        submission,
        open_dataset(data),
        hints=load_given(hints) if hints else None,
        device=device,
        progress=listener(),
    )
    agrees = all(check.agrees for check in checks)
    if as_json:
        print_json({"agrees": agrees, "checks": [vars(check) for check in checks]})
    else:
        rows = [[c.name, c.told[:SHOWN], c.found[:SHOWN], _word(c), c.why] for c in checks]
        print_table(["", "the card tells", "found", "", "tolerance"], rows)
        different = sum(not check.agrees for check in checks)
        click.echo("the card is true" if agrees else f"{different:,} of {len(checks):,} do not agree")
    click.get_current_context().exit(0 if agrees else 1)


def _word(check: "Check") -> str:
    if check.note:
        return "note"
    return "agrees" if check.agrees else "DIFFERS"
