"""Submissions: the same outputs in every wrapping, what belongs to what, what is refused."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from lacbench.errors import InputError
from lacbench.images import encode_png
from lacbench.metrics.decoding import read_on_white
from lacbench.records import Dataset, Member
from lacbench.submission import About, open_submission

from made import record

KEYS = tuple(f"{n:064x}" for n in range(3))
ABOUT = 'model = "Ours"\nauthors = ["A", "B"]\nlink = "https://example.org/ours"\nhints = true\n'


def dataset_of(folder: Path, keys: tuple[str, ...] = KEYS) -> Dataset:
    members = tuple(Member(record(key, bytes(32)), "test") for key in keys)
    return Dataset(folder, "12" * 32, (), members, ())


def outputs() -> dict[str, bytes]:
    return {f"{key}.png": encode_png(np.full((8, 9, 3), n, np.uint8)) for n, key in enumerate(KEYS)}


def as_folder(files: Mapping[str, bytes], to: Path) -> Path:
    for name, data in files.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(data)
    return to


def as_zip(files: Mapping[str, bytes], to: Path) -> Path:
    to.mkdir()
    with zipfile.ZipFile(to / "ours.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"results/{name}", data)
    return to / "ours.zip"


def as_tar(files: Mapping[str, bytes], to: Path) -> Path:
    to.mkdir(exist_ok=True)
    with tarfile.open(to / "ours.tar", "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return to / "ours.tar"


def as_shards(files: Mapping[str, bytes], to: Path) -> Path:
    """WebDataset: several tars, with other members of the same key beside each picture."""
    texts = {name: data for name, data in files.items() if not name.endswith(".png")}
    as_folder(texts, to)
    for number, (name, data) in enumerate((n, d) for n, d in files.items() if n not in texts):
        shard = as_tar({name: data, name.replace(".png", ".cls"): b"1"}, to)
        shard.rename(to / f"ours-{number:06}.tar")
    return to


WRAPPINGS: tuple[Callable[[Mapping[str, bytes], Path], Path], ...] = (as_folder, as_zip, as_tar, as_shards)


@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_the_same_outputs_in_every_wrapping(
    wrap: Callable[[Mapping[str, bytes], Path], Path], tmp_path: Path
) -> None:
    told = json.dumps({"hints": "ab" * 32, "weights": {"vgg16": "cd"}}).encode()
    source = wrap({**outputs(), "submission.toml": ABOUT.encode(), "submission.json": told}, tmp_path / "a")
    opened = open_submission(source, dataset_of(tmp_path)).complete()
    assert tuple(opened.outputs) == KEYS
    assert [int(read_on_white(file)[0, 0, 0]) for file in opened.outputs.values()] == [0, 1, 2]
    assert opened.about == About(
        model="Ours", authors=("A", "B"), link="https://example.org/ours", hints=True
    )
    assert (opened.name, opened.hints, opened.hinted, opened.weights) == (
        "Ours",
        "ab" * 32,
        True,
        {"vgg16": "cd"},
    )


@pytest.mark.parametrize("wrap", [as_folder, as_zip, as_tar])
def test_a_map_names_the_pictures_where_their_names_do_not(
    wrap: Callable[[Mapping[str, bytes], Path], Path], tmp_path: Path
) -> None:
    pictures = {f"out.{n}.png": data for n, data in enumerate(outputs().values())}
    rows = "".join(f"{key.upper()},out.{2 - n}.png\n" for n, key in enumerate(KEYS))
    source = wrap({**pictures, "map.csv": f"line_art,file,note\n{rows}".encode()}, tmp_path / "a")
    opened = open_submission(source, dataset_of(tmp_path)).complete()
    assert [int(read_on_white(file)[0, 0, 0]) for file in opened.outputs.values()] == [2, 1, 0]


def test_what_is_missing_extra_or_there_twice_is_told_and_refused(tmp_path: Path) -> None:
    files = outputs()
    _, second, third = files
    files["cat.png"] = files.pop(third)
    files[second.replace(".png", ".jpg")] = files[second]
    opened = open_submission(as_folder(files, tmp_path / "a"), dataset_of(tmp_path))
    assert (opened.missing, opened.extra, opened.twice) == ((KEYS[2],), ("cat.png",), (KEYS[1],))
    assert (opened.name, opened.hinted, opened.about) == ("a", False, None)
    with pytest.raises(InputError, match=f"1 of 3 line arts have no output in .*: {third}; expected"):
        opened.complete()
    (tmp_path / "a/cat.png").rename(tmp_path / "a" / third)
    with pytest.raises(InputError, match=f"1 line arts have several outputs in .*: {KEYS[1]}; expected one"):
        open_submission(tmp_path / "a", dataset_of(tmp_path)).complete()
    with pytest.raises(InputError, match="holds 2 pictures of no line art of the data set: "):
        open_submission(tmp_path / "a", dataset_of(tmp_path, KEYS[:1] + KEYS[2:])).complete()
    with pytest.raises(InputError, match="has no line arts to colour"):
        open_submission(tmp_path / "a", dataset_of(tmp_path, ())).complete()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("submission.toml", "model = ", "is no TOML"),
        ("submission.toml", "authors = []", "model: Field required"),
        ("submission.toml", 'model = "a"\nlink = "javascript:alert(1)"', "link: String should match"),
        (
            "submission.toml",
            'model = "a"\nseconds_per_image = 0',
            "seconds_per_image: Input should be greater",
        ),
        ("submission.toml", 'model = "a"\nseconds_per_image = nan', "seconds_per_image"),
        ("submission.toml", 'model = "a"\ntraining_data = "mine"', "training_data: String should match"),
        ("submission.toml", 'model = "a"\nscore = 3', "score: Extra inputs"),
        ("map.csv", "", "is no map"),
        ("map.csv", "a,b\n1,2\n", "is no map"),
        (
            "map.csv",
            f"line_art,file\n{KEYS[0]},../x.png\n",
            r"line 2, names a picture that is not there: '../x",
        ),
        (
            "map.csv",
            f"line_art,file\n{KEYS[0]},{KEYS[0]}.png\n{KEYS[1]},{KEYS[0]}.png\n",
            "line 3, names a pict",
        ),
    ],
)
def test_a_text_that_cannot_be_used_is_named(name: str, text: str, told: str, tmp_path: Path) -> None:
    source = as_folder({**outputs(), name: text.encode()}, tmp_path / "a")
    with pytest.raises(InputError, match=told) as caught:
        open_submission(source, dataset_of(tmp_path))
    assert name in str(caught.value)


def test_texts_are_utf_8_of_bounded_length(tmp_path: Path) -> None:
    source = as_folder({**outputs(), "map.csv": b"\xff\xfe"}, tmp_path / "a")
    with pytest.raises(InputError, match="is no text in UTF-8"):
        open_submission(source, dataset_of(tmp_path))
    (source / "map.csv").write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(InputError, match="expected at most"):
        open_submission(source, dataset_of(tmp_path))


def test_places_that_are_no_submission(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for name, told in (("a.txt", "a file"), ("none", "not there")):
        with pytest.raises(InputError, match=f"{name} is {told}; expected a submission"):
            open_submission(tmp_path / name, dataset_of(tmp_path))


def test_archives_that_lead_out_or_hold_two_notes_are_refused(tmp_path: Path) -> None:
    source = as_zip({"../../up.png": b"x"}, tmp_path / "a")
    with pytest.raises(InputError, match="leads out of it"):
        open_submission(source, dataset_of(tmp_path))
    two = as_zip({"submission.toml": b"", "deep/submission.toml": b""}, tmp_path / "b")
    with pytest.raises(InputError, match=r"has 2 files called submission\.toml"):
        open_submission(two, dataset_of(tmp_path))


def test_what_authors_tell_moves_no_cursor(tmp_path: Path) -> None:
    about = b'model = "A\\u001b[31m\\u202eB"\nauthors = ["a\\nb"]\nhardware = """x\ny"""\n'
    source = as_folder({**outputs(), "submission.toml": about}, tmp_path / "a")
    told = open_submission(source, dataset_of(tmp_path)).about
    assert told == About(model="A [31m B", authors=("a b",), hardware="x y")
    (source / "submission.toml").write_text('model = "\\u001b"')
    with pytest.raises(InputError, match="model: String should have at least 1 character"):
        open_submission(source, dataset_of(tmp_path))
