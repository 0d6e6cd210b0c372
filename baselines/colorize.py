"""Colour line arts with any model: a training run, a checkpoint, an exported file, or a floor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import lacbench
from lacbench.baselines.floors import FLOORS
from lacbench.baselines.models import open_model
from lacbench.baselines.painting import Painter
from lacbench.baselines.tiles import Tiling
from lacbench.errors import InputError, OutputError
from lacbench.files import make_folder, read_json, sha256_file, sha256_json, write_json
from lacbench.hints import AnyHints, Given, Hint, Strokes, dabs_of, told_of
from lacbench.images import SUFFIXES, Array, read, resize_shortest, write_png
from lacbench.lineart import clean
from lacbench.manifest import load_dataset
from lacbench.progress import Progress, Silent
from lacbench.submission import SUBMISSION

WAITING = 2**26
"""Pixels of line art that wait, at most, for others of their size."""

Size = int | Literal["original"] | None
"""Shortest side of the outputs, pixels; `original` for each line art's own; None for the model's."""


def colorize(
    model: Path,
    linearts: Mapping[str, Path],
    out: Path,
    *,
    hints: AnyHints | None = None,
    size: Size = None,
    tile: int | None = None,
    batch: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Colour line arts and write one RGB PNG each.

    Every method is given the same: the grey of the line art on white paper, resized so that the shortest
    side has `size` pixels. Outputs that the same model made of the same inputs are kept, so a killed run
    goes on where it was.

    Args:
        model: what `open_model` takes: a training run's folder, a file, or the name of a floor.
        linearts: the line arts' files, by id.
        out: the submission's folder: `<id>.png`, and submission.json.
        hints: dabs of colour or strokes by line art; None for automatic colorization.
        size: shortest side of the outputs; `original` colours at each line art's own size.
        tile: side of the tiles that a network cuts larger pictures into, in pixels; by default `Tiling`'s.
        batch: pictures of one size that a network is given at a time; outputs do not depend on it.
        device: where a network runs: `auto`, `cpu`, `cuda` or `cuda:N`.
        progress: who listens.

    Returns:
        `out`.

    Raises:
        InputError: no such model, no line arts, strokes of another size, or a picture that cannot be read.
        MissingError: no such device, or a model that needs an extra.
        OutputError: `out` holds something else, or cannot be written.
    """
    progress = progress or Silent()
    _check(model, linearts, hints)
    painter = open_model(model, device, Tiling.of(tile) if tile else None)
    size = size or painter.size
    given = {key: (hints or {}).get(key, ()) for key in linearts}
    _claim(out, _state(painter, linearts, given, size))
    missing = [key for key in linearts if not (out / f"{key}.png").is_file()]
    tracked = progress.track(missing, f"colorize: {out.name}", len(missing))
    pictures = ((key, _prepared(linearts[key], size)) for key in tracked)
    for group in grouped(pictures, batch):
        line_arts = [line_art for _, line_art in group]
        dabs = [_dabs(given[key], line_art) for key, line_art in group]
        for (key, _), colored in zip(group, painter.paint(line_arts, dabs), strict=True):
            write_png(out / f"{key}.png", colored)
    shown = "their own size" if size == "original" else f"{size} px"
    progress.say(f"colorize: {len(linearts)} line arts at {shown}, in {out}")
    return out


def colorize_one(painter: Painter, file: Path, given: Given = (), size: Size = None) -> Array:
    """The output that `colorize` writes for one line art: uint8 (H, W, 3) RGB.

    Raises InputError for hints that the model needs and that are not given, strokes of another size, and a
    picture that cannot be read.
    """
    if painter.hints == "needed" and not given:
        raise InputError(f"{painter.digest} colours by hints alone, and there are none; paint some strokes")
    if isinstance(given, Strokes):
        given.check_fits(file)
    line_art = _prepared(file, size or painter.size)
    return painter.paint([line_art], [_dabs(given, line_art)])[0]


def find_linearts(source: Path) -> dict[str, Path]:
    """Line arts by id: a data set's by their sha256, a flat folder's pictures by their names without suffix.

    Raises InputError where there are none, or two of one name.
    """
    if (source / "linearts.parquet").is_file():
        dataset = load_dataset(source)
        return {m.record.sha256: dataset.file(m) for m in dataset.linearts}
    suffixes = {*SUFFIXES.values(), ".jpeg"}
    files = sorted(p for p in source.glob("*") if p.suffix.lower() in suffixes)
    if not source.exists():
        raise InputError(f"{source} is not there; expected a data set, or a folder of pictures")
    if not files:
        raise InputError(f"{source} holds no line arts: expected a data set, or a folder of pictures")
    named = {p.stem: p for p in files}
    if len(named) < len(files):
        twice = next(p.stem for p in files if named[p.stem] is not p)
        raise InputError(f"{source} has two pictures called {twice}; rename one, since outputs take the name")
    return named


def grouped(
    pictures: Iterable[tuple[str, Array]], batch: int, most: int = WAITING
) -> Iterator[list[tuple[str, Array]]]:
    """Pictures of one size together, `batch` at a time; fewer at the end, or where `most` pixels wait."""
    waiting: dict[tuple[int, ...], list[tuple[str, Array]]] = {}
    for key, picture in pictures:
        group = waiting.setdefault(picture.shape, [])
        group.append((key, picture))
        if len(group) == batch:
            yield waiting.pop(picture.shape)
        elif sum(p.size for group in waiting.values() for _, p in group) >= most:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _check(model: Path, linearts: Mapping[str, Path], hints: AnyHints | None) -> None:
    """Raise InputError where hints do not fit, before the long work."""
    if not linearts:
        raise InputError("there are no line arts to colour; expected at least one")
    if hints is not None and not any(hints.get(key) for key in linearts):
        raise InputError(
            f"none of the hints is for one of the {len(linearts)} line arts; expected the line arts' ids as "
            "keys; choose the hints that were made for them"
        )
    if hints is None and str(model) in FLOORS and str(model) != "grey":
        raise InputError(f"the floor {model} lives on hints, and there are none; give some: --hints PATH")
    for key, given in (hints or {}).items():
        if isinstance(given, Strokes) and key in linearts:
            given.check_fits(linearts[key])


def _prepared(file: Path, size: int | Literal["original"]) -> Array:
    """The line art as every method is given it: uint8 (H, W), 0 ink, 255 paper."""
    line_art = clean(read(file))
    return line_art if size == "original" else resize_shortest(line_art, size)


def _dabs(given: Given, line_art: Array) -> Sequence[Hint]:
    height, width = line_art.shape
    return dabs_of(given, height, width)


def _state(
    painter: Painter, linearts: Mapping[str, Path], given: Mapping[str, Given], size: int | str
) -> dict[str, object]:
    """What the outputs follow from, but for the last bits of a device's arithmetic."""
    hints = {k: told_of(g) for k, g in given.items() if g}
    return {
        "model": painter.digest,
        "weights": dict(painter.weights),
        "size": size,
        "tile": painter.tile,
        "linearts": sha256_json({key: sha256_file(path) for key, path in linearts.items()}),
        "hints": sha256_json(hints) if hints else None,
        "version": lacbench.__version__,
    }


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
