"""From a study file to a study's folder: pictures imported, orders drawn, the store filled."""

import os
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lacbench.engine import Engine, Local
from lacbench.errors import OutputError, StudyError
from lacbench.files import make_folder, output_errors, sha256_bytes, sha256_json, write_json, write_text
from lacbench.manifest import load_dataset
from lacbench.progress import Progress, Silent
from lacbench.records import Dataset
from lacbench.study import store as tables
from lacbench.study.answers import gold_name
from lacbench.study.design import Design, load_design
from lacbench.study.folder import FILE, STUDY, VERSION, Study
from lacbench.study.orders import ITEMS, Dice, Plan, Showing, plan_orders
from lacbench.study.stimuli import MEDIA, Media, Sources, keep_media
from lacbench.study.store import DATABASE, RATINGS, Store, database_url, insert_many, now
from lacbench.submission import open_submission


def create_study(
    file: Path, folder: Path, engine: Engine | None = None, progress: Progress | None = None
) -> Study:
    """Make a study of a study file in a new folder, ready for raters.

    Every picture is re-encoded; every rater's trials are drawn by seed and stored. A killed run is gone on
    with by the same call.

    Args:
        file: the study file.
        folder: where the study is to lie; not there, or empty.
        engine: where pictures are re-encoded.
        progress: who listens.

    Raises:
        StudyError: a study file that does not hold, a design that cannot be had, an output that is not like
            its line art, a database that cannot be used or holds a study of this name.
        InputError: no data set, or outputs that are missing, by name.
        OutputError: the folder holds something else, or cannot be written to.
    """
    engine, progress = engine or Local(), progress or Silent()
    design = load_design(file)
    url, dataset = _database(design), load_dataset(design.data)
    items, training = _drawn(design, dataset)
    gold = [_found(g.item, dataset, "gold") for g in design.gold]
    shown = list(dict.fromkeys([*items, *training, *gold]))
    orders = plan_orders(_plan(design, items, training, [shown.index(name) for name in gold]))
    sources = _sources(design, dataset, shown, [*items, *training], gold)
    _claim(folder)
    keep = partial(keep_media, folder.absolute(), design.items.size)
    media = list(progress.track(engine.map(keep, sources), "pictures", len(sources)))
    _store(design, url, folder, media, orders, _told(design, dataset, media, len(items)))
    shape = f"{len(items)} line arts × {len(design.methods)} methods"
    progress.say(f"study: {shape} for {len(orders)} raters, {sum(map(len, orders))} trials in all")
    return Study.open(folder)


def _store(
    design: Design,
    url: str,
    folder: Path,
    media: Sequence[Media],
    orders: Sequence[Sequence[Showing]],
    told: Mapping[str, Any],
) -> None:
    """Fill the database, and make the folder a study's."""
    write_text(folder / FILE, design.text)
    store = Store.open(url, folder)
    try:
        with store.writing() as connection:
            store.create(connection)
            _fill(store, connection, design, told["study"], media, orders)
            # Before the commit: a folder whose study is not in the database is refused, one without this file
            # is gone on with, and a study that no folder knows would keep its name for ever.
            write_json(folder / STUDY, told)
    finally:
        store.close()


def _database(design: Design) -> str:
    """URL of the study's database; empty for a file. Raises StudyError for one that cannot be used.

    A study file with a password is refused, too: study files are passed on.
    """
    if design.database and database_url(design.database).password is not None:
        raise StudyError(
            "the study file's database URL holds a password, and study files are passed on; leave it out "
            f"there, and set {DATABASE} in the environment to the whole URL"
        )
    url = os.environ.get(DATABASE, "") or design.database
    if url:
        database_url(url)
    return url


def _drawn(design: Design, dataset: Dataset) -> tuple[list[str], list[str]]:
    """Ids of the study's line arts, and of those for practice. Raises StudyError where there are too few."""
    dice = Dice(design.seed, ITEMS)
    there = dice.shuffled([member.record.sha256 for member in dataset.linearts])
    if design.items.list:
        items = [_found(name, dataset, "items.list") for name in design.items.list]
        if twice := [name for name in items if items.count(name) > 1]:
            raise StudyError(f"items.list names the line art {twice[0]} twice; expected each once; mend it")
    else:
        wanted = len(there) - design.ratings.training if design.items.draw is None else design.items.draw
        items = there[: max(wanted, 0)]
    left = [name for name in there if name not in items]
    training = left[: design.ratings.training]
    if len(items) < (design.items.draw or 0) or len(training) < design.ratings.training or not items:
        raise StudyError(
            f"{dataset.folder} has {len(there)} line arts; expected "
            f"{design.items.draw or max(len(items), 2)} for the study and {design.ratings.training} others "
            "for training; draw fewer, or add some"
        )
    return items, training


def _found(name: str, dataset: Dataset, where: str) -> str:
    """The one line art whose id begins so."""
    found = [m.record.sha256 for m in dataset.linearts if m.record.sha256.startswith(name)]
    if len(found) != 1:
        raise StudyError(
            f"{where}: {name} is the beginning of {len(found) or 'no'} line art ids of {dataset.folder}; "
            "expected exactly one; see its linearts.parquet"
        )
    return found[0]


def _plan(design: Design, items: Sequence[str], training: Sequence[str], gold: Sequence[int]) -> Plan:
    ratings = design.ratings
    return Plan(
        seed=design.seed,
        raters=ratings.raters,
        items=len(items),
        methods=len(design.methods),
        per_rater=ratings.items_per_rater or len(items),
        shown=design.shown,
        comparisons=ratings.comparisons,
        repeats=ratings.repeats,
        training=len(training),
        gold=tuple(gold),
    )


def _sources(
    design: Design, dataset: Dataset, shown: Sequence[str], coloured: Sequence[str], gold: Sequence[str]
) -> list[Sources]:
    """The files of each line art that is shown. Raises InputError, with names, for missing outputs."""
    outputs = {m: open_submission(folder, dataset).having(coloured) for m, folder in design.methods.items()}
    files = {member.record.sha256: dataset.file(member) for member in dataset.linearts}
    return [
        Sources(
            name,
            files[name],
            {method: found[name] for method, found in outputs.items() if name in found}
            | {gold_name(i): design.gold[i].picture for i, item in enumerate(gold) if item == name},
        )
        for name in shown
    ]


def _claim(folder: Path) -> None:
    """Raise OutputError where a folder holds anything but what a killed run of ours left there."""
    ours = {MEDIA, FILE, RATINGS, f"{RATINGS}-wal", f"{RATINGS}-shm", f"{RATINGS}-journal"}
    make_folder(folder)
    with output_errors(folder):
        others = sorted(p.name for p in folder.iterdir() if p.name not in ours and not p.name.startswith("."))
    if STUDY in others:
        raise OutputError(
            f"{folder} holds a study already; choose another folder: studies are never written over"
        )
    if others:
        raise OutputError(f"{folder} holds {others[0]}, which is no study's; choose an empty folder")


def _told(design: Design, dataset: Dataset, media: Sequence[Media], items: int) -> dict[str, Any]:
    """What study.json tells. The study's digest covers the design and all pictures, not where they lay."""
    places = {"data", "database", "methods", "gold"}
    stated = {
        **design.model_dump(mode="json", exclude=places),
        "methods": list(design.methods),
        "gold": [[gold.item, gold.expected] for gold in design.gold],
    }
    shown = {m.name: {"line_art": m.line_art, "outputs": dict(m.outputs)} for m in media}
    return {
        "lacbench_study": VERSION,
        "study": secrets.token_hex(16),
        "name": design.name,
        "created": now(),
        "items": items,
        "data": str(design.data),
        "data_digest": dataset.digest,
        "methods": {method: str(path) for method, path in design.methods.items()},
        "digest": sha256_json([stated, shown]),
        "file_digest": sha256_bytes(design.text.encode()),
    }


def _fill(
    store: Store,
    connection: sa.Connection,
    design: Design,
    uid: str,
    media: Sequence[Media],
    orders: Sequence[Sequence[Showing]],
) -> None:
    """Store the study: its pictures, its raters, their trials. Raises StudyError for a name that is taken."""
    if not store.insert_new(connection, tables.study, {"uid": uid, "name": design.name, "time": now()}):
        raise StudyError(
            f"the database {store.name} holds a study named {design.name!r} already; expected a new name; "
            "give this study another one"
        )
    study = connection.scalar(sa.select(tables.study.c.id).where(tables.study.c.uid == uid))
    items = insert_many(
        connection, tables.item, [{"study": study, "name": m.name, "picture": m.line_art} for m in media]
    )
    outputs = [(item, m, method) for item, m in zip(items, media, strict=True) for method in m.outputs]
    rows = [{"item": item, "method": method, "picture": m.outputs[method]} for item, m, method in outputs]
    numbers = insert_many(connection, tables.stimulus, rows)
    stimuli = {(item, method): number for (item, _, method), number in zip(outputs, numbers, strict=True)}
    digits = max(len(str(len(orders))), 2)
    raters = insert_many(
        connection,
        tables.rater,
        [{"study": study, "name": f"rater-{number + 1:0{digits}}"} for number in range(len(orders))],
    )
    names = [*design.methods, *map(gold_name, range(len(design.gold)))]
    for rater, showings in zip(raters, orders, strict=True):
        _assign(connection, rater, showings, items, names, stimuli)


def _assign(
    connection: sa.Connection,
    rater: int,
    showings: Sequence[Showing],
    items: Sequence[int],
    names: Sequence[str],
    stimuli: Mapping[tuple[int, str], int],
) -> None:
    """Store one rater's trials."""
    assignments = insert_many(
        connection,
        tables.assignment,
        [
            {
                "rater": rater,
                "position": at,
                "key": secrets.token_urlsafe(12),
                "item": items[s.item],
                "role": s.role,
            }
            for at, s in enumerate(showings)
        ],
    )
    rows = [
        {"assignment": assignment, "place": place, "stimulus": stimuli[items[s.item], names[method]]}
        for assignment, s in zip(assignments, showings, strict=True)
        for place, method in enumerate(s.methods)
    ]
    insert_many(connection, tables.shown, rows)
