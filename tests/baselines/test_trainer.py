"""Training: exact resume, refused states, a model that learns and colours."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lacbench.baselines.alacgan import trainer
from lacbench.baselines.alacgan.checkpoint import load_header, load_tensors
from lacbench.baselines.alacgan.config import Config, make_config, parse_assignment
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.painter import hint_map
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.trainer import CHECKPOINT, LOG, train
from lacbench.baselines.colorize import colorize
from lacbench.errors import InputError, IntegrityError, LacbenchError, MissingError, RecipeError
from lacbench.hints import Hint
from lacbench.images import read, write_png
from lacbench.pairs import make_pairs
from lacbench.records import Dataset, Pair

from made import build, draw_figure

SMALL = {
    "size": 64,
    "generator_width": 4,
    "groups": [2, 2, 2, 2],
    "dilations": [[1], [2], [1], [1]],
    "critic_groups": 2,
    "critic_width": 4,
    "local_features": "none",
    "batch": 2,
    "steps": 5,
    "log_every": 1,
    "save_every": 5,
}


def config(**changes: object) -> Config:
    return make_config("tiny", {**SMALL, **changes})


def frozen() -> Frozen:
    """A perceptual network of made-up weights: no test asks a registry for a real one."""
    torch.manual_seed(1)
    return Frozen(Perceptual().requires_grad_(False).eval(), None)


@pytest.fixture
def data(drawn_art: Path, tmp_path: Path) -> tuple[Dataset, tuple[Pair, ...]]:
    dataset = build(drawn_art, tmp_path / "data")
    return dataset, make_pairs(dataset, size=64)


@pytest.mark.parametrize("separate", [False, True])
def test_five_steps_are_two_and_three(data, tmp_path: Path, separate: bool) -> None:
    settings = config(separate_batches=separate)
    whole = train(*data, settings, tmp_path / "whole", frozen=frozen())
    part = tmp_path / "part"
    step = trainer.Trainer.step
    calls = []

    def stop_after_two(self: Trainer, examples):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return step(self, examples)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer.Trainer, "step", stop_after_two)
        train(*data, settings.model_copy(update={"save_every": 1}), part, frozen=frozen())
    assert load_header(part / CHECKPOINT).step == 2
    train(*data, settings.model_copy(update={"save_every": 1}), part, frozen=frozen())
    for name in ("generator", "critic", "generator_adam", "critic_adam"):
        one, two = (load_tensors(run / CHECKPOINT, name) for run in (whole, part))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one), name
    logs = [[json.loads(line) for line in (run / LOG).read_text().splitlines()] for run in (whole, part)]
    assert logs[0] == logs[1]
    assert [line["step"] for line in logs[0]] == [1, 2, 3, 4, 5]


def test_a_finished_run_is_returned_at_once(data, tmp_path: Path) -> None:
    out = train(*data, config(), tmp_path / "run", frozen=frozen())
    before = (out / CHECKPOINT).stat().st_mtime_ns
    assert train(*data, config(), out) == out  # without frozen networks: it must not even look for them
    assert (out / CHECKPOINT).stat().st_mtime_ns == before


def test_another_configuration_or_data_is_refused_and_no_resume_begins_anew(data, tmp_path: Path) -> None:
    out = train(*data, config(), tmp_path / "run", frozen=frozen())
    with pytest.raises(InputError, match="holds a run with another seed; choose another folder"):
        train(*data, config(seed=1), out, frozen=frozen())
    with pytest.raises(InputError, match="holds a run with another data"):
        train(data[0], [p for p in data[1] if p.sigma != 0.3], config(), out, frozen=frozen())
    train(*data, config(seed=1, steps=1), out, frozen=frozen(), resume=False)
    assert load_header(out / CHECKPOINT).step == 1
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("")
    with pytest.raises(InputError, match="holds no run, but is not empty"):
        train(*data, config(), tmp_path / "other", frozen=frozen())


def test_another_runs_checkpoint_is_refused(data, tmp_path: Path) -> None:
    one = train(*data, config(steps=2), tmp_path / "one", frozen=frozen())
    two = train(*data, config(steps=2, seed=1), tmp_path / "two", frozen=frozen())
    header = load_header(two / CHECKPOINT)
    (two / CHECKPOINT).replace(one / CHECKPOINT)
    assert header.step == 2
    trainer_of_one = Trainer(config(steps=2), frozen(), load_header(one / CHECKPOINT).data)
    with pytest.raises(InputError, match="is another run's"):
        trainer_of_one.load(one / CHECKPOINT)


def test_a_refusal_leaves_nothing_behind(data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.safetensors are not there"):
        train(*data, config(local_features="absent.safetensors"), tmp_path / "run")
    train(*data, config(steps=1), tmp_path / "run", frozen=frozen())


def test_a_checkpoint_cut_short_is_one_sentence(data, tmp_path: Path) -> None:
    out = train(*data, config(steps=2), tmp_path / "run", frozen=frozen())
    whole = (out / CHECKPOINT).read_bytes()
    for kept in (0, 5, len(whole) // 2, len(whole) - 1):
        (out / CHECKPOINT).write_bytes(whole[:kept])
        with pytest.raises(IntegrityError, match="is not a whole checkpoint"):
            train(*data, config(steps=2), out, frozen=frozen())


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(data, tmp_path: Path) -> None:
    settings = config(steps=9, save_every=1, decay_at=3, late_learning_rate=1e30)
    with pytest.raises(LacbenchError, match=r"not finite \(.*\); the last checkpoint"):
        train(*data, settings, tmp_path / "run", frozen=frozen())
    assert load_header(tmp_path / "run" / CHECKPOINT).step == 3


def test_a_missing_device_is_one_sentence(data, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(MissingError, match="use --device cpu"):
        train(*data, config(), tmp_path / "run", device="cuda", frozen=frozen())
    with pytest.raises(InputError, match="there is no device 'gpu'; expected cpu, cuda"):
        train(*data, config(), tmp_path / "run", device="gpu", frozen=frozen())


def test_both_networks_learn(data, tmp_path: Path) -> None:
    settings = config(steps=1)
    start = Trainer(settings, frozen())
    out = train(*data, settings, tmp_path / "run", frozen=frozen())
    for name, network in (("generator", start.generator), ("critic", start.critic)):
        after = load_tensors(out / CHECKPOINT, name)
        assert all(not torch.equal(after[k], v) for k, v in network.state_dict().items()), name


def test_it_learns_to_colour(tmp_path: Path, data) -> None:
    """Against flat red pictures a few dozen steps turn the output from grey to red."""
    for seed in range(8):
        write_png(tmp_path / f"red/illustrations/{seed}.png", paint(draw_figure(seed)[1], (220, 40, 40)))
    write_png(tmp_path / "red/linearts/0.png", draw_figure(20)[1])
    dataset = build(tmp_path / "red", tmp_path / "reddata")
    settings = config(steps=60, learning_rate=5e-3, pixel_weight=20.0, save_every=60)
    run = train(dataset, make_pairs(dataset, size=64), settings, tmp_path / "run", frozen=frozen())
    lineart = dataset.linearts[0]
    out = colorize(run, {"x": dataset.file(lineart)}, tmp_path / "out")
    colored = read(out / "x.png")
    assert colored.shape == (64, 64, 3)
    red, green, blue = colored.reshape(-1, 3).mean(axis=0)
    assert red > green + 50
    assert red > blue + 50


def paint(lines: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """The drawing filled with one colour, but for a green corner, which makes it an illustration."""
    filled = np.where(lines > 128, color, 0).astype(np.uint8)
    filled[:60, :60] = (30, 160, 60)
    return filled


def test_hints_become_one_pixel_at_quarter_resolution() -> None:
    told = hint_map([Hint(0.5, 0.25, (255, 0, 127))], (40, 60), (48, 64))
    assert told.shape == (4, 12, 16)
    assert told[3].sum() == 1
    assert told[:, 2, 7].tolist() == pytest.approx([1, -1, 127 / 127.5 - 1, 1])


@pytest.mark.parametrize(
    "text",
    ["sise=64", "steps=0", "crop=100", "size=100000", "batch=3", "penalty_norm=both", "learning_rate=nan"],
)
def test_configurations_that_do_not_hold_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="the training configuration cannot be used"):
        make_config("tiny", dict([parse_assignment(text)]))


def test_presets_and_assignments() -> None:
    assert make_config("tiny", dict([parse_assignment("steps=7")])).steps == 7
    assert make_config("paper").penalty_norm == "image"
    with pytest.raises(RecipeError, match="no preset 'huge'; expected one of official, paper, tiny"):
        make_config("huge")
    with pytest.raises(RecipeError):
        parse_assignment("steps")
