"""Building from sites: targets, files shared by sources, retries, refreshes, what was asked."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lacbench.curate import DONE, build_dataset
from lacbench.errors import FetchError, InputError, OutputError, RecipeError
from lacbench.files import PART, md5_bytes
from lacbench.gather import PARTS
from lacbench.images import encode_png
from lacbench.journal import JOURNAL, Journal
from lacbench.progress import Silent
from lacbench.recipe import Recipe, parse_recipe
from lacbench.records import Dataset

from made import Listener, draw_figure
from servers.talk import Reply, Talk, talking

HEAD = """
name = "site"
[collect]
contact = "me@example.org"
allow_hosts = ["127.0.0.1"]
requests_per_second = 100
attempts = 2
"""


@dataclass
class Site:
    """A site of drawn figures: /c/<n>.png in colour, /l/<n>.png lines; some may be missing or changed."""

    folder: Path
    gone: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    talk: Talk = field(default_factory=lambda: Talk(""))

    def bytes(self, path: str) -> bytes:
        kind, number = path.strip("/").removesuffix(".png").split("/")
        shift = 500 if path in self.changed else 0
        return encode_png(draw_figure(int(number) + shift)[kind == "l"])

    def answer(self, path: str, n: int) -> Reply:
        if path == "/robots.txt" or path in self.gone:
            return 404, {}, b""
        data = self.bytes(path)
        tag = f'"{md5_bytes(data)}"'
        if self.talk.asked[-1].headers.get("If-None-Match") == tag:
            return 304, {"ETag": tag}, b""
        return 200, {"ETag": tag}, data

    def source(self, name: str, paths: Sequence[str], more: str = "", **columns: str) -> str:
        """A table of addresses, written beside the recipe, and its source."""
        with (self.folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["url", "set", *columns])
            writer.writeheader()
            for path in paths:
                kind = "linearts" if path.startswith("/l") else "illustrations"
                filled = {k: v if k != "md5" else md5_bytes(self.bytes(path)) for k, v in columns.items()}
                writer.writerow({"url": self.talk.url + path, "set": kind, **filled})
        return f'[[sources]]\nname = "{name}"\nkind = "urls"\nfile = "{name}.csv"\n{more}\n'

    def recipe(self, *sources: str, head: str = "") -> Recipe:
        return parse_recipe(HEAD + head + "".join(sources), self.folder)

    def asked(self) -> list[str]:
        return [request.path for request in self.talk.asked if request.path != "/robots.txt"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    here = Site(tmp_path)
    with talking(here.answer) as here.talk:
        yield here


def paths(kind: str, numbers: range) -> list[str]:
    return [f"/{kind}/{n}.png" for n in numbers]


ALL = paths("c", range(12)) + paths("l", range(100, 104))


def names(dataset: Dataset) -> list[str]:
    return sorted(m.record.candidate.url.split("/", 3)[3] for m in dataset.illustrations)


def reasons(dataset: Dataset) -> dict[str, str]:
    return {e.candidate.url.split("/", 3)[3]: e.verdict.reason for e in dataset.ledger}


def test_targets_are_met_in_the_recipes_order_and_no_more_is_fetched(site: Site, tmp_path: Path) -> None:
    first, second = [*paths("c", range(6)), "/l/100.png", "/l/101.png"], paths("c", range(20, 60))
    recipe = site.recipe(
        site.source("first", first), site.source("second", second),
        head="[targets]\nillustrations = 9\nlinearts = 1\n",
    )  # fmt: skip
    dataset = build_dataset(recipe, tmp_path / "data")
    assert names(dataset) == sorted([f"c/{n}.png" for n in [*range(6), *range(20, 23)]])
    assert len(dataset.linearts) == 1
    assert len(site.asked()) == 10
    assert len(dataset.ledger) == len(first) + len(second)
    assert dataset.dropped() == {"surplus": 38}


def test_what_falls_is_replaced_until_the_target_is_met(site: Site, tmp_path: Path) -> None:
    """Missing files and duplicates do not count; the same run over again takes the same."""
    site.gone = set(paths("c", range(0, 10, 2)))
    offered = [*paths("c", range(30)), "/l/100.png"]
    recipe = site.recipe(site.source("all", offered), head="[targets]\nillustrations = 12\nlinearts = 1\n")
    dataset = build_dataset(recipe, tmp_path / "data")
    assert len(dataset.illustrations) == 12
    assert dataset.dropped()["missing"] == 5
    before = len(site.talk.asked)
    (tmp_path / "data" / DONE).unlink()
    assert build_dataset(recipe, tmp_path / "data") == dataset
    assert len(site.talk.asked) == before


def test_a_target_that_cannot_be_met_takes_all_there_is(site: Site, tmp_path: Path) -> None:
    recipe = site.recipe(site.source("all", ALL), head="[targets]\nillustrations = 1000\nlinearts = 1000\n")
    dataset = build_dataset(recipe, tmp_path / "data")
    assert (len(dataset.illustrations), len(dataset.linearts)) == (12, 4)


def test_one_file_of_two_sources_is_fetched_once(site: Site, tmp_path: Path) -> None:
    """By address, and by the MD5 that a second site states for a file of another address."""
    mirror = site.source("mirror", ["/c/1.png"], md5="here").replace("mirror.csv", "again.csv")
    (tmp_path / "again.csv").write_text((tmp_path / "mirror.csv").read_text().replace(".png", ".png?mirror"))
    recipe = site.recipe(site.source("one", ALL, md5="here"), site.source("two", ["/c/0.png"]), mirror)
    dataset = build_dataset(recipe, tmp_path / "data")
    assert sorted(site.asked()) == sorted(ALL)
    assert dataset.dropped() == {"duplicate": 2}


def test_retry_asks_again_for_what_was_not_to_be_had(site: Site, tmp_path: Path) -> None:
    site.gone = {"/c/3.png"}
    recipe = site.recipe(site.source("all", ALL))
    assert reasons(build_dataset(recipe, tmp_path / "data"))["c/3.png"] == "missing"
    site.gone, before = set(), len(site.asked())
    assert reasons(build_dataset(recipe, tmp_path / "data"))["c/3.png"] == "missing"
    assert len(site.asked()) == before
    dataset = build_dataset(recipe, tmp_path / "data", retry=True)
    assert dataset.dropped() == {}
    assert site.asked()[before:] == ["/c/3.png"]


def test_refresh_fetches_only_what_has_changed(site: Site, tmp_path: Path) -> None:
    recipe = site.recipe(site.source("all", ALL), head="downloads_at_once = 1\n")
    first = build_dataset(recipe, tmp_path / "data")
    site.changed = {"/c/5.png"}
    second = build_dataset(recipe, tmp_path / "data", refresh=True)
    assert len(site.asked()) == 2 * len(ALL)
    told = json.loads((tmp_path / "data/card.json").read_text())["asked"][0]["statuses"]
    assert told == {"200": len(ALL) + 1, "304": len(ALL) - 1, "404": 2}
    assert len(second.illustrations) == 12
    assert second.digest != first.digest


def test_a_changed_recipe_asks_nobody_for_what_is_here(site: Site, tmp_path: Path) -> None:
    source = site.source("all", ALL)
    build_dataset(site.recipe(source), tmp_path / "data")
    before = len(site.talk.asked)
    stricter = build_dataset(site.recipe(source, head="[filters]\nmin_side = 10\n"), tmp_path / "data")
    assert len(site.talk.asked) == before
    assert len(stricter.illustrations) == 12


def test_a_stored_file_that_is_gone_is_fetched_again(site: Site, tmp_path: Path) -> None:
    recipe = site.recipe(site.source("all", ALL))
    dataset = build_dataset(recipe, tmp_path / "data")
    dataset.file(dataset.illustrations[0]).unlink()
    before = len(site.asked())
    assert build_dataset(recipe, tmp_path / "data") == dataset
    assert len(site.asked()) == before + 1


def test_rules_are_asked_before_anything_is_fetched(site: Site, tmp_path: Path) -> None:
    good, bad = site.source("good", ALL), site.source("bad", ["/c/50.png"], rating="explicit")
    dataset = build_dataset(site.recipe(good, bad), tmp_path / "data")
    assert reasons(dataset)["c/50.png"] == "rating"
    assert "/c/50.png" not in site.asked()


def test_the_card_says_what_was_asked_of_whom(site: Site, tmp_path: Path) -> None:
    build_dataset(site.recipe(site.source("all", ALL, license="CC0-1.0", artist="ann")), tmp_path / "data")
    host = site.talk.url.removeprefix("http://")
    (asked,) = json.loads((tmp_path / "data/card.json").read_text())["asked"]
    assert (asked["host"], asked["requests"]) == (host, len(site.talk.asked))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", asked["first"])
    assert f"{host}: {len(site.talk.asked)} requests" in (tmp_path / "data/card.md").read_text()


def test_a_remote_source_needs_a_contact(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LACBENCH_CONTACT", raising=False)
    source = site.source("all", ALL)
    for contact in ("", "nobody", "me@", "a\\nb@c.de"):
        text = (HEAD + source).replace("me@example.org", contact)
        with pytest.raises(RecipeError, match="contact"):
            build_dataset(parse_recipe(text, site.folder), site.folder / "data")
    assert not site.talk.asked


def test_listeners_see_how_it_goes(site: Site, tmp_path: Path) -> None:
    seen = []

    class Watcher(Silent):
        def watch(self, status):
            seen.append(status)
            return super().watch(status)

    build_dataset(site.recipe(site.source("all", ALL)), tmp_path / "data", progress=Watcher())
    (status,) = seen
    told = status()
    assert (told.found, told.wanted, told.fetched, told.kept) == (16, 16, 16, 16)
    assert list(told.rates) == [site.talk.url.removeprefix("http://")]


# What two reviews found


def test_a_refresh_while_the_site_is_down_loses_nothing(site: Site, tmp_path: Path) -> None:
    recipe = site.recipe(site.source("all", ALL), head="timeout = 1\ndownloads_at_once = 16\n")
    first = build_dataset(recipe, tmp_path / "data")
    site.talk.stop()
    assert build_dataset(recipe, tmp_path / "data", refresh=True) == first
    assert build_dataset(recipe, tmp_path / "data") == first


def test_line_arts_that_come_later_and_leak_do_not_end_the_search(site: Site, tmp_path: Path) -> None:
    """Illustrations that fall to line arts of a later round are replaced by others."""
    first = paths("c", range(100, 104)) + paths("c", range(8))
    lines = ["/l/200.png", *paths("l", range(100, 104))]
    site.gone = {"/l/200.png"}
    recipe = site.recipe(
        site.source("c", first), site.source("l", lines), head="[targets]\nillustrations = 4\nlinearts = 4\n"
    )
    dataset = build_dataset(recipe, tmp_path / "data")
    assert (len(dataset.illustrations), len(dataset.linearts)) == (4, 4)


def test_line_arts_that_do_not_stay_leak_nothing(site: Site, tmp_path: Path) -> None:
    lines = paths("l", range(300, 301)) + paths("l", range(100, 104))
    recipe = site.recipe(
        site.source("c", paths("c", range(100, 104))), site.source("l", lines),
        head="[targets]\nlinearts = 1\n",
    )  # fmt: skip
    dataset = build_dataset(recipe, tmp_path / "data")
    assert len(dataset.illustrations) == 4
    assert set(dataset.dropped()) == {"surplus"}


def test_rows_may_name_another_set_than_the_recipe(site: Site, tmp_path: Path) -> None:
    dataset = build_dataset(site.recipe(site.source("all", ALL, 'set = "illustrations"')), tmp_path / "data")
    assert (len(dataset.illustrations), len(dataset.linearts)) == (12, 4)


def test_a_site_that_was_left_out_is_tried_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = (
        '[[sources]]\nname = "board"\nkind = "danbooru"\nsite = "http://127.0.0.1:9"\nset = "linearts"\n'
        'account = "gold"\n'
    )
    recipe = site.recipe(site.source("all", ALL), board)
    notes = Listener()
    build_dataset(recipe, tmp_path / "data", progress=notes)
    assert any("left out" in line for line in notes.said)
    for name in ("LOGIN", "API_KEY"):
        monkeypatch.setenv(f"LACBENCH_127_0_0_1___9_{name}", "some secret")
    with pytest.raises(FetchError, match="gave no answer"):  # it is asked now
        build_dataset(recipe, tmp_path / "data")


def test_excluded_works_can_be_named_before_the_first_build(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/excluded.txt").write_text(f"{site.talk.url}/c/3.png\n")
    dataset = build_dataset(site.recipe(site.source("all", ALL)), tmp_path / "data")
    assert dataset.dropped() == {"excluded": 1}
    assert "/c/3.png" not in site.asked()


def test_an_address_with_a_password_is_refused_and_stands_nowhere(site: Site, tmp_path: Path) -> None:
    source = site.source("all", ALL)
    table = tmp_path / "all.csv"
    table.write_text(table.read_text() + "http://me:hunter2@127.0.0.1/x.png,linearts\n")
    dataset = build_dataset(site.recipe(source), tmp_path / "data")
    assert dataset.dropped() == {"refused": 1}
    for file in (tmp_path / "data").rglob("*"):
        assert file.is_dir() or b"hunter2" not in file.read_bytes()


def test_other_manners_ask_again_for_what_they_refused(site: Site, tmp_path: Path) -> None:
    source = site.source("all", ALL)
    closed = parse_recipe(HEAD.replace('allow_hosts = ["127.0.0.1"]', "") + source, tmp_path)
    with pytest.raises(InputError, match="16 refused"):
        build_dataset(closed, tmp_path / "data")
    assert not site.talk.asked
    assert len(build_dataset(site.recipe(source), tmp_path / "data").illustrations) == 12


@pytest.mark.parametrize(
    "change", ["part = '../../../x'", "path = '../../x.png', part = 'y'", "reason = '../x'"]
)
def test_a_strangers_journal_leads_nowhere_else(site: Site, tmp_path: Path, change: str) -> None:
    recipe = site.recipe(site.source("all", ALL))
    first = build_dataset(recipe, tmp_path / "data")
    (tmp_path / "x").write_text("precious")
    (tmp_path / "data" / PARTS).mkdir()
    (tmp_path / "data" / PARTS / "y").write_text("evil")
    with closing(sqlite3.connect(tmp_path / "data" / JOURNAL, isolation_level=None)) as db:
        db.execute(f"UPDATE fetched SET {change} WHERE rowid = 3")
    (tmp_path / "data" / DONE).unlink()
    assert build_dataset(recipe, tmp_path / "data") == first
    assert (tmp_path / "x").read_text() == "precious"
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("at", [0, 200, 5000, 9000])
def test_a_damaged_journal_is_begun_anew(site: Site, tmp_path: Path, at: int) -> None:
    recipe = site.recipe(site.source("all", ALL))
    first = build_dataset(recipe, tmp_path / "data")
    journal = tmp_path / "data" / JOURNAL
    data = bytearray(journal.read_bytes())
    data[at : at + 3000] = bytes(range(256)) * 12
    journal.write_bytes(bytes(data))
    (tmp_path / "data" / DONE).unlink()
    assert build_dataset(recipe, tmp_path / "data") == first


def test_two_builds_on_one_folder(site: Site, tmp_path: Path) -> None:
    recipe = site.recipe(site.source("all", ALL))
    with Journal(tmp_path / "data" / JOURNAL):
        part = tmp_path / "data" / f".ledger.parquet.abc{PART}"
        part.write_text("the first one's")
        with pytest.raises(OutputError, match="in use by another lacbench"):
            build_dataset(recipe, tmp_path / "data")
        assert part.exists()


def test_a_picture_that_is_in_use_by_two_sets_is_not_lost(site: Site, tmp_path: Path) -> None:
    twice = site.source("again", ["/c/1.png"]).replace("again.csv", "lines.csv")
    (tmp_path / "lines.csv").write_text(
        (tmp_path / "again.csv").read_text().replace("illustrations", "linearts")
    )
    dataset = build_dataset(site.recipe(site.source("all", ALL), twice), tmp_path / "data")
    assert dataset.dropped() == {"colored": 1}
    assert site.asked().count("/c/1.png") == 1
