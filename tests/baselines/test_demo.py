"""The whole line, end to end: from pictures to a report, and again."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.demo import Demo, run_demo
from lacbench.baselines.floors import FLOORS
from lacbench.engine import Local
from lacbench.files import sha256_file
from lacbench.hints import choose_hints
from lacbench.images import read, write_png
from lacbench.manifest import load_dataset
from lacbench.metrics.fid import fid
from lacbench.progress import Silent
from lacbench.scorecard import is_current, score

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
    assert {"line-f", "bleeding", "kid", "colorfulness"} <= set(card["metrics"])
    assert set(card["not_measured"]) == {"hints", "paired", "prdc"}
    hinted = json.loads((out / "cards/alacgan-hints.json").read_text())
    assert hinted["metrics"]["hint-reach"]["n"] == 5
    assert set(hinted["digests"]) == {"submission", "hints", "code"}
    page = done.report.read_text()
    assert all(name in page for name in METHODS)
    assert "not a ranking" in page

    before, report = stamps(out), sha256_file(done.report)
    again = run(drawn_art, out)
    assert again == done
    assert stamps(out) == before
    assert sha256_file(again.report) == report


def test_a_card_of_other_outputs_or_of_other_code_is_made_anew(data: tuple, tmp_path: Path) -> None:
    dataset = data[0]
    names = ["lines", "colorfulness", "hints"]
    for member in dataset.linearts:
        write_png(tmp_path / f"out/{member.record.sha256}.png", read(dataset.file(member)))
    card = score(tmp_path / "out", dataset, metrics=names, strict=False)
    same = partial(is_current, dataset=dataset, hints=None, metrics=names)
    assert same(card) and "hints" in card.not_measured
    assert not same(replace(card, environment={**card.environment, "lacbench": "0.0.0"}))
    assert not same(replace(card, metrics={k: v for k, v in card.metrics.items() if k != "line-f"}))
    assert not same(replace(card, not_measured={"hints": "no network"}))
    assert not is_current(card, dataset, hints=choose_hints(dataset, 2, 1), metrics=names)
    write_png(tmp_path / f"out/{dataset.linearts[0].record.sha256}.png", np.zeros((64, 64, 3), np.uint8))
    assert not same(card)
