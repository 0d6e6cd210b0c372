"""Colour line arts with any model: a training run, a checkpoint, or a floor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lacbench
from lacbench.baselines.floors import FLOORS
from lacbench.errors import InputError, OutputError
from lacbench.files import make_folder, read_json, sha256_file, sha256_json, write_json
from lacbench.hints import Hint, Hints
from lacbench.images import SUFFIXES, Array, read, resize_shortest, write_png
from lacbench.lineart import clean
from lacbench.manifest import load_dataset
from lacbench.progress import Progress, Silent

SUBMISSION = "submission.json"
"""The file beside the outputs that says what made them; another model's outputs are not mixed in."""
SIZE = 512
"""Shortest side of the outputs, in pixels, for models that do not say."""


@dataclass(frozen=True)
class Painter:
    """A model, ready to colour."""

    digest: str
    """SHA-256 of the model, or a floor's name."""
    size: int
    """Shortest side, in pixels, that it was made for."""
    paint: Callable[[Array, Sequence[Hint]], Array]
    """Line art uint8 (H, W), 0 ink, 255 paper, and hints → uint8 (H, W, 3) RGB."""


def colorize(
    model: Path,
    linearts: Mapping[str, Path],
    out: Path,
    *,
    hints: Hints | None = None,
    size: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Colour line arts and write one RGB PNG each.

    Every method is given the same: the grey of the line art on white paper, resized so that the shortest
    side has `size` pixels. Outputs that the same model made of the same inputs are kept, so a killed run
    goes on where it was.

    Args:
        model: a training run's folder, its checkpoint, or the name of a floor.
        linearts: the line arts' files, by id.
        out: the submission's folder: `<id>.png`, and submission.json.
        hints: dabs of colour by line art; None for automatic colorization.
        size: shortest side of the outputs, pixels; by default the model's.
        device: where a network runs: `cpu`, `cuda` or `cuda:N`.
        progress: who listens.

    Returns:
        `out`.

    Raises:
        InputError: no such model, no line arts, or a picture that cannot be read.
        OutputError: `out` holds something else, or cannot be written.
    """
    progress = progress or Silent()
    if not linearts:
        raise InputError("there are no line arts to colour; expected at least one")
    if hints is not None and not any(hints.get(key) for key in linearts):
        raise InputError(
            f"none of the hints is for one of the {len(linearts)} line arts; expected the line arts' ids as "
            "keys; choose the hints file that was made for them"
        )
    if hints is None and str(model) in FLOORS and str(model) != "grey":
        raise InputError(f"the floor {model} lives on hints, and there are none; give a file: --hints FILE")
    painter = open_model(model, device)
    size = size or painter.size
    given = {key: tuple((hints or {}).get(key, ())) for key in linearts}
    state = {
        "model": painter.digest,
        "size": size,
        "inputs": _inputs(linearts, given),
        "version": lacbench.__version__,
    }
    _claim(out, state)
    missing = [key for key in linearts if not (out / f"{key}.png").is_file()]
    for key in progress.track(missing, f"colorize: {out.name}", len(missing)):
        line_art = resize_shortest(clean(read(linearts[key])), size)
        write_png(out / f"{key}.png", painter.paint(line_art, given[key]))
    progress.say(f"colorize: {len(linearts)} line arts at {size} px, in {out}")
    return out


def find_linearts(source: Path) -> dict[str, Path]:
    """Line arts by id: a data set's by their sha256, a flat folder's pictures by their names without suffix.

    Raises InputError where there are none, or two of one name.
    """
    if (source / "linearts.parquet").is_file():
        dataset = load_dataset(source)
        return {m.record.sha256: dataset.file(m) for m in dataset.linearts}
    suffixes = {*SUFFIXES.values(), ".jpeg"}
    files = sorted(p for p in source.glob("*") if p.suffix.lower() in suffixes)
    if not files:
        raise InputError(f"{source} holds no line arts: expected a data set, or a folder of pictures")
    named = {p.stem: p for p in files}
    if len(named) < len(files):
        twice = next(p.stem for p in files if named[p.stem] is not p)
        raise InputError(f"{source} has two pictures called {twice}; rename one, since outputs take the name")
    return named


def open_model(model: Path, device: str = "cpu") -> Painter:
    """The model of that path or name. Raises InputError where it is neither a floor nor a training run."""
    if str(model) in FLOORS:  # `./grey` is a folder of that name
        return Painter(str(model), SIZE, FLOORS[str(model)])
    if not model.exists():
        raise InputError(
            f"{model} is no model: expected a training run's folder, or a floor: {', '.join(FLOORS)}"
        )
    from lacbench.baselines.alacgan.painter import CHECKPOINT, open_painter

    checkpoint = model / CHECKPOINT if model.is_dir() else model
    size, paint = open_painter(checkpoint, device)
    return Painter(sha256_file(checkpoint), size, paint)


def _inputs(linearts: Mapping[str, Path], hints: Mapping[str, Sequence[Hint]]) -> str:
    """Digest of what is coloured: ids, bytes and hints."""
    return sha256_json({k: [sha256_file(p), [asdict(h) for h in hints[k]]] for k, p in linearts.items()})


def _claim(out: Path, state: dict[str, object]) -> None:
    """Make `out` the folder of these outputs; another model's outputs in it are removed first."""
    make_folder(out)
    held = read_json(out / SUBMISSION)
    if held == state:
        return
    if held is None and any(out.iterdir()):
        raise OutputError(f"{out} holds files that no submission.json tells of; choose another folder")
    for old in out.glob("*.png"):
        old.unlink()
    write_json(out / SUBMISSION, state)
