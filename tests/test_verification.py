"""A card is scored again: a true one agrees, and each forgery is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.errors import InputError
from lacbench.hints import choose_hints
from lacbench.images import read, write_png
from lacbench.metrics.figure import Figure
from lacbench.records import Dataset
from lacbench.scorecard import ScoreCard, load_card, save_card, score
from lacbench.verification import tolerance, verify_card

from made import build, draw_figure

METRICS = ("lines", "colorfulness")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two drawn line arts, and two illustrations of other figures."""
    folder = tmp_path_factory.mktemp("art")
    for seed in range(2):
        write_png(folder / f"illustrations/{seed}.png", draw_figure(seed)[0])
        write_png(folder / f"linearts/{seed}.png", draw_figure(seed + 100)[1])
    return build(folder, folder / "data")


@pytest.fixture(scope="module")
def submission(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submission") / "ours"
    for number, member in enumerate(dataset.linearts):
        output = read(dataset.file(member)) // 2
        output[..., number % 3] //= 2
        write_png(folder / f"{member.record.sha256}.png", output)
    return folder


@pytest.fixture(scope="module")
def true(dataset: Dataset, submission: Path) -> ScoreCard:
    return score(submission, dataset, metrics=METRICS)


@pytest.fixture
def card(true: ScoreCard, tmp_path: Path) -> Path:
    save_card(tmp_path / "card.json", true)
    return tmp_path / "card.json"


def test_a_true_card_agrees(dataset: Dataset, submission: Path, card: Path) -> None:
    checks = verify_card(load_card(card), submission, dataset)
    assert all(check.agrees for check in checks)
    assert {"digest of submission", "hints", "line-f", "colorfulness"} <= {c.name for c in checks}


def moved(name: str, key: str, by: float) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        told["metrics"][name][key] += by

    return change


def narrowed(told: dict[str, Any]) -> None:
    low, high = told["metrics"]["line-f"]["interval"]
    told["metrics"]["line-f"]["interval"] = [low, high - 0.002]


def renamed(told: dict[str, Any]) -> None:
    told["metrics"]["hint-reach"] = told["metrics"].pop("line-f")


@pytest.mark.parametrize(
    ("forge", "name"),
    [
        (moved("line-f", "value", 0.002), "line-f"),
        (moved("colorfulness", "value", -0.1), "colorfulness"),
        (moved("line-recall", "standard_error", 0.01), "line-recall"),
        (moved("line-precision", "n", -1), "line-precision"),
        (narrowed, "line-f"),
        (lambda told: told["metrics"]["line-recall"].update(better="lower"), "line-recall"),
        (lambda told: told["digests"].update(submission="00" * 32), "digest of submission"),
        (lambda told: told["weights"].update(vgg16="00" * 32), "weights vgg16"),
        (lambda told: told.update(hints=True), "hints"),
        (lambda told: told["metrics"].update(shine=told["metrics"]["line-f"]), "shine"),
    ],
)
def test_a_forged_card_is_found(
    forge: Callable[[dict[str, Any]], None],
    name: str,
    dataset: Dataset,
    submission: Path,
    card: Path,
) -> None:
    told = json.loads(card.read_text("utf-8"))
    forge(told)
    card.write_text(json.dumps(told))
    assert [c.name for c in verify_card(load_card(card), submission, dataset) if not c.agrees] == [name]


def test_other_code_is_a_note_and_no_disagreement(dataset: Dataset, submission: Path, card: Path) -> None:
    told = json.loads(card.read_text("utf-8"))
    told["digests"]["code"] = "00" * 32
    card.write_text(json.dumps(told))
    checks = verify_card(load_card(card), submission, dataset)
    assert all(check.agrees for check in checks)
    assert [(c.name, c.why) for c in checks if c.note] == [
        ("digest of code", "another lacbench made the card")
    ]
    done = CliRunner().invoke(main, ["scorecard", "verify", str(card), str(submission), str(dataset.folder)])
    assert done.exit_code == 0 and "note" in done.stdout and done.stdout.endswith("the card is true\n")


def test_another_submission_does_not_agree(
    dataset: Dataset, submission: Path, card: Path, tmp_path: Path
) -> None:
    for file in submission.glob("*.png"):
        write_png(tmp_path / "other" / file.name, 255 - read(file))
    wrong = {c.name for c in verify_card(load_card(card), tmp_path / "other", dataset) if not c.agrees}
    assert {"digest of submission", "line-f"} <= wrong


def test_other_data_and_unknown_figures_are_refused(dataset: Dataset, submission: Path, card: Path) -> None:
    told = json.loads(card.read_text("utf-8"))
    card.write_text(json.dumps(told | {"dataset": "00" * 32}))
    with pytest.raises(InputError, match="is of another data set"):
        verify_card(load_card(card), submission, dataset)
    card.write_text(json.dumps(told | {"metrics": {"shine": told["metrics"]["line-f"]}}))
    with pytest.raises(InputError, match="holds no figure that this lacbench knows"):
        verify_card(load_card(card), submission, dataset)


def test_hints_are_needed_where_figures_hang_on_them(
    dataset: Dataset, submission: Path, tmp_path: Path
) -> None:
    hints = choose_hints(dataset, 5, 1)
    told = score(submission, dataset, metrics=["hints", "lines"], hints=hints)
    assert all(check.agrees for check in verify_card(told, submission, dataset, hints=hints))
    with pytest.raises(InputError, match="hints cannot be measured"):
        verify_card(told, submission, dataset)
    others = choose_hints(dataset, 5, 2)
    wrong = [c.name for c in verify_card(told, submission, dataset, hints=others) if not c.agrees]
    assert "digest of hints" in wrong


def test_the_tolerance_is_a_thousandth_or_two_pictures() -> None:
    def of(name: str, value: float | None, n: Any = 7) -> float:
        return tolerance(name, Figure(value, "lower", None, None, n))

    assert of("fid", 50.0, (9, 9)) == pytest.approx(0.05)
    assert of("recall", 0.4, (50, 40)) == 0.05
    assert of("kid", 0.0, (9, 9)) == of("kid", None, (9, 9)) == 1e-6


def test_the_command_says_and_exits(dataset: Dataset, submission: Path, card: Path) -> None:
    command = ["scorecard", "verify", str(card), str(submission), str(dataset.folder)]
    true = CliRunner().invoke(main, command)
    assert true.exit_code == 0 and true.stdout.endswith("the card is true\n")
    told = json.loads(card.read_text("utf-8"))
    told["metrics"]["line-f"]["value"] = 0.9
    card.write_text(json.dumps(told))
    forged = CliRunner().invoke(main, command)
    assert forged.exit_code == 1 and "DIFFERS" in forged.stdout and "1 of" in forged.stdout
    found = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert found["agrees"] is False and [c["name"] for c in found["checks"] if not c["agrees"]] == ["line-f"]
