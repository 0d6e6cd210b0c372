"""The whole line, end to end: from pictures to a report, and again."""

import json
from pathlib import Path

import pytest

from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.demo import Demo, run_demo
from lacbench.baselines.floors import FLOORS
from lacbench.engine import Local
from lacbench.files import sha256_file
from lacbench.images import read
from lacbench.manifest import load_dataset
from lacbench.metrics.fid import fid
from lacbench.progress import Silent

from made import recipe_for

METHODS = {"alacgan", "alacgan-hints", *FLOORS}
FEW_STEPS = make_config("tiny", {"steps": 3, "batch": 2})

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pretrained")]


def run(art: Path, out: Path) -> Demo:
    return run_demo(recipe_for(art), out, Local(), Silent(), FEW_STEPS)


def stamps(folder: Path) -> dict[Path, int]:
    # In the journal local sources are listed anew every time.
    rewritten = {"report.html", "hints.json", "pairs.parquet", "config.json", "journal.sqlite"}
    files = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "cards")
    return {p: p.stat().st_mtime_ns for p in files if p.name not in rewritten}


def test_the_whole_line(drawn_art: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run(drawn_art, out)
    dataset = load_dataset(out / "data")
    assert done.digest == dataset.digest
    assert set(done.fid) == METHODS
    ids = {m.record.sha256 for m in dataset.linearts}
    for name in METHODS:
        assert {p.stem for p in (out / "outputs" / name).glob("*.png")} == ids
        assert all(min(read(p).shape[:2]) == 128 for p in (out / "outputs" / name).glob("*.png"))
    # The figures are those that anyone gets from the same folders.
    assert done.fid["grey"] == pytest.approx(fid(out / "outputs/grey", out / "data").value, rel=1e-6)
    card = json.loads((out / "cards/grey.json").read_text())
    assert card["dataset"] == dataset.digest
    assert card["metrics"]["fid"]["n"] == [5, 12]
    page = done.report.read_text()
    assert all(name in page for name in METHODS)
    assert "not a ranking" in page

    before, report = stamps(out), sha256_file(done.report)
    again = run(drawn_art, out)
    assert again == done
    assert stamps(out) == before
    assert sha256_file(again.report) == report
