"""A data set in the layouts of other tools: Hugging Face's folders, and WebDataset's tar shards."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lacbench
from lacbench.card import members, plain, rights, table
from lacbench.errors import InputError, IntegrityError, OutputError
from lacbench.files import make_folder, read_json, write_bytes, write_json, write_text
from lacbench.images import read_bytes
from lacbench.licenses import allowed, terms
from lacbench.manifest import load_dataset, load_pairs
from lacbench.progress import Progress, Silent
from lacbench.records import SETS, Dataset, Member, Pair
from lacbench.shards import File, Sample, plan_shards, write_shard
from lacbench.store import read_stored

EXPORT = "export.json"
"""What says what the folder was made of."""
SPLITS = ("train", "validation", "test")
SHARD_BYTES = 512 * 10**6
"""Bytes of a tar shard, at most, where none are named."""
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))

Row = dict[str, Any]
"""What is told of a picture beside it."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    pictures: int
    """Pictures of both sets."""
    drawings: int
    """XDoG drawings of illustrations."""
    files: tuple[str, ...]
    """Tables or shards, by path."""


def export_dataset(
    folder: Path,
    out: Path,
    layout: str,
    *,
    size: int | None = None,
    open_only: bool = False,
    shard_bytes: int = SHARD_BYTES,
    progress: Progress | None = None,
) -> Exported:
    """Write a data set's pictures, their drawings and what is known of them as another tool reads them.

    `huggingface`: `<set>/<split>/<id>.<ext>` and `metadata.jsonl`, with a card that names a configuration for
    each set; `datasets.load_dataset(out, "illustrations")` reads it. `webdataset`:
    `<set>-<split>-<number>.tar` of `<id>.<ext>`, `<id>.json` and `<id>.xdog-<σ>.png`. The same data set
    gives the same bytes, and a killed export goes on.

    Args:
        folder: the data set's.
        out: where it goes.
        layout: `huggingface` or `webdataset`.
        size: shortest side, pixels, of the XDoG drawings that are taken; by default the largest there is.
        open_only: leave out pictures whose licence does not let them be passed on.
        shard_bytes: of a tar at most; a single larger picture has a tar of its own.
        progress: who listens.

    Raises:
        InputError: no data set, an unknown layout, no drawings of that size, or no picture is left.
        IntegrityError: a picture is not the one that the manifest names.
        OutputError: `out` holds something else, or cannot be written.
    """
    progress = progress or Silent()
    dataset = load_dataset(folder)
    if open_only:
        told = {name: tuple(m for m in getattr(dataset, name) if allowed(m.record)) for name in SETS}
        dataset = replace(dataset, **told)  # type: ignore[arg-type]
    if not members(dataset):
        raise InputError(f"{folder} has no pictures to export; expected some whose licence is open")
    if layout not in ("huggingface", "webdataset"):
        raise InputError(f"there is no layout {layout!r}; expected huggingface or webdataset")
    drawings = _drawings(dataset, size)
    settings = {
        "layout": layout,
        "dataset": dataset.digest,
        "open_only": open_only,
        "size": next((p.size for pairs in drawings.values() for p in pairs), None),
        "sigmas": [p.sigma for p in next(iter(drawings.values()), ())],
        "shard_bytes": shard_bytes if layout == "webdataset" else None,
        "lacbench": lacbench.__version__,
    }
    _claim(out, settings)
    export = _Export(dataset, out, drawings, progress)
    files = export.huggingface() if layout == "huggingface" else export.webdataset(shard_bytes)
    write_text(out / "README.md", _readme(dataset, layout))
    write_json(out / EXPORT, {**settings, "files": list(files)})
    done = Exported(len(members(dataset)), sum(map(len, drawings.values())), files)
    progress.say(f"export: {done.pictures} pictures, {done.drawings} drawings, in {out}")
    return done


@dataclass(frozen=True)
class _Export:
    """One export that is being written."""

    dataset: Dataset
    out: Path
    drawings: Mapping[str, Sequence[Pair]]
    progress: Progress

    def parts(self) -> Iterator[tuple[str, str, list[Member]]]:
        """Each set's splits that have pictures."""
        for name in SETS:
            for split in SPLITS:
                if found := [m for m in getattr(self.dataset, name) if m.split == split]:
                    yield name, split, found

    def huggingface(self) -> tuple[str, ...]:
        """Write folders of pictures with a table each; returns the tables' paths."""
        tables = []
        for name, split, found in self.parts():
            place = self.out / name / split
            scored = all(m.record.candidate.score is not None for m in getattr(self.dataset, name))
            rows = []
            for member in self.progress.track(found, f"{name}: {split}", len(found)):
                file = Path(member.record.path).name
                _write(place / file, self.picture(member))
                row = {"file_name": file}
                for pair in self.drawings.get(member.record.sha256, ()):
                    drawing = f"xdog/{pair.sigma:g}/{member.record.sha256}.png"
                    _write(place / drawing, read_bytes(self.dataset.folder / pair.path))
                    row[f"xdog_{pair.sigma:g}_file_name"] = drawing
                rows.append({**row, **describe(member, scored=scored)})
            write_text(place / "metadata.jsonl", "".join(f"{_json(row)}\n" for row in rows))
            tables.append(f"{name}/{split}/metadata.jsonl")
        return tuple(tables)

    def webdataset(self, most: int) -> tuple[str, ...]:
        """Write tar shards; returns their paths."""
        paths = []
        for name, split, found in self.parts():
            samples = [self.sample(member) for member in found]
            shards = plan_shards(samples, most)
            for number, shard in enumerate(self.progress.track(shards, f"{name}: {split}", len(shards))):
                path = f"{name}-{split}-{number:06}.tar"
                if not (self.out / path).is_file():
                    write_shard(self.out / path, shard)
                paths.append(path)
        return tuple(paths)

    def sample(self, member: Member) -> Sample:
        """A picture, its drawings and its row, as files of one key."""
        row = _json(describe(member)).encode()
        kind = Path(member.record.path).suffix.lstrip(".")
        drawn = {
            f"xdog-{pair.sigma:g}.png": _on_disk(self.dataset.folder / pair.path)
            for pair in self.drawings.get(member.record.sha256, ())
        }
        picture = replace(_on_disk(self.dataset.file(member)), read=partial(self.picture, member))
        return Sample(member.record.sha256, {kind: picture, "json": File(len(row), lambda: row), **drawn})

    def picture(self, member: Member) -> bytes:
        """Its bytes. Raises IntegrityError where they are not those that its name says."""
        return read_stored(self.dataset.folder, member.record.sha256, member.record.path)


def describe(member: Member, *, scored: bool = True) -> Row:
    """A picture's row: its id, split, origin, rights and measures; every value is a text, number or truth.

    Texts that are not known are empty; `scored`: with the site's score, which then must be known of all of
    a table, since readers take a column's type from its first rows.
    """
    record, told = member.record, member.record.candidate
    measures = {k: v.hex() if isinstance(v, bytes) else v for k, v in asdict(record.statistics).items()}
    row = {
        "id": record.sha256,
        "set": told.set,
        "split": member.split,
        "key": f"{told.source}/{told.key}",
        "source": told.origin,
        "license": told.license,
        "artist": ", ".join(told.artist.split()),
        "page": told.page,
        "url": told.url,
        "rating": told.rating,
        "tags": ", ".join(told.tags),
        "md5": told.md5,
        "pair": told.pair,
    }
    if scored and told.score is not None:
        row["score"] = told.score  # type: ignore[assignment]
    return {**row, **measures}


def _drawings(dataset: Dataset, size: int | None) -> dict[str, list[Pair]]:
    """The XDoG drawings of one size by illustration, at thicknesses that all of them have."""
    pairs = load_pairs(dataset.folder) if (dataset.folder / "pairs.parquet").is_file() else ()
    sizes = {pair.size for pair in pairs}
    if size is not None and size not in sizes:
        there = ", ".join(map(str, sorted(sizes))) or "none"
        raise InputError(
            f"{dataset.folder} has no drawings of size {size}, there are {there}; make them with `lacbench "
            f"pairs --size {size}`"
        )
    chosen = [p for p in pairs if p.size == (size or max(sizes))]
    ids = {m.record.sha256 for m in dataset.illustrations}
    complete = [s for s in {p.sigma for p in chosen} if ids <= {p.sha256 for p in chosen if p.sigma == s}]
    found: dict[str, list[Pair]] = {}
    for pair in sorted(chosen, key=lambda p: (p.sha256, p.sigma)):
        if pair.sha256 in ids and pair.sigma in complete:
            found.setdefault(pair.sha256, []).append(pair)
    return found


def _claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Make `out` the folder of this export. Raises OutputError where it holds something else."""
    make_folder(out)
    told = read_json(out / EXPORT)
    before = {k: v for k, v in told.items() if k != "files"} if isinstance(told, dict) else None
    if before != settings and any(not file.name.startswith(".") for file in out.iterdir()):
        holds = "another export" if before else "files, but no export"
        raise OutputError(f"{out} holds {holds}; choose another output folder, or empty this one")
    write_json(out / EXPORT, settings)


def _on_disk(path: Path) -> File:
    try:
        return File(path.stat().st_size, partial(read_bytes, path))
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read: {error.strerror}; `lacbench verify` names all that is missing"
        ) from error


def _write(path: Path, data: bytes) -> None:
    """Write a file that is not there yet: names say what is in it, and each is there whole or not at all."""
    if not path.is_file():
        write_bytes(path, data)


def _json(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


def _readme(dataset: Dataset, layout: str) -> str:
    """A data set card as Hugging Face has them: YAML for programs, then text."""
    named = {m.record.candidate.license for _, m in members(dataset)}
    known = [given.name.lower() for name in named if (given := terms(name))]
    rows = [{k: row[k] for k in ("set", "source", "license", "origin", "count")} for row in rights(dataset)]
    head = [
        "---",
        f"pretty_name: {json.dumps(dataset.name, ensure_ascii=False)}",
        f"license: {known[0] if len(known) == len(named) == 1 else 'other'}",
        "task_categories:\n- image-to-image",
        "tags:\n- line-art\n- colorization\n- anime",
        f"size_categories:\n- {_size_category(len(members(dataset)))}",
        "configs:",
        *_configurations(dataset, layout),
        "---",
    ]
    text = (
        f"\n# {plain(dataset.name)}\n\nExported by lacbench {lacbench.__version__}; the digest of what it is "
        f"from is `{dataset.digest}`. Illustrations come with their XDoG line drawings where those were "
        "made; line arts are drawn by hand, and all of the split `test`.\n\nEach picture stays under its own "
        "licence, which its row names: look before you pass them on.\n"
    )
    return "\n".join([*head, text, table("Origins and rights", rows)]) + "\n"


def _configurations(dataset: Dataset, layout: str) -> Iterable[str]:
    """Each set's splits, as `datasets` looks for their files."""
    for name in SETS:
        splits = [s for s in SPLITS if any(m.split == s for m in getattr(dataset, name))]
        if splits:
            yield f"- config_name: {name}\n  data_files:"
            for split in splits:
                files = f"{name}/{split}/**" if layout == "huggingface" else f"{name}-{split}-*.tar"
                yield f'  - split: {split}\n    path: "{files}"'


def _size_category(number: int) -> str:
    return next((told for most, told in _SIZES if number < most), "1M<n<10M")
