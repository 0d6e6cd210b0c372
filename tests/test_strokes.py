"""Strokes: seeded, each within one region, in the true colour; models and metrics take them as hints."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.cli.main import main
from lacbench.curate import build_dataset
from lacbench.errors import InputError, OutputError
from lacbench.hints import Hint, Strokes, choose_hints, load_hints, load_strokes, save_hints
from lacbench.images import Array, read, read_rgba, write_png
from lacbench.lineart import clean
from lacbench.recipe import parse_recipe
from lacbench.records import Dataset
from lacbench.regions import regions
from lacbench.scorecard import load_card, save_card, score
from lacbench.strokes import ALIKE, paint_strokes, strokes_on
from lacbench.verification import verify_card

from made import build, draw_figure, recipe_for


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three drawn true pairs, and four illustrations of other figures."""
    folder = tmp_path_factory.mktemp("paired")
    for seed in range(3):
        color, lines = draw_figure(seed)
        write_png(folder / f"illustrations/{seed}.png", color)
        write_png(folder / f"linearts/{seed}.png", lines)
    return build_dataset(parse_recipe(recipe_for(folder).text + "pairs = true\n"), folder / "data")


@pytest.fixture(scope="module")
def strokes(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strokes") / "strokes"
    return paint_strokes(dataset, choose_hints(dataset, 8, 1), folder, 1)


def test_strokes_are_in_the_true_colours_and_tell_at_every_size(dataset: Dataset, strokes: Path) -> None:
    hints = choose_hints(dataset, 8, 1)
    for lineart in dataset.linearts:
        file, truth = strokes / f"{lineart.record.sha256}.png", dataset.truth(lineart)
        assert truth
        painted = read_rgba(file)
        on = painted[..., 3] > 0
        off = np.abs(painted[..., :3].astype(int) - read(dataset.file(truth))).max(axis=2)
        assert set(np.unique(painted[..., 3]).tolist()) == {0, 255} and off[on].max() <= ALIKE
        of_dabs = {hint.color for hint in hints[lineart.record.sha256]}
        assert {tuple(color) for color in painted[on][:, :3].tolist()} <= of_dabs
        Strokes(file).check_fits(dataset.file(lineart))
        for size in (128, 240, 512):
            assert len(Strokes(file).dabs(size, size)) >= 4


def test_the_seed_decides_every_byte(dataset: Dataset, strokes: Path, tmp_path: Path) -> None:
    hints = choose_hints(dataset, 8, 1)
    again, other = (paint_strokes(dataset, hints, tmp_path / str(seed), seed) for seed in (1, 2))
    files = [sorted(folder.iterdir()) for folder in (strokes, again, other)]
    first, second, third = ([file.read_bytes() for file in of] for of in files)
    assert first == second and len(first) == 3
    assert all(a != b for a, b in zip(first, third, strict=True))
    paint_strokes(dataset, hints, again, 1)  # over its own
    write_png(again / "mine.png", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(OutputError, match=r"holds other pictures, as mine\.png"):
        paint_strokes(dataset, hints, again, 1)
    with pytest.raises(InputError, match="the hints are of other line arts"):
        paint_strokes(dataset, {"0" * 64: hints[dataset.linearts[0].record.sha256]}, tmp_path / "a", 1)


def boxes() -> Array:
    """Four boxes side by side, 60 × 80 pixels each."""
    line_art = np.full((80, 240), 255, np.uint8)
    line_art[:, 60::60] = 0
    return cv2.erode(line_art, np.ones((1, 3), np.uint8))


@pytest.mark.parametrize("seed", range(5))
def test_a_stroke_stays_in_its_region_and_goes_where_it_can_be_long(seed: int) -> None:
    line_art, labels = boxes(), regions(boxes())
    hints = [Hint((60 * n + 30.5) / 240, 0.5, (9 + n, 0, 0)) for n in range(4)]
    painted = strokes_on(line_art, hints, np.random.default_rng(seed), None)
    for number, hint in enumerate(hints):
        rows, columns = np.nonzero(painted[..., 0] == 9 + number)
        assert set(labels[rows, columns].tolist()) == {labels[hint.pixel(80, 240)]}
        assert 8 <= np.hypot(np.ptp(rows), np.ptp(columns)) <= 13
    narrow = np.full((80, 240), 255, np.uint8)
    narrow[[38, 42]] = 0
    along = strokes_on(narrow, [Hint(0.5, 0.5, (7, 0, 0))], np.random.default_rng(seed), None)
    rows, columns = np.nonzero(along[..., 3])
    assert np.ptp(columns) >= 7 and set(rows.tolist()) <= {39, 40, 41}


def test_a_dab_on_a_line_or_at_an_edge_and_a_drawing_of_ink_alone() -> None:
    line_art, random = boxes(), np.random.default_rng(0)
    on_line = strokes_on(line_art, [Hint(0.25, 0.5, (7, 0, 0)), Hint(0, 0, (8, 0, 0))], random, None)
    assert (on_line[..., 0] == 7).sum() > 5 and (on_line[..., 0] == 8).sum() > 5
    assert not on_line[line_art == 0].any()
    assert not strokes_on(np.zeros((20, 30), np.uint8), [Hint(0.5, 0.5, (7, 0, 0))], random, None).any()


def test_strokes_without_true_colours_stay_in_regions(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    folder = paint_strokes(dataset, choose_hints(dataset, 5, 3), tmp_path / "strokes", 3)
    for lineart in dataset.linearts:
        on = read_rgba(folder / f"{lineart.record.sha256}.png")[..., 3] > 0
        assert on.any() and regions(clean(read(dataset.file(lineart))))[on].all()


def test_the_command_writes_dabs_strokes_or_both_and_knows_its_old_form(
    dataset: Dataset, strokes: Path, tmp_path: Path
) -> None:
    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["hints", *words])
        assert done.exit_code == code, done.output
        return done.output if code else done.stdout

    data, more = str(dataset.folder), ("--count", "8")
    old, new, painted = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "strokes"
    assert run(data, "-o", str(old), *more) == f"{old}\n"
    assert run("-o", str(old), data, *more) == f"{old}\n"
    told = json.loads(run("make", data, "-o", str(new), "--strokes", str(painted), *more, "--json"))
    assert told == {"hints": str(new), "strokes": str(painted), "linearts": 3, "count": 8, "seed": 1}
    assert old.read_bytes() == new.read_bytes() and load_hints(old) == choose_hints(dataset, 8, 1)
    assert all(file.read_bytes() == (strokes / file.name).read_bytes() for file in painted.iterdir())
    run("make", data, "--strokes", str(painted), *more)
    assert "nowhere to write to" in run("make", data, code=2)
    assert "make" in run("--help") and "--strokes" in run("make", "-h")


def test_methods_that_were_given_strokes_are_scored_by_them(
    dataset: Dataset, strokes: Path, tmp_path: Path
) -> None:
    given, names = load_strokes(strokes), ["hints", "colorfulness"]
    made = colorize(
        Path("flood-fill"), find_linearts(dataset.folder), tmp_path / "made", hints=given, size=240
    )
    card = score(made, dataset, metrics=names, hints=given)
    assert card.metrics["hint-difference"]["value"] < 8 and card.metrics["hint-difference"]["n"] == 3
    assert card.metrics["hint-reach"]["value"] > 0.8
    save_card(tmp_path / "card.json", card)
    words = ["scorecard", "verify", str(tmp_path / "card.json"), str(made), str(dataset.folder)]
    done = CliRunner().invoke(main, [*words, "--hints", str(strokes)])
    assert done.exit_code == 0 and "the card is true" in done.stdout
    save_hints(tmp_path / "hints.json", choose_hints(dataset, 8, 1))
    with pytest.raises(InputError, match="was made with other hints"):
        score(made, dataset, metrics=names, hints=load_hints(tmp_path / "hints.json"))
    assert all(c.agrees for c in verify_card(load_card(tmp_path / "card.json"), made, dataset, hints=given))
    first = dataset.linearts[0].record.sha256
    write_png(tmp_path / "small.png", np.full((9, 9, 4), 255, np.uint8))
    with pytest.raises(InputError, match=r"small\.png has 9 × 9 pixels; expected 240 × 240"):
        (made / "submission.json").unlink()
        score(made, dataset, metrics=names, hints={**given, first: Strokes(tmp_path / "small.png")})
