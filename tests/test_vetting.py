"""What is found in a submission: each fault is planted, and nothing else is found."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.images import Array, read, resize_shortest, write_png
from lacbench.records import Dataset
from lacbench.submission import About, open_submission
from lacbench.vetting import KINDS, Finding, vet

from made import build_pairs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four drawn true pairs, and two illustrations of other figures."""
    return build_pairs(tmp_path_factory.mktemp("drawn"), 4, 2)


@pytest.fixture
def submission(dataset: Dataset, tmp_path: Path) -> Path:
    """Outputs in a wash of colours that belong to no picture."""
    for number, member in enumerate(dataset.linearts):
        output = washed(read(dataset.file(member)), number)
        write_png(tmp_path / f"ours/{member.record.sha256}.png", output)
    return tmp_path / "ours"


def washed(line_art: Array, number: int) -> Array:
    height, width = line_art.shape[:2]
    hue = np.add.outer(np.linspace(0, 90, height), np.linspace(0, 80, width)) + 5 * number
    hsv = np.dstack([hue, np.full((height, width), 160.0), np.full((height, width), 255.0)]).astype(np.uint8)
    return np.minimum(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), line_art)


def found(submission: Path, dataset: Dataset) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for finding in vet(open_submission(submission, dataset), dataset):
        kinds.setdefault(finding.kind, []).append(finding.picture)
    return kinds


def test_nothing_is_found_in_a_sound_submission(submission: Path, dataset: Dataset) -> None:
    assert found(submission, dataset) == {}


def grey(image: Array, _: Array) -> Array:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def sepia(image: Array, _: Array) -> Array:
    return (grey(image, image) * np.array([1.0, 0.85, 0.6])).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (grey, {"grey"}),
        (sepia, {"grey"}),
        (lambda image, line_art: line_art, {"grey", "input"}),
        (lambda image, _: image[:, : -image.shape[1] // 8], {"aspect"}),
        (lambda image, _: resize_shortest(image, 100), {"small"}),
        (lambda image, _: resize_shortest(image, 701), set()),
    ],
)
def test_a_fault_of_one_picture_is_named(
    change: Callable[[Array, Array], Array], kinds: set[str], submission: Path, dataset: Dataset
) -> None:
    member = dataset.linearts[2]
    file = submission / f"{member.record.sha256}.png"
    write_png(file, change(read(file), read(dataset.file(member))))
    assert found(submission, dataset) == {kind: [member.record.sha256] for kind in kinds}


def jpeg(image: Array) -> Array:
    coded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.asarray(cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def brighter(image: Array) -> Array:
    return np.minimum(image, 249) + np.uint8(6)


@pytest.mark.parametrize("change", [np.asarray, jpeg, brighter])
def test_a_copied_truth_is_refused_unless_hints_may_have_told_it(
    change: Callable[[Array], Array], submission: Path, dataset: Dataset
) -> None:
    member = dataset.linearts[1]
    truth = dataset.truth(member)
    assert truth is not None
    write_png(submission / f"{member.record.sha256}.png", change(read(dataset.file(truth))))
    opened = open_submission(submission, dataset)
    (finding,) = vet(opened, dataset)
    assert (finding.kind, finding.picture, finding.fatal) == ("copied", member.record.sha256, True)
    assert finding.detail.endswith(f"dB from {truth.record.sha256}")
    (finding,) = vet(replace(opened, about=About(model="Ours", hints=True)), dataset)
    assert (finding.kind, finding.fatal) == ("alike", False)


def test_a_copy_of_another_illustration_is_found(submission: Path, dataset: Dataset) -> None:
    strangers = [m for m in dataset.illustrations if not m.record.candidate.pair]
    key = dataset.linearts[0].record.sha256
    write_png(submission / f"{key}.png", read(dataset.file(strangers[0])))
    assert found(submission, dataset) == {"copied": [key]}


def test_missing_extra_unreadable_and_identical_ones_are_named(submission: Path, dataset: Dataset) -> None:
    keys = [member.record.sha256 for member in dataset.linearts]
    (submission / f"{keys[0]}.png").rename(submission / "cat.png")
    (submission / f"{keys[1]}.png").write_bytes(b"no picture")
    (submission / f"{keys[3]}.png").write_bytes((submission / f"{keys[2]}.png").read_bytes())
    findings = vet(open_submission(submission, dataset), dataset)
    assert [(f.kind, f.picture, f.fatal) for f in findings] == [
        ("missing", keys[0], True),
        ("extra", "cat.png", True),
        ("unreadable", keys[1], True),
        ("identical", keys[3], False),
    ]
    assert findings[-1].detail == f"as of {keys[2]}"
    assert list(KINDS) == sorted(KINDS, key=lambda kind: not KINDS[kind][0])  # what refuses comes first


def test_the_command_says_and_exits(submission: Path, dataset: Dataset) -> None:
    runner = CliRunner()
    accepted = runner.invoke(main, ["submission", "check", str(submission), str(dataset.folder)])
    assert (accepted.exit_code, accepted.stdout) == (0, "ours: 4 of 4 line arts, accepted\n")
    key = dataset.linearts[0].record.sha256
    (submission / f"{key}.png").unlink()
    command = ["submission", "check", str(submission), str(dataset.folder)]
    refused = runner.invoke(main, command)
    assert refused.exit_code == 1 and "ours: 3 of 4 line arts, refused" in refused.stdout
    assert "refused: 1 line arts without output\n    " + key in refused.stdout
    told = json.loads(runner.invoke(main, [*command, "--json"]).stdout)
    assert told == {
        "name": "ours", "outputs": 3, "accepted": False,
        "findings": [{**vars(Finding("missing", key)), "fatal": True}],
    }  # fmt: skip
