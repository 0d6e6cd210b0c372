"""What a run tells while it learns: log.jsonl for programs, TensorBoard for people."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lacbench.errors import InputError, MissingError
from lacbench.files import output_errors, write_text
from lacbench.images import Array

LOG = "log.jsonl"
"""The log in a run's folder: one JSON object a line, of losses or of a validation."""
BOARD = "tensorboard"
"""The folder in a run's folder that TensorBoard reads."""


class Log:
    """The log of a run, from iteration `done` on; a context that closes it."""

    def __init__(self, run: Path, done: int) -> None:
        """Go on with a run's log; lines after iteration `done` are dropped, since they are done again.

        Raises MissingError without TensorBoard, OutputError where nothing can be written, InputError for a
        broken log.
        """
        entries = [entry for entry in read_log(run) if entry["step"] <= done]
        self._path, self._board = run / LOG, _board(run / BOARD, done)
        write_text(self._path, "".join(f"{json.dumps(entry)}\n" for entry in entries))

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            self._board.close()
        except OSError:
            if error is None:  # else the work's own failure is what counts
                raise

    def losses(self, step: int, means: Mapping[str, float], speed: Mapping[str, float]) -> None:
        """Note the losses' means over the iterations since the last note, and how fast these went."""
        self._append({"step": step, **means})
        for group, scalars in (("loss", means), ("speed", speed)):
            for name, value in scalars.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def validation(self, step: int, result: Mapping[str, Any]) -> None:
        """Note what `lacbench fid --json` says of the outputs after iteration `step`."""
        self._board.add_scalar("validation/fid", result["value"], step)
        self._board.add_text("validation/protocol", f"{result['protocol']}, n = {result['n']}", step)
        self._append({"step": step, "validation": dict(result)})

    def samples(self, step: int, sheet: Array) -> None:
        """Show a sheet of samples, uint8 (H, W, 3) RGB."""
        self._board.add_image("samples", sheet, step, dataformats="HWC")
        self._board.flush()

    def flush(self) -> None:
        """Have all of it on the disk."""
        self._board.flush()

    def _append(self, entry: dict[str, Any]) -> None:
        with output_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(entry)}\n")


def read_log(run: Path) -> list[dict[str, Any]]:
    """What a run's log says, line by line; one that a killed run left unfinished is dropped.

    Raises InputError for a line that is none of ours.
    """
    path, entries = run / LOG, list[dict[str, Any]]()
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            if not (isinstance(entry, dict) and isinstance(entry.get("step"), int)):
                raise ValueError("no step")
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path} is broken in line {number}: expected a JSON object with a step; take that line away"
            ) from error
        entries.append(entry)
    return entries


def validated(run: Path, step: int) -> bool:
    """Whether a run's log has a validation after iteration `step`."""
    return any(entry["step"] == step and "validation" in entry for entry in read_log(run))


def _board(folder: Path, done: int) -> Any:
    """TensorBoard's writer; points of an earlier writer after `done` are not shown."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingError(
            "a run's log needs TensorBoard's writer; install it with: pip install 'lacbench[train]'"
        ) from error
    return SummaryWriter(str(folder), purge_step=done + 1 if done else None, flush_secs=10)
