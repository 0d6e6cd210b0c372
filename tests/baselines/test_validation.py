"""Validation: the figure is `lacbench fid`'s, and the best checkpoint is kept with it."""

from pathlib import Path

import pytest

from lacbench.baselines.alacgan.checkpoint import BEST, CHECKPOINT, load_header, load_tensors
from lacbench.baselines.alacgan.logs import BOARD, read_log
from lacbench.baselines.alacgan.trainer import train
from lacbench.baselines.alacgan.validation import OUTPUTS
from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.curate import build_dataset
from lacbench.errors import InputError
from lacbench.images import read
from lacbench.metrics.fid import fid
from lacbench.pairs import make_pairs

from made import Listener, recipe_for
from small import config, frozen

SETTINGS = config(validate_every=2, steps=4, learning_rate=1e-2)


@pytest.mark.usefixtures("random_cache")
def test_the_figure_is_that_of_the_two_commands(data, tmp_path: Path) -> None:
    said = Listener()
    run = train(*data, SETTINGS, tmp_path / "run", frozen=frozen(), progress=said)
    again = fid(run / OUTPUTS, data[0].folder)  # what `lacbench fid RUN/validation DATA` gives
    entries = [entry for entry in read_log(run) if "validation" in entry]
    assert [entry["step"] for entry in entries] == [2, 4]
    last = entries[-1]["validation"]
    assert (last["value"], last["protocol"], last["n"]) == (again.value, again.protocol, list(again.n))
    assert last["digests"] == list(again.digests)
    assert last["n"] == [5, 12]
    assert f"train: FID {again.value:.2f} ± {again.standard_error:.2f} after iteration 4" in said.said
    outputs = colorize(run, find_linearts(data[0].folder), tmp_path / "out")
    assert fid(outputs, data[0].folder).value == again.value

    figures = {entry["step"]: entry["validation"] for entry in entries}
    best = load_header(run / BEST)
    assert best.validation == min(figures.values(), key=lambda told: told["value"])
    assert best.validation == figures[best.step]
    assert load_header(run / CHECKPOINT).validation == {}
    whole = {2: run / "checkpoints/00000002.safetensors", 4: run / CHECKPOINT}.get(best.step)
    if whole and whole.is_file():
        one, two = load_tensors(run / BEST, "generator"), load_tensors(whole, "generator")
        assert all(one[name].equal(two[name]) for name in two)
    assert points(run) == [(step, pytest.approx(told["value"])) for step, told in figures.items()]


def points(run: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(run / BOARD))
    board.Reload()
    return [(point.step, point.value) for point in board.Scalars("validation/fid")]


@pytest.mark.usefixtures("random_cache")
def test_a_validation_that_was_cut_off_is_made_good(data, tmp_path: Path, monkeypatch) -> None:
    from lacbench.baselines.alacgan import validation

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(validation, "fid", cut_off)
        train(*data, config(validate_every=2, steps=2), tmp_path / "run", frozen=frozen())
    assert load_header(tmp_path / "run" / CHECKPOINT).step == 2
    assert not [entry for entry in read_log(tmp_path / "run") if "validation" in entry]
    # Finished but for that, so that no network is trained any more.
    run = train(*data, config(validate_every=2, steps=2), tmp_path / "run")
    assert [entry["step"] for entry in read_log(run)] == [1, 2, 2]
    assert load_header(run / BEST).step == 2


@pytest.mark.usefixtures("random_cache")
def test_it_can_be_of_drawings_that_are_not_scored(drawn_art: Path, tmp_path: Path) -> None:
    splits = "[splits]\nvalidation = 0.5\ntest = 0.1\n"
    dataset = build_dataset(recipe_for(drawn_art, splits), tmp_path / "data")
    pairs = make_pairs(dataset, size=64)
    settings = config(steps=1, validate_every=1, validate_on="validation")
    run = train(dataset, pairs, settings, tmp_path / "run", frozen=frozen())
    ids = {m.record.sha256 for m in dataset.illustrations if m.split == "validation"}
    assert {p.stem for p in (run / OUTPUTS).glob("*.png")} == ids
    assert all(read(p).shape == (64, 64, 3) for p in (run / OUTPUTS).glob("*.png"))


def test_too_little_to_validate_on_is_told_before_the_long_work(data, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="too little to validate on: got 0 of validation, expected two or more"
    ):
        train(*data, config(validate_every=2, validate_on="validation"), tmp_path / "run", frozen=frozen())
    assert not (tmp_path / "run").exists()
