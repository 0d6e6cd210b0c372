"""What a run would need, from two iterations on some of its pictures."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch

from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.data import Batch, make_batch
from lacbench.baselines.alacgan.examples import choose_pairs, load_examples
from lacbench.baselines.alacgan.frozen import Frozen
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.trainer import cpu_threads
from lacbench.baselines.trainers import trainer_of
from lacbench.devices import choose_device
from lacbench.progress import Progress
from lacbench.records import Dataset, Pair


@dataclass(frozen=True)
class Forecast:
    """What a run would need."""

    device: str
    """Where the networks would run."""
    pictures: int
    """Pictures to learn from."""
    picture_bytes: int
    """Memory for all of them and their drawings."""
    memory_bytes: int
    """Main memory at most: this process's peak so far, and the pictures."""
    device_bytes: int
    """Memory of the CUDA device at most; 0 without one."""
    steps: int
    """Iterations of the whole run."""
    seconds: float
    """For all of them, without samples and validations."""


def forecast(
    dataset: Dataset,
    pairs: Sequence[Pair],
    config: Config,
    *,
    device: str = "cpu",
    frozen: Frozen | None = None,
    progress: Progress | None = None,
) -> Forecast:
    """Do two iterations on some pictures of a data set, and reckon from the second; writes nothing.

    Takes what `train` takes, and raises what it raises.
    """
    place = choose_device(device)
    chosen = choose_pairs(dataset, pairs, config.size)
    examples = load_examples(dataset, dict(islice(chosen.items(), 2 * config.batch)))
    kind = trainer_of(config)
    trainer = kind(config, frozen or kind.load_frozen(config, progress), device=place)
    batches = partial(make_batch, examples, config)
    with cpu_threads(config.threads):
        _timed(trainer, batches)  # the first one also finds its memory and its kernels
        seconds = _timed(trainer, batches)
    size = sum(e.color.nbytes + sum(e.lines[n].nbytes for n in range(len(e.lines))) for e in examples)
    picture_bytes = size * len(chosen) // len(examples)
    return Forecast(
        device=str(place),
        pictures=len(chosen),
        picture_bytes=picture_bytes,
        memory_bytes=_peak() + picture_bytes,
        device_bytes=torch.cuda.max_memory_reserved(place) if place.type == "cuda" else 0,
        steps=config.steps,
        seconds=seconds * config.steps,
    )


def _timed(trainer: Trainer, batches: Callable[[int], Batch]) -> float:
    """Seconds of one iteration, until the device is done with it."""
    start = time.perf_counter()
    terms = trainer.step(batches)
    sum(float(value.detach()) for value in terms.values())
    return time.perf_counter() - start


def _peak() -> int:
    """The most main memory that this process has had so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
