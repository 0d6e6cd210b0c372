"""How the library says where it is, without printing: the caller hands in somebody who listens."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Status:
    """Where a collection stands."""

    found: int
    """Candidates listed."""
    wanted: int
    """Files that are wanted of them."""
    fetched: int
    """Wanted files whose fate is known."""
    kept: int
    """Pictures that passed the filters so far; duplicates are found at the end."""
    dropped: dict[str, int] = field(default_factory=dict)
    """How many fell to each reason so far."""
    rates: dict[str, float] = field(default_factory=dict)
    """Requests a second of each host, lately."""
    seconds_left: float | None = None
    """Until the wanted files are there, at this pace; None for unknown."""


class Progress(Protocol):
    """Somebody who listens: a terminal, a log, or nobody."""

    def track(
        self,
        items: Iterable[Item],
        label: str,
        total: int | None = None,
        detail: Callable[[], str] | None = None,
    ) -> Iterator[Item]:
        """Pass the items on, one by one, and show how many went by (`total`: how many will).

        `detail` tells more, a few words that are shown beside the count.
        """
        ...

    def say(self, message: str) -> None:
        """Report one finished stage, or something the user should know, in one line."""
        ...

    def watch(self, status: Callable[[], Status]) -> AbstractContextManager[None]:
        """Look at a collection, from another thread, as long as the context lasts."""
        ...


class Silent:
    """Nobody listens; the default everywhere."""

    def track(
        self,
        items: Iterable[Item],
        label: str,
        total: int | None = None,
        detail: Callable[[], str] | None = None,
    ) -> Iterator[Item]:
        """Pass the items on."""
        yield from items

    def say(self, message: str) -> None:
        """Drop the message."""

    def watch(self, status: Callable[[], Status]) -> AbstractContextManager[None]:
        """Look away."""
        return nullcontext()
