"""A look at what a run has learned so far: a sheet of samples, and the FID of its outputs.

Both take the checkpoint on disk and the very functions of `lacbench colorize` and `lacbench fid`, so their
pictures and figures are those that these commands give.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from lacbench.baselines.alacgan.checkpoint import BEST, CHECKPOINT, copy_validated, load_header
from lacbench.baselines.alacgan.config import Config
from lacbench.baselines.alacgan.logs import Log, validated
from lacbench.baselines.colorize import colorize
from lacbench.baselines.models import open_model
from lacbench.errors import InputError
from lacbench.hints import Hint, choose_hints
from lacbench.images import Array, contact_sheet, read, resize_shortest, write_png
from lacbench.lineart import clean
from lacbench.metrics.fid import FidResult, fid
from lacbench.progress import Progress
from lacbench.records import Dataset, Pair

SAMPLES = "samples"
"""The folder of the sheets, `<step>.png` each."""
OUTPUTS = "validation"
"""The folder with the outputs of the last validation, a submission that `lacbench fid` takes."""
SHOWN, HINTS, HINT_SEED = 4, 12, 1
"""Line arts on a sheet, hints each, and the seed that places these."""


@dataclass(frozen=True)
class Looks:
    """What is looked at, and when."""

    dataset: Dataset
    """The data set, whose line arts are coloured and whose illustrations are the reference."""
    pairs: tuple[Pair, ...]
    """Its pairs, thinnest first; the drawings to validate on, if the run does so."""
    config: Config
    """The run's configuration."""
    out: Path
    """The run's folder."""
    device: str
    """Where networks run; torch's name."""

    def due(self, step: int) -> bool:
        """Whether the run is to be looked at after iteration `step`, whose checkpoint must be there then."""
        return self._unsampled(step) or self._unvalidated(step)

    def look(self, step: int, log: Log, progress: Progress) -> None:
        """Do what is due after iteration `step` and not done yet, from the checkpoint on disk."""
        if self._unsampled(step):
            sheet = self.sample()
            log.samples(step, sheet)
            write_png(self._sheet(step), sheet)
        if self._unvalidated(step):
            progress.say(f"train: validating after iteration {step}")
            result = self.validate()
            self._keep_best(result)
            log.validation(step, result.as_json())
            error = "" if result.standard_error is None else f" ± {result.standard_error:.2f}"
            progress.say(f"train: FID {result.value:.2f}{error} after iteration {step}")

    def sample(self) -> Array:
        """The sheet, uint8 (H, W, 3) RGB: a line art with its dabs, coloured without them, and with them."""
        every = max(1, len(self.dataset.linearts) // SHOWN)
        chosen = replace(self.dataset, linearts=self.dataset.linearts[::every][:SHOWN])
        hints, model = choose_hints(chosen, HINTS, HINT_SEED), open_model(self.out / CHECKPOINT, self.device)
        tiles: list[Array] = []
        for member in chosen.linearts:
            line_art = resize_shortest(clean(read(chosen.file(member))), self.config.size)
            dabs = hints[member.record.sha256]
            tiles += [_dabbed(line_art, dabs), *model.paint([line_art] * 2, [(), dabs])]
        return contact_sheet(tiles, self.config.size + 8, 3)

    def validate(self) -> FidResult:
        """FID of automatic colorization: line arts coloured without hints, against all illustrations."""
        outputs = colorize(
            self.out / CHECKPOINT,
            self._inputs(),
            self.out / OUTPUTS,
            size=self.config.size,
            device=self.device,
        )
        return fid(outputs, self.dataset, device=self.device)

    def _inputs(self) -> dict[str, Path]:
        """What a validation colours, by id. Raises InputError where it is too little."""
        if self.config.validate_on == "linearts":
            inputs = {m.record.sha256: self.dataset.file(m) for m in self.dataset.linearts}
        else:  # the thickest drawing of each picture is the last one
            usable = [p for p in self.pairs if (p.split, p.size) == ("validation", self.config.size)]
            inputs = {p.sha256: self.dataset.folder / p.path for p in sorted(usable, key=lambda p: p.sigma)}
        if len(inputs) < 2:
            raise InputError(
                f"{self.dataset.folder} has too little to validate on: got {len(inputs)} of "
                f"{self.config.validate_on}, expected two or more; choose with --set validate_on=…, or "
                "do without: --set validate_every=0"
            )
        return inputs

    def check(self) -> None:
        """Raise InputError before the long work where a validation would find too little."""
        if self.config.validate_every:
            self._inputs()

    def _keep_best(self, result: FidResult) -> None:
        best = self.out / BEST
        told = load_header(best).validation if best.is_file() else {}
        if result.value < told.get("value", float("inf")):
            copy_validated(self.out / CHECKPOINT, best, result.as_json())

    def _unsampled(self, step: int) -> bool:
        due = bool(self.dataset.linearts) and _due(step, self.config.sample_every, self.config.steps)
        return due and not self._sheet(step).is_file()

    def _unvalidated(self, step: int) -> bool:
        return _due(step, self.config.validate_every, self.config.steps) and not validated(self.out, step)

    def _sheet(self, step: int) -> Path:
        return self.out / SAMPLES / f"{step:08}.png"


def _due(step: int, every: int, end: int) -> bool:
    """Whether something that is done so often, and at the end, is due after iteration `step`."""
    return bool(every and step and (step % every == 0 or step == end))


def _dabbed(line_art: Array, hints: tuple[Hint, ...]) -> Array:
    """A line art, uint8 (H, W) → uint8 (H, W, 3) RGB, with its hints as dots."""
    picture = np.repeat(line_art[..., None], 3, axis=2)
    for hint in hints:
        row, column = hint.pixel(*line_art.shape)
        cv2.circle(picture, (column, row), max(2, min(line_art.shape) // 48), hint.color, -1, cv2.LINE_AA)
    return picture
