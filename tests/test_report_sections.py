"""The report's sections: what they pick, what they tell, and what they leave out and say so."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.curate import build_dataset
from lacbench.engine import Local
from lacbench.errors import InputError
from lacbench.hints import choose_hints
from lacbench.images import read, write_png
from lacbench.leaks import leaks_within
from lacbench.lineart import clean
from lacbench.manifest import load_review, save_review
from lacbench.metrics.bleeding import bleeding
from lacbench.metrics.features import cached_features
from lacbench.metrics.lines import line_fidelity
from lacbench.metrics.sources import Pictures, find
from lacbench.progress import Silent
from lacbench.recipe import DedupeSpec, folder_recipe
from lacbench.records import Dataset
from lacbench.report import PAPER, leaderboards, write_report
from lacbench.report.gallery import Extreme, Method, flips
from lacbench.report.growth import axis, growths
from lacbench.report.leakage import leakage
from lacbench.scorecard import ScoreCard, save_card, score
from lacbench.study.choices import make_choices
from lacbench.study.ratings import make_ratings
from lacbench.study.report import find as find_opinions
from lacbench.study.sources import Source
from lacbench.tables import scores_of

from opinions import chosen, simulated
from reported import Reader, card, draw, figure, make_dataset, truth_of
from studies import rated


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("sections"))


@pytest.fixture(scope="module")
def cards(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[ScoreCard]:
    """Scores of a sharp method, of a blurred one, and of a floor that is worse than both."""
    folder = tmp_path_factory.mktemp("outputs")
    for member in dataset.linearts:
        lines = read(dataset.file(member))
        tinted = np.where(np.arange(lines.shape[1])[:, None] < 110, (255, 200, 120), (120, 160, 255))
        sharp = np.minimum(lines, tinted).astype(np.uint8)
        blurred, grey = cv2.GaussianBlur(sharp, (0, 0), 5), np.full_like(lines, 128)
        for name, made in (("sharp", sharp), ("blurred", blurred), ("grey", grey)):
            write_png(folder / name / f"{member.record.sha256}.png", made)
    return [
        score(folder / name, dataset, metrics=["lines", "bleeding", "paired"])
        for name in ("sharp", "blurred", "grey")
    ]


def methods_of(dataset: Dataset, cards: list[ScoreCard]) -> list[Method]:
    return [Method.of(one, dataset) for one in scores_of(cards, dataset.digest)]


def test_worst_and_best_are_those_of_the_metrics_themselves(dataset: Dataset, cards: list[ScoreCard]) -> None:
    methods = methods_of(dataset, cards)
    found, measured = flips(dataset, methods, None, Silent())
    picked = {(why.figure, why.worst): why for flip in found for why in flip.reasons}
    assert measured == 3
    assert set(picked) == {
        (name, worst) for name in ("line-f", "bleeding", "psnr") for worst in (True, False)
    }
    files = [
        (clean(read(dataset.file(m))), read(method.outputs[m.record.sha256]))
        for m in dataset.linearts
        for method in methods
        if method.name != "grey"
    ]
    fidelities = [line_fidelity(output, lines).f for lines, output in files]
    bled = [bleeding(output, lines).value for lines, output in files]
    assert (picked["line-f", True].value, picked["line-f", False].value) == (min(fidelities), max(fidelities))
    assert (picked["bleeding", True].value, picked["bleeding", False].value) == (max(bled), min(bled))
    assert not any(methods[why.method].score.floor for why in picked.values()), "floors are no candidates"
    assert all(flip.told[why.method] for flip in found for why in flip.reasons)
    assert str(Extreme("psnr", True, 11.52, 0)) == "Worst PSNR: 11.5 dB"


def test_a_card_agrees_with_the_values_shown(dataset: Dataset, cards: list[ScoreCard]) -> None:
    methods = methods_of(dataset, cards)
    found, _ = flips(dataset, methods, None, Silent())
    true = truth_of(dataset)
    shown = next(flip for flip in found if flip.row.truth)
    assert (
        f"line art {true.record.candidate.key.split('/')[-1].removesuffix('.png')}" in shown.row.lineart.alt
    )
    for method, told in zip(methods, shown.told, strict=True):  # of one true pair the mean is its own value
        assert f"PSNR {method.score.figures['psnr'].value:.1f} dB" in told


def test_floors_are_picked_where_there_is_nothing_else(dataset: Dataset, cards: list[ScoreCard]) -> None:
    found, _ = flips(dataset, methods_of(dataset, [replace(cards[1], name="grey")]), None, Silent())
    assert found and all(why.method == 0 for flip in found for why in flip.reasons)


def test_hints_are_measured_where_a_card_has_them(dataset: Dataset, cards: list[ScoreCard]) -> None:
    hints = choose_hints(dataset, 3, seed=1)
    hinted = [replace(one, metrics={"hint-difference": figure(9.0)}) for one in cards[:2]]
    found, _ = flips(dataset, methods_of(dataset, hinted), hints, Silent())
    assert {why.figure for flip in found for why in flip.reasons} == {"hint-difference"}
    assert all(len(flip.row.dabs) == 3 and "hint difference ΔE₀₀" in flip.told[0] for flip in found)
    assert flips(dataset, methods_of(dataset, hinted), None, Silent())[0] == []


def test_pictures_are_flipped_by_radio_buttons(
    tmp_path: Path, dataset: Dataset, cards: list[ScoreCard]
) -> None:
    page = Reader(write_report(tmp_path / "r.html", dataset, (), cards))
    radios = [a for a in page.all("input") if a["type"] == "radio"]
    ids = [a["id"] for a in radios]
    assert len(set(ids)) == len(ids) and ids == [a["for"] for a in page.all("label")]
    groups = {a["name"] for a in radios}
    assert groups and all(sum("checked" in a for a in radios if a["name"] == name) == 1 for name in groups)
    assert "Worst and best" in page.text and "among 3 line arts measured" in page.text
    assert "the floors aside" in page.text


def test_without_figures_of_single_pictures_nothing_is_measured(tmp_path: Path, dataset: Dataset) -> None:
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)]))
    assert "Worst and best" not in page.text and not page.all("input")


def test_outputs_may_lie_in_an_archive(tmp_path: Path, dataset: Dataset, cards: list[ScoreCard]) -> None:
    packed = replace(
        cards[0], submission=Path(shutil.make_archive(str(tmp_path / "team"), "zip", cards[0].submission))
    )
    one, other = (
        Reader(write_report(tmp_path / "r.html", dataset, (), [made])) for made in (packed, cards[0])
    )
    assert one.all("img") == other.all("img")
    assert (
        "lacbench score outputs/sharp.zip data --metrics lines,bleeding,paired -o cards/sharp.json"
        in one.text
    )
    assert "# this archive: put it there first" in one.text and "outputs/sharp data" in other.text


def test_every_track_has_its_leaderboard(tmp_path: Path, dataset: Dataset, cards: list[ScoreCard]) -> None:
    auto = [
        replace(card(tmp_path, dataset, name, value), hints=False)
        for name, value in (("one", 9.0), ("two", 99.0))
    ]
    page = Reader(write_report(tmp_path / "r.html", dataset, (), auto))
    assert "Automatic: line art alone Method Rank FID ↓ one 1 9.0 ± 3.0 two 2 99.0 ± 3.0" in page.text
    assert all(
        f"{name} as reported in the paper, other data – {value:.2f}" in page.text for name, value, _ in PAPER
    )
    assert "The paper’s own figures" not in page.text, "they stand in the leaderboard"
    assert "With the published hints" not in page.text and leaderboards(cards) == []
    apart = replace(auto[1], metrics={"fid": {**auto[1].fid, "protocol": "clean"}})
    (told,) = leaderboards([auto[0], apart])
    assert isinstance(told, str) and told.startswith(
        "Automatic: line art alone: no ranking, since the fid of one"
    )


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Dataset, Path]:
    """A data set of eight line arts and six illustrations, and outputs."""
    for seed in range(8):
        write_png(tmp_path / f"art/linearts/{seed}.png", draw(seed)[1])
    for seed in range(20, 26):
        write_png(tmp_path / f"art/illustrations/{seed}.png", draw(seed)[0])
    dataset = build_dataset(folder_recipe(tmp_path / "art"), tmp_path / "data", Local(1))
    assert (len(dataset.linearts), len(dataset.illustrations)) == (8, 6)
    for seed, member in enumerate(dataset.linearts):
        write_png(tmp_path / f"out/{member.record.sha256}.png", draw(40 + seed)[0])
    return dataset, tmp_path / "out"


@pytest.mark.usefixtures("random_cache")
def test_fids_of_quarters_and_halves_come_of_kept_features(
    grown: tuple[Dataset, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, folder = grown
    made = score(folder, dataset, metrics=["fid"])
    (found,), without = growths(dataset, methods_of(dataset, [made]))
    assert without == {} and [point.n for point in found.points] == [2, 4, 8]
    assert found.points[-1].value == made.fid["value"]
    features, reference = (
        np.asarray(cached_features(side), np.float64)
        for side in (Pictures.of(sorted(folder.iterdir())), find(dataset))
        if isinstance(side, Pictures)
    )
    shuffled = features[np.random.default_rng(0).permutation(8)]
    halves = [frechet(shuffled[start::2], reference) for start in (0, 1)]
    assert found.points[1].value == pytest.approx(np.mean(halves), rel=1e-6)
    ticks = axis([found])
    assert ticks[0] <= found.infinity <= ticks[-1] and ticks[-1] >= found.points[0].interval[1]
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [made]))
    (panel,) = [a for a in page.all("svg") if a.get("aria-label", "").startswith("FID of ")]
    assert panel["aria-label"].endswith(f"of 8 pictures, {found.infinity:.1f} of infinitely many")
    changed = replace(made, metrics={"fid": {**made.fid, "digests": ["0", "1"]}})
    assert growths(dataset, methods_of(dataset, [changed])) == (
        [],
        {"its outputs are not those that were scored": ["out"]},
    )
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "elsewhere"))
    none, (reason,) = growths(dataset, methods_of(dataset, [made]))
    assert none == [] and "not in the cache folder" in reason
    assert not (tmp_path / "elsewhere").exists(), "nothing is fetched"


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """The squared Fréchet distance of features (n, D), by the nuclear norm of the product of both sets."""
    a, b = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (first, second))
    between = ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum()
    return float(between + (a**2).sum() + (b**2).sum() - 2 * np.linalg.norm(a @ b.T, "nuc"))


SOURCES = {
    "ratings": (Source("r.csv", make_ratings(simulated(methods=("ours", "second", "third")))), "p, clusters"),
    "choices": (Source("r.csv", make_choices(chosen())), "Chosen : the other"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_what_raters_said_is_told_as_the_study_tells_it(kind: str, tmp_path: Path, dataset: Dataset) -> None:
    source, column = SOURCES[kind]
    findings = find_opinions(source, "ours")
    page = Reader(
        write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)], opinions=findings)
    )
    figures = [a for a in page.all("img") if a["src"].startswith("data:image/svg+xml")]
    assert [a["alt"] for a in figures] == [plot.alt for plot in findings.plots if plot.name in (
        "counts", "choices", "differences"
    )]  # fmt: skip
    assert " ".join(findings.verdict.split()) in page.text and column in page.text
    assert "--ratings r.csv --ours ours -o report.html" in page.text
    bare = find_opinions(source)
    told = Reader(
        write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)], opinions=bare)
    ).text
    assert column not in told and "--ratings r.csv -o report.html" in told


def test_the_command_takes_ratings(tmp_path: Path, dataset: Dataset) -> None:
    save_card(tmp_path / "card.json", card(tmp_path, dataset))
    columns = simulated(methods=("ours", "second"))
    with (tmp_path / "r.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    words = [
        "report",
        str(dataset.folder),
        str(tmp_path / "card.json"),
        "-o",
        str(tmp_path / "r.html"),
        "--ours",
        "ours",
    ]
    assert CliRunner().invoke(main, words).exit_code == 2
    done = CliRunner().invoke(main, [*words, "--ratings", str(tmp_path / "r.csv")])
    assert done.exit_code == 0, done.output
    assert "ours against the others" in Reader(tmp_path / "r.html").text


def test_a_study_is_shown_when_it_is_closed(tmp_path: Path, dataset: Dataset) -> None:
    study = rated(tmp_path / "study", "raters = 2", None, None)
    save_card(tmp_path / "card.json", card(tmp_path, dataset))
    words = ["report", str(dataset.folder), str(tmp_path / "card.json"), "-o", str(tmp_path / "r.html")]
    words += ["--ratings", str(study.folder)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "is still open" in done.stderr and not (tmp_path / "r.html").exists()
    study.close()
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    page = Reader(tmp_path / "r.html")
    assert "They are of line arts of another data set" in page.text
    assert "--ratings study -o report.html" in page.text and str(tmp_path) not in page.text


def test_leaks_are_looked_for_by_the_recipes_thresholds(dataset: Dataset) -> None:
    found = leakage(dataset)
    assert found.recorded and (found.taught, found.kept) == (0, 0), "a true pair is none"
    train = next(m for m in dataset.illustrations if m.split == "train")
    copy = replace(train, split="test", record=replace(train.record, sha256="ab" * 32))
    leaky = replace(dataset, illustrations=(*dataset.illustrations, copy))
    assert [(leak.distance, leak.key) for leak in leaks_within(leaky, DedupeSpec())] == [(0, "picture")]
    assert (leakage(leaky).taught, leakage(leaky).kept) == (1, 0)
    alike = replace(leaky, illustrations=(*dataset.illustrations, replace(copy, split="train")))
    assert (leakage(alike).taught, leakage(alike).kept) == (0, 1)
    assert not leakage(replace(dataset, recipe="")).recorded


def test_leaks_are_warned_of(tmp_path: Path, dataset: Dataset) -> None:
    train = next(m for m in dataset.illustrations if m.split == "train")
    copy = replace(train, split="test", record=replace(train.record, sha256="ab" * 32))
    leaky = replace(dataset, illustrations=(*dataset.illustrations, copy))
    page = Reader(write_report(tmp_path / "r.html", leaky, (), [card(tmp_path, leaky)]))
    assert "1 pair of pictures that count as the same lie on both sides of the split." in page.text
    assert "gone" in page.text, "of the copy there is no file"


def test_review_pairs_are_read_back(tmp_path: Path) -> None:
    pairs = [("ab" * 32, "cd" * 32, 36)]
    save_review(tmp_path, pairs)
    assert load_review(tmp_path) == tuple(pairs) and load_review(tmp_path / "none") == ()
    save_review(tmp_path, [("../../secret", "cd" * 32, 36)])
    with pytest.raises(InputError):
        load_review(tmp_path)
