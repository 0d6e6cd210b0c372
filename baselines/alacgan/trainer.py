"""A training run: its folder, its checkpoints, its log; resumable to the bit."""

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from lacbench.baselines.alacgan import distributed
from lacbench.baselines.alacgan.checkpoint import BEST, CHECKPOINT, link, load_header, load_tensors
from lacbench.baselines.alacgan.config import Config, differing, parse_config
from lacbench.baselines.alacgan.ema import Ema
from lacbench.baselines.alacgan.examples import choose_pairs, data_digest
from lacbench.baselines.alacgan.failure import FAILED, write_failed
from lacbench.baselines.alacgan.frozen import Frozen
from lacbench.baselines.alacgan.interrupts import Interrupts
from lacbench.baselines.alacgan.loader import Loader, open_loader
from lacbench.baselines.alacgan.logs import BOARD, LOG, Log
from lacbench.baselines.alacgan.meter import Meter
from lacbench.baselines.alacgan.prepare import open_examples
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.validation import OUTPUTS, SAMPLES, Looks
from lacbench.baselines.alacgan.watch import NonFinite
from lacbench.baselines.trainers import trainer_of
from lacbench.devices import choose_device
from lacbench.errors import InputError, RecipeError
from lacbench.files import alone, make_folder, sweep, write_json
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset, Pair

RUN = "config.json"
"""The file that says what a run's folder holds: its configuration, and the digests of its data."""
CHECKPOINTS = "checkpoints"
"""The folder of the newest checkpoints, `<step>.safetensors` each."""


def train(
    dataset: Dataset,
    pairs: Sequence[Pair],
    config: Config,
    out: Path,
    *,
    device: str = "cpu",
    resume: bool = True,
    max_steps: int | None = None,
    frozen: Frozen | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train the reference model, or a baseline, on a data set's training illustrations.

    Run again on the same folder, it goes on from the last checkpoint, and ends where the uninterrupted run
    would have, to the bit on a CPU; a finished run is returned at once. Ctrl-C and SIGTERM end it after the
    iteration at hand, with a checkpoint; a second one ends it at once.

    Args:
        dataset: the data set; illustrations whose split is `train` are used.
        pairs: its pairs; those drawn at `config.size` are used.
        config: every number of the run.
        out: the run's folder; docs/training.md says what is in it.
        device: `cpu`, `cuda`, `cuda:N`, or `auto`.
        resume: whether to go on from the folder's checkpoint; else the run in it begins anew.
        max_steps: iterations after which this call is over, with a checkpoint; by default all that are left.
        frozen: the networks that are not trained; by default those of the configuration.
        progress: who listens.

    Returns:
        `out`.

    Raises:
        InputError: no pairs of that size, too little to validate on, or a folder that holds something else.
        IntegrityError: a checkpoint cut short.
        MissingError: no such device, or no weights for the configuration.
        NonFinite: a loss that is not finite.
        OutputError: the folder cannot be written, or another process trains in it.
        KeyboardInterrupt, SystemExit: Ctrl-C, SIGTERM; the checkpoint is written.
    """
    progress = progress or Silent()
    with distributed.joined(choose_device(device)) as place:
        if not distributed.is_main():
            progress = Silent()
        return _train(dataset, pairs, config, out, place, resume, max_steps, frozen, progress)


def _train(
    dataset: Dataset,
    pairs: Sequence[Pair],
    config: Config,
    out: Path,
    place: torch.device,
    resume: bool,
    max_steps: int | None,
    frozen: Frozen | None,
    progress: Progress,
) -> Path:
    """`train`, in one of the processes that train together, on its own device."""
    chosen = choose_pairs(dataset, pairs, config.size)
    data = data_digest(dataset, chosen)
    checkpoint = find_checkpoint(out, config, data, resume=resume)
    if checkpoint and checkpoint.name != CHECKPOINT and distributed.is_main():
        link(checkpoint, out / CHECKPOINT)
    looks = Looks(dataset, tuple(pairs), config, out, str(place))
    looks.check()
    done = load_header(checkpoint).step if checkpoint else 0
    if done >= config.steps:
        if distributed.is_main():
            _finish(looks, done, progress)
        return out
    kind = trainer_of(config)
    trainer = kind(config, frozen or kind.load_frozen(config, progress), data, place)
    run = Run(trainer, looks, progress)
    if checkpoint:
        run.load(checkpoint)
    examples = open_examples(dataset, chosen, progress)
    distributed.barrier()  # else one finds the folder as another has just begun it
    last = config.steps if max_steps is None else min(config.steps, done + max_steps)
    rank, world = distributed.rank(), distributed.world()
    with alone(make_folder(out)) if distributed.is_main() else nullcontext():
        if distributed.is_main():
            _check_still(find_checkpoint(out, config, data, resume=resume), done, out)
            begin(out, config, data, done)
        with cpu_threads(config.threads), open_loader(examples, config, place, rank, world) as batches:
            run.until(last, batches)
    ended = f"{last} iterations" if last == config.steps else f"{last} of {config.steps} iterations"
    progress.say(f"train: {ended} on {len(examples)} pictures, in {out}")
    return out


def _check_still(checkpoint: Path | None, done: int, out: Path) -> None:
    """Raise InputError where another process went on with the run while this one made ready."""
    if (load_header(checkpoint).step if checkpoint else 0) != done:
        raise InputError(f"{out} was gone on with by another process meanwhile; give the command again")


def _finish(looks: Looks, done: int, progress: Progress) -> None:
    """Make good what a run that was killed over its last validation did not come to."""
    if looks.due(done):
        with alone(looks.out), Log(looks.out, done) as log:
            looks.look(done, log, progress)
    progress.say(f"train: {looks.out} is finished, {done} iterations")


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let PyTorch compute on so many threads of the CPU; 0 leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_checkpoint(out: Path, config: Config, data: str, *, resume: bool) -> Path | None:
    """The checkpoint in `out` to go on from, if there is one; writes nothing.

    Raises InputError where the folder holds another run, or no run.
    """
    file, checkpoints = out / RUN, [*numbered(out), out / CHECKPOINT]
    if out.is_dir() and not file.exists() and any(out.iterdir()):
        raise InputError(f"{out} holds no run, but is not empty; choose another folder")
    # Without the newest one's own name the numbered ones are still a run's, and must not be begun over.
    checkpoint = next((path for path in reversed(checkpoints) if path.exists()), None)
    if not resume or not checkpoint:
        return None
    if names := differing(_told(file), {"data": data, **config.model_dump()}):
        raise InputError(
            f"{out} holds a run with another {', '.join(names)}; choose another folder, or begin it "
            "anew with --no-resume"
        )
    return checkpoint


def _told(file: Path) -> dict[str, object]:
    """What a run's folder was made with; fields that it does not know yet have their defaults."""
    try:
        run = json.loads(file.read_text("utf-8"))
        return {"data": run["data"], **parse_config(run["config"]).model_dump()}
    except (ValueError, KeyError, TypeError, RecipeError) as error:
        raise InputError(f"{file} describes no run: {error}; choose another folder") from error


def begin(out: Path, config: Config, data: str, done: int) -> None:
    """Make `out` the folder of a run that goes on after iteration `done`, and take away what came later.

    Raises OutputError where it cannot be written.
    """
    sweep(out)
    if not done:
        for name in (CHECKPOINT, BEST, LOG):
            (out / name).unlink(missing_ok=True)
        for name in (CHECKPOINTS, SAMPLES, OUTPUTS, BOARD, FAILED):
            shutil.rmtree(out / name, ignore_errors=True)
    for later in numbered(out):
        if int(later.stem) > done:
            later.unlink()
    write_json(out / RUN, {"config": config.model_dump(mode="json"), "data": data})


def numbered(out: Path) -> list[Path]:
    """A run's checkpoints by number, oldest first."""
    return sorted(p for p in (out / CHECKPOINTS).glob("*.safetensors") if p.stem.isdecimal())


class Run:
    """A trainer in a folder: it iterates, logs, saves, and looks at what was learned."""

    def __init__(self, trainer: Trainer, looks: Looks, progress: Progress) -> None:
        """Stand at the trainer's start; `load` goes on from a checkpoint."""
        self.trainer, self.looks, self.progress = trainer, looks, progress
        self.config, self.out = trainer.config, looks.out
        self.average = Ema(trainer.generator, trainer.config.ema) if trainer.config.ema else None
        self.meter = Meter()

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint of the same run. Raises InputError, IntegrityError."""
        self.trainer.load(checkpoint)
        self.meter.load(load_tensors(checkpoint, "sums"), self.trainer.device)
        if self.average:
            self.average.load(load_tensors(checkpoint, "ema"), checkpoint)

    def until(self, last: int, batches: Loader) -> None:
        """Iterate up to iteration `last`, or until a signal asks to stop; then there is a checkpoint.

        Raises NonFinite, and what the signal says; see `train`.
        """
        first = self.trainer.done
        todo, stop = range(first, last), Interrupts()
        try:
            with self._log(first) as log, stop:
                self._look(log, stop)  # what a killed run did not come to
                for _ in self.progress.track(todo, "train", len(todo), self.meter.detail):
                    self._step(batches)
                    self._note(log)
                    stopping = self._agreed(stop)
                    if self.trainer.done == last or stopping or self._save_due():
                        self._check(batches)
                        self._save(log)
                    if stopping:
                        break
                    self._look(log, stop)
        finally:
            if stop.asked:
                self.progress.say(f"train: stopped after iteration {self.trainer.done}, saved in {self.out}")
        stop.leave()

    def _agreed(self, stop: Interrupts) -> bool:
        """Whether a signal asked to stop; several processes agree on the iteration at lines of the log."""
        if distributed.world() == 1:
            return bool(stop.asked)
        if self.trainer.done % self.config.log_every:
            return False
        return distributed.any_of(bool(stop.asked), self.trainer.device)

    def _step(self, batches: Loader) -> None:
        """One iteration, of the networks and of their average."""
        start, waited = time.perf_counter(), batches.waited
        with self._failures():
            terms = self.trainer.step(batches)
        if self.average:
            self.average.update(self.trainer.done)
        self.meter.add(terms, time.perf_counter() - start, batches.waited - waited)

    def _check(self, batches: Loader) -> None:
        """Before a checkpoint is written: wait for a GPU's verdict."""
        with self._failures():
            self.trainer.check(batches)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except NonFinite as error:
            if distributed.is_main():
                write_failed(self.out, self.trainer, error.batch, self._beside())
            raise

    def _note(self, log: Log | None) -> None:
        if self.trainer.done % self.config.log_every:
            return
        means, speed = self.meter.take(self.config.log_every)
        if log:
            log.losses(self.trainer.done, means, speed)

    def _save_due(self) -> bool:
        return self.trainer.done % self.config.save_every == 0 or self.looks.due(self.trainer.done)

    def _save(self, log: Log | None) -> None:
        """Write the newest checkpoint, twice under one file, and take the oldest ones away."""
        if not log:
            return
        log.flush()
        path = self.out / CHECKPOINTS / f"{self.trainer.done:08}.safetensors"
        self.trainer.save(path, self._beside())
        link(path, self.out / CHECKPOINT)
        for old in numbered(self.out)[: -self.config.keep or None]:
            old.unlink()

    def _look(self, log: Log | None, stop: Interrupts) -> None:
        if log and self.looks.due(self.trainer.done):  # then its checkpoint is there
            with stop.at_once():
                self.looks.look(self.trainer.done, log, self.progress)

    def _beside(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds beside the trainer's own."""
        return {"sums": self.meter.tensors(), "ema": self.average.tensors() if self.average else {}}

    def _log(self, done: int) -> AbstractContextManager[Log | None]:
        return Log(self.out, done) if distributed.is_main() else nullcontext()
