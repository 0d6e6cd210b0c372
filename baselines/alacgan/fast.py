"""Faster ways to compute the same step: bf16, TF32, a fused Adam, torch.compile, CUDA graphs.

Each is off by default. What is on is compared with the plain form on the run's first step, before anything
is trained, and refused where it differs by more than rounding: releases of PyTorch have dropped derivatives
without an error.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan import distributed, losses, penalty
from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.networks import Critic
from lacbench.errors import InputError, LacbenchError, MissingError

Terms = dict[str, Tensor]
Iterate = Callable[[Sequence[Batch], Tensor], Terms]
"""One iteration: its batches and α on the device → loss terms, scalars on the device."""

TOLERANCE: Final = {"bf16": 0.1, "tf32": 1e-2, "exact": 1e-3}
"""Largest relative difference of losses and of gradients from the plain form, by what is rounded."""
CRITIC_IN_BF16: Final = 0.9
"""The same of the critic's gradient in bf16. At the start that is the difference of nearly equal scores'
gradients, of which rounding leaves little: 0.52 was measured with the weights that `official` begins with.
A gradient that is missing altogether gives 1."""


@dataclass(frozen=True)
class Calls:
    """How each network is computed. All return float32, or float64 where they were given that."""

    generator: Callable[..., Tensor]
    critic: Callable[[Tensor, Tensor], Tensor] | None
    image_gradient: Callable[[Tensor, Tensor], Tensor] | None
    """∇D of images and their conditions; the reference critic's alone."""
    perceptual: Callable[[Tensor], Tensor]
    local_features: Callable[[Tensor], Tensor] | None


def plain_calls(
    config: Config,
    generator: nn.Module,
    critic: nn.Module | None,
    perceptual: nn.Module,
    local: nn.Module | None,
) -> Calls:
    """The networks as they are."""
    gradient = None
    if isinstance(critic, Critic):

        def gradient(image: Tensor, condition: Tensor) -> Tensor:
            if config.penalty == "autograd":
                return losses.autograd_gradient(critic, image, condition)
            return penalty.image_gradient(critic, image, condition)

    return Calls(generator, critic, gradient, perceptual, local)


def fast_calls(calls: Calls, config: Config, device: torch.device) -> Calls:
    """The same networks in the configuration's precision, and compiled where it says so."""

    def form(call: Any, *, compiles: bool = True) -> Any:
        if call is not None and config.precision == "bf16":
            call = _in_bf16(call, device)
        if call is not None and config.compile and compiles:
            call = torch.compile(call, dynamic=False)
        return call

    return Calls(
        form(calls.generator),
        form(calls.critic),
        # torch.compile refuses what is differentiated twice.
        form(calls.image_gradient, compiles=config.penalty == "explicit"),
        form(calls.perceptual),
        form(calls.local_features),
    )


def _in_bf16(call: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    def cast(*tensors: Tensor) -> Tensor:
        # Weights that autocast caches without a graph would lack one where they need it.
        with torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
            result = call(*tensors)
        return result.float()

    return cast


def with_settings(iterate: Iterate, *, tf32: bool) -> Iterate:
    """The same with a GPU's settings for it, which are the process's own and stay as they were outside.

    It rounds float32 factors to TF32 or does not (PyTorch's default is half of each), and cuDNN tries its
    kernels, since shapes stay the same: a GPU may choose others in another run.
    """

    def iterated(batches: Sequence[Batch], alpha: Tensor) -> Terms:
        places = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
        before, tries = [place.fp32_precision for place in places], torch.backends.cudnn.benchmark
        try:
            torch.backends.cudnn.benchmark = True
            for place in places:
                place.fp32_precision = "tf32" if tf32 else "ieee"
            return iterate(batches, alpha)
        finally:
            torch.backends.cudnn.benchmark = tries
            for place, value in zip(places, before, strict=True):
                place.fp32_precision = value

    return iterated


def make_adam(network: nn.Module, config: Config, device: torch.device) -> torch.optim.Adam:
    """The optimizer of one network. With CUDA graphs its rate is a tensor, since numbers are recorded."""
    rate: float | Tensor = config.learning_rate
    if config.cuda_graphs:
        rate = torch.tensor(rate, device=device)
    return torch.optim.Adam(
        network.parameters(),
        lr=rate,
        betas=config.betas,
        fused=config.fused_adam or None,
        capturable=config.cuda_graphs,
    )


def set_rate(adam: torch.optim.Adam, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in adam.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def check_switches(config: Config, device: torch.device) -> None:
    """Raises MissingError or InputError for a switch that this device, or this start, cannot have."""
    if config.cuda_graphs and device.type != "cuda":
        raise MissingError(
            f"cuda_graphs needs a CUDA device, got {device}; train with --set cuda_graphs=false"
        )
    if config.cuda_graphs and distributed.world() > 1:
        raise InputError("cuda_graphs is for one process; train with --set cuda_graphs=false")
    if config.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(False):
        raise MissingError(f"{device} does not compute in bf16; train with --set precision=fp32")


def switches(config: Config) -> list[str]:
    """Names of the switches that are on."""
    on = [name for name in ("tf32", "fused_adam", "compile", "cuda_graphs") if getattr(config, name)]
    return [*on, "precision"] if config.precision != "fp32" else on


class State:
    """What one network's training changes, remembered so that it can be put back, in place."""

    def __init__(self, adam: torch.optim.Adam) -> None:
        self.adam = adam
        self.parameters: list[nn.Parameter] = adam.param_groups[0]["params"]
        self.values = [parameter.detach().clone() for parameter in self.parameters]
        self.moments = [
            {key: value.clone() for key, value in adam.state[parameter].items()}
            if parameter in adam.state
            else {}
            for parameter in self.parameters
        ]

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back; moments that were not there yet become zero, as they begin."""
        for parameter, value, moments in zip(self.parameters, self.values, self.moments, strict=True):
            parameter.copy_(value)
            for key, tensor in self.adam.state[parameter].items():
                tensor.copy_(moments[key]) if key in moments else tensor.zero_()

    def gradient(self) -> Tensor:
        """The last step's gradient, flat."""
        return torch.cat([p.grad.flatten() for p in self.parameters if p.grad is not None])


def verified(
    config: Config,
    adams: Mapping[str, torch.optim.Adam],
    plain: Iterate,
    make: Callable[[], Iterate],
    batches: Sequence[Batch],
    alpha: Tensor,
) -> Iterate:
    """Make the fast form and compare its first step with the plain one's; training has not moved after it.

    Returns the fast form; the plain one where that itself gives no finite numbers, for the watch to find.
    Raises MissingError where the fast form cannot be made here, LacbenchError where it differs.
    """
    before = {name: State(adam) for name, adam in adams.items()}

    def outcome(iterate: Iterate) -> dict[str, Tensor]:
        terms = iterate(batches, alpha)
        told = {"losses": torch.stack([*terms.values()])}
        return told | {f"{name}'s gradient": state.gradient() for name, state in before.items()}

    def restore() -> None:
        for state in before.values():
            state.restore()

    expected = outcome(plain)
    restore()
    if not all(value.isfinite().all() for value in expected.values()):
        return plain
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.compile warns of its own doings
            fast = make()
            restore()
            got = outcome(fast)
    except RuntimeError as error:
        raise MissingError(_refusal(config, f"cannot be had here: {_first_line(error)}")) from error
    finally:
        restore()
    _compare(config, expected, got)
    return fast


def _compare(config: Config, expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
    kind = "bf16" if config.precision == "bf16" else "tf32" if config.tf32 else "exact"
    for name, value in expected.items():
        allowed = CRITIC_IN_BF16 if (kind, name) == ("bf16", "critic's gradient") else TOLERANCE[kind]
        off = float((got[name] - value).norm() / value.norm().clamp_min(torch.finfo(value.dtype).tiny))
        if not off <= allowed:
            raise LacbenchError(
                _refusal(
                    config,
                    f"changes the first step's {name} by {off:.2g}, expected at most {allowed:g}",
                )
            )


def _refusal(config: Config, reason: str) -> str:
    on = switches(config)
    without = " ".join(f"--set {name}={'fp32' if name == 'precision' else 'false'}" for name in on)
    return f"{' with '.join(on)} {reason}; train with {without}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class Graph:
    """One iteration, recorded on a GPU and played again: thousands of kernels by one call.

    Shapes, and the places of all tensors, stay as they were when it was recorded, so that batches are copied
    into its own, and its terms out of them.
    """

    WARM_UP = 3
    """Iterations before recording: cuDNN chooses its kernels and Adam makes its moments. They train."""

    def __init__(self, iterate: Iterate, batches: Sequence[Batch], alpha: Tensor) -> None:
        self.batches = [batch_of(batch, torch.clone) for batch in batches]
        self.alpha = alpha.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(self.WARM_UP):
                iterate(self.batches, self.alpha)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.terms = iterate(self.batches, self.alpha)

    def __call__(self, batches: Sequence[Batch], alpha: Tensor) -> Terms:
        """Play it for other batches of the same shapes."""
        for own, given in zip(self.batches, batches, strict=True):
            for name, tensor in vars(own).items():
                tensor.copy_(getattr(given, name), non_blocking=True)
        self.alpha.copy_(alpha, non_blocking=True)
        self.graph.replay()
        return {name: term.clone() for name, term in self.terms.items()}


def batch_of(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with each of its tensors changed."""
    return replace(batch, **{name: change(tensor) for name, tensor in vars(batch).items()})
