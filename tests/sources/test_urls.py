"""Source kind `urls`: CSV, JSON lines and Parquet that say the same, and what is wrong with some."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError, LacbenchError
from lacbench.progress import Silent
from lacbench.sources import Visit
from lacbench.sources.urls import Urls

from made import Listener, NoWeb, offered

ROWS: list[dict[str, Any]] = [
    {
        "url": "https://example.org/a.png",
        "set": "linearts",
        "key": "a",
        "license": "CC-BY-4.0",
        "artist": "somebody",
        "page": "https://example.org/a",
        "tags": "long hair, blue_eyes",
        "rating": "Safe",
        "score": 3,
        "md5": "A" * 32,
        "width": 10,
        "height": 20,
        "pair": "p",
        "other": "ignored",
    },
    {"url": "https://example.org/b c.png", "set": "illustrations", "pair": "p"},
    {"url": "not there", "set": "illustrations"},
]


def table(folder: Path, rows: list[dict[str, Any]], name: str = "t.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path, frame = folder / name, pd.DataFrame(rows)
    if ".csv" in name:
        frame.to_csv(path, index=False)
    elif ".jsonl" in name:
        data = "".join(json.dumps(r) + "\n" for r in rows).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    else:
        frame.to_parquet(path)
    return path


def spec(file: Path, **more: Any) -> Urls:
    return Urls.model_validate({"name": "u", "kind": "urls", "file": file, **more})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_every_format_says_the_same(tmp_path: Path, name: str) -> None:
    found = offered(spec(table(tmp_path, ROWS, name)), tmp_path / "out")
    assert [c.key for c in found] == ["a", "https://example.org/b%20c.png", "row 3"]
    first, second, third = found
    assert (first.set, first.license, first.artist, first.rating) == (
        "linearts",
        "CC-BY-4.0",
        "somebody",
        "safe",
    )
    assert (first.score, first.md5, first.width, first.height) == (3, "a" * 32, 10, 20)
    assert (first.tags, first.page) == (("blue_eyes", "long_hair"), "https://example.org/a")
    assert first.pair == second.pair == "u/p" and third.pair == ""
    assert second.url == "https://example.org/b%20c.png" and second.license == "unknown"
    assert (third.url, third.origin) == ("", f"row 3 of {name}")
    assert first.origin == "example.org"


def test_the_table_of_the_recipe_names_the_set(tmp_path: Path) -> None:
    file = table(tmp_path, [{"url": "https://example.org/1"}])
    assert offered(spec(file, set="linearts"), tmp_path)[0].set == "linearts"
    with pytest.raises(InputError, match=r"row 1 of .*expected `set`"):
        offered(spec(file), tmp_path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"url": "https://example.org/1", "md5": "abc"}, "row 2 of .*expected `md5`.*'abc'"),
        ({"url": "https://example.org/1", "set": "linart"}, "row 2 of .*expected `set`.*'linart'"),
    ],
)
def test_rows_that_do_not_hold_are_named(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    good = {"url": "https://example.org/0", "set": "illustrations", "md5": ""}
    with pytest.raises(InputError, match=told):
        offered(spec(table(tmp_path, [good, row], "t.jsonl"), set="illustrations"), tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("t.csv", b"", "has no rows"),
        ("t.csv", b"url\n", "has no rows"),
        ("t.csv", b"a,b\n1,2\n", "expected a column `url`, got a, b"),
        ("t.csv", b"url\n\xff\n", "cannot be read"),
        ("t.csv", b"url\n" + b"a" * 200_000, "cannot be read"),
        ("t.csv.gz", b"url", "cannot be read"),
        ("t.jsonl", b"{\n", "no object"),
        ("t.parquet", b"PAR1", "cannot be read"),
        ("t.txt", b"", "no known kind"),
        ("t.parquet.gz", b"", "no known kind"),
    ],
)
def test_tables_that_do_not_hold(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=told):
        offered(spec(tmp_path / name, set="illustrations"), tmp_path)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        offered(spec(tmp_path / "t.csv"), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        spec(tmp_path / "t.csv").stamp()


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_of_a_repeated_key_the_first_row_counts_on_every_page(tmp_path: Path, name: str) -> None:
    rows = [{"url": f"https://example.org/{n % 2_500}", "license": f"L{n}"} for n in range(5_000)]
    source = spec(table(tmp_path, rows, name), set="illustrations")
    listener = Listener()
    pages = list(source.pages("", Visit(tmp_path, listener, NoWeb())))
    assert [len(p.candidates) for p in pages] == [1_000, 1_000, 500]
    whole = [c for p in pages for c in p.candidates]
    assert [c.license for c in whole] == [f"L{n}" for n in range(2_500)]
    assert listener.said == ["source u: 2500 rows repeat an earlier key, passed over"]
    rest = source.pages(pages[1].cursor, Visit(tmp_path, Silent(), NoWeb()))
    assert [c for p in rest for c in p.candidates] == whole[2_000:]


def test_limits_are_of_each_set(tmp_path: Path) -> None:
    rows = [
        {"url": f"https://example.org/{n}", "set": "linearts" if n % 3 else "illustrations"}
        for n in range(30)
    ]
    found = offered(spec(table(tmp_path, rows), limit=4), tmp_path)
    assert sorted(c.set for c in found) == ["illustrations"] * 4 + ["linearts"] * 4


def test_the_plan_names_hosts(tmp_path: Path) -> None:
    told = spec(table(tmp_path, ROWS)).plan()
    assert told[1] == "most of its first 1000 rows name example.org"


def test_films_are_refused_unseen(tmp_path: Path) -> None:
    source = spec(table(tmp_path, [{"url": "https://example.org/a.MP4?x=1.png"}]), set="linearts")
    assert source.accepts(offered(source, tmp_path)[0]).detail == ".mp4 is no still picture"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=VALUES, junk=st.binary(max_size=60), name=st.sampled_from(["t.csv", "t.jsonl", "t.parquet"]))
@settings(max_examples=150)
def test_nothing_but_our_own_errors_comes_out(
    tmp_path_factory: pytest.TempPathFactory, value: Any, junk: bytes, name: str
) -> None:
    folder = tmp_path_factory.mktemp("u")
    rows = [
        {**ROWS[0], "url": f"https://example.org/{n}", c: value} for n, c in enumerate(ROWS[0]) if c != "set"
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / name).write_bytes(junk)
    for file in (folder / "rows.jsonl", folder / name):
        try:
            for c in offered(spec(file, set="linearts"), folder):
                (c.origin + c.artist + c.key + c.license + c.page + c.pair + "".join(c.tags)).encode()
        except LacbenchError as error:
            str(error).encode("utf-8", "backslashreplace")
