"""Two real processes against one: the same terms and gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lacbench.baselines.alacgan import distributed
from lacbench.baselines.alacgan.config import make_config

from distributed_step import FORMS, SMALL, two_steps


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What two processes, that `torchrun` starts on this machine's loopback, come to in every form."""
    out = tmp_path_factory.mktemp("two") / "told.safetensors"
    loopback = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    script = Path(__file__).with_name("distributed_step.py")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *loopback, script, out],
        env={
            **os.environ,
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(script.parents[1]),  # it imports `small` by name
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return load_file(out)


@pytest.mark.parametrize("form", FORMS)
def test_two_processes_have_the_gradients_of_one(form: str, told: dict[str, torch.Tensor]) -> None:
    expected = two_steps(make_config("tiny", {**SMALL, **FORMS[form]}))
    got = {name.removeprefix(f"{form}."): v for name, v in told.items() if name.startswith(f"{form}.")}
    assert got.keys() == expected.keys()
    assert {name.split(".")[1] for name in got} > {"drift", "penalty", "wasserstein", "content"}
    for name, value in expected.items():
        assert (got[name] - value).norm() <= 1e-10 * value.norm().clamp_min(1e-12), name


def test_one_process_alone_is_main_and_takes_everything() -> None:
    with distributed.joined(torch.device("cpu")) as device:
        assert device.type == "cpu"
        assert (distributed.rank(), distributed.world(), distributed.is_main()) == (0, 1, True)
        distributed.barrier()
        assert distributed.share(6) == slice(0, 6)
        values = torch.tensor([1.0, 5.0])
        distributed.average([values])
        assert distributed.mean(values).item() == 3
