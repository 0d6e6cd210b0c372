"""A run's folder: signals, kills, full disks, checkpoints kept, logs, averages, failures."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, fill_adam, load_header, load_tensors
from lacbench.baselines.alacgan.config import choose_preset, parse_assignment
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.ema import Ema
from lacbench.baselines.alacgan.forecast import forecast
from lacbench.baselines.alacgan.logs import BOARD, LOG, read_log
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.trainer import numbered, train
from lacbench.baselines.alacgan.watch import NonFinite
from lacbench.baselines.models import open_model
from lacbench.cli.main import main
from lacbench.errors import InputError, MissingError, OutputError, RecipeError
from lacbench.files import PART
from lacbench.images import read
from lacbench.progress import Silent

from made import Listener
from small import SMALL, config, frozen

PARTS = ("generator", "critic", "generator_adam", "critic_adam", "ema", "sums")


class Pressing(Silent):
    """Presses keys while an iteration runs: the signals by the iteration's number, from 0."""

    def __init__(self, presses: dict[int, tuple[signal.Signals, ...]]) -> None:
        self.presses, self.said = presses, list[str]()

    def track(self, items, label, total=None, detail=None) -> Iterator[object]:
        for number, item in enumerate(items):
            for press in self.presses.get(number, ()) if label == "train" else ():
                signal.raise_signal(press)
            yield item

    def say(self, message: str) -> None:
        self.said.append(message)


def same(one: Path, other: Path) -> bool:
    """Whether two runs' checkpoints hold the same to the bit, and their logs too."""
    tensors = [load_file(run / CHECKPOINT) for run in (one, other)]
    assert tensors[0].keys() == tensors[1].keys()
    assert {name.partition(".")[0] for name in tensors[0]} <= set(PARTS)
    equal = all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    return equal and read_log(one) == read_log(other)


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "loaders": 2}, {"adversarial": False}])
def test_max_steps_and_a_signal_lose_nothing(data, tmp_path: Path, changes: dict[str, object]) -> None:
    settings = config(log_every=2, **changes)
    whole = train(*data, settings, tmp_path / "whole", frozen=frozen())
    part, pressing = tmp_path / "part", Pressing({1: (signal.SIGINT,)})
    train(*data, settings, part, frozen=frozen(), max_steps=1)
    assert load_header(part / CHECKPOINT).step == 1
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        train(*data, settings, part, frozen=frozen(), progress=pressing)
    assert load_header(part / CHECKPOINT).step == 3  # the iteration at hand was finished
    assert pressing.said[-1] == f"train: stopped after iteration 3, saved in {part}"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert [p.stem for p in numbered(part)] == ["00000001", "00000003"]
    train(*data, settings, part, frozen=frozen())
    assert same(whole, part)
    assert [entry["step"] for entry in read_log(part)] == [2, 4]


def test_sigterm_ends_with_a_checkpoint_and_143(data, tmp_path: Path) -> None:
    pressing = Pressing({2: (signal.SIGTERM,)})
    with pytest.raises(SystemExit) as ended:
        train(*data, config(), tmp_path / "run", frozen=frozen(), progress=pressing)
    assert ended.value.code == 143
    assert load_header(tmp_path / "run" / CHECKPOINT).step == 3


def test_a_second_signal_ends_at_once(data, tmp_path: Path) -> None:
    pressing = Pressing({2: (signal.SIGINT, signal.SIGINT)})
    with pytest.raises(KeyboardInterrupt):
        train(*data, config(save_every=1), tmp_path / "run", frozen=frozen(), progress=pressing)
    assert load_header(tmp_path / "run" / CHECKPOINT).step == 2


def test_the_newest_checkpoints_are_kept_and_how_many_blocks_no_resume(data, tmp_path: Path) -> None:
    run = train(*data, config(save_every=1, keep=2, steps=4), tmp_path / "run", frozen=frozen(), max_steps=3)
    assert [p.stem for p in numbered(run)] == ["00000002", "00000003"]
    assert (run / CHECKPOINT).samefile(numbered(run)[-1])
    assert load_header(numbered(run)[0]).step == 2
    train(*data, config(save_every=2, keep=0, steps=4), run, frozen=frozen())
    assert numbered(run) == []
    assert load_header(run / CHECKPOINT).step == 4


def test_an_older_checkpoint_in_its_place_is_gone_on_from(data, tmp_path: Path) -> None:
    settings = config(save_every=1)
    whole = train(*data, settings, tmp_path / "whole", frozen=frozen())
    part = train(*data, settings, tmp_path / "part", frozen=frozen())
    (part / CHECKPOINT).unlink()
    numbered(part)[0].rename(part / CHECKPOINT)
    assert load_header(part / CHECKPOINT).step == 3
    train(*data, settings, part, frozen=frozen())
    assert same(whole, part)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from lacbench.baselines.alacgan.config import parse_config
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.trainer import train
from lacbench.manifest import load_dataset, load_pairs
import json

write, count = Path.write_bytes, 0

def half(path, data):
    global count
    count += ".safetensors." in path.name
    if count == 3:
        write(path, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, data)

Path.write_bytes = half
torch.manual_seed(1)
frozen = Frozen(Perceptual().requires_grad_(False).eval(), None)
data, out, settings = sys.argv[1:]
dataset, pairs = load_dataset(Path(data)), load_pairs(Path(data))
train(dataset, pairs, parse_config(json.loads(settings)), Path(out), frozen=frozen)
"""


def test_killed_in_the_middle_of_a_checkpoint_it_resumes(data, tmp_path: Path) -> None:
    settings = config(save_every=1, ema=0.5)
    whole, part = train(*data, settings, tmp_path / "whole", frozen=frozen()), tmp_path / "part"
    words = [str(data[0].folder), str(part), settings.model_dump_json()]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(part.rglob(f".*{PART}"))  # what was half-written
    assert load_header(part / CHECKPOINT).step == 2
    with (part / LOG).open("a") as file:
        file.write('{"step": 3, "cont')  # and a line, too
    train(*data, settings, part, frozen=frozen())
    assert not list(part.rglob(f".*{PART}"))
    assert same(whole, part)


def test_a_full_disk_keeps_the_last_checkpoint(data, small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    settings, run = config(save_every=1, keep=1), small_disk / "run"
    whole = train(*data, settings, tmp_path / "whole", frozen=frozen())
    train(*data, settings, run, frozen=frozen(), max_steps=2)
    room = used(small_disk) + (run / CHECKPOINT).stat().st_size // 2
    subprocess.run(["mount", "-o", f"remount,size={room}", str(small_disk)], check=True)
    with pytest.raises(OutputError, match=r"cannot write .*: the disk is full: free some room and run"):
        train(*data, settings, run, frozen=frozen())
    assert load_header(run / CHECKPOINT).step == 2
    assert not list(run.rglob(f".*{PART}"))
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    train(*data, settings, run, frozen=frozen())
    assert same(whole, run)


def used(folder: Path) -> int:
    """Bytes in use on a folder's file system."""
    told = os.statvfs(folder)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def test_resumed_runs_draw_each_point_once(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, step, settings = tmp_path / "run", Trainer.step, config(save_every=2, sample_every=2)

    def stop_at_four(self: Trainer, batches):
        terms = step(self, batches)
        if self.done == 4:
            raise RuntimeError("pulled the plug")
        return terms

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Trainer, "step", stop_at_four)
        train(*data, settings, run, frozen=frozen())
    train(*data, settings, run, frozen=frozen())
    board = EventAccumulator(str(run / BOARD), size_guidance={"images": 0})
    board.Reload()
    tags = board.Tags()
    losses = {"wasserstein", "drift", "penalty", "content", "adversarial", "pixel"}
    speed = {"speed/iterations_per_second", "speed/share_waiting_for_data"}
    assert set(tags["scalars"]) == {f"loss/{name}" for name in losses} | speed
    points = board.Scalars("loss/content")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    told = [entry["content"] for entry in read_log(run)]
    assert [point.value for point in points] == pytest.approx(told)
    assert [image.step for image in board.Images("samples")] == [2, 4, 5]
    sheets = sorted((run / "samples").iterdir())
    assert [p.name for p in sheets] == ["00000002.png", "00000004.png", "00000005.png"]
    assert read(sheets[0]).shape == (4 * 72, 3 * 72, 3)
    assert not np.array_equal(read(sheets[0]), read(sheets[2]))


def test_the_average_is_that_of_its_definition_and_colours(data, tmp_path: Path) -> None:
    settings = config(save_every=1, keep=9, ema=0.9, learning_rate=1e-2)
    start = {k: v.double() for k, v in Trainer(settings, frozen()).generator.state_dict().items()}
    run = train(*data, settings, tmp_path / "run", frozen=frozen())
    for step, path in enumerate(numbered(run), 1):
        decay = min(0.9, (1 + step) / (10 + step))
        weights = load_tensors(path, "generator")
        start = {k: decay * v + (1 - decay) * weights[k] for k, v in start.items()}
    average = load_tensors(run / CHECKPOINT, "ema")
    assert average.keys() == start.keys()
    assert all(torch.allclose(average[k].double(), v, atol=1e-6) for k, v in start.items())
    line_art = np.full((64, 64), 255, np.uint8)
    line_art[20:40, 30] = 0
    [colored] = open_model(run / CHECKPOINT).paint([line_art], [()])
    other = Trainer(settings, frozen(), load_header(run / CHECKPOINT).data)
    other.load(run / CHECKPOINT)
    ema = Ema(other.generator, 0.9)
    assert not torch.equal(next(iter(ema.tensors().values())), next(iter(average.values())))
    ema.load(average, run / CHECKPOINT)
    other.generator.load_state_dict(ema.tensors())
    x = torch.from_numpy(line_art.astype(np.float32) / 127.5 - 1)[None, None]
    with torch.no_grad():
        expected = other.generator(x, torch.zeros(1, 4, 16, 16), None)[0].permute(1, 2, 0)
    assert np.abs(colored - ((expected + 1) * 127.5).numpy()).max() <= 1


def test_a_loss_that_is_not_finite_leaves_its_batch_and_the_state(data, tmp_path: Path) -> None:
    settings, run = config(steps=9, save_every=1, decay_at=3, late_learning_rate=1e30), tmp_path / "run"
    with pytest.raises(NonFinite, match="not finite") as error:
        train(*data, settings, run, frozen=frozen())
    assert isinstance(error.value.batch, Batch)
    batch = load_file(run / "failed/batch.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "color": (2, 3, 64, 64), "line_art": (2, 1, 64, 64), "hint": (2, 4, 16, 16),
    }  # fmt: skip
    assert torch.equal(batch["color"], error.value.batch.color)
    assert load_header(run / "failed/state.safetensors").config == settings
    done = error.value.step - 1  # iterations before the one that failed, as the state says
    assert load_header(run / CHECKPOINT).step == load_header(run / "failed/state.safetensors").step == done
    train(*data, config(steps=1), run, frozen=frozen(), resume=False)
    assert not (run / "failed").exists()


def test_checkpoints_that_do_not_fit_are_told_apart(data, tmp_path: Path) -> None:
    run = train(*data, config(steps=1), tmp_path / "run", frozen=frozen())
    header = load_header(run / CHECKPOINT)
    other = Trainer(config(steps=1, critic_width=8, penalty_norm="pixel"), frozen(), header.data)
    told = "is another run's, with another critic_width, penalty_norm; put this run's back"
    with pytest.raises(InputError, match=told):
        other.load(run / CHECKPOINT)
    state = load_tensors(run / CHECKPOINT, "critic_adam")
    with pytest.raises(InputError, match=r"does not fit .*: 0\.exp_avg has shape \(4, .*, expected \(8, "):
        fill_adam(other.adams["critic"], state, run / CHECKPOINT)
    with pytest.raises(InputError, match="lacks the optimizer's"):
        fill_adam(other.adams["critic"], {}, run / CHECKPOINT)
    (run / "config.json").write_text('{"config": {"steps": "many"}, "data": ""}')
    with pytest.raises(InputError, match=r"config\.json describes no run: .*; choose another folder"):
        train(*data, config(steps=1), run, frozen=frozen())


def test_a_forecast_writes_nothing_and_is_of_the_whole_run(data, tmp_path: Path) -> None:
    before = sorted(data[0].folder.rglob("*"))
    told = forecast(*data, config(steps=1000), frozen=frozen())
    assert sorted(data[0].folder.rglob("*")) == before
    training = [m for m in data[0].illustrations if m.split == "train"]
    assert told.pictures == len(training)
    assert told.picture_bytes == len(training) * 64 * 64 * (3 + 3)
    assert told.memory_bytes > told.picture_bytes
    assert (told.device, told.device_bytes, told.steps) == ("cpu", 0, 1000)
    assert 1 < told.seconds < 10_000


def test_progress_tells_speed_and_losses(data, tmp_path: Path) -> None:
    told: list[str] = []

    class Asking(Listener):
        def track(self, items, label, total=None, detail=None) -> Iterator[object]:
            for item in items:
                yield item
                if detail:
                    told.append(detail())

    train(*data, config(log_every=2), tmp_path / "run", frozen=frozen(), progress=Asking())
    assert told[0] == ""
    assert " it/s, " in told[1] and "% waiting for data; " in told[1] and "content " in told[1]


def test_presets_by_device() -> None:
    assert choose_preset("", "cpu") == "tiny"
    assert choose_preset("paper", "cpu") == "paper"
    if torch.cuda.is_available():
        pytest.skip("the rest is of a machine without a GPU")
    assert choose_preset("", "auto") == "tiny"
    with pytest.raises(MissingError, match="there is none here; take --device cpu --preset tiny, or insist"):
        choose_preset("official", "auto")
    with pytest.raises(MissingError, match="there is no CUDA device"):
        choose_preset("", "cuda")


def test_dotted_keys_are_told() -> None:
    with pytest.raises(RecipeError, match=r"'a\.b=1' has a dotted key, and no field has fields of its own"):
        parse_assignment("a.b=1")


@pytest.mark.gpu
def test_a_run_on_a_gpu_is_resumed(data, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    run = train(*data, config(ema=0.9), tmp_path / "run", device="auto", frozen=frozen(), max_steps=2)
    train(*data, config(ema=0.9), run, device="cuda", frozen=frozen())
    assert load_header(run / CHECKPOINT).step == 5
    assert all(np.isfinite(entry["content"]) for entry in read_log(run))
    assert forecast(*data, config(), device="cuda", frozen=frozen()).device_bytes > 0


@pytest.mark.network
@pytest.mark.usefixtures("pretrained")
def test_the_command(data, tmp_path: Path) -> None:
    assignments = [f"{key}={json.dumps(value)}" for key, value in {**SMALL, "steps": 3}.items()]
    options = [word for text in assignments if "local" not in text for word in ("--set", text)]
    words = ["train", str(data[0].folder), "-o", str(tmp_path / "run"), "--without", "local-features"]

    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, [*words, *options, *more])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout or done.stderr

    code, told = run("--dry-run")
    assert (code, told.startswith("3 iterations on 12 pictures: 0:00:0")) == (0, True)
    assert not (tmp_path / "run").exists()
    code, told = run("--max-steps", "2", "--json")
    assert code == 0
    assert json.loads(told) == {"run": str(tmp_path / "run"), "done": 2, "steps": 3, "preset": "tiny"}
    assert run() == (0, f"{tmp_path / 'run'}\n")
    header = load_header(tmp_path / "run" / CHECKPOINT)
    assert (header.step, header.config.local_features) == (3, "none")
