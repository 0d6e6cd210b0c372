"""Score cards: what they carry of a submission, and what they read."""

import json
from pathlib import Path

import pytest

from lacbench import scorecard
from lacbench.metrics.fid import FidResult
from lacbench.records import Dataset
from lacbench.scorecard import load_card, score

RESULT = FidResult(
    "fid", 50.0, 1.0, (48.0, 52.0), (3, 5), "pytorch-fid", "ab" * 32, ("cd" * 32, "ef" * 32), ""
)


@pytest.fixture(autouse=True)
def fid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distance itself is of no interest here, and needs the Inception."""
    monkeypatch.setattr(scorecard, "fid", lambda *_, **__: RESULT)


def dataset(folder: Path) -> Dataset:
    return Dataset(folder, "12" * 32, (), (), ())


def test_the_frozen_weights_of_a_submission_stand_on_its_card(tmp_path: Path) -> None:
    told = {"model": "aa", "weights": {"vgg16": "cd" * 32, "mine.safetensors": "ef" * 32}}
    (tmp_path / "submission.json").write_text(json.dumps(told))
    score(tmp_path, dataset(tmp_path), tmp_path / "card.json", hints=True)
    card = load_card(tmp_path / "card.json")
    assert card.weights == told["weights"]
    assert (card.fid["value"], card.hints, card.dataset) == (50.0, True, "12" * 32)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"weights": 3}', "[" * 100_000])
def test_a_submission_that_tells_of_no_weights(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "submission.json").write_text(text)
    score(tmp_path, dataset(tmp_path), tmp_path / "card.json")
    assert load_card(tmp_path / "card.json").weights == {}


def test_a_card_from_before_weights_were_told_is_read(tmp_path: Path) -> None:
    score(tmp_path, dataset(tmp_path), tmp_path / "card.json")
    told = json.loads((tmp_path / "card.json").read_text())
    del told["weights"]
    (tmp_path / "card.json").write_text(json.dumps(told))
    assert load_card(tmp_path / "card.json").weights == {}
