"""pix2pix: the published networks and step, exact resume, learning, any size."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lacbench.baselines.alacgan import distributed
from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, load_header, load_tensors
from lacbench.baselines.alacgan.config import Config, choose_preset, make_config
from lacbench.baselines.alacgan.data import Batch
from lacbench.baselines.alacgan.export import TOLERANCE, export
from lacbench.baselines.alacgan.forecast import forecast
from lacbench.baselines.alacgan.logs import read_log
from lacbench.baselines.alacgan.networks import count_parameters
from lacbench.baselines.alacgan.trainer import cpu_threads, train
from lacbench.baselines.colorize import colorize
from lacbench.baselines.pix2pix import Generator, PatchCritic, Pix2Pix, UNet, condition, kept_values
from lacbench.baselines.trainers import trainer_of
from lacbench.errors import MissingError, RecipeError
from lacbench.hints import Hint
from lacbench.images import read, write_png
from lacbench.pairs import make_pairs

from made import build, draw_figure

SMALL = {
    "size": 64,
    "generator_width": 4,
    "critic_width": 4,
    "batch": 2,
    "steps": 5,
    "log_every": 1,
    "save_every": 5,
    "sample_every": 0,
    "learning_rate": 2e-4,
    "late_learning_rate": 2e-4,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with cpu_threads(1):
        yield


def config(**changes: object) -> Config:
    return make_config("pix2pix-tiny", {**SMALL, **changes})


def made(settings: Config) -> Pix2Pix:
    return Pix2Pix(settings, Pix2Pix.load_frozen(settings))


def batch(number: int, side: int = 64) -> Batch:
    random = torch.Generator().manual_seed(number)
    shapes = (2, 3, side, side), (2, 1, side, side), (2, 4, side // 4, side // 4)
    return Batch(*(torch.rand(shape, generator=random) * 2 - 1 for shape in shapes))


def test_the_networks_have_the_published_sizes() -> None:
    """54.414 M and 2.769 M, as PyTorch's implementation prints them for 3 → 3 channels."""
    with torch.device("meta"):
        assert count_parameters(UNet(inputs=3)) == 54_413_955
        assert count_parameters(PatchCritic(inputs=6)) == 2_768_705
        unet, critic = UNet(), PatchCritic()
        x, kept = torch.empty(2, 5, 256, 256), torch.empty(2, 512 * (4 + 16 + 64))
        sides = [(x := layer(x)).shape[1:] for layer in unet.encode]
        assert [tuple(s) for s in sides] == [
            (64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 16, 16), (512, 8, 8), (512, 4, 4),
            (512, 2, 2), (512, 1, 1),
        ]  # fmt: skip
        assert unet(torch.empty(2, 5, 256, 256), kept).shape == (2, 3, 256, 256)
        assert critic(torch.empty(2, 3, 256, 256), torch.empty(2, 5, 256, 256)).shape == (2, 1, 30, 30)
    seen = 1
    for layer in reversed([m for m in critic.modules() if isinstance(m, nn.Conv2d)]):
        seen = (seen - 1) * layer.stride[0] + layer.kernel_size[0]
    assert seen == 70


def published(
    x: Tensor, weights: dict[str, Tensor], depth: int, kept: list[Tensor], level: int = 0
) -> Tensor:
    """The published U-Net, block within block, with its batch normalisation: by the batch at hand."""

    def norm(y: Tensor, name: str) -> Tensor:
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.batch_norm(y, None, None, scale, shift, training=True)

    number, last = depth - 1 - level, level == depth - 1
    given = functional.leaky_relu(x, 0.2) if level else x
    y = functional.conv2d(given, weights[f"encode.{level}.{int(level > 0)}.weight"], None, 2, 1)
    if level and not last:
        y = norm(y, f"encode.{level}.2")
    if not last:
        y = published(y, weights, depth, kept, level + 1)
    y, grow = y.relu(), weights[f"decode.{number}.1.weight"]
    if not level:
        return functional.conv_transpose2d(y, grow, weights[f"decode.{number}.1.bias"], 2, 1).tanh()
    y = norm(functional.conv_transpose2d(y, grow, None, 2, 1), f"decode.{number}.2")
    if kept and number < 3:
        y = y * kept[number] / 0.5
    return torch.cat([y, x], 1)


@pytest.mark.parametrize("drops", [False, True])
def test_the_generator_is_the_published_one_with_one_picture_a_batch(drops: bool) -> None:
    trainer = made(config(crop=64, generator_width=2))
    unet = trainer.generator.network.double()
    random = torch.Generator().manual_seed(0)
    x = torch.rand((2, 5, 64, 64), generator=random, dtype=torch.float64)
    kept = kept_values(trainer.config, 3)
    got = unet(x, kept if drops else None)
    for one in range(2):
        shapes = [(1, 16, 2, 2), (1, 16, 4, 4), (1, 8, 8, 8)]
        parts = kept[one].split([math.prod(shape) for shape in shapes])
        held = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        with torch.no_grad():
            expected = published(x[one : one + 1], unet.state_dict(), 6, held if drops else [])
        assert torch.allclose(got[one], expected[0], rtol=0, atol=1e-12)


def test_first_weights_and_dropout_are_drawn_as_published() -> None:
    trainer = made(config(generator_width=16, critic_width=16))
    for network in (trainer.generator, trainer.critic):
        for name, parameter in network.named_parameters():
            values, scales = parameter.detach(), parameter.ndim == 1 and "weight" in name
            if "bias" in name:
                assert not values.any()
            elif values.numel() > 1000:
                assert values.std() == pytest.approx(0.02, rel=0.1)
                assert abs(values.mean()) < 0.002
            elif scales:
                assert abs(values.mean() - 1) < 0.02
                assert 0 < values.std() < 0.04
    kept = kept_values(trainer.config, 0)
    assert kept.unique().tolist() == [0, 1]
    assert kept.float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(kept, kept_values(trainer.config, 0))
    for other in (kept_values(trainer.config, 1), kept_values(config(generator_width=16, seed=1), 0)):
        assert 0.45 < (kept == other).float().mean().item() < 0.55


def published_steps(trainer: Pix2Pix, number: int) -> None:
    """The published step (binary cross-entropy, the critic's halved, 100 · L1), plainly."""
    generator, critic = trainer.generator, trainer.critic
    adams = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (generator, critic)]
    judged = functional.binary_cross_entropy_with_logits
    for step in range(number):
        given = batch(step)
        told = condition(given.line_art, given.hint)
        fake = generator(given.line_art, given.hint, kept_values(trainer.config, step))
        scores, reals = critic(fake.detach(), told), critic(given.color, told)
        loss = 0.5 * (judged(scores, torch.zeros_like(scores)) + judged(reals, torch.ones_like(reals)))
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        scores = critic(fake, told)
        adams[0].zero_grad()
        (judged(scores, torch.ones_like(scores)) + 100 * (fake - given.color).abs().mean()).backward()
        adams[0].step()


def test_a_step_is_the_published_one() -> None:
    ours, theirs = made(config()), made(config())
    told = ours.step(batch)
    for _ in range(2):
        ours.step(batch)
    published_steps(theirs, 3)
    assert told.keys() == {"critic_fake", "critic_real", "pixel", "adversarial"}
    for one, other in ((ours.generator, theirs.generator), (ours.critic, theirs.critic)):
        for name, value in one.state_dict().items():
            assert torch.allclose(value, other.state_dict()[name], rtol=0, atol=2e-5), name


def test_the_critic_sees_the_hints_at_their_place() -> None:
    line_art, hint = torch.zeros(1, 1, 8, 8), torch.arange(16.0).view(1, 4, 2, 2)
    told = condition(line_art, hint)
    assert torch.equal(told[:, :1], line_art)
    assert torch.equal(told[:, 1:], hint.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_processes_have_the_gradients_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each draws its share of the dropout, and normalises each picture alone: halves' mean is the whole's."""
    settings = config(adversarial_weight=0.0)  # else the critic's own step, by then, tells them apart

    def gradients(trainer: Pix2Pix, given: Batch) -> Tensor:
        for network in (trainer.generator, trainer.critic):
            network.double()
        trainer.step(lambda _: given)
        networks = trainer.generator, trainer.critic
        return torch.cat([p.grad.flatten() for n in networks for p in n.parameters()])

    whole = Batch(*(tensor.double() for tensor in vars(batch(0)).values()))
    expected, halves = gradients(made(settings), whole), []
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "average", lambda tensors: None)
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        half = Batch(*(tensor[rank : rank + 1] for tensor in vars(whole).values()))
        halves.append(gradients(made(settings), half))
    assert (sum(halves) / 2 - expected).norm() < 1e-10 * expected.norm()


@pytest.mark.parametrize("adversarial", [True, False])
def test_five_steps_are_two_and_three(data, tmp_path: Path, adversarial: bool) -> None:
    settings = config(ema=0.9, adversarial=adversarial)
    whole = train(*data, settings, tmp_path / "whole")
    part = train(*data, settings, tmp_path / "part", max_steps=2)
    assert load_header(part / CHECKPOINT).step == 2
    train(*data, settings, part)
    networks = ("generator", "critic") if adversarial else ("generator",)
    for name in ("ema", *networks, *(f"{n}_adam" for n in networks)):
        one, two = (load_tensors(run / CHECKPOINT, name) for run in (whole, part))
        assert one
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one), name
    assert read_log(whole) == read_log(part)
    assert [line["step"] for line in read_log(whole)] == [1, 2, 3, 4, 5]


def test_it_learns_to_colour_and_takes_hints_and_any_size(tmp_path: Path) -> None:
    for seed in range(8):
        red = np.where(draw_figure(seed)[1] > 128, (220, 40, 40), 0).astype(np.uint8)
        red[:60, :60] = (30, 160, 60)  # colour enough for an illustration
        write_png(tmp_path / f"red/illustrations/{seed}.png", red)
    write_png(tmp_path / "red/linearts/0.png", draw_figure(20)[1])
    dataset = build(tmp_path / "red", tmp_path / "data")
    settings = config(steps=60, learning_rate=5e-3, generator_width=8, ema=0.8, sample_every=60)
    run = train(dataset, make_pairs(dataset, size=64), settings, tmp_path / "run")
    assert (run / "samples/00000060.png").is_file()
    losses = [line["pixel"] for line in read_log(run)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    write_png(tmp_path / "in/a.png", draw_figure(20)[1][:150, :90])
    given = {"a": tmp_path / "in/a.png"}
    plain, again = (colorize(run, given, tmp_path / name, size=70) for name in ("plain", "again"))
    hinted = colorize(run, given, tmp_path / "hinted", size=70, hints={"a": [Hint(0.5, 0.5, (0, 0, 255))]})
    colored = read(plain / "a.png")
    assert colored.shape == (117, 70, 3)
    red, green, blue = colored.reshape(-1, 3).mean(axis=0)
    assert red > green + 50
    assert red > blue + 50
    assert (colored == read(again / "a.png")).all()
    assert (colored != read(hinted / "a.png")).any()


def test_a_picture_is_coloured_as_one_with_paper_around_it_and_alone() -> None:
    generator, random = made(config()).generator.eval(), torch.Generator().manual_seed(0)
    line_art = torch.rand(2, 1, 48, 80, generator=random) * 2 - 1
    hint = torch.rand(2, 4, 12, 20, generator=random)
    with torch.inference_mode():
        colored = generator(line_art, hint)
        paper = functional.pad(line_art, (0, 48, 0, 16), value=1.0)
        larger = generator(paper, functional.pad(hint, (0, 12, 0, 4)))
        alone = generator(line_art[1:], hint[1:])
    assert torch.allclose(colored, larger[:, :, :48, :80], atol=1e-6)
    assert torch.allclose(colored[1:], alone, atol=1e-5)


@pytest.mark.parametrize("suffix", [".pt", pytest.param(".onnx", marks=pytest.mark.long)])
def test_it_is_exported(data, tmp_path: Path, suffix: str) -> None:
    if suffix == ".onnx":
        pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    run = train(*data, config(steps=1), tmp_path / "run")
    done = export(run, tmp_path / f"model{suffix}")
    assert done.difference <= TOLERANCE
    given = {"a": data[0].file(data[0].linearts[0])}
    outputs = [colorize(m, given, tmp_path / f"out-{n}") for n, m in enumerate((run, done.file))]
    one, other = (read(out / "a.png").astype(int) for out in outputs)
    assert abs(one - other).max() <= 1


@pytest.mark.parametrize("changes", [{"fused_adam": True}, {"precision": "bf16"}])
def test_faster_forms_are_verified_and_train(changes: dict[str, object]) -> None:
    plain, swift = made(config()), made(config(**changes))
    for _ in range(2):
        expected, got = plain.step(batch), swift.step(batch)
    assert {k: float(v) for k, v in got.items()} == pytest.approx(
        {k: float(v) for k, v in expected.items()}, rel=0.05
    )


def test_a_forecast_needs_no_pretrained_weights(data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacbench.weights.load", lambda *_, **__: pytest.fail("weights were asked for"))
    assert forecast(*data, config()).steps == 5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"local_features": "vgg16"}, "local_features is vgg16; pix2pix has none, expected none"),
        ({"groups": [2, 2, 2, 2], "drift": "image"}, "pix2pix has no groups, drift; leave"),
        ({"model": "pix3pix"}, "model: .*got 'pix3pix'"),
    ],
)
def test_what_it_does_not_have_cannot_be_set(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        config(**changes)


def test_presets() -> None:
    full = make_config("pix2pix")
    assert trainer_of(full) is Pix2Pix
    with torch.device("meta"):
        generator = Pix2Pix.make_generator(full)
        assert isinstance(generator, Generator)
        assert count_parameters(generator) == 54_413_955 + 2 * 64 * 16
    if not torch.cuda.is_available():
        with pytest.raises(MissingError, match=r"preset pix2pix wants a GPU.*--preset pix2pix-tiny"):
            choose_preset("pix2pix", "auto")
    assert choose_preset("pix2pix-tiny", "auto") == "pix2pix-tiny"
