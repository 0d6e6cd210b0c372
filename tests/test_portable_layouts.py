"""A data set in other tools' layouts: these tools read it, and so do we."""

import importlib.util
import io
import itertools
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lacbench.curate import build_dataset
from lacbench.errors import InputError, IntegrityError, OutputError
from lacbench.files import sha256_bytes
from lacbench.images import encode_png, read
from lacbench.layouts import describe, export_dataset
from lacbench.manifest import load_dataset, load_pairs, save_dataset, save_pairs
from lacbench.pairs import make_pairs
from lacbench.recipe import parse_recipe
from lacbench.records import Dataset, Member
from lacbench.shards import File, Sample, plan_shards, write_shard

from made import build, draw_figure


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """PNGs and JPEGs, with tags, artists, scores (not all), true pairs and drawings of two sizes."""
    place = tmp_path_factory.mktemp("built")
    for name, numbers in (("illustrations", range(20)), ("linearts", (0, *range(100, 104)))):
        (place / "art" / name).mkdir(parents=True)
        for n in numbers:
            kind = "jpg" if n % 4 == 1 else "png"
            picture = Image.fromarray(draw_figure(n)[name == "linearts"])
            picture.save(place / f"art/{name}/{n}.{kind}", quality=95)
    build(place / "art", place / "data")
    told = load_dataset(place / "data")
    lists = [[with_facts(m) for m in of_set] for of_set in (told.illustrations, told.linearts)]
    dataset = save_dataset(place / "data", *lists, told.ledger, told.recipe)
    make_pairs(dataset, (0.3, 0.5), size=64)
    make_pairs(dataset, (0.4,), size=96)
    return dataset


def with_facts(member: Member) -> Member:
    number = int(Path(member.record.candidate.key).stem)
    facts = {"tags": ("1girl", "solo"), "artist": "ann b._c", "page": f"https://x.example/{number}"}
    told = replace(
        member.record.candidate,
        **facts if number % 2 else {},
        score=number if number % 3 or member.record.candidate.set == "linearts" else None,
        pair="art/0" if number == 0 else "",
        license="CC-BY-4.0" if number % 2 else "CC-BY-NC-4.0",
    )
    return replace(member, record=replace(member.record, candidate=told))


def everything(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): sha256_bytes(p.read_bytes())
        for p in folder.rglob("*")
        if p.is_file()
    }


def oracle(package: str, code: str, *words: str) -> str:
    """What a program prints that uses another tool, in a process of its own: these tools warn and talk."""
    if not importlib.util.find_spec(package):
        pytest.skip(f"no {package} here; install the group dev")
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
import hashlib, json, os, sys
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=sys.argv[3], HF_HOME=sys.argv[3])
import datasets, numpy as np
datasets.disable_progress_bars()
told = {}
for split, rows in datasets.load_dataset(sys.argv[1], sys.argv[2]).items():
    told[split] = []
    for row in rows:
        shown = {k: v for k, v in row.items() if not hasattr(v, "convert")}
        for key in row.keys() - shown.keys():
            pixels = np.asarray(row[key].convert("RGB"))
            shown[key] = [list(pixels.shape), hashlib.sha256(pixels.tobytes()).hexdigest()]
        told[split].append(shown)
print(json.dumps(told))
"""


def pixels(path: Path) -> list[object]:
    image = np.asarray(Image.open(path).convert("RGB"))
    return [list(image.shape), sha256_bytes(image.tobytes())]


@pytest.mark.parametrize("name", ["illustrations", "linearts"])
def test_datasets_reads_folders_of_pictures(dataset: Dataset, tmp_path: Path, name: str) -> None:
    export_dataset(dataset.folder, tmp_path / "hf", "huggingface", size=64)
    told = json.loads(oracle("datasets", LOAD, str(tmp_path / "hf"), name, str(tmp_path / "cache")))
    members = {m.record.sha256: m for m in getattr(dataset, name)}
    assert {row["id"]: split for split, rows in told.items() for row in rows} == {
        sha256: m.split for sha256, m in members.items()
    }
    drawn = {(p.sha256, f"xdog_{p.sigma:g}"): p for p in load_pairs(dataset.folder) if p.size == 64}
    for row in (row for rows in told.values() for row in rows):
        member = members[row["id"]]
        assert row.pop("image") == pixels(dataset.file(member))
        for key in [key for key in row if key.startswith("xdog")]:
            assert row.pop(key) == pixels(dataset.folder / drawn.pop((row["id"], key)).path)
        assert row == describe(member, scored=name == "linearts")
    assert not drawn or name == "linearts"


SHARDS = """
import glob, hashlib, json, sys, warnings
warnings.simplefilter("ignore")
import webdataset as wds
told = {}
for sample in wds.WebDataset(sorted(glob.glob(sys.argv[1])), shardshuffle=False, empty_check=False):
    told[sample["__key__"]] = {
        k: json.loads(v) if k == "json" else hashlib.sha256(v).hexdigest()
        for k, v in sample.items() if not k.startswith("__")
    }
print(json.dumps(told))
"""


def test_webdataset_reads_shards(dataset: Dataset, tmp_path: Path) -> None:
    done = export_dataset(dataset.folder, tmp_path / "wds", "webdataset", size=64, shard_bytes=60_000)
    assert len(done.files) > 4 and {(tmp_path / "wds" / name).is_file() for name in done.files} == {True}
    assert max((tmp_path / "wds" / name).stat().st_size for name in done.files) <= 60_000
    told = json.loads(oracle("webdataset", SHARDS, str(tmp_path / "wds/*.tar")))
    pairs = {(p.sha256, f"xdog-{p.sigma:g}.png"): p for p in load_pairs(dataset.folder) if p.size == 64}
    assert told == {
        m.record.sha256: {
            m.record.path.rpartition(".")[2]: m.record.sha256,
            "json": describe(m),
            **{
                kind: sha256_bytes((dataset.folder / pair.path).read_bytes())
                for (sha256, kind), pair in pairs.items()
                if sha256 == m.record.sha256
            },
        }
        for m in (*dataset.illustrations, *dataset.linearts)
    }
    for name in done.files:
        with tarfile.open(tmp_path / "wds" / name) as archive:
            splits = {(told[m.name.split(".")[0]]["json"][key]) for m in archive for key in ("set", "split")}
        assert splits == set(name.split("-")[:2])


LAYOUTS = ("huggingface", "webdataset")
SOURCE = {
    "huggingface": 'kind = "folder"\nlayout = "imagefolder"\nfolder = "out"',
    "webdataset": 'kind = "webdataset"\nshards = "out"',
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_a_source_again(dataset: Dataset, tmp_path: Path, layout: str) -> None:
    """The same pictures, with all that was told of them; drawings are none of them."""
    export_dataset(dataset.folder, tmp_path / "out", layout)
    recipe = parse_recipe(f'name = "again"\n[[sources]]\nname = "back"\n{SOURCE[layout]}\n', tmp_path)
    again = build_dataset(recipe, tmp_path / "again")
    assert len(again.ledger) == len(dataset.illustrations) + len(dataset.linearts)
    for name in ("illustrations", "linearts"):
        before = {m.record.sha256: m.record.candidate for m in getattr(dataset, name)}
        after = {m.record.sha256: m.record.candidate for m in getattr(again, name)}
        assert after.keys() == before.keys()
        for sha256, told in after.items():
            was = before[sha256]
            assert (told.license, told.artist, told.tags, told.page, told.origin) == (
                was.license, was.artist, was.tags, was.page, was.origin,
            )  # fmt: skip
            assert bool(told.pair) == bool(was.pair)
    assert build_dataset(recipe, tmp_path / "again").digest == again.digest


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_data_set_gives_the_same_bytes_also_after_a_kill(
    dataset: Dataset, tmp_path: Path, layout: str
) -> None:
    export_dataset(dataset.folder, tmp_path / "a", layout, shard_bytes=60_000)
    for number, file in enumerate(sorted((tmp_path / "a").rglob("*.*"))):
        if number % 3 == 0 and file.suffix != ".json":
            target = tmp_path / "b" / file.relative_to(tmp_path / "a")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "a/export.json").read_text())
    settings.pop("files")
    (tmp_path / "b/export.json").write_text(json.dumps(settings))
    export_dataset(dataset.folder, tmp_path / "b", layout, shard_bytes=60_000)
    assert everything(tmp_path / "a") == everything(tmp_path / "b")


def test_a_folder_of_something_else_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    export_dataset(dataset.folder, tmp_path / "out", "webdataset")
    before = everything(tmp_path / "out")
    with pytest.raises(OutputError, match="holds another export"):
        export_dataset(dataset.folder, tmp_path / "out", "huggingface")
    with pytest.raises(OutputError, match="holds files, but no export"):
        export_dataset(dataset.folder, dataset.folder, "webdataset")
    assert everything(tmp_path / "out") == before


def test_only_open_pictures(dataset: Dataset, tmp_path: Path) -> None:
    done = export_dataset(dataset.folder, tmp_path / "out", "huggingface", open_only=True)
    files = {p.stem for p in (tmp_path / "out").glob("*/*/*.[pj][np]g")}
    works = (*dataset.illustrations, *dataset.linearts)
    assert files == {m.record.sha256 for m in works if int(Path(m.record.candidate.key).stem) % 2}
    assert done.pictures == len(files)
    assert "license: cc-by-4.0\n" in (tmp_path / "out/README.md").read_text()


def test_the_largest_drawings_are_taken_where_no_size_is_named(dataset: Dataset, tmp_path: Path) -> None:
    done = export_dataset(dataset.folder, tmp_path / "out", "huggingface")
    assert done.drawings == len(dataset.illustrations)
    assert {min(read(p).shape[:2]) for p in (tmp_path / "out").glob("*/*/xdog/0.4/*")} == {96}
    with pytest.raises(InputError, match=r"no drawings of size 128, there are 64, 96; make them with"):
        export_dataset(dataset.folder, tmp_path / "more", "huggingface", size=128)


def test_a_thickness_that_some_illustrations_lack_is_left_out(drawn_art: Path, tmp_path: Path) -> None:
    """Readers take a table's columns from its first row."""
    other = build(drawn_art, tmp_path / "data")
    pairs = make_pairs(other, (0.3, 0.5), size=64)
    save_pairs(other.folder, pairs[1:])
    export_dataset(other.folder, tmp_path / "out", "huggingface")
    rows = [
        json.loads(line)
        for file in (tmp_path / "out/illustrations").glob("*/metadata.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert len(rows) == 12
    assert {key for row in rows for key in row if "xdog" in key} == {"xdog_0.5_file_name"}


def test_a_damaged_picture_is_named(dataset: Dataset, drawn_art: Path, tmp_path: Path) -> None:
    other = build(drawn_art, tmp_path / "data")
    file = other.file(other.linearts[0])
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    for layout in LAYOUTS:
        with pytest.raises(IntegrityError, match=f"{file.name} has other bytes"):
            export_dataset(other.folder, tmp_path / layout, layout)
    file.unlink()
    with pytest.raises(IntegrityError, match="cannot be read"):
        export_dataset(other.folder, tmp_path / "webdataset", "webdataset")


def sample(number: int, sizes: list[int]) -> Sample:
    data = [bytes([number % 256]) * size for size in sizes]
    return Sample(f"{number:04}", {f"f{i}": File(len(d), lambda d=d: d) for i, d in enumerate(data)})


@given(
    st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=3), max_size=25), st.integers(10_240, 40_000)
)
def test_shards_keep_their_size_and_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], most: int
) -> None:
    samples = [sample(n, one) for n, one in enumerate(sizes)]
    shards = plan_shards(samples, most)
    assert [s for shard in shards for s in shard] == samples
    folder = tmp_path_factory.mktemp("shards")
    written = []
    for number, shard in enumerate(shards):
        write_shard(folder / f"{number}.tar", shard)
        written.append((folder / f"{number}.tar").stat().st_size)
        with tarfile.open(folder / f"{number}.tar") as archive:
            names = [(m.name, m.size, m.mtime, m.uid, m.uname) for m in archive]
        assert names == [(f"{s.key}.{k}", f.size, 0, 0, "") for s in shard for k, f in s.files.items()]
    assert all(size <= most or len(shard) == 1 for size, shard in zip(written, shards, strict=True))
    # No two neighbours would have fitted into one.
    for a, b in itertools.pairwise(shards):
        write_shard(folder / "both.tar", [*a, b[0]])
        assert (folder / "both.tar").stat().st_size > most


# The source `webdataset`, on others' shards


def shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def picture(number: int) -> bytes:
    return encode_png(draw_figure(number)[number > 99])


def recipe_of(folder: Path, more: str = "") -> str:
    return f'name = "x"\n[[sources]]\nname = "s"\nkind = "webdataset"\nshards = "{folder}"\n{more}'


def test_shards_of_img2dataset_are_read(tmp_path: Path) -> None:
    """Its JSON has addresses and other columns; sets come from the recipe."""
    told = json.dumps({"url": "https://x.example/1.png", "caption": "…", "key": "000000001", "sha256": None})
    files = {"000000001.jpg": picture(1), "000000001.json": told.encode(), "000000001.txt": b"a caption"}
    shard(tmp_path / "00000.tar", {**files, "000000002.png": picture(2), "000000002.json": b"[broken"})
    lines = tmp_path / "lines"
    lines.mkdir()
    shard(lines / "00000.tar", {"a/7.webp": picture(107)})
    second = f'[[sources]]\nname = "l"\nkind = "webdataset"\nshards = "{lines}"\nset = "linearts"\n'
    text = recipe_of(tmp_path / "00000.tar", 'set = "illustrations"\nlicense = "CC0-1.0"\n') + second
    dataset = build_dataset(parse_recipe(text), tmp_path / "data")
    told_pages = {m.record.candidate.key: m.record.candidate.page for m in dataset.illustrations}
    assert told_pages == {"00000/000000001": "https://x.example/1.png", "00000/000000002": ""}
    assert [m.record.candidate.key for m in dataset.linearts] == ["00000/a/7"]
    assert {m.record.candidate.license for m in dataset.illustrations} == {"CC0-1.0"}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda f: shard(f / "a.tar", {"1.png": picture(1)}), "says not which set it belongs to"),
        (lambda f: shard(f / "a.tar", {"1.txt": b"x"}), "holds no pictures"),
        (lambda f: None, "holds no shard"),
    ],
)
def test_shards_that_do_not_do(tmp_path: Path, make: Callable[[Path], object], told: str) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    with pytest.raises(InputError, match=told):
        build_dataset(parse_recipe(recipe_of(tmp_path / "in")), tmp_path / "data")
