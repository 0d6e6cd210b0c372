"""`build_dataset`: from a recipe to a data set, in one straight line."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import lacbench
from lacbench.card import write_card
from lacbench.dedupe import drop_duplicates
from lacbench.engine import Engine, Local
from lacbench.errors import InputError, MissingError, OutputError
from lacbench.files import make_folder, read_json, sha256_json, sweep, write_json
from lacbench.filters import judge
from lacbench.manifest import load_dataset, save_dataset
from lacbench.progress import Progress, Silent
from lacbench.recipe import Recipe
from lacbench.records import KEPT, SETS, Candidate, Dataset, LedgerEntry, Set
from lacbench.sources import Visit
from lacbench.splits import assign_splits
from lacbench.store import keep, measure

DONE = "work/.done.json"
"""What the data set in a folder was made of, written when all of it is there."""


def build_dataset(
    recipe: Recipe, out: Path, engine: Engine | None = None, progress: Progress | None = None
) -> Dataset:
    """Collect, filter, dedupe and split what a recipe names, and write manifests, ledger and card.

    Every candidate ends in the ledger with one verdict. A killed run goes on from what it stored; a run
    whose recipe and sources did not change since it finished returns at once.

    Raises:
        MissingError: none of the sources can be read on this machine.
        FetchError, InputError: a source did not deliver, or offers nothing.
        InputError: nothing is left of one of the sets.
        OutputError: the output cannot be written.
    """
    engine, progress = engine or Local(), progress or Silent()
    claim(out)
    candidates, left_out = list_candidates(recipe, out, progress)
    state = {"recipe": recipe.text, "candidates": _fingerprint(candidates), "version": lacbench.__version__}
    if not left_out and (finished := _finished(out, state)):
        progress.say(f"data: nothing changed, {_summary(finished)}")
        return finished
    (out / DONE).unlink(missing_ok=True)
    stored, unreadable = _part(keep(c, out) for c in progress.track(candidates, "store", len(candidates)))
    measured = engine.map(partial(measure, out), stored)
    records, broken = _part(progress.track(measured, "measure", len(stored)))
    kept, dropped = judge(records, recipe.filters)
    unique, repeats = drop_duplicates(kept, recipe.dedupe, [s.name for s in recipe.sources])
    illustrations, linearts = assign_splits(unique, recipe)
    ledger = [LedgerEntry(r.candidate, KEPT, r.sha256) for r in unique]
    ledger += [*unreadable, *broken, *dropped, *repeats]
    dataset = save_dataset(out, illustrations, linearts, ledger, recipe.text)
    write_card(dataset, left_out)
    _check_not_empty(dataset)
    write_json(out / DONE, {**state, "digest": dataset.digest})
    progress.say(f"data: {_summary(dataset)}")
    return dataset


def claim(out: Path) -> None:
    """Make `out` a data set's folder, and take away what killed writers left in it.

    Raises OutputError for a folder that holds other files: nothing of the user's is touched.
    """
    make_folder(out)
    ours = (out / "work").is_dir() or (out / "ledger.parquet").is_file()
    if not ours and any(out.iterdir()):
        raise OutputError(f"{out} holds files, but no data set; choose another output folder")
    make_folder(out / "work")
    sweep(out)


def _finished(out: Path, state: dict[str, str]) -> Dataset | None:
    """The data set that an earlier run made of the same, if it is all still there."""
    told = read_json(out / DONE)
    try:
        dataset = load_dataset(out)
    except InputError:
        return None
    whole = all(dataset.file(m).is_file() for m in (*dataset.illustrations, *dataset.linearts))
    return dataset if whole and told == {**state, "digest": dataset.digest} else None


def list_candidates(recipe: Recipe, out: Path, progress: Progress) -> tuple[list[Candidate], dict[str, str]]:
    """What all sources offer, in the recipe's order, and why which source was left out.

    A source that this machine cannot read is left out, and said so, as long as another one can be.
    """
    found: list[Candidate] = []
    left_out: dict[str, str] = {}
    web: Any = None
    for spec in recipe.sources:
        try:
            offered = [c for page in spec.pages("", Visit(out, progress, web)) for c in page.candidates]
        except MissingError as error:
            left_out[spec.name] = str(error)
            progress.say(f"source {spec.name}: left out, {error}")
            continue
        found += offered
        progress.say(f"source {spec.name}: {len(offered)} pictures")
    if not found:
        raise MissingError(f"no source can be read here: {'; '.join(sorted(set(left_out.values())))}")
    return found, left_out


def _part(results: Iterable[Any]) -> tuple[list[Any], list[LedgerEntry]]:
    """Part what went on from what got its verdict."""
    going: list[Any] = []
    ended: list[LedgerEntry] = []
    for result in results:
        (ended if isinstance(result, LedgerEntry) else going).append(result)
    return going, ended


def _fingerprint(candidates: list[Candidate]) -> str:
    """Digest of what the sources offer: names, rights, sizes and times of the files."""
    rows = []
    for c in candidates:
        told = c.path.stat()
        rows.append([c.source, c.key, c.set, c.origin, c.license, c.pair, told.st_size, told.st_mtime_ns])
    return sha256_json(rows)


def _check_not_empty(dataset: Dataset) -> None:
    counts: dict[Set, int] = {name: len(getattr(dataset, name)) for name in SETS}
    for name, count in counts.items():
        if not count:
            reasons = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped().items()) or "none offered"
            raise InputError(
                f"{dataset.folder} has no {name}: expected at least one, dropped were {reasons}; "
                f"see {dataset.folder / 'card.md'} for the reasons, then mend the sources or the filters"
            )


def _summary(dataset: Dataset) -> str:
    dropped = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped().items()) or "none"
    return (
        f"{len(dataset.illustrations)} illustrations, {len(dataset.linearts)} line arts, "
        f"dropped: {dropped}; digest {dataset.digest[:12]}"
    )
