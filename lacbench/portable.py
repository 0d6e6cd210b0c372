"""A recipe as it can be passed on: without this machine's folders, its hosts, and whom sites may write to."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from lacbench.errors import RecipeError
from lacbench.records import Record
from lacbench.sources import open_kind

PRIVATE = ("contact", "allow_hosts")
"""Keys of `[collect]` that speak of whoever runs the recipe."""
_ORIGIN = re.compile(r"(apt|npm): (\S+) (\S+)")


def portable_recipe(text: str, records: Iterable[Record]) -> str:
    """The recipe anew, without comments; paths are named after their source, packages by exact version.

    Args:
        text: as it was run.
        records: what came of it; their origins tell the packages' versions.

    Raises RecipeError for a text that is no recipe.
    """
    try:
        told = tomllib.loads(text)
        versions = _versions(records)
        told["sources"] = [_portable(table, versions.get(table["name"], {})) for table in told["sources"]]
        for model in told.get("filters", {}).get("classifiers", ()):
            model["model"] = f"{model['name']}.onnx"
        told["collect"] = {k: v for k, v in told.get("collect", {}).items() if k not in PRIVATE}
        return "\n".join(toml_lines(told)) + "\n"
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"the data set's recipe.toml does not hold: {error}; build the data set again"
        ) from error


def _portable(table: dict[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """A source's table whose paths are relative, and say nothing but the source's name."""
    paths = open_kind(table["kind"]).local_paths
    several = len(paths) > 1
    for key in paths:
        if key in table:
            suffix = "".join(PurePath(table[key]).suffixes[-2:]) if key == "file" else ""
            table[key] = f"{table['name']}{f'-{key}' * several}{suffix}"
    return (
        {**table, "versions": dict(sorted(versions.items()))}
        if table["kind"] == "packages" and versions
        else table
    )


def _versions(records: Iterable[Record]) -> dict[str, dict[str, str]]:
    """Versions of packages by source and package, as the records' origins tell."""
    found: dict[str, dict[str, str]] = {}
    for record in records:
        if told := _ORIGIN.fullmatch(record.candidate.origin):
            found.setdefault(record.candidate.source, {})[told[2]] = told[3]
    return found


def toml_lines(table: Mapping[str, Any], path: str = "") -> Iterable[str]:
    """A table as lines of TOML: its values, then its tables, then its arrays of tables."""
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    arrays = {k: v for k, v in table.items() if isinstance(v, list) and v and isinstance(v[0], Mapping)}
    for key, value in table.items():
        if key not in tables and key not in arrays:
            yield f"{_quoted(key)} = {_value(value)}"
    for key, inner in tables.items():
        if inner:
            yield from ("", f"[{path}{_quoted(key)}]")
            yield from toml_lines(inner, f"{path}{_quoted(key)}.")
    for key, inners in arrays.items():
        for inner in inners:
            yield from ("", f"[[{path}{_quoted(key)}]]")
            yield from toml_lines(inner, f"{path}{_quoted(key)}.")


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """A value as TOML: JSON's texts and truths are TOML's too, as are Python's numbers, `inf` included."""
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_quoted(k)} = {_value(v)}' for k, v in value.items())} }}"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
