"""`lacbench hints`: colour hints for a data set's line arts, drawn by seed."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


class MakeUnlessTold(click.Group):
    """A group that takes `make` as said where no command is."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """`hints DATA …` is `hints make DATA …`."""
        if args and args[0] not in (*self.commands, *context.help_option_names):
            args = ["make", *args]
        return super().parse_args(context, args)


@click.group(cls=MakeUnlessTold)
def hints() -> None:
    """Colour hints for line arts. `lacbench hints DATA …` is short for `lacbench hints make DATA …`."""


@hints.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=ANY_PATH, help="The hints' file, JSON.")
@click.option("--strokes", type=FOLDER, help="A folder for the same hints as strokes, <id>.png each.")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=12, show_default=True, help="Hints a line art."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="Decides places and colours.",
)
@json_option
def make(data: Path, out: Path | None, strokes: Path | None, count: int, seed: int, as_json: bool) -> None:
    """Draw colour hints for DATA's line arts: dabs of their true colours, where those are known.

    With --strokes a short stroke of a brush is painted through each dab, within its region. Methods are given
    the one or the other: `lacbench colorize --hints`.
    """
    from lacbench.hints import choose_hints, save_hints
    from lacbench.manifest import load_dataset
    from lacbench.strokes import paint_strokes

    if out is None and strokes is None:
        raise click.UsageError("nowhere to write to: name a file (-o), a folder (--strokes), or both")
    dataset = load_dataset(data)
    chosen = choose_hints(dataset, count, seed)
    if out:
        save_hints(out, chosen)
    if strokes:
        paint_strokes(dataset, chosen, strokes, seed, listener())
    written = {"hints": out, "strokes": strokes}
    if as_json:
        told = {name: str(path) for name, path in written.items() if path}
        print_json({**told, "linearts": len(chosen), "count": count, "seed": seed})
    else:
        for path in filter(None, written.values()):
            click.echo(path)
