"""A published data set is made again elsewhere: the same works, the same bytes; what is gone is named."""

import csv
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_collecting import ALL, Site

from lacbench.cli.main import main
from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.errors import InputError, OutputError
from lacbench.files import sha256_file
from lacbench.images import encode_png
from lacbench.manifest import load_dataset, save_dataset
from lacbench.publish import publish
from lacbench.rebuild import GONE, Rebuilt, manners, rebuild
from lacbench.recipe import CollectSpec, parse_recipe
from lacbench.records import Dataset, Member
from lacbench.verify import verify

from made import build, draw_figure
from servers.talk import Reply, talking

MANNERS = CollectSpec(
    contact="me@example.org", allow_hosts=("127.0.0.1",), requests_per_second=100, attempts=2
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    here = Site(tmp_path)
    with talking(here.answer) as here.talk:
        yield here


def gone(folder: Path) -> dict[str, str]:
    """Reasons by key, as the file for people has them."""
    with (folder / GONE).open(newline="") as file:
        return {row["key"]: row["reason"] for row in csv.DictReader(file)}


def same_manifests(a: Path, b: Path) -> bool:
    names = ("illustrations.parquet", "linearts.parquet")
    return [sha256_file(a / name) for name in names] == [sha256_file(b / name) for name in names]


def ids(dataset: Dataset) -> set[str]:
    return {m.record.sha256 for m in (*dataset.illustrations, *dataset.linearts)}


# Folders


def test_a_folder_elsewhere_gives_the_same_data_set(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared")
    drawn_art.rename(tmp_path / "moved")
    (tmp_path / "moved/illustrations/more.png").write_bytes(b"nobody asked for this")
    done = rebuild(tmp_path / "shared", tmp_path / "again", folders={"art": tmp_path / "moved"})
    assert (done.whole, done.share, done.gone) == (True, 1.0, ())
    assert done.dataset.digest == dataset.digest
    assert same_manifests(dataset.folder, tmp_path / "again")
    assert verify(tmp_path / "again").differences == ()
    assert (tmp_path / "again/card.md").is_file() and not (tmp_path / "again" / GONE).exists()
    # What was made again can be published again, and is the same.
    publish(tmp_path / "again", tmp_path / "shared again")
    assert same_manifests(tmp_path / "shared", tmp_path / "shared again")


def test_what_is_gone_or_changed_is_named_and_may_come_back(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared")
    lost, changed, broken = (drawn_art / f"illustrations/{n:02}.png" for n in (3, 4, 5))
    before = {file: file.read_bytes() for file in (lost, changed, broken)}
    lost.unlink()
    changed.write_bytes(encode_png(draw_figure(77)[0]))
    broken.write_bytes(b"no picture")

    def again() -> Rebuilt:
        return rebuild(tmp_path / "shared", tmp_path / "again", folders={"art": drawn_art})

    done = again()
    keys = [f"illustrations/0{n}.png" for n in (3, 4, 5)]
    assert gone(tmp_path / "again") == dict(zip(keys, ("missing", "corrupt", "unreadable"), strict=True))
    assert not done.whole and done.dataset.digest != dataset.digest == done.published
    assert done.share == pytest.approx(14 / 17)
    assert done.dataset.dropped() == {"corrupt": 1, "missing": 1, "unreadable": 1}
    assert len(done.dataset.ledger) == 17
    assert {p.stem for p in (tmp_path / "again/images").glob("*/*")} == ids(done.dataset)
    assert verify(tmp_path / "again").differences == ()
    assert again().dataset.digest == done.dataset.digest
    for file, data in before.items():
        file.write_bytes(data)
    assert again().whole and not (tmp_path / "again" / GONE).exists()


def test_nothing_of_the_recipes_folders_is_read(drawn_art: Path, tmp_path: Path) -> None:
    """The published recipe names a folder that is here: only the caller says what is read."""
    dataset = build(drawn_art, tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared")
    shutil.copytree(drawn_art, tmp_path / "shared/art")  # where the recipe's relative path would lead
    with pytest.raises(
        InputError, match=r"none of the 17 works of .* is to be had: missing; name the folders"
    ):
        rebuild(tmp_path / "shared", tmp_path / "again")
    with pytest.raises(InputError, match="no works come from a source arts; expected one of art"):
        rebuild(tmp_path / "shared", tmp_path / "again", folders={"arts": drawn_art})


def test_pictures_that_came_along_are_enough(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")  # CC0
    publish(dataset.folder, tmp_path / "shared", pictures=True)
    assert rebuild(tmp_path / "shared", tmp_path / "again").whole
    # A changed one is found by its bytes, when it is taken.
    first = next((tmp_path / "shared/images").glob("*/*"))
    first.write_bytes(encode_png(draw_figure(78)[0]))
    done = rebuild(tmp_path / "shared", tmp_path / "third")
    assert [one.verdict.reason for one in done.gone] == ["corrupt"]
    assert not (tmp_path / "third/images" / first.parent.name / first.name).exists()


def test_another_data_set_is_not_overwritten(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared", pictures=True)
    with pytest.raises(OutputError, match="holds another data set"):
        rebuild(tmp_path / "shared", dataset.folder)
    assert load_dataset(dataset.folder).digest == dataset.digest


def test_works_that_were_taken_out_do_not_come_back(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared", pictures=True)
    unwanted = dataset.illustrations[0].record
    (tmp_path / "again").mkdir()
    (tmp_path / "again/excluded.txt").write_text(f"sha256: {unwanted.sha256}\n")
    done = rebuild(tmp_path / "shared", tmp_path / "again")
    assert gone(tmp_path / "again") == {unwanted.candidate.key: "excluded"}
    assert not list((tmp_path / "again/images").glob(f"??/{unwanted.sha256}*"))
    assert ids(dataset) - ids(done.dataset) == {unwanted.sha256}


# Sites


@pytest.fixture
def shared(site: Site, tmp_path: Path) -> Path:
    """A published data set of a site's 16 pictures."""
    build_dataset(site.recipe(site.source("all", ALL, md5="here")), tmp_path / "data")
    publish(tmp_path / "data", tmp_path / "shared")
    site.talk.asked.clear()
    return tmp_path / "shared"


def test_works_are_fetched_again_each_once(shared: Path, site: Site, tmp_path: Path) -> None:
    done = rebuild(shared, tmp_path / "again", collect=MANNERS)
    assert done.whole and same_manifests(tmp_path / "data", tmp_path / "again")
    assert sorted(site.asked()) == sorted(ALL)
    assert all("me@example.org" in request.headers["User-Agent"] for request in site.talk.asked)
    assert rebuild(shared, tmp_path / "again", collect=MANNERS).whole
    assert len(site.asked()) == len(ALL)


def test_what_a_site_lost_is_asked_for_again_by_retry_alone(shared: Path, site: Site, tmp_path: Path) -> None:
    site.gone, site.changed = {"/c/3.png"}, {"/c/4.png"}
    done = rebuild(shared, tmp_path / "again", collect=MANNERS)
    told = {one.member.record.candidate.url.split("/", 3)[3]: one.verdict.reason for one in done.gone}
    assert told == {"c/3.png": "missing", "c/4.png": "corrupt"}
    site.gone, site.changed, before = set(), set(), len(site.asked())
    assert not rebuild(shared, tmp_path / "again", collect=MANNERS).whole
    assert len(site.asked()) == before
    assert rebuild(shared, tmp_path / "again", collect=MANNERS, retry=True).whole
    assert len(site.asked()) == before + 2


def test_a_killed_run_asks_for_nothing_twice(shared: Path, site: Site, tmp_path: Path) -> None:
    class Dying(Local):
        """Ends the work as Ctrl-C does, in the middle of it."""

        def map(self, function, items, lost=None):
            for number, result in enumerate(super().map(function, items, lost)):
                if number == 5:
                    raise KeyboardInterrupt
                yield result

    with pytest.raises(KeyboardInterrupt):
        rebuild(shared, tmp_path / "again", collect=MANNERS, engine=Dying(workers=1))
    assert not (tmp_path / "again/ledger.parquet").exists()
    stored = {p.stem for p in (tmp_path / "again/images").glob("*/*")}
    assert len(stored) >= 5
    done = rebuild(shared, tmp_path / "again", collect=MANNERS)
    assert done.whole
    works = (*done.dataset.illustrations, *done.dataset.linearts)
    paths = {m.record.sha256: m.record.candidate.url.removeprefix(site.talk.url) for m in works}
    assert [site.asked().count(paths[sha256]) for sha256 in stored] == [1] * len(stored)


def test_sites_are_told_whom_to_write_to(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LACBENCH_CONTACT", raising=False)
    with pytest.raises(InputError, match="set LACBENCH_CONTACT in the environment"):
        rebuild(shared, tmp_path / "again")
    monkeypatch.setenv("LACBENCH_CONTACT", "nobody")
    with pytest.raises(InputError, match=r"LACBENCH_CONTACT does not hold: .*expected a mail address"):
        manners()


def test_a_private_host_is_asked_only_where_the_caller_allows_it(
    shared: Path, site: Site, tmp_path: Path
) -> None:
    """What the recipe allowed its author does not hold here."""
    assert "allow_hosts" not in (shared / "recipe.toml").read_text()
    with pytest.raises(InputError, match="is to be had: refused"):
        rebuild(shared, tmp_path / "again", collect=MANNERS.model_copy(update={"allow_hosts": ()}))
    assert site.talk.asked == []


def told_otherwise(folder: Path, change: Callable[[Member], Member], recipe: str = "") -> None:
    """The data set with other claims about its pictures."""
    dataset = load_dataset(folder)
    lists = [[change(m) for m in of_set] for of_set in (dataset.illustrations, dataset.linearts)]
    save_dataset(folder, *lists, dataset.ledger, recipe or dataset.recipe)


def with_url(member: Member, url: str) -> Member:
    candidate = replace(member.record.candidate, url=url, md5="")
    return replace(member, record=replace(member.record, candidate=candidate))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "/etc/passwd", "http://me:pw@127.0.0.1/x", "ftp://x/y"]
)
def test_only_web_addresses_are_asked(shared: Path, site: Site, tmp_path: Path, url: str) -> None:
    told_otherwise(tmp_path / "data", lambda m: with_url(m, url) if m.split == "test" else m)
    publish(tmp_path / "data", shared)
    done = rebuild(shared, tmp_path / "again", collect=MANNERS)
    assert {one.verdict.reason for one in done.gone} == {"refused"}
    assert {one.member.split for one in done.gone} == {"test"}
    assert len(site.asked()) == len(ALL) - len(done.gone)


@pytest.mark.parametrize(("of_site", "reasons"), [(True, set()), (False, {"robots"})])
def test_robots_txt_is_obeyed_but_for_an_image_boards_own_files(
    tmp_path: Path, of_site: bool, reasons: set[str]
) -> None:
    """A table that says its pictures are a board's does not get round another host's robots.txt."""
    pictures = {f"/{n}.png": encode_png(draw_figure(n)[n > 9]) for n in (1, 2, 11)}

    def answer(path: str, _: int) -> Reply:
        rules = b"User-agent: *\nDisallow: /\n"
        return (200, {}, rules) if path == "/robots.txt" else (200, {}, pictures[path])

    with talking(answer) as talk:
        rows = [f"{talk.url}{path},{'linearts' if '11' in path else 'illustrations'}" for path in pictures]
        (tmp_path / "all.csv").write_text("\n".join(["url,set", *rows]))
        head = (
            'name = "x"\n[collect]\nrobots = false\ncontact = "me@example.org"\nallow_hosts = ["127.0.0.1"]\n'
        )
        table = '[[sources]]\nname = "all"\nkind = "urls"\nfile = "all.csv"\n'
        build_dataset(parse_recipe(head + table, tmp_path), tmp_path / "data")
        board = (
            'name = "x"\n[[sources]]\nname = "all"\nkind = "moebooru"\nset = "illustrations"\nsite = "%s"\n'
        )
        claimed = board % (talk.url if of_site else "https://yande.re")
        told_otherwise(tmp_path / "data", lambda m: m, claimed)
        publish(tmp_path / "data", tmp_path / "shared")
        talk.asked.clear()
        if reasons:
            with pytest.raises(InputError, match="is to be had: robots"):
                rebuild(tmp_path / "shared", tmp_path / "again", collect=MANNERS)
            assert {request.path for request in talk.asked} == {"/robots.txt"}
        else:
            assert rebuild(tmp_path / "shared", tmp_path / "again", collect=MANNERS).whole


# Packages

NPM = """#!{python}
import json, os, shutil, sys
shelf = {shelf!r}
words = sys.argv[1:]
name, _, version = words[1].partition("@")
with open(os.path.join(shelf, "asked"), "a") as file:
    print(words[0], words[1], file=file)
there = sorted(f[:-4] for f in os.listdir(shelf) if f.endswith(".tgz"))
version = version or (there[-1] if there else "")
if name != "kit" or version not in there:
    sys.exit("npm error 404 Not Found")
if words[0] == "pack":
    shutil.copy(os.path.join(shelf, version + ".tgz"), "kit.tgz")
    print(json.dumps([{{"version": version}}]))
"""


def pack(shelf: Path, version: str, shift: int = 0, more: tuple[int, ...] = ()) -> None:
    """An npm package of drawn figures, perhaps `more` of them; `shift` changes the first."""
    with tarfile.open(shelf / f"{version}.tgz", "w:gz") as archive:
        for n in (*more, 0, 1, 2, 3, 20, 21):
            number = n + shift if n == 0 else n
            data = encode_png(draw_figure(number)[20 <= n < 30])
            entry = tarfile.TarInfo(f"package/{'lines' if 20 <= n < 30 else 'color'}/{n}.png")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry that has what lies in a folder; its client is a program, as npm is."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin/npm"
    npm.write_text(NPM.format(python=sys.executable, shelf=str(tmp_path / "shelf")))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "shelf"


KIT = """
name = "kit"
[[sources]]
name = "kit"
kind = "packages"
client = "npm"
packages = ["other | kit"]
illustrations = ["package/color/*.png"]
linearts = ["package/lines/*.png"]
limit = 3
"""


def test_packages_are_asked_for_by_their_version_and_else_for_their_latest(
    shelf: Path, tmp_path: Path
) -> None:
    pack(shelf, "1.0.0")
    dataset = build_dataset(parse_recipe(KIT), tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared")
    pack(shelf, "2.0.0", shift=50, more=(10, 11, 12))  # the recipe's limit would take others of these
    (shelf / "asked").unlink()
    assert rebuild(tmp_path / "shared", tmp_path / "again").whole
    assert (shelf / "asked").read_text() == "view kit@1.0.0\npack kit@1.0.0\n"

    (shelf / "1.0.0.tgz").unlink()
    done = rebuild(tmp_path / "shared", tmp_path / "later")
    assert [one.verdict.reason for one in done.gone] == ["corrupt"]
    assert done.gone[0].member.record.candidate.key == "kit/package/color/0.png"

    (shelf / "2.0.0.tgz").unlink()
    with pytest.raises(InputError, match="is to be had: failed"):
        rebuild(tmp_path / "shared", tmp_path / "too late")


def test_a_recipe_may_name_a_packages_version(shelf: Path, tmp_path: Path) -> None:
    for number, version in enumerate(("1.0.0", "1.1.0")):
        pack(shelf, version, shift=number)
    for version in ("1.0.0", "1.1.0", "1.0.0"):  # one after the other, in one folder
        pinned = KIT.replace("limit = 3", f'limit = 3\nversions = {{ kit = "{version}" }}')
        dataset = build_dataset(parse_recipe(pinned), tmp_path / "data")
        assert {m.record.candidate.origin for m in dataset.illustrations} == {f"npm: kit {version}"}
    with pytest.raises(InputError, match="is no version of a package"):
        parse_recipe(KIT + 'versions = { kit = "1.0 --registry x" }')


# The command


def test_the_commands_say_what_came_of_it(
    drawn_art: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    shared, again = str(tmp_path / "shared"), str(tmp_path / "again")

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return int(ended.value.code or 0), capsys.readouterr().out

    assert run("publish", str(dataset.folder), "-o", shared) == (0, f"{shared}\n")
    told = json.loads(run("publish", str(dataset.folder), "-o", shared, "--json")[1])
    assert told["dataset"] == dataset.digest and (told["works"], told["pictures"]) == (17, 0)
    rebuild_it = ("rebuild", shared, "-o", again, "--folder", f"art={drawn_art}")
    (drawn_art / "illustrations/00.png").rename(tmp_path / "00.png")
    status, said = run(*rebuild_it)
    assert status == 1 and "is 94.1% of the published data set" in said and "gone: 1 missing" in said
    (tmp_path / "00.png").rename(drawn_art / "illustrations/00.png")
    assert run(*rebuild_it) == (0, f"{again} is the published data set: digest {dataset.digest[:12]}\n")
    told = json.loads(run(*rebuild_it, "--json")[1])
    assert told == {"digest": dataset.digest, "published": dataset.digest, "share": 1.0, "gone": {}}
    assert run("rebuild", shared, "-o", again, "--folder", "art")[0] == 2


def test_it_says_why_a_source_could_not_be_looked_into(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(shelf, "1.0.0")
    dataset = build_dataset(parse_recipe(KIT), tmp_path / "data")
    publish(dataset.folder, tmp_path / "shared")
    monkeypatch.setenv("PATH", str(tmp_path))  # no client here
    # Its files, unpacked on another machine, do as well.
    folder = tmp_path / "data" / "work" / "kit"
    assert rebuild(tmp_path / "shared", tmp_path / "again", folders={"kit": folder}).whole
    shutil.rmtree(tmp_path / "again")
    with pytest.raises(InputError, match="is to be had: failed"):
        rebuild(tmp_path / "shared", tmp_path / "again")
