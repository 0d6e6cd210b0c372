"""Sums of losses between two notes in the log, and how fast iterations go."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Meter:
    """Sums of loss terms, and of time. Checkpoints keep the sums, so that a resumed run's log is the same."""

    def __init__(self) -> None:
        self._sums, self._told = dict[str, Tensor](), ""
        self._count, self._seconds, self._waited = 0, 0.0, 0.0

    def add(self, terms: Mapping[str, Tensor], seconds: float, waited: float) -> None:
        """Count one iteration: loss terms, scalars, and how long it took and waited for data, in seconds.

        The terms stay on their device, so that nobody waits for them.
        """
        for name, value in terms.items():
            value = value.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._count += 1
        self._seconds += seconds
        self._waited += waited

    def take(self, number: int) -> tuple[dict[str, float], dict[str, float]]:
        """Means over `number` iterations, and the speed since the last call; counting starts again."""
        means = {name: float(value) / number for name, value in sorted(self._sums.items())}
        seconds = max(self._seconds, 1e-9)
        rate, waiting = self._count / seconds, self._waited / seconds
        losses = ", ".join(f"{name} {value:.3g}" for name, value in means.items())
        self._told = f"{rate:.3g} it/s, {waiting:.0%} waiting for data; {losses}"
        self._sums, self._count, self._seconds, self._waited = {}, 0, 0.0, 0.0
        return means, {"iterations_per_second": rate, "share_waiting_for_data": waiting}

    def detail(self) -> str:
        """Speed and losses as they were last taken, in a line; empty before."""
        return self._told

    def tensors(self) -> dict[str, Tensor]:
        """The sums so far, for a checkpoint."""
        return dict(self._sums)

    def load(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from a checkpoint's sums."""
        self._sums = {name: value.to(device) for name, value in tensors.items()}
