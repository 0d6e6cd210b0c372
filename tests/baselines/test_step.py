"""One iteration: the ablation without a critic, losses that are not finite, faster forms."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lacbench.baselines.alacgan import fast, penalty
from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.frozen import Frozen, Perceptual
from lacbench.baselines.alacgan.step import Trainer
from lacbench.baselines.alacgan.trainer import cpu_threads
from lacbench.baselines.alacgan.watch import NonFinite, Watch, save_batch
from lacbench.errors import InputError, LacbenchError, MissingError

from distributed_step import SMALL

gpu = pytest.mark.gpu
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Layers so small lose more by waiting for each other's threads than they gain."""
    with cpu_threads(1):
        yield


def config(**changes: object) -> Config:
    return make_config("tiny", {**SMALL, "batch": 2, **changes})


def made(settings: Config, device: str = "cpu") -> Trainer:
    torch.manual_seed(1)
    return Trainer(settings, Frozen(Perceptual().requires_grad_(False).eval(), None), device=device)


def batch(number: int, side: int = 64) -> Batch:
    random = torch.Generator().manual_seed(number)
    shapes = (2, 3, side, side), (2, 1, side, side), (2, 4, side // 4, side // 4)
    return Batch(*(torch.rand(shape, generator=random) * 2 - 1 for shape in shapes))


def weights(trainer: Trainer) -> torch.Tensor:
    held = [adam.param_groups[0]["params"] for adam in trainer.adams.values()]
    return torch.cat([p.detach().flatten() for parameters in held for p in parameters]).cpu()


def test_without_adversarial_there_is_no_critic_and_one_batch_an_iteration(tmp_path: Path) -> None:
    settings = config(adversarial=False, separate_batches=True, pixel_weight=0.0)
    trainer, taken = made(settings), []

    def batches(number: int) -> Batch:
        taken.append(number)
        return batch(number)

    with_critic = made(config())
    assert trainer.critic is None
    assert torch.equal(weights(trainer), weights(with_critic)[: weights(trainer).numel()])
    told = [trainer.step(batches) for _ in range(3)]
    assert taken == [0, 1, 2]
    assert told[0].keys() == {"content", "pixel"}
    trainer.save(tmp_path / "c")
    assert all(name.startswith("generator") for name in load_file(tmp_path / "c"))
    again = made(settings)
    again.load(tmp_path / "c")
    assert torch.equal(weights(again), weights(trainer))
    # The first step's content loss is one of the network that both begin with.
    assert told[0]["content"] == with_critic.step(batch)["content"]


@pytest.mark.parametrize("norm", ["pixel", "image"])
def test_both_forms_of_the_penalty_train_alike(norm: str) -> None:
    runs = [made(config(penalty=form, penalty_norm=norm)) for form in ("explicit", "autograd")]
    told = [[run.step(batch)["penalty"].item() for _ in range(2)] for run in runs]
    assert told[0] == pytest.approx(told[1], rel=1e-4)


@pytest.mark.parametrize("poisoned", ["color", "line_art"])
def test_a_batch_that_is_not_finite_changes_no_weights(poisoned: str, tmp_path: Path) -> None:
    trainer = made(config())
    trainer.step(batch)
    before = weights(trainer)
    bad = batch(1)
    getattr(bad, poisoned)[0, 0, 3, 3] = torch.nan
    with pytest.raises(NonFinite, match=r"iteration 2 gave .* not finite \(.*drift.*\); the last") as caught:
        trainer.step(lambda number: bad)
    assert torch.equal(weights(trainer), before)
    assert trainer.done == 1
    save_batch(tmp_path / "batch", caught.value.batch)
    kept = load_file(tmp_path / "batch")
    assert kept.keys() == {"color", "line_art", "hint"}
    assert kept[poisoned].isnan().sum() == 1
    trainer.step(batch)  # and goes on with a good one


def test_a_watch_that_lags_tells_which_iteration_it_was() -> None:
    """A GPU's way, on the CPU: a fused Adam stops moving, and the next check says where."""
    trainer = made(config(fused_adam=True, log_every=4))
    trainer.step(batch)
    trainer.watch = Watch(trainer.device, lags=True)
    trainer.watch.reset(trainer.done)
    for adam in trainer.adams.values():
        adam.found_inf = trainer.watch.found
    bad = replace(batch(2), hint=torch.full((2, 4, 16, 16), torch.inf))

    def batches(number: int) -> Batch:
        return bad if number == 2 else batch(number)

    trainer.step(batches)
    before = weights(trainer)
    trainer.step(batches)
    with pytest.raises(NonFinite, match="iteration 3") as caught:
        trainer.step(batches)
    assert torch.equal(caught.value.batch.hint, bad.hint)
    assert trainer.done == 2
    assert torch.equal(weights(trainer), before)


def test_a_fused_adam_trains_as_another() -> None:
    plain, fused = made(config()), made(config(fused_adam=True))
    for _ in range(3):
        plain.step(batch)
        fused.step(batch)
    assert torch.allclose(weights(plain), weights(fused), atol=1e-5)


def test_bf16_is_near_float32_and_keeps_weights_and_moments_in_float32() -> None:
    plain, low = made(config()), made(config(precision="bf16"))
    told = [{name: float(v) for name, v in run.step(batch).items()} for run in (plain, low)]
    assert told[1] == pytest.approx(told[0], rel=0.05, abs=0.01)
    assert told[1] != told[0]
    assert weights(low).dtype == torch.float32
    held = [value for adam in low.adams.values() for state in adam.state.values() for value in state.values()]
    assert {value.dtype for value in held} == {torch.float32}


def test_a_form_that_was_verified_has_trained_nothing_by_it() -> None:
    """TF32 changes nothing on a CPU, so that what remains is the verification itself."""
    plain, verified = made(config()), made(config(tf32=True))
    for _ in range(2):
        plain.step(batch)
        verified.step(batch)
    assert torch.equal(weights(plain), weights(verified))


def test_a_form_that_changes_the_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = fast.fast_calls

    def wrong(calls: fast.Calls, *others: object) -> fast.Calls:
        calls = right(calls, *others)
        return replace(calls, image_gradient=lambda *given: 1.01 * calls.image_gradient(*given))

    monkeypatch.setattr(fast, "fast_calls", wrong)
    trainer = made(config(fused_adam=True, penalty_norm="image"))
    before = weights(trainer)
    sentence = (
        r"^fused_adam changes the first step's .* by 0\.0\d+, expected at most 0\.001; train with --set f"
    )
    with pytest.raises(LacbenchError, match=sentence):
        trainer.step(batch)
    assert torch.equal(weights(trainer), before)
    assert trainer.done == 0


def test_what_cannot_be_compiled_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_a_compiler(call: object, **settings: object) -> object:
        raise RuntimeError("\nno C++ compiler was found\nSet TORCHDYNAMO_VERBOSE=1")

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    expected = "^compile cannot be had here: no C[+][+] compiler was found; train with --set compile=false$"
    with pytest.raises(MissingError, match=expected):
        made(config(compile=True)).step(batch)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_compiled_step_is_the_plain_one() -> None:
    plain, compiled = made(config()), made(config(compile=True))
    told = [[run.step(batch) for _ in range(2)][-1] for run in (plain, compiled)]
    assert {k: float(v) for k, v in told[1].items()} == pytest.approx(
        {k: float(v) for k, v in told[0].items()}, rel=1e-3, abs=1e-4
    )


def test_cuda_graphs_need_a_gpu() -> None:
    with pytest.raises(MissingError, match="cuda_graphs needs a CUDA device, got cpu; train with"):
        made(config(cuda_graphs=True))


def test_a_batch_that_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacbench.baselines.alacgan.distributed.world", lambda: 4)
    with pytest.raises(InputError, match=r"a batch of 2 cannot be shared equally by 4 processes; .* batch=4"):
        made(config())


def test_the_slope_is_the_critics() -> None:
    assert penalty._PHI(torch.tensor(-1.0)).item() == pytest.approx(-penalty.SLOPE)


@gpu
@needs_cuda
@pytest.mark.parametrize(
    "changes",
    [
        {"tf32": True},
        {"precision": "bf16"},
        {"fused_adam": True},
        {"cuda_graphs": True},
        {"compile": True},
        {"precision": "bf16", "compile": True, "cuda_graphs": True, "fused_adam": True, "tf32": True},
    ],
    ids=lambda changes: "-".join(changes),
)
@pytest.mark.parametrize("separate", [False, True])
def test_each_switch_trains_on_a_gpu(changes: dict[str, object], separate: bool, tmp_path: Path) -> None:
    plain = made(config(separate_batches=separate), "cuda")
    swift = made(config(separate_batches=separate, **changes), "cuda")
    for _ in range(3):
        expected, got = plain.step(batch), swift.step(batch)
    near = {"rel": 0.1, "abs": 0.05} if "precision" in changes else {"rel": 1e-2, "abs": 1e-2}
    assert {k: float(v) for k, v in got.items()} == pytest.approx(
        {k: float(v) for k, v in expected.items()}, **near
    )
    swift.save(tmp_path / "c")
    again = made(config(separate_batches=separate, **changes), "cuda")
    again.load(tmp_path / "c")
    again.step(batch)
    assert again.done == 4


@gpu
@needs_cuda
@pytest.mark.parametrize("graphs", [False, True])
def test_a_gpu_tells_of_a_bad_batch_at_the_next_line_of_the_log(graphs: bool) -> None:
    trainer = made(config(fused_adam=True, cuda_graphs=graphs, log_every=4), "cuda")
    bad = replace(batch(2), hint=torch.full((2, 4, 16, 16), torch.inf))
    trainer.step(batch)
    trainer.step(batch)
    before = weights(trainer)
    trainer.step(lambda number: bad if number == 2 else batch(number))
    with pytest.raises(NonFinite, match="iteration 3"):
        trainer.step(lambda number: bad if number == 2 else batch(number))
    assert torch.equal(weights(trainer), before)
    assert trainer.done == 2
