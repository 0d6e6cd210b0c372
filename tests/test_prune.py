"""Works that are taken out: gone with all that is the same picture, and they stay gone."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from test_collecting import ALL, Site, names, paths

from lacbench.card import write_card
from lacbench.curate import build_dataset
from lacbench.errors import InputError, OutputError
from lacbench.files import md5_bytes, sha256_file
from lacbench.images import write_png
from lacbench.journal import JOURNAL, Journal
from lacbench.manifest import save_dataset
from lacbench.prune import prune
from lacbench.records import KEPT, Dataset, LedgerEntry, Member, Verdict
from lacbench.verify import verify

from made import ZERO, build, draw_figure, record
from servers.talk import talking


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    here = Site(tmp_path)
    with talking(here.answer) as here.talk:
        yield here


def excluding(folder: Path, *rules: str) -> Path:
    (folder / "rules.txt").write_text("# by wish of the author\n" + "\n".join(rules) + "\n")
    return folder / "rules.txt"


def ident(number: int) -> str:
    return f"{number:064x}"


def dataset_of(folder: Path, told: dict[str, tuple[int, Verdict]]) -> Dataset:
    """A data set of candidates by key: number of the picture (0: never stored), and verdict."""
    entries, members = [], []
    for key, (number, verdict) in sorted(told.items()):
        one = record(ident(number), ZERO)
        candidate = record(key, ZERO).candidate
        entries.append(LedgerEntry(candidate, verdict, ident(number) if number else ""))
        if number:
            write_png(folder / one.path, draw_figure(number)[0])
        if verdict.kept:
            members.append(Member(record(ident(number), ZERO), "train"))
    return save_dataset(folder, members, [], entries, 'name = "made"')


def repeat(reason: str, keeper: int) -> Verdict:
    return Verdict(False, reason, "", ident(keeper), 3)


def left(dataset: Dataset) -> set[int]:
    """Numbers of the pictures whose files are still there."""
    return {int(p.stem, 16) for p in dataset.folder.glob("images/*/*")}


UNSTORED = {
    "gone": (0, Verdict(False, "missing")),
    "over": (0, Verdict(False, "surplus")),
    "secret": (0, Verdict(False, "hidden")),
    "a": (1, KEPT),
    "b": (2, KEPT),
    "c": (3, Verdict(False, "small")),
}


@pytest.mark.parametrize("key", ["gone", "over", "secret"])
def test_a_rule_that_names_what_was_never_stored_takes_nothing_else(tmp_path: Path, key: str) -> None:
    dataset_of(tmp_path / "data", UNSTORED)
    pruned = prune(tmp_path / "data", excluding(tmp_path, f"id: {key}"))
    assert (pruned.excluded, pruned.unknown) == (1, ())
    assert len(pruned.dataset.illustrations) == 2
    assert left(pruned.dataset) == {1, 2, 3}
    told = {e.candidate.key: e.verdict.reason for e in pruned.dataset.ledger}
    assert told == {k: "excluded" if k == key else v.reason for k, (_, v) in UNSTORED.items()}


GROUP = {
    "large": (1, KEPT),
    "medium": (2, repeat("duplicate", 1)),
    "small": (3, repeat("duplicate", 1)),
    "colored": (4, repeat("leak", 1)),
    "colored-again": (5, repeat("duplicate", 4)),
    "other": (6, KEPT),
    "others-twin": (7, repeat("duplicate", 6)),
}


@pytest.mark.parametrize("key", ["large", "medium", "small", "colored", "colored-again"])
def test_every_copy_goes_whichever_is_named(tmp_path: Path, key: str) -> None:
    dataset_of(tmp_path / "data", GROUP)
    pruned = prune(tmp_path / "data", excluding(tmp_path, f"id: {key}"))
    assert pruned.excluded == 5
    assert left(pruned.dataset) == {6, 7}
    assert [m.record.sha256 for m in pruned.dataset.illustrations] == [ident(6)]
    details = {e.candidate.key: e.verdict.detail for e in pruned.dataset.ledger}
    assert details[key] == f"id: {key}"
    assert prune(tmp_path / "data", tmp_path / "rules.txt") == pruned


def test_pruned_works_are_gone_and_stay_gone(site: Site, tmp_path: Path) -> None:
    again = ["/c/2.png?twin"]
    site.bytes = lambda path, plain=site.bytes: plain(path.partition("?")[0])  # type: ignore[method-assign]
    by_ann = site.source("by", ["/c/30.png"], artist="Ann")
    recipe = site.recipe(site.source("all", ALL), site.source("twin", again), by_ann)
    data = tmp_path / "data"
    dataset = build_dataset(recipe, data)
    by_name = {m.record.candidate.url.split("/", 3)[3]: m for m in dataset.illustrations}
    rules = [f"url: {site.talk.url}/c/2.png", "artist: ann", by_name["c/4.png"].record.sha256,
             f"md5: {md5_bytes(site.bytes('/c/6.png'))}", "id: nothing"]  # fmt: skip
    pruned = prune(data, excluding(tmp_path, *rules))
    assert pruned.unknown == ("id: nothing",)
    kept = sorted(f"c/{n}.png" for n in range(12) if n not in (2, 4, 6))
    assert names(pruned.dataset) == kept
    assert pruned.excluded == 5  # the twin of the second too
    for name in ("c/2.png", "c/4.png", "c/6.png", "c/30.png"):
        assert not dataset.file(by_name[name]).exists()
    before = len(site.talk.asked)
    rebuilt = build_dataset(recipe, data)
    assert names(rebuilt) == kept
    assert len(site.talk.asked) == before  # not even asked for
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "work").mkdir()
    (elsewhere / "excluded.txt").write_bytes((data / "excluded.txt").read_bytes())
    anew = build_dataset(recipe, elsewhere)
    assert names(anew) == kept
    assert {p.stem for p in elsewhere.glob("images/*/*")} == {p.stem for p in data.glob("images/*/*")}


def test_a_smaller_copy_takes_its_keeper_out_of_a_real_build(drawn_art: Path, tmp_path: Path) -> None:
    for size in (210, 230):
        write_png(drawn_art / f"illustrations/copy-{size}.png", draw_figure(3, size)[0])
    dataset = build(drawn_art, tmp_path / "data")
    twins = {e.sha256 for e in dataset.ledger if e.verdict.reason == "duplicate"}
    assert len(twins) == 2
    pruned = prune(tmp_path / "data", excluding(tmp_path, min(twins)))
    assert pruned.excluded == 3
    assert len(pruned.dataset.illustrations) == len(dataset.illustrations) - 1
    assert verify(tmp_path / "data").differences == ()
    assert build(drawn_art, tmp_path / "data") == pruned.dataset


@pytest.mark.parametrize("handed_on", [False, True])
def test_a_rule_by_md5_is_known_when_the_file_is_gone(
    drawn_art: Path, tmp_path: Path, handed_on: bool
) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    if handed_on:
        shutil.rmtree(tmp_path / "data/work")
    md5 = md5_bytes(dataset.file(dataset.illustrations[0]).read_bytes())
    # The same work is named twice: it is the MD5 that is remembered.
    key = dataset.illustrations[0].record.candidate.key
    rules = excluding(tmp_path, f"id: {key}", f"md5: {md5}", f"md5: {'0' * 32}")
    for _ in range(3):
        pruned = prune(tmp_path / "data", rules)
        assert (pruned.excluded, pruned.unknown) == (1, (f"md5: {'0' * 32}",))


def test_the_md5_that_a_site_has_names_a_drawing_that_was_rendered(tmp_path: Path, drawn_art: Path) -> None:
    pytest.importorskip("resvg_py")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h4v9z" fill="red"/></svg>'
    (drawn_art / "illustrations/drawn.svg").write_bytes(svg)
    build(drawn_art, tmp_path / "data")
    pruned = prune(tmp_path / "data", excluding(tmp_path, f"md5: {md5_bytes(svg)}"))
    assert (pruned.excluded, pruned.unknown) == (1, ())


def test_the_card_shows_nothing_of_what_was_taken_out(drawn_art: Path, tmp_path: Path) -> None:
    write_png(drawn_art / "illustrations/tiny.png", draw_figure(50, 90)[0])
    dataset = build(drawn_art, tmp_path / "data")
    sheets = tmp_path / "data/card"
    before = sha256_file(sheets / "kept-illustrations.jpg")
    assert (sheets / "dropped-small.jpg").is_file()
    (sheets / "notes.txt").write_text("mine")
    key = dataset.illustrations[0].record.candidate.key
    prune(tmp_path / "data", excluding(tmp_path, "id: illustrations/tiny.png", f"id: {key}"))
    assert not (sheets / "dropped-small.jpg").exists() and not (sheets / "dropped-excluded.jpg").exists()
    assert sha256_file(sheets / "kept-illustrations.jpg") != before
    assert (sheets / "notes.txt").read_text() == "mine"


def test_the_card_still_says_what_was_left_out_and_who_was_asked(site: Site, tmp_path: Path) -> None:
    dataset = build_dataset(site.recipe(site.source("all", ALL)), tmp_path / "data")
    with Journal(tmp_path / "data" / JOURNAL) as journal:
        write_card(dataset, {"gone-*": "apt-get is not on this machine"}, journal.asked())
    shutil.rmtree(tmp_path / "data/work")  # as it is handed on
    before = json.loads((tmp_path / "data/card.json").read_text())
    prune(tmp_path / "data", excluding(tmp_path, f"url: {site.talk.url}{paths('c', range(1))[0]}"))
    after = json.loads((tmp_path / "data/card.json").read_text())
    assert {k: after[k] for k in ("sources_left_out", "asked")} == {
        k: before[k] for k in ("sources_left_out", "asked")
    }
    text = (tmp_path / "data/card.md").read_text()
    assert "## Sources left out\n\n- gone-\\*: apt-get is not on this machine" in text
    assert not (tmp_path / "data/work").exists()


def test_it_waits_for_no_build_and_no_build_for_it(
    drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(drawn_art, tmp_path / "data")
    rules = excluding(tmp_path, "id: illustrations/00.png")
    before = {p: p.read_bytes() for p in (tmp_path / "data").glob("*.*")}
    with (
        Journal(tmp_path / "data" / JOURNAL),
        pytest.raises(OutputError, match="in use by another lacbench"),
    ):
        prune(tmp_path / "data", rules)
    assert {p: p.read_bytes() for p in (tmp_path / "data").glob("*.*")} == before

    def meanwhile(*_: object) -> None:
        with pytest.raises(OutputError, match="in use by another lacbench"):
            build(drawn_art, tmp_path / "data")
        asked.append(1)

    asked: list[int] = []
    monkeypatch.setattr("lacbench.prune.write_card", meanwhile)
    prune(tmp_path / "data", rules)
    assert asked


@pytest.mark.parametrize("kind", ["version", "broken"])
def test_a_journal_that_is_none_of_ours_stays_as_it_is(drawn_art: Path, tmp_path: Path, kind: str) -> None:
    build(drawn_art, tmp_path / "data")
    file = tmp_path / "data" / JOURNAL
    if kind == "broken":
        file.write_bytes(b"no table at all " * 300)
    else:
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA user_version = 99")
            db.commit()
    before = file.read_bytes()
    assert prune(tmp_path / "data", excluding(tmp_path, "id: illustrations/00.png")).excluded == 1
    assert file.read_bytes() == before


def test_no_data_set_and_no_rules_are_said(drawn_art: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no data set"):
        prune(tmp_path / "nothing", excluding(tmp_path, "id: 1"))
    assert not (tmp_path / "nothing").exists()
    build(drawn_art, tmp_path / "data")
    with pytest.raises(InputError, match="cannot be read as a list of works"):
        prune(tmp_path / "data", tmp_path / "none.txt")
    assert not (tmp_path / "data/excluded.txt").exists()
