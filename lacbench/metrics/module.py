"""FID in a training loop: batches of tensors in, the figure of `lacbench fid` out, by torchmetrics' names."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lacbench import weights
from lacbench.devices import choose_device
from lacbench.errors import InputError
from lacbench.metrics.features import DEFAULT, Extractor
from lacbench.metrics.fid import reference_statistics
from lacbench.metrics.frechet import frechet_distance
from lacbench.metrics.moments import Moments
from lacbench.metrics.networks import ENGINES
from lacbench.metrics.protocols import FeatureProtocol, Levels, find_protocol
from lacbench.metrics.sources import Pictures
from lacbench.metrics.statistics import FeatureStatistics, Floats, same_protocol
from lacbench.pixels import array_of, check_unit, is_tensor, levels
from lacbench.progress import Progress
from lacbench.records import Dataset

if TYPE_CHECKING:
    from torch import Tensor

Reference = str | Path | Dataset | Pictures | FeatureStatistics
"""What outputs are compared with: whatever `lacbench fid` takes, or its statistics."""
STATES = ("n", "sum", "products")
"""Parts of a state that add up over processes with one reference, so that an all-reduce is all they need."""


class LacFID:
    """The Fréchet Inception distance, from a reference, of pictures that come batch by batch.

    The figure is that of `lacbench fid` on files with the same pixels, to 1e-6 of itself: each picture is
    resized by itself, on the CPU, by the same code. Memory does not grow with the pictures.

    `update`, `compute`, `reset`, `state_dict`, `load_state_dict` and `merge_state` are called as those of
    torchmetrics, of which this is no subclass: its state is no part of a model's, and `half()` does not
    round it.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        protocol: str = DEFAULT.name,
        normalize: bool = False,
        rounded: bool = True,
        engine: str = ENGINES[0],
        device: str = "cpu",
        sync_on_compute: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """Take the reference's statistics, which `lacbench fid` keeps in the cache folder.

        Args:
            reference: a folder, archive or data set, whose illustrations count; a `.npz` of statistics, or
                statistics.
            protocol: how pictures become features; see `lacbench.metrics.protocols`.
            normalize: whether batches are floats in 0–1, as with torchmetrics; else uint8.
            rounded: whether floats are rounded to 8 bits before anything else, as a PNG does; without it
                the figure is not that of the files.
            engine: what runs the network; see `lacbench.metrics.networks`.
            device: where it runs, by torch's name, or `auto`.
            sync_on_compute: whether `compute` adds up what all processes of torch.distributed have seen,
                where there are several; then all must call it.
            progress: who listens while the reference is measured and weights are fetched.

        Raises:
            InputError: a protocol that draws at random, whose draws follow from files; a reference by another
                protocol; and what `fid` raises of its reference.
            MissingError: without the extra [metrics], or where there is no such device.
        """
        weights.require_metrics()
        self._protocol = protocol
        if self.protocol.passes * self.protocol.repeats > 1:
            raise InputError(
                f"the protocol {protocol} crops at random, by the bytes of files; expected one that does "
                "not; write the pictures as files and run `lacbench fid`"
            )
        self.normalize, self.rounded, self.sync_on_compute = normalize, rounded, sync_on_compute
        self._engine, self._device = engine, str(choose_device(device))
        self.reference = self._statistics(reference, progress)
        """Statistics of the reference."""
        same_protocol(self.reference.protocol, self.protocol.label)
        dimensions = self.protocol.dimensions
        if self.reference.mean.size != dimensions:
            raise InputError(
                f"the reference's statistics have {self.reference.mean.size} dimensions; expected "
                f"{dimensions:,}; compute them with the protocol {protocol}"
            )
        self._moments = Moments(self.reference.mean)
        self._extractor: Extractor | None = None

    def update(self, imgs: "Tensor") -> None:
        """Take in a batch, (N, 3, H, W) RGB, on any device: uint8, or floats in 0–1 where `normalize` is set.

        N may be 0; batches may differ in size. Raises InputError for anything else: floats that are not
        finite, or outside of 0–1 by more than rounding, among them.
        """
        pictures = self._pictures(imgs)
        if self._extractor is None:
            state = weights.load(self.protocol.weights)
            self._extractor = Extractor(
                state, protocol=self.protocol, engine=self._engine, device=self._device
            )
        self._moments.update(self._extractor.of_decoded(pictures))

    def compute(self) -> "Tensor":
        """The FID of all pictures since the last reset, a float64 scalar on the CPU.

        Nothing is forgotten: more batches may follow. Raises InputError for fewer than two pictures.
        """
        import torch

        statistics = self._whole().statistics()
        return torch.tensor(frechet_distance(statistics, self.reference), dtype=torch.float64)

    def reset(self) -> None:
        """Forget all pictures, but not the reference."""
        self._moments = Moments(self.reference.mean)

    @property
    def protocol(self) -> FeatureProtocol:
        """How pictures become features."""
        return find_protocol(self._protocol)

    @property
    def n(self) -> int:
        """Pictures that this process has taken in since the last reset."""
        return self._moments.n

    @property
    def statistics(self) -> FeatureStatistics:
        """Statistics of this process's pictures. Raises InputError for fewer than two."""
        return replace(self._moments.statistics(), protocol=self.protocol.label)

    def state_dict(self) -> dict[str, Any]:
        """What was seen, as tensors on the CPU, and `protocol`, a text; of the reference its mean alone.

        `n` int64 (), `sum` float64 (D,) and `products` float64 (D, D) are sums over the pictures about
        `origin` (D,), the reference's mean: those of processes with one reference add up (an all-reduce).
        """
        import torch

        moments = self._moments
        state = {name: torch.tensor(getattr(moments, name)) for name in (*STATES, "origin")}
        return {**state, "protocol": self.protocol.label}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, of whatever reference. Raises InputError for anything else."""
        loaded = self._read(state_dict)
        self._moments = loaded.about(self.reference.mean)

    def merge_state(self, incoming_state: "Mapping[str, Any] | LacFID") -> None:
        """Take in what another has seen, or its `state_dict`: the figure is that of all pictures together.

        Raises InputError for another protocol, and for what is no state.
        """
        state = incoming_state.state_dict() if isinstance(incoming_state, LacFID) else incoming_state
        self._moments.add(self._read(state))

    def __getstate__(self) -> dict[str, Any]:
        """All but the network, which the next update loads again."""
        return {**self.__dict__, "_extractor": None}

    def _statistics(self, reference: Reference, progress: Progress | None) -> FeatureStatistics:
        if isinstance(reference, FeatureStatistics):
            return reference
        return reference_statistics(
            Path(reference) if isinstance(reference, str) else reference,
            protocol=self.protocol.name,
            engine=self._engine,
            device=self._device,
            progress=progress,
        )

    def _pictures(self, imgs: object) -> list[Levels]:
        """A batch as (H, W, 3) in 0–255 each, laid out as decoded files are."""
        wanted = "floats in 0–1" if self.normalize else "uint8"
        batch = array_of(imgs) if is_tensor(imgs) else None
        if batch is None or batch.ndim != 4 or batch.shape[1] != 3 or not all(batch.shape[2:]):
            told = type(imgs).__name__ if batch is None else str(batch.shape)
            raise InputError(f"expected a tensor (N, 3, H, W), RGB, {wanted}, got {told}; convert it")
        if (batch.dtype == np.uint8) == self.normalize:
            raise InputError(
                f"expected {wanted}, as normalize={self.normalize} says, got {batch.dtype}; convert it, or "
                f"make the metric with normalize={not self.normalize}"
            )
        if batch.dtype == np.uint8:
            whole: Levels = batch
        elif self.rounded:
            whole = levels(batch)
        else:
            check_unit(batch)
            whole = batch.astype(np.float32) * np.float32(255)
        return [np.ascontiguousarray(np.moveaxis(picture, 0, 2)) for picture in whole]

    def _whole(self) -> Moments:
        """The sums over all processes, where they are to be added up."""
        import torch
        from torch import distributed

        if not (self.sync_on_compute and distributed.is_available() and distributed.is_initialized()):
            return self._moments
        nccl = "nccl" in distributed.get_backend()
        place = torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")
        origin = torch.tensor(self._moments.origin, device=place)
        distributed.broadcast(origin, 0)  # two machines may measure one reference differently, by rounding
        whole = self._moments.about(origin.cpu().numpy())
        for name in STATES:
            part = torch.tensor(getattr(whole, name), device=place)
            distributed.all_reduce(part)
            setattr(whole, name, part.item() if name == "n" else part.cpu().numpy())
        return whole

    def _read(self, state: Mapping[str, Any]) -> Moments:
        """The sums that a state holds. Raises InputError for what is no state of this protocol's."""
        d = self.protocol.dimensions
        shapes: dict[str, tuple[int, ...]] = {"n": (), "sum": (d,), "origin": (d,)}
        shapes["products"] = (d, d)
        misfit = sorted(
            name for name, shape in shapes.items() if getattr(state.get(name), "shape", None) != shape
        )
        if misfit or "protocol" not in state:
            raise InputError(
                f"this is no state of LacFID: {', '.join(misfit) or 'protocol'} is missing, or has another "
                "shape; expected what state_dict gives"
            )
        same_protocol(str(state["protocol"]), self.protocol.label)
        moments = Moments(_float64(state["origin"]))
        moments.n, moments.sum = int(state["n"]), _float64(state["sum"])
        moments.products = _float64(state["products"])
        return moments


def _float64(tensor: "Tensor") -> Floats:
    return np.array(tensor.detach().cpu().numpy(), dtype=np.float64)
