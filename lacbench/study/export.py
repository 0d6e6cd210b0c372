"""What raters said, as a file for analysis, and beside it what became of the study."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lacbench.errors import StudyError
from lacbench.files import atomic, sha256_file, sha256_lines, write_json, write_text
from lacbench.study.answers import Table, gold_name
from lacbench.study.folder import Study

VERSION = 1
"""Of the layout of the JSON beside the table."""
_WHOLE = ("score", "position", "milliseconds", "revisions")


def export(study: Study, path: Path, peek: str = "") -> dict[str, Any]:
    """Write a study's table as .csv or .parquet by the path's suffix, and `<name>.json` beside it.

    The JSON tells the study's digest, seed and screening rule, what the organiser did (closed, reopened,
    peeked: who, when), the right scores of gold pictures, and digests of the table. Raters stand under their
    pseudonyms; nothing leads to a link.

    Args:
        study: the opened study.
        path: the table's file.
        peek: who looks at a study that is still open, which is recorded; empty for nobody.

    Returns what the JSON tells. Raises StudyError for a study that is open (without `peek`) and for another
    suffix, OutputError where a file cannot be written.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise StudyError(f"{path} names no table: expected a name that ends in .csv or .parquet; give one")
    table = study.peek(peek) if peek and not study.closed else study.table()
    if path.suffix.lower() == ".csv":
        write_text(path, _csv(table))
    else:
        with atomic(path) as temporary:
            pq.write_table(_arrow(table), temporary)
    told = _told(study, table) | {"file": path.name, "file_sha256": sha256_file(path)}
    write_json(path.with_suffix(".json"), told)
    return told


def table_digest(table: Table) -> str:
    """SHA-256 over the rows as JSON, a line each, sorted: the same for equal rows in any order."""
    rows = (dict(zip(table, values, strict=True)) for values in _rows(table))
    return sha256_lines(sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in rows))


def _told(study: Study, table: Table) -> dict[str, Any]:
    design, events = study.design, study.events()
    return {
        "lacbench_export": VERSION,
        "study": study.name,
        "study_digest": study.told["digest"],
        "data_digest": study.told["data_digest"],
        "mode": design.ratings.mode,
        "seed": design.seed,
        "methods": sorted(design.methods),
        "screening": design.screening.model_dump(),
        "gold": {gold_name(number): list(gold.expected) for number, gold in enumerate(design.gold)},
        "closed": study.closed,
        "events": events,
        "peeks": sum(event["kind"] == "peek" for event in events),
        "rows": len(table["rater"]),
        "digest": table_digest(table),
    }


def _rows(table: Table) -> list[tuple[Any, ...]]:
    return list(zip(*table.values(), strict=True))


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(_rows(table))
    return text.getvalue()


def _arrow(table: Table) -> pa.Table:
    """The table with types that do not depend on its rows."""
    kinds = [(name, pa.int64() if name in _WHOLE else pa.string()) for name in table]
    columns: Sequence[Any] = [pa.array(table[name], kind) for name, kind in kinds]
    return pa.table(columns, schema=pa.schema(kinds))
