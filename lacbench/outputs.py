"""A submission's folder, while a program writes a model's outputs into it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

import lacbench
from lacbench.errors import InputError, OutputError
from lacbench.files import make_folder, read_json, write_json, write_text
from lacbench.hints import Hints
from lacbench.images import write_png
from lacbench.metrics.claims import same_aspect
from lacbench.pixels import picture_of
from lacbench.records import Dataset
from lacbench.submission import ABOUT, SUBMISSION, About, first_fault, hints_digest, some

MAKER = "lacbench.Benchmark"
"""Who wrote a submission.json, so that no others' outputs are written over."""


class Outputs:
    """Outputs by line art's id: `outputs[id] = picture` writes one, whole or not at all.

    As a context manager it sees to it that each line art has one, once its block has ended without an error.
    """

    def __init__(
        self,
        folder: Path,
        dataset: Dataset,
        *,
        hints: Hints | None = None,
        resume: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Claim the folder, and tell beside the outputs of which data set and hints they are.

        Args:
            folder: where they are to lie; made where there is none.
            dataset: whose line arts they are of.
            hints: those that the model is given; None for none.
            resume: whether outputs that were written before are kept, instead of being removed.
            about: what submission.toml is to tell; see `lacbench.submission.About`. None writes none.

        Raises:
            InputError: an `about` that submission.toml may not tell.
            OutputError: the folder holds something else, or outputs of other line arts or hints; or it
                cannot be written.
        """
        self.folder = folder
        """Where they lie."""
        self._sizes = {
            m.record.sha256: (m.record.statistics.height, m.record.statistics.width) for m in dataset.linearts
        }
        text = _toml(about, hints is not None) if about is not None else ""
        self._claim(dataset, hints, resume)
        if text:
            write_text(folder / ABOUT, text)

    def __setitem__(self, key: str, picture: object) -> None:
        """Write the output of a line art, whatever of `lacbench.pixels.picture_of` it is, of any size.

        Raises InputError for an id of no line art, another aspect than the line art's, and what is no
        picture; OutputError where it cannot be written.
        """
        file = self._file(key)
        try:
            pixels = picture_of(picture)
        except InputError as error:
            raise InputError(f"the output of {key}: {error}") from error
        height, width = pixels.shape[:2]
        if not same_aspect((height, width), self._sizes[key]):
            of_height, of_width = self._sizes[key]
            raise InputError(
                f"the output of {key} has {width} × {height} pixels, its line art {of_width} × {of_height}: "
                "expected the same aspect; colour the whole line art, without cropping or padding"
            )
        write_png(file, pixels)

    def __contains__(self, key: str) -> bool:
        """Whether the line art has an output."""
        return key in self._sizes and self._file(key).is_file()

    def __len__(self) -> int:
        """How many outputs there are."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        """Ids of the line arts that have one."""
        return (key for key in self._sizes if key in self)

    @property
    def missing(self) -> tuple[str, ...]:
        """Ids of the line arts that have none."""
        return tuple(key for key in self._sizes if key not in self)

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (missing := self.missing):
            raise InputError(
                f"{len(missing)} of {len(self._sizes)} line arts have no output in {self.folder}: "
                f"{some(missing)}; expected one each; write them: outputs[id] = picture"
            )

    def _file(self, key: str) -> Path:
        if key not in self._sizes:
            raise InputError(
                f"the data set has no line art {key!r}; expected the id of one; take an item's id"
            )
        return self.folder / f"{key}.png"

    def _claim(self, dataset: Dataset, hints: Hints | None, resume: bool) -> None:
        """Make the folder this submission's, without the outputs of an earlier one unless it is resumed."""
        state = {
            "made_by": MAKER,
            "dataset": dataset.digest,
            "hints": None if hints is None else hints_digest(hints, dataset),
        }
        make_folder(self.folder)
        held = read_json(self.folder / SUBMISSION)
        held = held if isinstance(held, dict) else {}
        if held.get("made_by") != MAKER and any(file.name != ABOUT for file in self.folder.iterdir()):
            raise OutputError(
                f"{self.folder} holds what lacbench.Benchmark did not write; choose another folder"
            )
        if held and any(held.get(name) != told for name, told in state.items()):
            raise OutputError(
                f"{self.folder} holds outputs of another data set or of other hints; choose another folder, "
                "or remove it"
            )
        write_json(self.folder / SUBMISSION, {**state, "version": lacbench.__version__})
        for key in () if resume else tuple(self):
            self._file(key).unlink()


def _toml(about: Mapping[str, Any], hinted: bool) -> str:
    """submission.toml. Raises InputError for what it may not tell."""
    try:
        told = About(**{"hints": hinted, **about}).model_dump(exclude_defaults=True)
    except ValidationError as error:
        raise InputError(f"{first_fault(error)}; see docs/submissions.md") from error
    # Strings, numbers, truths and lists of strings are the same in TOML as in JSON, but for DEL.
    rows = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items())
    return "".join(rows).replace("\x7f", "\\u007f")
