"""What is shared of a data set: all that others need, nothing of this machine, no picture that may not be."""

import json
import os
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.curate import build_dataset
from lacbench.errors import InputError, IntegrityError, OutputError, RecipeError
from lacbench.files import sha256_bytes, sha256_json
from lacbench.hints import choose_hints, load_hints, save_hints
from lacbench.images import write_png
from lacbench.licenses import terms
from lacbench.manifest import load_dataset, save_dataset
from lacbench.pairs import make_pairs
from lacbench.portable import portable_recipe, toml_lines
from lacbench.publish import publish
from lacbench.published import ATTRIBUTION, FILE, Index, read_published
from lacbench.recipe import parse_recipe
from lacbench.records import SETS, Dataset, Member
from lacbench.scorecard import load_card, make_card, save_card
from lacbench.submission import open_submission

from made import ZERO, draw_figure, recipe_for, record

LICENSES = ["CC0-1.0", "CC BY-SA 3.0 de", "CC-BY-NC-4.0", "GPL-2.0-or-later", "MIT", "unknown", "CC-BY"]
MAY = {0, 1}
"""Illustrations, by number, that may be passed on; the MIT picture came without its notice."""
HEAD = '[collect]\ncontact = "me@example.org"\nallow_hosts = ["nas.local"]\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    place = tmp_path_factory.mktemp("built")
    for seed in range(12):
        write_png(place / f"art/illustrations/{seed:02}.png", draw_figure(seed)[0])
    for seed in range(100, 105):
        write_png(place / f"art/linearts/{seed}.png", draw_figure(seed)[1])
    told = [
        {"file": f"illustrations/{n:02}.png", "license": name, "source": f"drawing {n}"}
        for n, name in enumerate(LICENSES)
    ]
    (place / "art/manifest.json").write_text(json.dumps(told))
    text = recipe_for(place / "art", HEAD).text.replace('license = "CC0-1.0"', 'license = "none"')
    return build_dataset(parse_recipe(f"# by {os.environ['HOME']}/\n{text}"), place / "data")


@pytest.fixture
def dataset(built: Dataset, tmp_path: Path) -> Dataset:
    """A copy that a test may change."""
    shutil.copytree(built.folder, tmp_path / "data")
    return load_dataset(tmp_path / "data")


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def number(member: Member) -> int:
    return int(Path(member.record.candidate.key).stem)


def test_it_holds_all_but_pictures_and_this_machine(dataset: Dataset, tmp_path: Path) -> None:
    make_pairs(dataset, (0.3, 0.5), size=64)
    index = publish(dataset.folder, tmp_path / "shared")
    files = everything(tmp_path / "shared")
    assert set(files) == {
        "README.md", "card.json", "card.md", "published.json", "recipe.toml",
        "illustrations.parquet", "linearts.parquet",
        *(f"card/{kind}-{name}.svg" for kind in ("sides", "colours") for name in SETS),
    }  # fmt: skip
    told = read_published(tmp_path / "shared")
    assert (told.illustrations, told.linearts) == (dataset.illustrations, dataset.linearts)
    assert json.loads(files["published.json"])["digest"] == index.digest
    assert [(p.size, p.sigmas) for p in index.pairs] == [(64, (0.3, 0.5))]
    private = [str(tmp_path.parent), os.environ["HOME"] + "/", "me@example.org", "nas.local"]
    assert not [(name, word) for name, data in files.items() for word in private if word.encode() in data]
    page = files["README.md"].decode()
    assert f"    {dataset.digest}\n" in page
    assert "lacbench rebuild . -o data --folder art=FOLDER\n" in page
    assert "lacbench pairs data --size 64 --sigma 0.3 --sigma 0.5\n" in page
    assert "![kept" not in files["card.md"].decode()


def test_what_is_shared_lies_in_plain_tables(dataset: Dataset, tmp_path: Path) -> None:
    """A reader of Parquet, and nothing of ours, finds ids, hashes, splits and links."""
    publish(dataset.folder, tmp_path / "shared")
    rows = pq.read_table(tmp_path / "shared/illustrations.parquet").to_pylist()
    assert {row["sha256"] for row in rows} == {p.stem for p in dataset.folder.glob("images/*/*")} - {
        m.record.sha256 for m in dataset.linearts
    }
    assert all(len(row["phash"]) == 32 and row["split"] and row["key"] for row in rows)


def test_the_same_data_set_gives_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    digests = [publish(dataset.folder, tmp_path / name, pictures=True).digest for name in ("a", "b", "a")]
    assert len(set(digests)) == 1
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_only_pictures_of_open_licences_come_along_each_with_its_line(
    dataset: Dataset, tmp_path: Path
) -> None:
    index = publish(dataset.folder, tmp_path / "shared", pictures=True)
    expected = {m.record.path: m for m in dataset.illustrations if number(m) in MAY}
    assert index.pictures == expected.keys()
    assert {
        p: sha256_bytes(d)[:64] for p, d in everything(tmp_path / "shared").items() if "images/" in p
    } == {path: m.record.sha256 for path, m in expected.items()}
    lines = (tmp_path / "shared" / ATTRIBUTION).read_text().splitlines()
    told = {line.partition(": ")[0]: line for line in lines}
    assert told.keys() == expected.keys()
    licence = "CC-BY-SA-3.0-DE (https://creativecommons.org/licenses/by-sa/3.0/de/)"
    assert f"illustrations/01.png (drawing 1), {licence}" in told[next(
        path for path, m in expected.items() if number(m) == 1
    )]  # fmt: skip


def test_what_an_earlier_publication_had_goes_and_what_is_hidden_stays(
    dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    (out / ".git").mkdir(parents=True)
    (out / ".git/config").write_text("mine")
    publish(dataset.folder, out, pictures=True)
    publish(dataset.folder, out)
    assert (out / ".git/config").read_text() == "mine"
    assert not [name for name in everything(out) if name.startswith(("images", "ATTRIBUTION"))]
    read_published(out)


def test_a_folder_with_other_files_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="holds files, but no published data set"):
        publish(dataset.folder, tmp_path / "mine")
    assert everything(tmp_path / "mine") == {"letter.txt": b"dear"}


def test_a_damaged_picture_is_not_passed_on(dataset: Dataset, tmp_path: Path) -> None:
    first = next(m for m in dataset.illustrations if number(m) in MAY)
    dataset.file(first).write_bytes(b"other")
    with pytest.raises(IntegrityError, match="has other bytes than its name says"):
        publish(dataset.folder, tmp_path / "shared", pictures=True)
    with pytest.raises(InputError, match="no published data set"):
        read_published(tmp_path / "shared")


def test_hints_and_cards_are_shared_and_those_of_other_data_refused(dataset: Dataset, tmp_path: Path) -> None:
    hints, out = tmp_path / "h.json", tmp_path / "shared"
    save_hints(hints, choose_hints(dataset, 3, 1))
    reason = f"put the file at {tmp_path}/cache/net.pth; or not"
    (tmp_path / "outputs/mine").mkdir(parents=True)
    opened = open_submission(tmp_path / "outputs/mine", dataset)
    made = make_card(opened, dataset, {}, name="mine", not_measured={"lpips": reason})
    save_card(tmp_path / "my card.json", made)
    publish(dataset.folder, out, hints=hints, cards=[tmp_path / "my card.json"])
    assert load_hints(out / "hints.json") == load_hints(hints)
    card = load_card(out / "cards/my-card.json")
    assert (card.name, card.dataset, card.submission) == ("mine", dataset.digest, out / "cards/mine")
    assert card.not_measured == {"lpips": "put the file at …; or not"}
    read_published(out)

    save_card(tmp_path / "other.json", replace(made, dataset="0" * 64))
    with pytest.raises(InputError, match=r"is of the data set 000000000000…, expected"):
        publish(dataset.folder, out, cards=[tmp_path / "other.json"])
    save_hints(hints, {"0" * 64: ()})
    with pytest.raises(InputError, match=r"hints of 1 line arts that .* does not have"):
        publish(dataset.folder, out, hints=hints)
    read_published(out)  # what was there before stands


# A stranger's folder


def _index(change: dict[str, Any], *, signed: bool = True) -> Any:
    def act(folder: Path) -> None:
        told = {**json.loads((folder / FILE).read_text()), **change}
        if signed:
            told["digest"] = sha256_json({k: v for k, v in told.items() if k != "digest"})
        (folder / FILE).write_text(json.dumps(told))

    return act


def _files(**change: str) -> Any:
    def act(folder: Path) -> None:
        files = json.loads((folder / FILE).read_text())["files"]
        _index({"files": {**files, **{k.replace("_", "/"): v for k, v in change.items()}}})(folder)

    return act


def _link(folder: Path) -> None:
    shutil.move(folder / "card.md", folder.parent / "elsewhere.md")
    (folder / "card.md").symlink_to(folder.parent / "elsewhere.md")


def _fewer(folder: Path) -> None:
    """A manifest without its first row, honestly hashed: the data set's digest tells."""
    table = pq.read_table(folder / "linearts.parquet").slice(1)
    pq.write_table(table, folder / "linearts.parquet")
    _files(**{"linearts.parquet": sha256_bytes((folder / "linearts.parquet").read_bytes())})(folder)


HOSTILE = {
    "no index": (lambda f: (f / FILE).unlink(), InputError, "no published data set"),
    "no JSON": (lambda f: (f / FILE).write_text("["), InputError, "no published data set"),
    "deep JSON": (lambda f: (f / FILE).write_text("[" * 100_000), InputError, "no published data set"),
    "of a later version": (_index({"lacbench_published": 2}), InputError, "lacbench_published"),
    "another name, unsigned": (_index({"name": "x"}, signed=False), IntegrityError, "than its digest says"),
    "another digest": (_index({"dataset": "0" * 64}), IntegrityError, "not of the data set 000000000000"),
    "a path up": (_files(**{".._.._x": "0" * 64}), InputError, "no published data set has"),
    "an absolute path": (_files(**{"_etc_passwd": "0" * 64}), InputError, "no published data set has"),
    "a hidden licence": (_files(**{"licenses_.x": "0" * 64}), InputError, "no published data set has"),
    "a picture of another name": (_files(images_ab_x="0" * 64), InputError, "no published data set has"),
    "a file that is not there": (_files(**{"hints.json": "0" * 64}), IntegrityError, "missing"),
    "a link": (_link, IntegrityError, "or a link"),
    "no manifest": (_index({"files": {}}), InputError, r"no illustrations\.parquet"),
    "a row less": (_fewer, IntegrityError, "not of the data set"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_folder_that_is_not_what_it_says_is_refused(dataset: Dataset, tmp_path: Path, case: str) -> None:
    publish(dataset.folder, tmp_path / "shared")
    act, error, told = HOSTILE[case]
    act(tmp_path / "shared")
    with pytest.raises(error, match=told):
        read_published(tmp_path / "shared")


def test_a_changed_byte_in_any_file_is_found(dataset: Dataset, tmp_path: Path) -> None:
    publish(dataset.folder, tmp_path / "shared")
    for name, data in everything(tmp_path / "shared").items():
        middle = len(data) // 2
        (tmp_path / "shared" / name).write_bytes(
            data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        )
        with pytest.raises((InputError, IntegrityError)):
            read_published(tmp_path / "shared")
        (tmp_path / "shared" / name).write_bytes(data)
    read_published(tmp_path / "shared")


# Licences


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("CC0-1.0", "CC0-1.0"), ("cc0", "CC0-1.0"), ("Public Domain", "CC-PDDC"), ("CC-BY-4.0", "CC-BY-4.0"),
        ("CC BY SA 2.5", "CC-BY-SA-2.5"), ("CC-BY-2.5-AU", "CC-BY-2.5-AU"), ("apache-2.0", "Apache-2.0"),
        ("CC-BY-NC-4.0", None), ("CC-BY-ND-4.0", None), ("CC-BY-NC-SA-3.0", None), ("CC-BY", None),
        ("CC-BY-5.0", None), ("GPL-3.0-or-later", None), ("unknown", None), ("", None), ("MIT OR X", None),
    ],
)  # fmt: skip
def test_what_counts_as_open(name: str, spdx: str | None) -> None:
    found = terms(name)
    assert (found and found.name) == spdx


# Recipes

plain = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text())
values = st.one_of(plain, st.lists(st.text(), max_size=3), st.lists(st.integers(), max_size=3))
tables = st.recursive(
    st.dictionaries(st.text(max_size=5), values, min_size=1, max_size=4),
    lambda inner: st.dictionaries(
        st.text(max_size=5),
        st.one_of(values, inner, st.lists(inner, min_size=1, max_size=3)),
        min_size=1,
        max_size=4,
    ),
    max_leaves=6,
)


@given(tables)
def test_written_toml_is_read_as_it_was(table: dict[str, Any]) -> None:
    assert tomllib.loads("\n".join(toml_lines(table))) == table


RECIPE = """
# my notes: ask Ann before passing this on
name = "all kinds"
[[sources]]
name = "table"
kind = "urls"
file = "/home/me/private/table.jsonl.gz"
[[sources]]
name = "old"
kind = "dump"
set = "illustrations"
metadata = "/data/dump/2021"
images = "/data/dump/pictures"
[[sources]]
name = "emoji"
kind = "packages"
client = "npm"
packages = ["a | b"]
linearts = ["*.svg"]
[filters]
[[filters.classifiers]]
name = "sharp"
model = "/home/me/sharp.onnx"
sha256 = "%s"
set = "linearts"
size = 8
threshold = 0.5
""" % ("0" * 64)


def test_a_recipe_of_all_kinds_loses_its_folders_and_gains_versions() -> None:
    one = record("x", ZERO, source="emoji")
    one = replace(one, candidate=replace(one.candidate, origin="npm: b 1.2.0"))
    text = portable_recipe(RECIPE, [one])
    assert "/home" not in text and "/data" not in text and "Ann" not in text
    told = tomllib.loads(text)
    assert [s.get("file") for s in told["sources"]] == ["table.jsonl.gz", None, None]
    assert (told["sources"][1]["metadata"], told["sources"][1]["images"]) == ("old-metadata", "old-images")
    assert told["sources"][2]["versions"] == {"b": "1.2.0"}
    assert told["filters"]["classifiers"][0]["model"] == "sharp.onnx"
    assert parse_recipe(text).name == "all kinds"


def test_a_recipe_that_does_not_hold_is_not_passed_on(dataset: Dataset, tmp_path: Path) -> None:
    (dataset.folder / "recipe.toml").write_text("name = ")
    with pytest.raises(RecipeError, match=r"recipe\.toml does not hold"):
        publish(dataset.folder, tmp_path / "shared")
    (dataset.folder / "recipe.toml").unlink()
    assert "recipe.toml" not in publish(dataset.folder, tmp_path / "shared").files


def test_a_licence_text_comes_along_and_lets_its_pictures(dataset: Dataset, tmp_path: Path) -> None:
    """MIT asks for its notice: with it, the picture may be passed on."""
    text = "licenses/kit.txt"
    (dataset.folder / "licenses").mkdir()
    (dataset.folder / text).write_text("Copyright Ann. Permission is hereby granted …")
    of_kit = [
        replace(m, record=replace(m.record, candidate=replace(m.record.candidate, license_file=text)))
        if m.record.candidate.license == "MIT"
        else m
        for m in dataset.illustrations
    ]
    save_dataset(dataset.folder, of_kit, dataset.linearts, dataset.ledger, dataset.recipe)
    index = publish(dataset.folder, tmp_path / "shared", pictures=True)
    assert len(index.pictures) == len(MAY) + 1
    assert (tmp_path / "shared" / text).read_text().startswith("Copyright Ann")
    assert f"its text came with it: {text}" in (tmp_path / "shared" / ATTRIBUTION).read_text()


def test_an_index_is_read_as_it_was_written() -> None:
    index = Index(name="x", dataset="a" * 64, illustrations=1, linearts=2, files={"b": "c", "a": "d"})
    told = json.loads(json.dumps(index.json_value()))
    stated = told.pop("digest")
    assert Index.model_validate(told).digest == stated == index.digest
