"""What a person sees while a command works: bars on a terminal, plain lines elsewhere, all on stderr."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from lacbench.progress import Progress

Item = TypeVar("Item")


def listener() -> Progress:
    """The progress listener that suits stderr: bars on a terminal, else plain lines."""
    return Bars() if sys.stderr.isatty() else Lines()


QUIET_SECONDS = 30
"""After so long a silence a log gets a line on how far a stage is."""


class Lines:
    """Plain lines, for logs and pipes: a stage's summary, and a sign of life during a long one."""

    def track(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items on; now and then say how many there were, of how many, and for how long yet."""
        start = last = time.monotonic()
        for done, item in enumerate(items):
            yield item
            now = time.monotonic()
            if now - last > QUIET_SECONDS:
                last = now
                left = f" of {total}, {(now - start) * (total / (done + 1) - 1):.0f} s left" if total else ""
                self.say(f"{label}: {done + 1}{left}")

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
