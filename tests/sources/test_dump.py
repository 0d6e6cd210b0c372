"""Source kind `dump`: the recorded row, made rows, and rows of arbitrary values."""

import gzip
import json
import lzma
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError, LacbenchError
from lacbench.progress import Silent
from lacbench.sources import Visit
from lacbench.sources.dump import Dump

from made import Listener, NoWeb, offered


def row(key: int, **more: Any) -> dict[str, Any]:
    tags = [{"id": "1", "name": n, "category": c} for n, c in (("1girl", "0"), ("somebody", "1"))]
    return {
        "id": str(key),
        "score": "3",
        "source": "https://example.org/x",
        "md5": f"{key:032x}",
        "rating": "s",
        "image_width": "800",
        "image_height": "600",
        "file_ext": "png",
        "parent_id": "0",
        "is_banned": False,
        "tags": tags,
        **more,
    }


def written(folder: Path, rows: list[Any], name: str = "posts.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows).encode()
    packed = {
        ".gz": gzip.compress,
        ".xz": lzma.compress,
        ".zst": lambda d: pa.compress(d, "zstd", asbytes=True),
    }
    path.write_bytes(packed.get(path.suffix, bytes)(data))
    return path


def spec(metadata: Path, images: Path, **more: Any) -> Dump:
    table = {"name": "d", "kind": "dump", "set": "illustrations", "metadata": metadata, "images": images}
    return Dump.model_validate({**table, **more})


def put(images: Path, name: str) -> None:
    (images / name).parent.mkdir(parents=True, exist_ok=True)
    (images / name).write_bytes(b"x")


def test_pictures_are_found_by_their_id_and_missing_ones_are_offered_too(tmp_path: Path) -> None:
    metadata = written(tmp_path, [row(263_162), row(5, is_banned=True), row(6), row(1_000, file_ext="../x")])
    put(tmp_path / "i", "original/0162/263162.png")
    put(tmp_path / "i", "original/0005/5.png")
    found = offered(spec(metadata, tmp_path / "i"), tmp_path / "out")
    assert [c.path.name for c in found] == ["263162.png", "", "", ""]
    assert found[0].page == "https://danbooru.donmai.us/posts/263162"
    assert (found[0].artist, found[0].rating, found[0].score) == ("somebody", "safe", 3)
    assert (found[0].md5, found[0].width, found[0].height) == (f"{263_162:032x}", 800, 600)
    assert [c.origin.partition(" (")[0] for c in found] == [
        "Danbooru dump post 263162",
        "Danbooru dump post 5, taken down",
        "Danbooru dump post 6, not on this disk",
        "Danbooru dump post 1000, not on this disk",
    ]


def test_small_pictures_are_jpegs_whose_digest_is_not_the_originals(tmp_path: Path) -> None:
    put(tmp_path, "512px/0007/1007.jpg")
    found = offered(spec(written(tmp_path, [row(1_007)]), tmp_path, size="512px"), tmp_path / "out")[0]
    assert found.path.name == "1007.jpg" and (found.md5, found.width, found.height) == ("", 0, 0)


def test_only_posts_that_match_are_offered(tmp_path: Path) -> None:
    metadata = written(
        tmp_path, [row(1), row(2, rating="e"), row(3, tags=[{"name": "sketch"}]), row(4, tags=None)]
    )
    wanted = {"tags": ("1girl",), "without": ("sketch",), "ratings": ("safe",)}
    assert [c.key for c in offered(spec(metadata, tmp_path, **wanted), tmp_path)] == ["1"]
    with pytest.raises(InputError, match="none of the 4 lines"):
        offered(spec(metadata, tmp_path, tags=("nobody",)), tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_files_and_folders_of_them_plain_or_compressed(tmp_path: Path, suffix: str) -> None:
    for n in range(3):
        written(tmp_path / "metadata", [row(10 * n + i) for i in range(1, 4)], f"2020/part{n}.json{suffix}")
    found = offered(spec(tmp_path / "metadata", tmp_path), tmp_path / "out")
    assert [c.key for c in found] == ["1", "2", "3", "11", "12", "13", "21", "22", "23"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_file_that_is_cut_off_is_one_sentence(tmp_path: Path, suffix: str) -> None:
    metadata = written(tmp_path, [row(n) for n in range(1, 500)], f"m.json{suffix}")
    metadata.write_bytes(metadata.read_bytes()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        offered(spec(metadata, tmp_path), tmp_path)


def test_broken_lines_and_repeats_are_counted_and_said(tmp_path: Path) -> None:
    metadata = written(tmp_path, [row(1), "{", "[1]", "", row(0), row(2, id="x"), row(1), row(3)])
    listener = Listener()
    pages = spec(metadata, tmp_path).pages("", Visit(tmp_path, listener, NoWeb()))
    assert [c.key for page in pages for c in page.candidates] == ["1", "3"]
    assert listener.said == ["source d: 4 broken lines and 1 repeated posts passed over, of 7 lines"]


def test_it_goes_on_after_any_page_with_flat_memory(tmp_path: Path) -> None:
    metadata = written(tmp_path, [row(n) for n in range(1, 20_001)], "m.json.gz")
    put(tmp_path, "original/0009/9.png")
    source = spec(metadata, tmp_path)
    tracemalloc.start()
    keys, cursors = [], []
    for page in source.pages("", Visit(tmp_path, Silent(), NoWeb())):
        keys += [c.key for c in page.candidates]
        cursors.append(page.cursor)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert keys == [str(n) for n in range(1, 20_001)] and len(cursors) == 20
    assert peak < 16 * 2**20
    rest = source.pages(cursors[6], Visit(tmp_path, Silent(), NoWeb()))
    assert [c.key for page in rest for c in page.candidates] == keys[7_000:]


def test_the_limit_counts_pictures_that_are_there(tmp_path: Path) -> None:
    metadata = written(tmp_path, [row(n) for n in range(1, 10)])
    for n in (2, 4, 6):
        put(tmp_path, f"original/{n:04}/{n}.png")
    found = offered(spec(metadata, tmp_path, limit=2), tmp_path / "out")
    assert [c.key for c in found] == ["1", "2", "3", "4"]


def test_the_stamp_changes_with_the_pictures(tmp_path: Path) -> None:
    metadata = written(tmp_path, [row(1)])
    source = spec(metadata, tmp_path)
    before = source.stamp()
    assert source.stamp() == before
    put(tmp_path, "original/0001/1.png")
    assert source.stamp() != before


def test_no_metadata_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file of metadata"):
        offered(spec(tmp_path / "none", tmp_path), tmp_path)


def test_the_recorded_row(tmp_path: Path, facts: Path) -> None:
    found = offered(spec(facts / "danbooru2021_metadata.jsonl", tmp_path), tmp_path)[0]
    assert (found.key, found.md5, found.rating) == ("263162", "9a0f9e0f08907d12b7d08e46047ae4d8", "safe")
    assert (found.width, found.height, found.artist) == (797, 794, "kakinouchi_narumi")
    assert "larva_(vampire_princess_miyu)" in found.tags


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "category"]), inner),
    max_leaves=12,
)


@given(value=VALUES, junk=st.binary(max_size=40))
@settings(max_examples=150)
def test_nothing_but_our_own_errors_comes_out(
    tmp_path_factory: pytest.TempPathFactory, value: Any, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("d")
    rows = [json.dumps(value), *(row(n + 1, **{name: value}) for n, name in enumerate(row(1)))]
    path = written(folder, rows)
    path.write_bytes(path.read_bytes() + junk)
    try:
        for candidate in offered(spec(path, folder), folder):
            (candidate.origin + candidate.artist + "".join(candidate.tags)).encode()
    except LacbenchError as error:
        str(error).encode()
