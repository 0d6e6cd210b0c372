"""A made-up outside team goes from a zip to a verified card, the leaderboard and the report."""

import json
import shutil
import zipfile
from contextlib import chdir
from pathlib import Path

import pytest

from lacbench.scorecard import load_card

from outside import commands, prepare, run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, random_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    with chdir(folder):
        prepare()
    return folder


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was prepared, for a test's own; commands run in it."""
    shutil.copytree(prepared, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def test_from_a_zip_to_the_report_by_the_readmes_commands(place: Path) -> None:
    said = {" ".join(command.split()[1:3]): run(command).stdout for command in commands()}
    assert list(said) == [
        "submission check", "score ours.zip", "scorecard verify", "leaderboard cards/*.json", "report data",
    ]  # fmt: skip
    assert said["submission check"] == "Outside: 5 of 5 line arts, accepted\n"
    assert said["scorecard verify"].endswith("the card is true\n")
    assert "as reported in the paper, other data" in said["leaderboard cards/*.json"]
    card = load_card(place / "cards/ours.json")
    assert (card.name, card.hints, card.about and card.about.authors) == (
        "Outside", False, ("A. Stranger", "B. Stranger"),
    )  # fmt: skip
    assert {"fid", "kid", "line-f", "bleeding", "colorfulness"} <= set(card.metrics)
    page = (place / "leaderboard.html").read_text("utf-8")
    assert "Outside" in page and "grey<small>" in page and page.count("other data</small>") == 6
    assert "Outside" in (place / "report.html").read_text("utf-8")
    assert not (place / "results").exists()

    for suffix in ("md", "json"):
        run(f"lacbench leaderboard cards/*.json -o leaderboard.{suffix}")
    told = json.loads((place / "leaderboard.json").read_text("utf-8"))
    assert {row["name"] for row in told["rows"]} == {"Outside", "grey"} and len(told["reported"]) == 6
    assert told["dataset"] == card.dataset
    assert "Outside" in (place / "leaderboard.md").read_text("utf-8")


def test_cheats_and_accidents_do_not_get_through(place: Path) -> None:
    check, score, verify = commands()[:3]
    run(score)
    told = json.loads((place / "cards/ours.json").read_text("utf-8"))
    told["metrics"]["line-f"]["value"] -= 0.1
    (place / "cards/ours.json").write_text(json.dumps(told))
    forged = run(verify, code=1).stdout
    assert "DIFFERS" in forged and "1 of" in forged

    with zipfile.ZipFile(place / "ours.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    lost = next(name for name in files if name.endswith(".png"))
    copy = next((place / "data/images").rglob("*.png")).read_bytes()
    with zipfile.ZipFile(place / "ours.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(*((name, data) if name != lost else ("results/mine.png", copy)))
    said = run(check, code=1).stdout
    assert f"1 line arts without output\n    {Path(lost).stem}" in said
    assert "1 pictures of no line art\n    results/mine.png" in said
    assert "line arts have no output" in run(score, code=1).output
    shutil.copy(place / "ours.zip", place / "broken.zip")
    with (place / "broken.zip").open("r+b") as file:
        file.truncate(2000)
    run(check.replace("ours.zip", "broken.zip"), code=1)
