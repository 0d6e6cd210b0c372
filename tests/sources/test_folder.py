"""Source kind `folder`."""

import json
from pathlib import Path

import pytest

from lacbench.errors import InputError, RecipeError
from lacbench.recipe import folder_recipe
from lacbench.sources.folder import Folder

from made import offered


def folder_spec(folder: Path) -> Folder:
    return folder_recipe(folder).sources[0]


def test_offers_both_sets_in_the_order_of_names(drawn_art: Path, tmp_path: Path) -> None:
    found = offered(folder_spec(drawn_art), tmp_path / "out")
    assert [c.key for c in found] == [
        *(f"illustrations/{n:02}.png" for n in range(12)),
        *(f"linearts/{n}.png" for n in range(100, 105)),
    ]
    assert {c.license for c in found} == {"unknown"}


def test_the_manifest_gives_rights_and_origin(drawn_art: Path, tmp_path: Path) -> None:
    entry = {"file": "linearts/100.png", "license": "CC-BY-4.0", "source": "somebody"}
    (drawn_art / "manifest.json").write_text(json.dumps([entry]))
    told = {c.key: c for c in offered(folder_spec(drawn_art), tmp_path / "out")}
    assert told["linearts/100.png"].license == "CC-BY-4.0"
    assert told["linearts/100.png"].origin == "somebody"
    assert told["linearts/101.png"].license == "unknown"


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"license": "x"}]'])
def test_a_broken_manifest_is_one_sentence(drawn_art: Path, tmp_path: Path, text: str) -> None:
    (drawn_art / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json does not hold: expected a list of objects"):
        offered(folder_spec(drawn_art), tmp_path / "out")


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        offered(folder_spec(tmp_path / "none"), tmp_path / "out")
    with pytest.raises(InputError, match="holds none of illustrations/"):
        offered(folder_spec(tmp_path), tmp_path / "out")


def test_limit_spreads_over_the_names(drawn_art: Path, tmp_path: Path) -> None:
    spec = folder_spec(drawn_art).model_copy(update={"limit": 3})
    assert [c.key for c in offered(spec, tmp_path / "out") if c.set == "illustrations"] == [
        "illustrations/00.png",
        "illustrations/04.png",
        "illustrations/08.png",
    ]


def test_true_pairs_are_of_one_stem_and_stay_together(drawn_art: Path, tmp_path: Path) -> None:
    for n in range(100, 104):
        (drawn_art / f"linearts/{n}.png").rename(drawn_art / f"linearts/{n - 100:02}.png")
    spec = folder_spec(drawn_art).model_copy(update={"pairs": True, "limit": 2})
    found = offered(spec, tmp_path / "out")
    assert [(c.set, c.pair) for c in found] == [
        ("illustrations", "folder/00"),
        ("illustrations", "folder/02"),
        ("linearts", "folder/00"),
        ("linearts", "folder/02"),
    ]


def test_an_odd_file_does_not_shift_the_pairs(drawn_art: Path, tmp_path: Path) -> None:
    """Two files of one stem cannot be told apart; files without a partner change nothing."""
    for n in range(100, 104):
        (drawn_art / f"linearts/{n}.png").rename(drawn_art / f"linearts/{n - 99:02}.png")
    spec = folder_spec(drawn_art).model_copy(update={"pairs": True, "limit": 2})
    found = offered(spec, tmp_path / "out")
    assert [c.pair for c in found if c.set == "linearts"] == [c.pair for c in found if c.set != "linearts"]
    (drawn_art / "linearts/01.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"linearts/01\.jpg and linearts/01\.png have one stem"):
        offered(spec, tmp_path / "out")


def test_surrogates_in_the_manifest_become_text(drawn_art: Path, tmp_path: Path) -> None:
    entry = {"file": "linearts/100.png", "license": "\ud800", "source": "\udc83"}
    (drawn_art / "manifest.json").write_text(json.dumps([entry]))
    told = {c.key: c for c in offered(folder_spec(drawn_art), tmp_path / "out")}["linearts/100.png"]
    assert (told.license + told.origin).encode() == b"\\ud800\\x83"


def test_exclude_and_absolute_globs(drawn_art: Path, tmp_path: Path) -> None:
    spec = folder_spec(drawn_art).model_copy(update={"exclude": ("**/0*",)})
    assert len(offered(spec, tmp_path / "out")) == 2 + 5
    with pytest.raises(RecipeError, match="glob does not hold"):
        offered(spec.model_copy(update={"illustrations": ("/etc/*",)}), tmp_path / "out")
