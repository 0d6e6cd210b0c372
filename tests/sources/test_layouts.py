"""The layouts of source kind `folder`: the authors', gallery-dl's, and Hugging Face's image folders."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lacbench.errors import InputError
from lacbench.progress import Silent
from lacbench.records import Candidate
from lacbench.sources import Visit
from lacbench.sources.folder import Folder

from made import Listener, NoWeb, offered


def spec(folder: Path, **more: Any) -> Folder:
    return Folder.model_validate({"name": "f", "kind": "folder", "folder": folder, **more})


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_of_the_authors_layout_only_the_colours_are_taken(tmp_path: Path) -> None:
    put(tmp_path / "a", "color/1.jpg", "color/more/2.PNG", "0/1.png", "1/1.png", "2/1.png", "color/x.txt")
    source = spec(tmp_path / "a", layout="alacgan")
    assert [(c.set, c.key) for c in offered(source, tmp_path / "out")] == [
        ("illustrations", "color/1.jpg"),
        ("illustrations", "color/more/2.PNG"),
    ]
    assert "no authentic line art" in source.plan()[1]
    with pytest.raises(ValidationError, match="XDoG drawings"):
        spec(tmp_path, layout="alacgan", linearts=["0/*.png"])


def test_plain_folders_still_need_globs_or_a_set(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="needs globs"):
        spec(tmp_path)
    put(tmp_path / "a", "1.png", "b/2.webp")
    found = offered(spec(tmp_path / "a", set="linearts"), tmp_path / "out")
    assert [(c.set, c.key) for c in found] == [("linearts", "1.png"), ("linearts", "b/2.webp")]


# --- gallery-dl -------------------------------------------------------------------------------------------

DANBOORU = {
    "category": "danbooru",
    "id": 9,
    "tag_string": "a b",
    "tag_string_artist": "somebody",
    "rating": "s",
    "md5": "A" * 32,
    "source": "https://example.org/x",
    "score": 4,
    "image_width": 5,
    "image_height": 6,
    "file_url": "https://example.org/f.png",
}
YANDERE = {
    "category": "yandere",
    "id": "8",
    "tags": ["b", "a&#039;"],
    "tags_artist": "x y",
    "rating": "s",
    "license": "CC0-1.0",
}


def with_sidecar(folder: Path, name: str, post: Any) -> None:
    put(folder, name)
    (folder / f"{name}.json").write_text(post if isinstance(post, str) else json.dumps(post))


def test_sidecars_say_what_the_site_said(tmp_path: Path) -> None:
    folder = tmp_path / "g"
    with_sidecar(folder, "danbooru/9.png", DANBOORU)
    with_sidecar(folder, "yandere/8.jpg", YANDERE)
    first, second = offered(spec(folder, layout="gallery-dl", set="illustrations"), tmp_path / "out")
    assert first.path == folder / "danbooru/9.png"
    assert (first.tags, first.artist, first.rating, first.score) == (("a", "b"), "somebody", "sensitive", 4)
    assert (first.md5, first.width, first.height, first.license) == ("a" * 32, 5, 6, "unknown")
    assert first.page == "https://danbooru.donmai.us/posts/9"
    assert first.origin == "danbooru post 9 (source https://example.org/x)"
    assert (second.tags, second.artist, second.rating) == (("a'", "b"), "x y", "safe")
    assert (second.license, second.page) == ("CC0-1.0", "https://yande.re/post/show/8")


def test_sidecars_that_are_missing_or_broken_are_counted_and_said(tmp_path: Path) -> None:
    folder = put(tmp_path / "g", "1.png")
    for n, text in enumerate(
        ["{", "[]", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "[" * 99_999]
    ):
        with_sidecar(folder, f"{n + 2}.png", text)
    listener = Listener()
    source = spec(folder, layout="gallery-dl", set="linearts")
    pages = list(source.pages("", Visit(tmp_path / "o", listener, NoWeb())))
    assert len(pages[0].candidates) == 5
    assert listener.said == ["source f: 5 of 5 pictures have no sidecar that can be read"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "id"]), inner),
    max_leaves=10,
)


@given(value=VALUES)
@settings(max_examples=100)
def test_sidecars_of_arbitrary_values_raise_nothing(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("g")
    with_sidecar(folder, "0.png", value if not isinstance(value, str) else json.dumps(value))
    for n, name in enumerate({**DANBOORU, **YANDERE}, 1):
        with_sidecar(folder, f"{n}.png", {**DANBOORU, name: value})
    for c in offered(spec(folder, layout="gallery-dl", set="linearts"), folder / "out"):
        (c.origin + c.license + c.page + c.artist + "".join(c.tags)).encode()


# --- image folders ----------------------------------------------------------------------------------------


def by_key(found: list[Candidate]) -> dict[str, Candidate]:
    return {c.key: c for c in found}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_image_folders_and_their_splits(tmp_path: Path, kind: str) -> None:
    folder = put(tmp_path / "h", "0.png", "train/1.png", "train/sub/2.png", "train/unlisted.png")
    top = pd.DataFrame(
        [{"file_name": "0.png", "set": "linearts", "artist": "x", "tags": "a b", "license": "MIT"}]
    )
    split = pd.DataFrame(
        [
            {"file_name": "1.png", "label": "illustrations", "source": "there", "text": "ignored"},
            {"file_name": "sub/2.png", "label": "linearts", "source": None, "text": ""},
        ]
    )
    for place, frame in ((folder, top), (folder / "train", split)):
        path = place / f"metadata.{kind}"
        if kind == "csv":
            frame.to_csv(path, index=False)
        elif kind == "jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_parquet(path)
    found = by_key(offered(spec(folder, layout="imagefolder"), tmp_path / "out"))
    assert {key: c.set for key, c in found.items()} == {
        "0.png": "linearts",
        "train/1.png": "illustrations",
        "train/sub/2.png": "linearts",
    }
    assert (found["0.png"].artist, found["0.png"].tags, found["0.png"].license) == ("x", ("a", "b"), "MIT")
    assert (found["train/1.png"].origin, found["train/sub/2.png"].origin) == ("there", "folder h")


def test_pictures_of_no_set_are_named(tmp_path: Path) -> None:
    folder = put(tmp_path / "h", "0.png")
    (folder / "metadata.csv").write_text("file_name,label\n0.png,3\n")
    with pytest.raises(InputError, match=r"metadata of 0\.png says not which set"):
        offered(spec(folder, layout="imagefolder"), tmp_path / "out")
    assert offered(spec(folder, layout="imagefolder", set="linearts"), tmp_path / "out")[0].set == "linearts"
    by_glob = spec(folder, layout="imagefolder", illustrations=["*.png"])
    assert offered(by_glob, tmp_path / "out")[0].set == "illustrations"


def test_no_metadata_and_rows_without_a_file_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "h", "0.png")
    with pytest.raises(InputError, match="is no image folder"):
        offered(spec(folder, layout="imagefolder", set="linearts"), tmp_path / "out")
    (folder / "metadata.jsonl").write_text('{"file": "0.png"}\n')
    with pytest.raises(InputError, match=r"row 1 of .*expected a column `file_name`"):
        offered(spec(folder, layout="imagefolder", set="linearts"), tmp_path / "out")


def test_rows_that_lead_outside_name_nothing(tmp_path: Path) -> None:
    put(tmp_path, "secret.png")
    folder = put(tmp_path / "h", "0.png")
    (folder / "metadata.csv").write_text("file_name\n../secret.png\n0.png\n")
    source = spec(folder, layout="imagefolder", set="linearts")
    pages = source.pages("", Visit(tmp_path / "o", Silent(), NoWeb()))
    assert [c.key for page in pages for c in page.candidates] == ["0.png"]
