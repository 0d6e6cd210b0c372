"""One number of a score card, with what is needed to quote it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from scipy.special import stdtrit

from lacbench.metrics.claims import Mean

Better = Literal["higher", "lower", ""]
"""Which values are better; empty where neither are."""


@dataclass(frozen=True)
class Figure:
    """One number, with what is needed to quote it."""

    value: float | None
    """The number; None where nothing could be measured."""
    better: Better
    """Which values are better."""
    standard_error: float | None
    """Standard error over draws of the outputs; None where it is unknown."""
    interval: tuple[float, float] | None
    """95% interval; None without a standard error."""
    n: int | tuple[int | None, int | None]
    """Pictures measured; of a comparison of two sets, those in each."""
    more: Mapping[str, object] = field(default_factory=dict)
    """What else the card tells: protocol, digests of weights …"""

    def as_json(self) -> dict[str, Any]:
        """The figure as it stands on a card."""
        told = {name: value for name, value in vars(self).items() if name != "more"}
        return {**told, **self.more}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Figure":
        """The figure that stands on a card, which may be a stranger's.

        Raises ValueError, TypeError or KeyError for what `as_json` does not give. `better` may be missing,
        as it is on cards of version 1.
        """
        error, interval, n = told["standard_error"], told["interval"], told["n"]
        better = told.get("better", "")
        if better not in get_args(Better):
            raise ValueError(f"better is {better!r}")
        low, high = (None, None) if interval is None else map(_number, interval)
        backwards = low is not None and high is not None and low > high
        if backwards or (error is not None and _number(error) < 0):
            raise ValueError(f"a spread of {error} and {interval}")
        more = {key: value for key, value in told.items() if key not in cls.__dataclass_fields__}
        _check_more(more)
        return cls(
            value=None if told["value"] is None else _number(told["value"]),
            better=better,
            standard_error=None if error is None else _number(error),
            interval=None if low is None or high is None else (low, high),
            n=_count(n) if isinstance(n, int) else _counts(n),
            more=more,
        )


def averaged(taken: Mean, better: Better, **more: object) -> Figure:
    """A figure that is a mean over pictures; its 95% interval is Student's."""
    told = {**more, "left_out": taken.left_out} if taken.left_out else more
    interval = None
    if taken.value is not None and taken.standard_error is not None:
        reach = float(stdtrit(taken.n - 1, 0.975)) * taken.standard_error
        interval = taken.value - reach, taken.value + reach
    return Figure(taken.value, better, taken.standard_error, interval, taken.n, told)


def _check_more(more: Mapping[str, object]) -> None:
    """Raise ValueError or TypeError unless what readers of cards rely on has the type that it should have."""
    for key in more.keys() & {"infinity", "bias", "of_illustrations"}:
        if more[key] is not None:
            _number(more[key])
    for key in more.keys() & {"protocol", "warning"}:
        if not isinstance(more[key], str):
            raise TypeError(f"{key} is {more[key]!r}")
    for key in more.keys() & {"digests", "skipped"}:
        told = more[key]
        if not isinstance(told, list | tuple) or not all(isinstance(one, str) for one in told):
            raise TypeError(f"{key} is {told!r}")
    _count(more.get("left_out", 0))


def _number(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise TypeError(f"{told!r} is no number")
    try:
        number = float(told)
    except OverflowError as error:
        raise ValueError("a number without end") from error
    if not math.isfinite(number):
        raise ValueError(f"{number}")
    return number


def _count(told: object) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told < 2**53:
        raise ValueError(f"{told!r} is no count")
    return told


def _counts(told: Any) -> tuple[int | None, int | None]:
    first, second = (None if count is None else _count(count) for count in told)
    return first, second
