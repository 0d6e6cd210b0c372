"""How the library says where it is, without printing: the caller hands in somebody who listens."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Somebody who listens: a terminal, a log, or nobody."""

    def track(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items on, one by one, and show how many went by (`total`: how many will)."""
        ...

    def say(self, message: str) -> None:
        """Report one finished stage, or something the user should know, in one line."""
        ...


class Silent:
    """Nobody listens; the default everywhere."""

    def track(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items on."""
        yield from items

    def say(self, message: str) -> None:
        """Drop the message."""
