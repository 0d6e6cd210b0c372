"""What a person sees while a command works: bars on a terminal, plain lines elsewhere, all on stderr."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from lacbench.progress import Progress

Item = TypeVar("Item")


def listener() -> Progress:
    """The progress listener that suits stderr: bars on a terminal, else plain lines."""
    return Bars() if sys.stderr.isatty() else Lines()


class Lines:
    """Plain lines, for logs and pipes: a stage's summary, nothing in between."""

    def track(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items on."""
        yield from items

    def say(self, message: str) -> None:
        """Print the message on stderr."""
        click.echo(message, err=True)


class Bars(Lines):
    """A bar while a stage runs, gone when it is done; its summary stays."""

    def track(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items on under a bar with count, speed and time left."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield from progress.track(items, total=total, description=label)
