"""What a data set holds and what it left out, to be leafed through: `lacbench explore DATA`.

Manifests are asked for a page at a time (`lacbench.browse`), so that memory does not grow with them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import streamlit as st

from lacbench.browse import Column, Conditions, Contains, Leaves, OneOf, Range
from lacbench.dashboards.compare import Exhibits, open_exhibits, show_line_art
from lacbench.dashboards.pictures import STYLE, fit, plain, show_picture
from lacbench.errors import LacbenchError
from lacbench.reasons import REASONS
from lacbench.records import SETS

PAGE = 24
"""Pictures a page."""
LEAVES: dict[str, str] = {"illustrations": "Illustrations", "linearts": "Line arts"}

opened = st.cache_resource(show_spinner=False)(Leaves)
exhibited = st.cache_resource(show_spinner="Opening the submissions …")(open_exhibits)


@st.cache_data(show_spinner="Looking through the manifest …")
def columns_of(path: Path) -> list[Column]:
    """What a manifest can be filtered by; gone through once."""
    return opened(path).columns()


def show_page(folder: Path, name: str, digest: str, submissions: Mapping[str, Path], hints: str) -> None:
    """The whole page for one data set's folder."""
    st.set_page_config("lacbench explore", layout="wide")
    st.html(STYLE)
    st.title(plain(name))
    st.caption(f"Digest {digest}")
    ledger = opened(folder / "ledger.parquet")
    counts = {title: opened(folder / f"{leaves}.parquet").count({}) for leaves, title in LEAVES.items()}
    counts["Left out"] = ledger.count({"kept": OneOf((False,))})
    with st.container(horizontal=True, gap="large"):
        for title, count in counts.items():
            st.metric(title, f"{count:,}", width="content")
    names = ["Kept", "Left out", "To review", "Compare"]
    kept, dropped, review, compare = st.tabs(names, on_change="rerun")  # else all four would read pictures
    with kept:
        if kept.open:
            show_kept(folder)
    with dropped:
        if dropped.open:
            show_dropped(folder, counts["Left out"])
    with review:
        if review.open:
            show_review(folder)
    with compare:
        if compare.open:
            show_compare(exhibited(folder, submissions, hints))


def show_kept(folder: Path) -> None:
    """Pictures of one set, filtered by any column."""
    chosen = st.selectbox("Set", SETS, format_func=lambda name: LEAVES[name])
    path = folder / f"{chosen}.parquet"
    conditions = ask_conditions(path, f"kept-{chosen}")
    rows = ask_page(opened(path), conditions, f"kept-{chosen}")
    with st.container(horizontal=True):
        for row in rows:
            show_picture(folder / row["file"], f"{short(row['key'])} · {row['split']}")
    show_table(rows)


def show_dropped(folder: Path, count: int) -> None:
    """Pictures that were left out, for one reason or any; beside its keeper what lost to one."""
    path = folder / "ledger.parquet"
    if not count:
        st.info("Nothing was left out.")
        return
    reasons = reasons_of(path)
    reason = st.selectbox("Reason", reasons, format_func=lambda name: f"{name} ({reasons[name]})")
    st.write(REASONS.get(reason, ""))
    asked = ask_conditions(path, "dropped", without={"kept", "reason"})
    conditions = {"kept": OneOf((False,)), "reason": OneOf((reason,))} | dict(asked)
    rows = ask_page(opened(path), conditions, "dropped")
    with st.container(horizontal=True):
        for row in rows:
            show_entry(folder, row)
    show_table(rows)


def show_entry(folder: Path, row: dict[str, Any]) -> None:
    """One that was left out, with the numbers behind it, and with its keeper where it has one."""
    told = f"{short(row['key'])}: {row['detail'] or ''}"
    file = stored(folder, row["sha256"])
    if not row["keeper"]:
        show_picture(file, told)
        return
    with st.container(horizontal=True, border=True, width="content"):
        show_picture(file, told, "Left out")
        show_picture(stored(folder, row["keeper"]), row["keeper"][:12], "Kept")


def show_review(folder: Path) -> None:
    """Kept pictures that are nearly duplicates, in pairs."""
    path = folder / "review.parquet"
    if not path.is_file() or not opened(path).count({}):
        st.info("No two kept pictures are nearly duplicates.")
        return
    conditions = ask_conditions(path, "review")
    rows = ask_page(opened(path), conditions, "review", "pair")
    with st.container(horizontal=True):
        for row in rows:
            with st.container(border=True, width="content"):
                st.caption(f"{row['distance']} of 256 bits differ")
                with st.container(horizontal=True):
                    for side in ("a", "b"):
                        show_picture(stored(folder, row[side]), row[side][:12])


def show_compare(exhibits: Exhibits) -> None:
    """One line art with its hints, through all submissions."""
    path = exhibits.folder / "linearts.parquet"
    text = st.text_input("Find line arts by name or id")
    rows: list[dict[str, Any]] = []
    for column in ("key", "sha256"):
        conditions: Conditions = {column: Contains(text.strip())} if text.strip() else {}
        if count := opened(path).count(conditions):
            number = st.number_input(f"Line art, 1 to {count:,}", 1, count, key=fit("line-art", count))
            rows = opened(path).page(conditions, int(number) - 1, 1)
            break
    if not rows:
        st.info("There is no such line art.")
        return
    show_line_art(exhibits, rows[0])


def ask_conditions(path: Path, key: str, without: set[str] | frozenset[str] = frozenset()) -> Conditions:
    """What the visitor wants to see: a widget for each column that they choose."""
    columns = {column.name: column for column in columns_of(path) if column.name not in without}
    chosen = st.multiselect("Filter by", columns, key=f"filter-{key}")
    asked = {name: ask(columns[name], f"{key}-{name}") for name in chosen}
    return {name: condition for name, condition in asked.items() if condition}


def ask(column: Column, key: str) -> Range | OneOf | Contains | None:
    """A condition on one column; None for none."""
    if column.kind == "category":
        values = st.multiselect(column.name, column.values, key=key)
        return OneOf(tuple(values)) if values else None
    if column.kind == "text":
        text = st.text_input(f"{column.name} contains", key=key)
        return Contains(text) if text else None
    style: dict[str, Any] = {"min_value": column.least, "max_value": column.most}
    if isinstance(column.least, float):
        style["format"] = "%.4f"
    low, high = st.columns(2)
    least = low.number_input(f"{column.name} from", value=column.least, key=f"{key}-low", **style)
    most = high.number_input(f"{column.name} to", value=column.most, key=f"{key}-high", **style)
    return Range(least, most)


def ask_page(leaves: Leaves, conditions: Conditions, key: str, noun: str = "picture") -> list[dict[str, Any]]:
    """The rows of the page that the visitor is at."""
    count = leaves.count(conditions)
    pages = max(1, -(-count // PAGE))
    st.caption(f"{count:,} {noun}{'s' * (count != 1)}")
    page = 1
    if pages > 1:
        page = int(st.number_input(f"Page of {pages:,}", 1, pages, key=fit(f"page-{key}", pages)))
    return leaves.page(conditions, (page - 1) * PAGE, PAGE)


def show_table(rows: list[dict[str, Any]]) -> None:
    """Every column of the rows that are shown."""
    if rows:
        with st.expander("All columns of these pictures"):
            st.dataframe([{k: v for k, v in row.items() if not isinstance(v, bytes)} for row in rows])


@st.cache_data(show_spinner=False)
def reasons_of(path: Path) -> dict[str, int]:
    """How many candidates were left out, by reason, in the ledger's order."""
    counts = {name: opened(path).count({"reason": OneOf((name,))}) for name in REASONS}
    return {name: count for name, count in counts.items() if count}


def stored(folder: Path, sha256: str) -> Path | None:
    """The stored picture of that id; None where no bytes were stored."""
    return next(folder.glob(f"images/{sha256[:2]}/{sha256}.*"), None) if sha256 else None


def short(key: str) -> str:
    """A picture's name without the folders that it came in."""
    return key.rsplit("/", 1)[-1]


if __name__ == "__main__":
    try:
        given = cast(dict[str, Any], json.loads(sys.argv[1]))
        outputs = {name: Path(path) for name, path in given["submissions"].items()}
        show_page(Path(given["data"]), given["name"], given["digest"], outputs, given["hints"])
    except LacbenchError as error:
        st.error(str(error))
