"""`card.md`: what a data set holds, where it comes from, under which rights, and what was left out."""

from collections import Counter
from collections.abc import Iterable

from lacbench.files import write_text
from lacbench.hashing import ALGORITHM
from lacbench.records import SETS, Dataset, Member


def write_card(dataset: Dataset, left_out: dict[str, str]) -> None:
    """Write the data set's card as Markdown beside its manifests, atomically."""
    sections = [
        f"# {dataset.name}\n\nDigest `{dataset.digest}`. Hashes: {ALGORITHM}.",
        _table("Pictures", ("set", "split", "pictures"), _splits(dataset)),
        _table(
            "Origins and rights", ("set", "origin", "licence", "licence text", "pictures"), _origins(dataset)
        ),
        _table("Left out", ("reason", "pictures"), dataset.dropped().items()),
    ]
    if left_out:
        sections.append("## Sources left out\n\n" + "\n".join(f"- {s}: {r}" for s, r in left_out.items()))
    sections.append(
        "## Make it again\n\n`lacbench build-dataset recipe.toml -o FOLDER` with the recipe beside this "
        "card. `ledger.parquet` has every candidate, its verdict and the reason."
    )
    write_text(dataset.folder / "card.md", "\n\n".join(sections) + "\n")


def members(dataset: Dataset) -> list[tuple[str, Member]]:
    """Every record of both sets, with its set's name."""
    return [(name, member) for name in SETS for member in getattr(dataset, name)]


def _splits(dataset: Dataset) -> Iterable[tuple[object, ...]]:
    counts = Counter((name, member.split) for name, member in members(dataset))
    return [(*key, count) for key, count in sorted(counts.items())]


def _origins(dataset: Dataset) -> Iterable[tuple[object, ...]]:
    candidates = [(name, member.record.candidate) for name, member in members(dataset)]
    counts = Counter((name, c.origin, c.license, c.license_file or "none") for name, c in candidates)
    return [(*key, count) for key, count in sorted(counts.items())]


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [
        "| " + " | ".join(_cell(c) for c in row) + " |" for row in (header, ["---"] * len(header), *rows)
    ]
    return f"## {title}\n\n" + "\n".join(lines)


def _cell(value: object) -> str:
    """A table's cell; a source's text cannot break out of it."""
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
