"""The straight line from a recipe to a data set, on drawn pictures and on real art."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.errors import InputError, MissingError, OutputError
from lacbench.files import sha256_file
from lacbench.images import write_png
from lacbench.manifest import load_dataset
from lacbench.recipe import folder_recipe, load_recipe, parse_recipe

from made import Listener, build, draw_figure, recipe_for


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file but the resumable state."""
    files = (p for p in folder.rglob("*") if p.is_file() and "work" not in p.relative_to(folder).parts)
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in files}


def test_every_candidate_has_one_verdict(drawn_art: Path, tmp_path: Path) -> None:
    shutil.copy(drawn_art / "illustrations/00.png", drawn_art / "illustrations/again.png")
    write_png(drawn_art / "illustrations/small.png", draw_figure(50)[0][:50])
    write_png(drawn_art / "illustrations/lines.png", draw_figure(51)[1])
    write_png(drawn_art / "illustrations/leak.png", draw_figure(100)[0])
    write_png(drawn_art / "linearts/color.png", draw_figure(52)[0])
    (drawn_art / "linearts/text.png").write_text("no picture")
    dataset = build(drawn_art, tmp_path / "data")
    told = {e.candidate.key.split("/")[1]: e.verdict.reason for e in dataset.ledger}
    assert len(told) == len(dataset.ledger) == 12 + 5 + 6
    assert {k: v for k, v in told.items() if v} == {
        "again.png": "duplicate",
        "small.png": "small",
        "lines.png": "grey",
        "leak.png": "leak",
        "color.png": "colored",
        "text.png": "unreadable",
    }
    assert (len(dataset.illustrations), len(dataset.linearts)) == (12, 5)
    assert dataset.dropped() == dict.fromkeys(sorted(v for v in told.values() if v), 1)


def test_what_is_loaded_is_what_was_saved(drawn_art: Path, tmp_path: Path) -> None:
    built = build(drawn_art, tmp_path / "data")
    assert load_dataset(tmp_path / "data") == built


def test_stored_files_are_named_by_their_bytes(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    for member in (*dataset.illustrations, *dataset.linearts):
        assert sha256_file(dataset.file(member)) == member.record.sha256


def test_workers_and_repetition_change_no_byte(drawn_art: Path, tmp_path: Path) -> None:
    one = build(drawn_art, tmp_path / "one", engine=Local(workers=1))
    two = build(drawn_art, tmp_path / "two", engine=Local(workers=2, chunk=3))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert one.digest == two.digest


def test_a_second_run_does_nothing_and_a_changed_source_is_noticed(drawn_art: Path, tmp_path: Path) -> None:
    first = build(drawn_art, tmp_path / "data")
    before = {p: (tmp_path / "data" / p).stat().st_mtime_ns for p in tree(tmp_path / "data")}
    notes = Listener()
    assert build(drawn_art, tmp_path / "data", progress=notes) == first
    assert {p: (tmp_path / "data" / p).stat().st_mtime_ns for p in before} == before
    assert "nothing changed" in notes.said[-1]
    write_png(drawn_art / "illustrations/new.png", draw_figure(60)[0])
    assert len(build(drawn_art, tmp_path / "data").illustrations) == 13


def test_kill_minus_nine_then_the_same_result(drawn_art: Path, tmp_path: Path) -> None:
    for seed in range(200, 260):
        write_png(drawn_art / f"illustrations/{seed}.png", draw_figure(seed)[0])
    build(drawn_art, tmp_path / "whole")
    (tmp_path / "r.toml").write_text(recipe_for(drawn_art).text)
    command = [sys.executable, "-m", "lacbench.cli.main", "build-dataset", str(tmp_path / "r.toml"),
               "-o", str(tmp_path / "killed"), "--workers", "1"]  # fmt: skip
    for stored in (1, 20, 70):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            while len(list((tmp_path / "killed").glob("images/*/*.png"))) < stored:
                assert process.poll() is None
            process.kill()
        assert process.returncode == -signal.SIGKILL
    build(drawn_art, tmp_path / "killed")
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_no_line_art_is_one_sentence_and_the_ledger_stays(drawn_art: Path, tmp_path: Path) -> None:
    for file in (drawn_art / "linearts").iterdir():
        write_png(file, draw_figure(70)[0])
    with pytest.raises(InputError, match="has no linearts: expected at least one, dropped were 5 colored"):
        build(drawn_art, tmp_path / "data")
    assert len(load_dataset(tmp_path / "data").ledger) == 17


def test_a_source_that_cannot_be_read_here_is_left_out_and_said(
    drawn_art: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    packages = (
        '[[sources]]\nname = "p"\nkind = "packages"\nclient = "npm"\npackages = ["x"]\n'
        'linearts = ["*"]\nillustrations = ["i/*"]\n'
    )
    both = parse_recipe(recipe_for(drawn_art).text + packages)
    notes = Listener()
    build_dataset(both, tmp_path / "data", progress=notes)
    told = "left out, npm is not on this machine; install it to have its packages"
    assert f"source p: {told}" in notes.said
    assert "p: npm is not on this machine" in (tmp_path / "data/card.md").read_text()
    alone = parse_recipe('name = "alone"\n' + packages)
    with pytest.raises(MissingError, match="no source can be read here: npm is not on this machine"):
        build_dataset(alone, tmp_path / "other")


def test_the_card_tells_counts_rights_and_reasons(drawn_art: Path, tmp_path: Path) -> None:
    write_png(drawn_art / "illustrations/s|mall.png", draw_figure(50)[0][:50])
    dataset = build(drawn_art, tmp_path / "data")
    card = (tmp_path / "data/card.md").read_text()
    assert dataset.digest in card
    assert "| linearts | art | CC0-1.0 |  | folder art | 5 |" in card
    assert "| small | smaller than the recipe asks for | 1 |" in card
    facts = json.loads((tmp_path / "data/card.json").read_text())
    assert facts["dropped"] == {"small": 1}
    assert facts["candidates"] == 18
    for name in re.findall(r"!\[[^]]*\]\((card/[^)]*)\)", card):
        assert (tmp_path / "data" / name).stat().st_size > 100
    assert {p.name for p in (tmp_path / "data/card").iterdir()} >= {"kept-linearts.jpg", "dropped-small.jpg"}


def test_time_zone_locale_and_folder_change_no_byte(drawn_art: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(recipe_for(drawn_art).text)
    for name, zone, place in (("a", "Asia/Tokyo", tmp_path), ("b", "America/New_York", Path("/"))):
        environment = {**os.environ, "TZ": zone, "LC_ALL": "C" if name == "a" else "C.UTF-8"}
        command = [sys.executable, "-m", "lacbench.cli.main", "build-dataset", str(tmp_path / "r.toml"),
                   "-o", str(tmp_path / name)]  # fmt: skip
        subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.art
def test_real_art(art: Path, tmp_path: Path) -> None:
    """A slice of the shared pictures, labelled by folder: nearly all are kept in the set they belong to."""
    for name, step in (("illustrations", 12), ("linearts", 3)):
        (tmp_path / "art" / name).mkdir(parents=True)
        for file in sorted((art / name).iterdir())[::step]:
            shutil.copy(file, tmp_path / "art" / name)
    dataset = build(tmp_path / "art", tmp_path / "data")
    assert len(dataset.illustrations) >= 55
    assert len(dataset.linearts) >= 20
    assert sum(dataset.dropped().values()) <= 10
    assert np.mean([m.split == "train" for m in dataset.illustrations]) > 0.75


def test_a_folder_of_the_users_own_is_left_alone(drawn_art: Path, tmp_path: Path) -> None:
    (tmp_path / "home/dl").mkdir(parents=True)
    (tmp_path / "home/dl/.movie.part").write_text("precious")
    with pytest.raises(OutputError, match="holds files, but no data set; choose another output folder"):
        build(drawn_art, tmp_path / "home")
    assert (tmp_path / "home/dl/.movie.part").is_file()


def test_what_a_failed_build_left_is_not_taken_for_done(drawn_art: Path, tmp_path: Path) -> None:
    whole = build(drawn_art, tmp_path / "data")
    with pytest.raises(InputError, match="has no linearts"):
        build_dataset(recipe_for(drawn_art, "filters.min_lineart_ink = 0.9"), tmp_path / "data")
    assert build(drawn_art, tmp_path / "data") == whole


@pytest.mark.parametrize("harm", ["manifest gone", "manifest cut", "picture gone"])
def test_a_damaged_data_set_is_made_again(drawn_art: Path, tmp_path: Path, harm: str) -> None:
    whole = build(drawn_art, tmp_path / "data")
    before = tree(tmp_path / "data")
    manifest = tmp_path / "data/linearts.parquet"
    if harm == "manifest cut":
        manifest.write_bytes(manifest.read_bytes()[:100])
    else:
        (manifest if harm == "manifest gone" else whole.file(whole.linearts[0])).unlink()
    assert build(drawn_art, tmp_path / "data") == whole
    assert tree(tmp_path / "data") == before


def test_an_output_inside_the_source_is_not_taken_in(drawn_art: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(recipe_for(drawn_art).text.replace("illustrations/*", "**/*.png"))
    first = build_dataset(recipe, drawn_art / "data")
    assert len(build_dataset(recipe, drawn_art / "data").ledger) == len(first.ledger)


def test_names_of_any_bytes_and_suffixes_of_any_case(drawn_art: Path, tmp_path: Path) -> None:
    odd = os.fsencode(drawn_art / "illustrations") + b"/\x83A.PNG"
    Path(os.fsdecode(odd)).write_bytes((drawn_art / "illustrations/00.png").read_bytes())
    (drawn_art / "illustrations/00.png").unlink()
    dataset = build_dataset(folder_recipe(drawn_art), tmp_path / "data")
    keys = [m.record.candidate.key for m in dataset.illustrations]
    assert len(keys) == 12
    assert "illustrations/\\x83A.PNG" in keys


def test_the_kept_recipe_makes_the_same_data_set_from_anywhere(drawn_art: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(recipe_for(drawn_art).text.replace(str(drawn_art), drawn_art.name))
    first = build_dataset(load_recipe(tmp_path / "r.toml"), tmp_path / "data")
    again = build_dataset(load_recipe(tmp_path / "data/recipe.toml"), tmp_path / "again")
    assert again.digest == first.digest
