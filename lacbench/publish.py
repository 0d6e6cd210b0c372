"""What may be shared of a data set: a folder by which others can make it again, and check that they did."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lacbench.card import draw_card, known_from, members, plain, table
from lacbench.errors import InputError, IntegrityError, OutputError
from lacbench.files import json_bytes, make_folder, output_errors, sha256_bytes, write_bytes, write_json
from lacbench.hints import hints_json, load_hints
from lacbench.licenses import OPEN, allowed, attribution
from lacbench.manifest import load_dataset, load_pairs
from lacbench.portable import portable_recipe
from lacbench.progress import Progress, Silent
from lacbench.published import ATTRIBUTION, FILE, Drawings, Index, is_ours
from lacbench.records import SETS, Dataset, Member
from lacbench.scorecard import card_json, load_card
from lacbench.store import read_stored

_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/:;,]+/)+[^\s:;,]*")


def publish(
    folder: Path,
    out: Path,
    *,
    pictures: bool = False,
    hints: Path | None = None,
    cards: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Index:
    """Write what others need to make a data set again: ids, links, hashes, measures, splits, pairs, recipe.

    The same data set gives the same bytes. An earlier publication in the folder is replaced; hidden files
    (a `.git`) stay.

    Args:
        folder: the data set's.
        out: where it goes.
        pictures: also those whose licence lets them be passed on; see `lacbench.licenses`.
        hints: colour hints of its line arts, to be shared.
        cards: score cards on this data set, to be shared.
        progress: who listens.

    Raises:
        InputError: no data set; hints or cards of another one.
        RecipeError: its recipe does not hold.
        IntegrityError: a picture is not the one that the manifest names.
        OutputError: `out` holds something else, or cannot be written.
    """
    progress = progress or Silent()
    dataset = load_dataset(folder)
    shared = [m for _, m in members(dataset) if pictures and allowed(m.record)]
    texts = {**_texts(dataset, shared), **_given(dataset, hints, cards)}
    texts["README.md"] = _readme(dataset, _index(dataset, texts, shared), shared).encode()
    index = _index(dataset, texts, shared)
    _claim(out)
    for path, data in texts.items():
        write_bytes(out / path, data)
    for member in progress.track(shared, "pictures", len(shared)):
        _copy(dataset, member, out)
    _drop_others(out, index)
    write_json(out / FILE, index.json_value())
    progress.say(
        f"publish: {len(members(dataset))} works, {len(shared)} of them with their picture; "
        f"digest {index.digest[:12]}"
    )
    return index


def _index(dataset: Dataset, texts: Mapping[str, bytes], shared: Sequence[Member]) -> Index:
    files = {path: sha256_bytes(data) for path, data in texts.items()}
    files |= {m.record.path: m.record.sha256 for m in shared}
    return Index(
        name=dataset.name,
        dataset=dataset.digest,
        illustrations=len(dataset.illustrations),
        linearts=len(dataset.linearts),
        pairs=_drawings(dataset.folder),
        files=dict(sorted(files.items())),
    )


def _texts(dataset: Dataset, shared: Sequence[Member]) -> dict[str, bytes]:
    """All files but hints, cards and pictures, by path."""
    known = known_from(dataset.folder)
    texts = draw_card(dataset, known.sources_left_out, known.asked, sheets=False)
    texts |= {f"{name}.parquet": (dataset.folder / f"{name}.parquet").read_bytes() for name in SETS}
    for name in sorted({m.record.candidate.license_file for _, m in members(dataset)} - {""}):
        try:
            texts[name] = (dataset.folder / name).read_bytes()
        except OSError as error:
            raise IntegrityError(f"{dataset.folder / name} is not there; build the data set again") from error
    if dataset.recipe:
        texts["recipe.toml"] = portable_recipe(
            dataset.recipe, (m.record for _, m in members(dataset))
        ).encode()
    if shared:
        lines = (attribution(m.record, given) for m in shared if (given := allowed(m.record)))
        texts[ATTRIBUTION] = "".join(f"{line}\n" for line in sorted(lines)).encode()
    return texts


def _given(dataset: Dataset, hints: Path | None, cards: Sequence[Path]) -> dict[str, bytes]:
    """Hints and score cards as they are shared, by path. Raises InputError for those of other data."""
    files = {}
    if hints:
        told = load_hints(hints)
        if strange := told.keys() - {m.record.sha256 for m in dataset.linearts}:
            raise InputError(
                f"{hints} has hints of {len(strange)} line arts that {dataset.folder} does not have; "
                "expected those of this data set (`lacbench hints`); name their file"
            )
        files["hints.json"] = json_bytes(hints_json(told))
    for path in cards:
        card = load_card(path)
        if card.dataset != dataset.digest:
            raise InputError(
                f"{path} is of the data set {card.dataset[:12]}…, expected {dataset.digest[:12]}…; score on "
                f"{dataset.folder} again"
            )
        untold = {name: _PATH.sub("…", why) for name, why in card.not_measured.items()}
        stem = re.sub(r"[^\w.+-]+", "-", path.stem).lstrip(".") or "card"
        name = f"cards/{stem}.json"
        if name in files:
            raise InputError(f"{path} has the name of another card; rename one of them")
        shown = replace(card, submission=Path(card.submission.name), not_measured=untold)
        files[name] = json_bytes(card_json(shown))
    return files


def _claim(out: Path) -> None:
    """Make `out` ours, unfinished. Raises OutputError where it holds something else."""
    make_folder(out)
    there = [file.name for file in out.iterdir() if not file.name.startswith(".")]
    if there and FILE not in there:
        raise OutputError(f"{out} holds files, but no published data set; choose another output folder")
    write_json(out / FILE, {"unfinished": True})


def _copy(dataset: Dataset, member: Member, out: Path) -> None:
    target = out / member.record.path
    data = read_stored(dataset.folder, member.record.sha256, member.record.path)
    if not target.is_file() or target.read_bytes() != data:
        write_bytes(target, data)


def _drop_others(out: Path, index: Index) -> None:
    """Take away what an earlier publication left, and this one does not have."""
    for file in sorted(out.rglob("*")):
        path = file.relative_to(out).as_posix()
        if is_ours(path) and path not in index.files and not file.is_dir():
            with output_errors(file):
                file.unlink()


def _drawings(folder: Path) -> tuple[Drawings, ...]:
    """Sizes and thicknesses of the drawings that the data set has."""
    if not (folder / "pairs.parquet").is_file():
        return ()
    found: dict[int, set[float]] = {}
    for pair in load_pairs(folder):
        found.setdefault(pair.size, set()).add(pair.sigma)
    return tuple(Drawings(size=size, sigmas=tuple(sorted(found[size]))) for size in sorted(found))


def _readme(dataset: Dataset, index: Index, shared: Sequence[Member]) -> str:
    """The folder's first page."""
    return "\n\n".join(_sections(dataset, index, shared)) + "\n"


def _sections(dataset: Dataset, index: Index, shared: Sequence[Member]) -> Iterator[str]:
    yield (
        f"# {plain(dataset.name)}\n\nA data set for anime line-art colorization, as `lacbench publish` "
        f"passes it on: {index.illustrations:,} illustrations and {index.linearts:,} line arts, by their "
        "SHA-256, with where they come from, whose they are, perceptual hashes, measures, splits and true "
        f"pairs. Its digest is\n\n    {index.dataset}"
    )
    yield table("Licences", _licence_rows(dataset, shared))
    yield (
        "Each picture stays under its own licence, which its row in the manifests names, with the full text "
        f"in `licenses/` where one came with it. {_told_pictures(shared)} What the manifests say of a work "
        "is no licence to use it."
    )
    yield f"## Make it again\n\n```sh\n{_commands(dataset, index)}\n```"
    yield (
        "`rebuild` gets every work again from where it came, checks it by its SHA-256, and judges nothing "
        "anew. It ends with the digest above, or names in `gone.csv` what is not to be had any more. Sites "
        "are asked politely, and must know whom to write to: set `LACBENCH_CONTACT` to your mail address or "
        "page."
    )
    yield "## What is here\n\n" + "\n".join(f"- {line}" for line in _listing(index))
    yield (
        "To have a work taken out, write to whoever gave you this folder; `lacbench prune` does it, and what "
        "is published again does not have it."
    )


def _licence_rows(dataset: Dataset, shared: Sequence[Member]) -> list[dict[str, object]]:
    counts = Counter((name, m.record.candidate.license) for name, m in members(dataset))
    here = Counter((m.record.candidate.set, m.record.candidate.license) for m in shared)
    return [
        {"set": name, "licence": told, "works": count, "pictures here": here[name, told]}  # type: ignore[index]
        for (name, told), count in sorted(counts.items())
    ]


def _told_pictures(shared: Sequence[Member]) -> str:
    if not shared:
        return "This folder holds no pictures, only what leads to them."
    return (
        f"Pictures are here where their licence is open ({', '.join(t.name for t in OPEN.values())}, CC-BY "
        f"or CC-BY-SA of any version), each with a line in `{ATTRIBUTION}`; of others there are links alone."
    )


def _commands(dataset: Dataset, index: Index) -> str:
    """How to make it again, with a folder for each source whose pictures lay on a disk."""
    local = {
        m.record.candidate.source
        for _, m in members(dataset)
        if not m.record.candidate.url
        and not m.record.candidate.origin.startswith(("apt: ", "npm: "))
        and m.record.path not in index.files
    }
    folders = "".join(f" --folder {name}=FOLDER" for name in sorted(local))
    lines = [f"lacbench rebuild . -o data{folders}", "lacbench verify data"]
    for drawn in index.pairs:
        sigmas = "".join(f" --sigma {sigma:g}" for sigma in drawn.sigmas)
        lines.append(f"lacbench pairs data --size {drawn.size}{sigmas}")
    return "\n".join(lines)


def _listing(index: Index) -> Iterator[str]:
    """What is in the folder, a line each."""
    known = {
        "illustrations.parquet": "`illustrations.parquet`, `linearts.parquet`: one row a work",
        "recipe.toml": "`recipe.toml`: what was taken from where and why; `lacbench build-dataset` runs it, "
        "and may find more or less than is listed here",
        "card.md": "`card.md`, `card.json`: counts, origins, what was left out; the ledger is not passed on",
        "hints.json": "`hints.json`: the colour hints of the line arts",
        ATTRIBUTION: f"`{ATTRIBUTION}`, `images/`: pictures that may be passed on, and whose they are",
    }
    yield from (line for path, line in known.items() if path in index.files)
    if any(path.startswith("cards/") for path in index.files):
        yield "`cards/`: scores on this data set"
    if any(path.startswith("licenses/") for path in index.files):
        yield "`licenses/`: texts that came with the works"
    yield f"`{FILE}`: the SHA-256 of each of these files"
