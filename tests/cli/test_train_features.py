"""`lacbench train-features` as a shell runs it: signals, refusals, what it prints."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.features import train as module
from lacbench.cli.main import main

from made import build

SMALL = ("--size", "32", "--batch", "4", "--device", "cpu")


@pytest.fixture
def data_folder(drawn_art: Path, tmp_path: Path) -> Path:
    return build(drawn_art, tmp_path / "data").folder


@pytest.fixture(autouse=True)
def _nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks a registry for weights."""
    monkeypatch.setattr(module, "compared", lambda start, _: {"random": start})


def test_it_says_what_was_found(data_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    words = ["train-features", str(data_folder), "-o", str(out), *SMALL, "--steps", "2"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == str(out)
    assert make_config("tiny", {"local_features": str(out)}).local_features == str(out)
    told = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert told["features"] == str(out)
    assert (told["objective"], told["step"], told["config"]["size"]) == ("contrast", 2, 32)
    done = CliRunner().invoke(main, [*words, "--seed", "3"])
    assert done.exit_code == 1
    assert "is of a training with another seed" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--size", "33"], "size: Input should be a multiple of 16, got 33"),
        (["--preset", "huge"], "no preset 'huge'; expected one of small, full"),
        (["--objective", "tags"], "take --objective contrast"),
        (["--batch", "400"], "expected at least a batch of 400"),
    ],
)
def test_refusals_are_one_sentence(data_folder: Path, tmp_path: Path, words: list[str], told: str) -> None:
    given = ["train-features", str(data_folder), "-o", str(tmp_path / "f.safetensors"), *SMALL, *words]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 1
    assert told in done.stderr
    assert not list(tmp_path.glob("*.safetensors"))


def test_ctrl_c_leaves_a_state_that_the_same_command_resumes(data_folder: Path, tmp_path: Path) -> None:
    out, state = tmp_path / "f.safetensors", tmp_path / "f.state.safetensors"
    words = ["train-features", str(data_folder), "-o", str(out), *SMALL, "--steps", "100000"]
    command = [sys.executable, "-m", "lacbench.cli.main", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    told = []
    for key in (signal.SIGINT, signal.SIGTERM):
        before = state.stat().st_mtime_ns if state.exists() else 0
        with subprocess.Popen(command, **pipes) as process:
            while not state.exists() or state.stat().st_mtime_ns == before:  # it saves every 50 iterations
                assert process.poll() is None
                time.sleep(0.05)
            os.killpg(process.pid, key)
            told.append((process.communicate(timeout=120)[1], process.returncode))
    assert [code for _, code in told] == [130, 143]
    assert "Traceback" not in told[0][0] + told[1][0]
    assert "lacbench: interrupted; the same command goes on from here" in told[0][0]
    stopped = [int(text.split("stopped after iteration ")[1].split(",")[0]) for text, _ in told]
    assert 50 < stopped[0] < stopped[1]
    assert not out.exists()
