"""What a data set holds and what it left out, to be leafed through: `lacbench explore DATA`."""

import sys
from pathlib import Path

import streamlit as st

from lacbench.errors import ImageError, LacbenchError
from lacbench.images import read, resize_shortest
from lacbench.manifest import load_dataset
from lacbench.records import SETS, Dataset, Member

COLUMNS, PAGE, THUMBNAIL = 6, 24, 200
"""Pictures a row, pictures a page, and a thumbnail's shortest side in pixels."""

opened = st.cache_resource(load_dataset)


def show_page(folder: Path) -> None:
    """The whole page for one data set's folder."""
    st.set_page_config("lacbench explore", layout="wide")
    try:
        dataset = opened(folder)
    except LacbenchError as error:
        st.error(str(error))
        return
    st.title(dataset.name)
    st.caption(f"Digest {dataset.digest}")
    counts = [(name.replace("linearts", "line arts"), len(getattr(dataset, name))) for name in SETS]
    counts.append(("left out", sum(dataset.dropped().values())))
    for column, (name, count) in zip(st.columns(3), counts, strict=True):
        column.metric(name.capitalize(), count)
    kept, dropped = st.tabs(["Kept", "Left out"])
    with kept:
        show_kept(dataset)
    with dropped:
        show_dropped(dataset)


def show_kept(dataset: Dataset) -> None:
    """Pictures of one set, filtered by split and licence."""
    set_column, split_column, license_column = st.columns(3)
    name = set_column.selectbox("Set", SETS)
    members: tuple[Member, ...] = getattr(dataset, name)
    splits = split_column.multiselect("Split", sorted({m.split for m in members}))
    licenses = license_column.multiselect("Licence", sorted({m.record.candidate.license for m in members}))
    chosen = [
        m
        for m in members
        if (not splits or m.split in splits) and (not licenses or m.record.candidate.license in licenses)
    ]
    captions = [f"{m.record.candidate.key.rsplit('/', 1)[-1]} · {m.split}" for m in chosen]
    show_grid([dataset.file(m) for m in chosen], captions, "kept")


def show_dropped(dataset: Dataset) -> None:
    """Pictures that were left out for one reason, with the numbers behind it."""
    reasons = dataset.dropped()
    if not reasons:
        st.info("Nothing was left out.")
        return
    reason = st.selectbox("Reason", reasons, format_func=lambda name: f"{name} ({reasons[name]})")
    entries = [e for e in dataset.ledger if not e.verdict.kept and e.verdict.reason == reason]
    shown = [(path, e) for e in entries if (path := dataset.stored(e.sha256))]
    captions = [f"{e.candidate.key.rsplit('/', 1)[-1]}: {e.verdict.detail}" for _, e in shown]
    show_grid([path for path, _ in shown], captions, "dropped")
    for entry in entries:
        if not entry.sha256:
            st.write(f"`{entry.candidate.key}`: {entry.verdict.detail}")


def show_grid(paths: list[Path], captions: list[str], key: str) -> None:
    """A page of thumbnails with captions."""
    pages = max(1, -(-len(paths) // PAGE))
    page = st.number_input(f"Page of {pages}", 1, pages, key=key) if pages > 1 else 1
    first = (int(page) - 1) * PAGE
    for row in range(first, min(first + PAGE, len(paths)), COLUMNS):
        for column, path, caption in zip(st.columns(COLUMNS), paths[row:], captions[row:], strict=False):
            try:
                column.image(resize_shortest(read(path), THUMBNAIL), caption=caption, output_format="PNG")
            except ImageError:
                column.caption(f"cannot be shown · {caption}")


if __name__ == "__main__":
    show_page(Path(sys.argv[1]))
