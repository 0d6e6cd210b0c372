"""What a person sees while a command works: bars on a terminal, plain lines elsewhere, all on stderr."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import click

from lacbench.progress import Progress, Status
from lacbench.reasons import REASONS

if TYPE_CHECKING:
    from rich.table import Table

Item = TypeVar("Item")


def listener() -> Progress:
    """The progress listener that suits stderr: bars on a terminal, else plain lines."""
    return Bars() if sys.stderr.isatty() else Lines()


QUIET_SECONDS = 30
"""After so long a silence a log gets a line on how far a stage is."""


WATCH_SECONDS = 60
"""After so long a log gets a line on a collection."""
HOSTS = 6
"""Hosts shown in the table, the busiest ones."""


class Lines:
    """Plain lines, for logs and pipes: a stage's summary, and a sign of life during a long one."""

    def track(
        self,
        items: Iterable[Item],
        label: str,
        total: int | None = None,
        detail: Callable[[], str] | None = None,
    ) -> Iterator[Item]:
        """Pass the items on; now and then say how many there were, of how many, and for how long yet."""
        start = last = time.monotonic()
        for done, item in enumerate(items):
            yield item
            now = time.monotonic()
            if now - last > QUIET_SECONDS:
                last = now
                left = f" of {total}, {(now - start) * (total / (done + 1) - 1):.0f} s left" if total else ""
                more = f"; {told}" if detail and (told := detail()) else ""
                self.say(f"{label}: {done + 1}{left}{more}")

    def say(self, message: str) -> None:
        """Print the message on stderr."""
        click.echo(message, err=True)

    @contextmanager
    def watch(self, status: Callable[[], Status]) -> Iterator[None]:
        """Say once a minute where the collection stands."""
        with _repeated(lambda: self.say(_line(status())), WATCH_SECONDS):
            yield


class Bars(Lines):
    """A bar while a stage runs, gone when it is done; its summary stays."""

    def track(
        self,
        items: Iterable[Item],
        label: str,
        total: int | None = None,
        detail: Callable[[], str] | None = None,
    ) -> Iterator[Item]:
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
            TextColumn("[dim]{task.fields[detail]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(label, total=total, detail="")
            for item in progress.track(items, total=total, task_id=task):
                progress.update(task, detail=detail() if detail else "")
                yield item

    @contextmanager
    def watch(self, status: Callable[[], Status]) -> Iterator[None]:
        """Show a table of the collection, renewed twice a second."""
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
            show = lambda: live.update(_table(status()), refresh=True)  # noqa: E731
            with _repeated(show, 0.5):
                yield


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, its first column to the left and numbers to the right, then an empty line.

    Its width is that of its contents, also where stdout is no terminal: no number is cut short. What
    would move a terminal's cursor or change its colours is shown as a space: names may be a stranger's.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lacbench.text import printable

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(Text(name), justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(highlight=False)
    console.width = max(console.width, 100_000)
    console.print(table)
    click.echo()


def _line(status: Status) -> str:
    """A collection's standing in a line."""
    dropped = ", ".join(f"{n} {reason}" for reason, n in status.dropped.items()) or "none"
    rates = ", ".join(f"{host} {rate:.1f}/s" for host, rate in status.rates.items())
    return (
        f"collect: {status.found:,} found, {status.fetched:,} of {status.wanted:,} fetched, "
        f"{status.kept:,} kept, dropped: {dropped}; {rates or 'waiting'}; {_left(status)}"
    )


def _left(status: Status) -> str:
    if status.seconds_left is None:
        return "time left unknown"
    return f"{timedelta(seconds=round(status.seconds_left))} left"


def _table(status: Status) -> "Table":
    """A collection's standing as a table: counts, then reasons, then hosts."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    table.add_row("found", f"{status.found:,}", "")
    table.add_row("fetched", f"{status.fetched:,}", f"of {status.wanted:,}, {_left(status)}")
    table.add_row("kept", f"{status.kept:,}", "so far, duplicates not looked for yet")
    for reason, number in status.dropped.items():
        table.add_row("dropped", f"{number:,}", f"{reason}: {REASONS.get(reason, '')}")
    for host, rate in sorted(status.rates.items(), key=lambda pair: -pair[1])[:HOSTS]:
        table.add_row("requests/s", f"{rate:.1f}", host)
    return table


@contextmanager
def _repeated(act: Callable[[], None], seconds: float) -> Iterator[None]:
    """Act every so many seconds, from a thread, as long as the context lasts."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
