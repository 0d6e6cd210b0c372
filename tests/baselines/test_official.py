"""The authors' checkpoints: made ones of their layout, at small and at full width, whole and broken."""

import os
import re
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan import convert_official, load_official
from lacbench.baselines.alacgan.checkpoint import fill, load_header, load_tensors
from lacbench.baselines.alacgan.config import MIDDLE, PAPER_MIDDLE, SHORT, make_config
from lacbench.baselines.alacgan.networks import (
    Critic,
    Generator,
    count_parameters,
    make_critic,
    make_generator,
)
from lacbench.baselines.alacgan.official import save_official
from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.errors import InputError, IntegrityError
from lacbench.images import read, write_png
from lacbench.lineart import clean

from made import draw_figure

State = dict[str, Tensor]

# Their layout, written down from their published code's constructors and nothing of ours: name → shape.


def blocks(prefix: str, channels: int, groups: int, count: int, first: int = 0, kernel: int = 3) -> dict:
    half, shapes = channels // 2, {}
    for i in range(first, first + count):
        shapes[f"{prefix}.{i}.conv_reduce.weight"] = (half, channels, 1, 1)
        shapes[f"{prefix}.{i}.conv_conv.weight"] = (half, half // groups, kernel, kernel)
        shapes[f"{prefix}.{i}.conv_expand.weight"] = (channels, half, 1, 1)
    return shapes


def convolution(name: str, outputs: int, inputs: int, kernel: int, *, bias: bool = True) -> dict:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)} | (
        {f"{name}.bias": (outputs,)} if bias else {}
    )


def generator_layout(ngf: int = 64, counts: tuple[int, ...] = (20, 8, 8, 5), local: int = 512) -> dict:
    shapes = convolution("toH.0", ngf, 4, 7) | convolution("to0.0", ngf // 2, 1, 3)
    for i, inputs in enumerate((ngf // 2, ngf, 3 * ngf, 4 * ngf), 1):
        shapes |= convolution(f"to{i}.0", ngf * 2 ** (i - 1), inputs, 4)
    for stage, count, groups in zip((4, 3, 2, 1), counts, (32, 32, 32, 16), strict=True):
        width = ngf * 2 ** (stage - 1)
        inputs = width + local if stage == 4 else 2 * width
        shapes |= convolution(f"tunnel{stage}.0", width, inputs, 3)
        shapes |= blocks(f"tunnel{stage}.2", width, groups, count)
        shapes |= convolution(f"tunnel{stage}.3", 2 * width, width, 3)
    return shapes | convolution("exit", 3, ngf, 3)


def critic_layout(ndf: int = 64, local: int = 512, halvings: int = 3) -> dict:
    shapes = convolution("feed.0", ndf, 3 if local else 4, 7, bias=False)
    shapes |= convolution("feed.2", ndf, ndf, 4, bias=False)
    shapes |= blocks("feed", ndf, 8, 1, 4) | blocks("feed", ndf, 8, 1, 5, kernel=4)
    shapes |= convolution("feed.6", 2 * ndf, ndf, 1, bias=False)
    shapes |= blocks("feed", 2 * ndf, 8, 1, 8) | blocks("feed", 2 * ndf, 8, 1, 9, kernel=4)
    shapes |= convolution("feed.10", 4 * ndf, 2 * ndf, 1, bias=False)
    shapes |= blocks("feed", 4 * ndf, 8, 1, 12) | blocks("feed", 4 * ndf, 8, 1, 13, kernel=4)
    shapes |= convolution("feed2.0", 8 * ndf, 4 * ndf + local, 3, bias=False)
    for i in range(2 * halvings + 1):
        shapes |= blocks("feed2", 8 * ndf, 8, 1, 2 + i, kernel=4 if i % 2 else 3)
    shapes |= convolution(f"feed2.{2 * halvings + 3}", 8 * ndf, 8 * ndf, 4, bias=False)
    return shapes | {"out.weight": (1, 8 * ndf), "out.bias": (1,)}


def made(layout: dict, prefix: str = "", seed: int = 0) -> State:
    random = torch.Generator().manual_seed(seed)
    return OrderedDict((prefix + k, torch.randn(shape, generator=random) / 8) for k, shape in layout.items())


def flat(state: State) -> State:
    """The same with the blocks right in the stage's Sequential."""

    def renamed(name: str, count: int) -> str:
        if inner := re.fullmatch(r"(tunnel\d)\.2\.(\d+)(\..*)", name):
            return f"{inner[1]}.{int(inner[2]) + 2}{inner[3]}"
        return re.sub(r"^(tunnel\d)\.3", rf"\1.{2 + count}", name)

    def count(name: str) -> int:
        part = name.split(".")[0]
        return sum(n.startswith(f"{part}.2.") and "conv_conv" in n for n in state)

    return {renamed(name, count(name)): tensor for name, tensor in state.items()}


SMALL = {"ngf": 32, "counts": (5, 8, 10, 5)}


def small() -> State:
    return made(generator_layout(**SMALL))


def saved(path: Path, value: object, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


# What their forward computes, from their state dict: the oracle that the mapping is right.


def their_block(x: Tensor, state: State, name: str, groups: int, dilation: int, down: bool = False) -> Tensor:
    def conv(x: Tensor, part: str, **how: Any) -> Tensor:
        return nn.functional.conv2d(x, state[f"{name}.{part}.weight"], **how)

    inner = nn.functional.leaky_relu(conv(x, "conv_reduce"), 0.2)
    how = {"stride": 2 if down else 1, "padding": dilation, "dilation": dilation, "groups": groups}
    inner = nn.functional.leaky_relu(conv(inner, "conv_conv", **how), 0.2)
    return (nn.functional.avg_pool2d(x, 2) if down else x) + conv(inner, "conv_expand")


def their_layer(x: Tensor, state: State, name: str, stride: int = 1, padding: int = 1) -> Tensor:
    weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
    return nn.functional.conv2d(x, weight, bias, stride=stride, padding=padding)


def their_generator(state: State, line_art: Tensor, hint: Tensor, local: Tensor | None) -> Tensor:
    def phi(x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x, 0.2)

    h = phi(their_layer(hint, state, "toH.0", padding=3))
    x = [phi(their_layer(line_art, state, "to0.0"))]
    for i in (1, 2, 3, 4):
        given = torch.cat([x[-1], h], 1) if i == 3 else x[-1]
        x.append(phi(their_layer(given, state, f"to{i}.0", stride=2)))
    y = x[4] if local is None else torch.cat([x[4], local], 1)
    for stage in (4, 3, 2, 1):
        y = phi(their_layer(y, state, f"tunnel{stage}.0"))
        count = sum(n.startswith(f"tunnel{stage}.2.") and "conv_conv" in n for n in state)
        dilations = {8: (1, 1, 2, 2, 4, 4, 2, 1), 10: (1, 1, 2, 2, 4, 4, 2, 2, 1, 1), 5: (1, 2, 4, 2, 1)}
        for i, dilation in enumerate(dilations.get(count, (1,) * count)):
            y = their_block(y, state, f"tunnel{stage}.2.{i}", 16 if stage == 1 else 32, dilation)
        y = phi(nn.functional.pixel_shuffle(their_layer(y, state, f"tunnel{stage}.3"), 2))
        y = torch.cat([y, x[stage - 1]], 1)
    return torch.tanh(their_layer(y, state, "exit"))


def their_critic(state: State, color: Tensor, condition: Tensor, late: bool) -> Tensor:
    def phi(x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x, 0.2)

    x = color if late else torch.cat([color, condition], 1)
    x = phi(their_layer(x, state, "feed.0", padding=3))
    x = phi(their_layer(x, state, "feed.2", stride=2))
    for i in (4, 8, 12):
        x = their_block(x, state, f"feed.{i}", 8, 1)
        x = their_block(x, state, f"feed.{i + 1}", 8, 1, down=True)
        if i < 12:
            x = phi(their_layer(x, state, f"feed.{i + 2}", padding=0))
    x = phi(their_layer(torch.cat([x, condition], 1) if late else x, state, "feed2.0"))
    inner = [n.split(".")[1] for n in state if n.startswith("feed2.") and "conv_conv" in n]
    for i, number in enumerate(inner):
        x = their_block(x, state, f"feed2.{number}", 8, 1, down=bool(i % 2))
    x = phi(their_layer(x, state, f"feed2.{len(inner) + 2}", padding=0))
    return nn.functional.linear(x.flatten(1), state["out.weight"], state["out.bias"])


def inputs(side: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(9)
    shapes = ((1, 1, side, side), (1, 4, side // 4, side // 4), (1, 512, side // 16, side // 16))
    line_art, hint, local = (torch.randn(shape, generator=random) for shape in shapes)
    return line_art, hint, local


def assert_same_generator(generator: Generator, state: State, *, local: bool = True) -> None:
    line_art, hint, features = inputs()
    given = features if local else None
    with torch.no_grad():
        expected = their_generator(state, line_art, hint, given)
        torch.testing.assert_close(generator(line_art, hint, given), expected, atol=1e-5, rtol=1e-4)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in generator.parameters())


def test_the_published_layout_at_full_width(tmp_path: Path) -> None:
    state = {
        "state_dictG": made(generator_layout(), "module."),
        "state_dictD": made(critic_layout(), "module."),
    }
    generator, critic = load_official(saved(tmp_path / "ckpt.pth.tar", state))
    assert critic is not None
    assert (count_parameters(generator), count_parameters(critic)) == (21_936_003, 10_612_033)
    for ours, made_anew in ((generator, make_generator), (critic, make_critic)):
        with torch.device("meta"):
            expected = made_anew(make_config("official"))
        assert repr(ours) == repr(expected)  # blocks, groups, dilations, strides


def test_without_local_features_at_full_width(tmp_path: Path) -> None:
    state = {"netG": made(generator_layout(local=0)), "netD": made(critic_layout(local=0))}
    generator, critic = load_official(saved(tmp_path / "both.pth", state))
    assert critic is not None
    assert (count_parameters(generator), count_parameters(critic)) == (19_576_707, 8_255_873)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("local", [512, 0])
def test_a_generator_computes_what_theirs_does(tmp_path: Path, prefix: str, local: int) -> None:
    layout = generator_layout(**SMALL, local=local)
    state = made(layout)
    generator, critic = load_official(saved(tmp_path / "g.pth", made(layout, prefix)))
    assert critic is None
    assert_same_generator(generator, state, local=bool(local))


@pytest.mark.parametrize("local", [512, 0])
@pytest.mark.parametrize("halvings", [0, 1])
def test_a_critic_computes_what_theirs_does(tmp_path: Path, local: int, halvings: int) -> None:
    state = made(critic_layout(16, local, halvings))
    file = saved(tmp_path / "d.pth", {"netD": state})
    _, critic = load_official(saved(tmp_path / "g.pth", small()), critic=file)
    assert critic is not None
    side = 64 * 2**halvings
    line_art, _, features = inputs(side)
    condition = features if local else line_art
    color = line_art.expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.5, -1.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = their_critic(state, color, condition, late=bool(local))
        torch.testing.assert_close(critic(color, condition), expected, atol=1e-4, rtol=1e-4)


def test_blocks_right_in_the_stage_are_understood(tmp_path: Path) -> None:
    assert "tunnel2.12.weight" in flat(small())
    generator, _ = load_official(saved(tmp_path / "flat.pth", flat(small())))
    assert_same_generator(generator, small())


@pytest.mark.parametrize("zipped", [True, False])
def test_what_their_script_saves_beside_the_tensors_is_not_looked_at(tmp_path: Path, zipped: bool) -> None:
    generator = nn.Conv2d(1, 1, 1)
    adam = torch.optim.Adam(generator.parameters())
    generator(torch.ones(1, 1, 1, 1)).sum().backward()
    adam.step()
    told = {"step": 249_999, "state_dictG": made(generator_layout(**SMALL), "module."),
            "best_fid": np.float64(57.06), "optimizerG": adam.state_dict()}  # fmt: skip
    file = saved(tmp_path / "ckpt.pth.tar", told, _use_new_zipfile_serialization=zipped)
    assert_same_generator(load_official(file)[0], small())


def test_a_scalar_as_numpy_1_pickled_it(tmp_path: Path) -> None:
    told = {"state_dictG": small(), "best_fid": np.float64(57.06)}
    file = saved(tmp_path / "ckpt.pth.tar", told, _use_new_zipfile_serialization=False)
    data = file.read_bytes()
    assert data.count(b"cnumpy._core.multiarray\nscalar\n") == 1
    file.write_bytes(data.replace(b"cnumpy._core.multiarray\nscalar\n", b"cnumpy.core.multiarray\nscalar\n"))
    assert_same_generator(load_official(file)[0], small())


@pytest.mark.parametrize("prefix", ["", "module."])
def test_saved_in_their_layout_and_back(tmp_path: Path, prefix: str) -> None:
    config = make_config("official", {"generator_width": 16, "critic_width": 16})
    torch.manual_seed(0)
    generator, critic = make_generator(config), make_critic(config)
    save_official(tmp_path / "ours.pth", generator, critic, prefix=prefix)
    held = torch.load(tmp_path / "ours.pth", weights_only=True)
    for key, layout in {"state_dictG": generator_layout(32), "state_dictD": critic_layout(16)}.items():
        assert {k: tuple(v.shape) for k, v in held[key].items()} == {prefix + k: v for k, v in layout.items()}
    back, judge = load_official(tmp_path / "ours.pth")
    assert isinstance(judge, Critic)
    for before, after in ((generator, back), (critic, judge)):
        assert all(torch.equal(after.state_dict()[n], t) for n, t in before.state_dict().items())
        assert repr(before) == repr(after)


def test_a_critic_need_not_be_saved(tmp_path: Path) -> None:
    generator, _ = load_official(saved(tmp_path / "g.pth", small()))
    save_official(tmp_path / "again.pth", generator)
    assert load_official(tmp_path / "again.pth")[1] is None


def test_weights_of_half_precision_come_in_single(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in small().items()}
    generator, _ = load_official(saved(tmp_path / "half.pth", half))
    assert {parameter.dtype for parameter in generator.parameters()} == {torch.float32}
    assert_same_generator(generator, {name: tensor.float() for name, tensor in half.items()})


@pytest.mark.parametrize("local", [512, 0])
def test_converted_it_is_a_checkpoint_of_ours(tmp_path: Path, local: int) -> None:
    layouts = generator_layout(**SMALL, local=local), critic_layout(16, local, 1)
    file = saved(tmp_path / "ckpt.pth.tar", {"netG": made(layouts[0]), "netD": made(layouts[1])})
    config = convert_official(file, tmp_path / "checkpoint.safetensors")
    header = load_header(tmp_path / "checkpoint.safetensors")
    assert (header.config, header.step, header.data, dict(header.weights)) == (config, 0, "", {})
    told = {
        "generator_width": 16,
        "dilations": [SHORT, MIDDLE, PAPER_MIDDLE, SHORT],
        "critic_width": 16,
        "crop": 128,
        "local_features": "illustration2vec" if local else "none",
    }
    assert config == make_config("official", told)
    for part, network in {"generator": make_generator(config), "critic": make_critic(config)}.items():
        fill(network, load_tensors(tmp_path / "checkpoint.safetensors", part), file)


def test_a_converted_generator_colours(tmp_path: Path) -> None:
    state = made(generator_layout(**SMALL, local=0))
    convert_official(saved(tmp_path / "g.pth", state), tmp_path / "checkpoint.safetensors")
    write_png(tmp_path / "in/a.png", draw_figure(0, 64)[1])
    out = colorize(
        tmp_path / "checkpoint.safetensors", find_linearts(tmp_path / "in"), tmp_path / "out", size=64
    )
    line_art = clean(read(tmp_path / "in/a.png"))
    x = torch.from_numpy(line_art.astype(np.float32) / 127.5 - 1)[None, None]
    expected = (their_generator(state, x, torch.zeros(1, 4, 16, 16), None)[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(read(out / "a.png").astype(np.float32) - expected.numpy()).max() < 0.51


# What is refused.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exit.bias": None}, r"1 tensors differ: exit\.bias has shape none, expected \(3,\)"),
        ({"to1.0.weight": (32, 16, 3, 3)}, r"to1\.0\.weight has shape \(32, 16, 3, 3\), expected"),
        ({"bn.weight": (3,)}, r"1 tensors differ: bn\.weight has shape \(3,\), expected none"),
        ({"tunnel3.2.4.conv_conv.weight": None}, r"tunnel3\.2\.4\.conv_conv\.weight has shape none"),
        (
            {f"tunnel1.2.{i}.conv_{k}.weight": (1,) for i in (5, 6) for k in ("conv", "reduce")},
            "7 blocks in tun",
        ),
        ({"to0.0.weight": (544, 1, 3, 3)}, "544 channels at full resolution, expected 1 to 512"),
        ({"to0.0.weight": ()}, "0 channels at full resolution"),
        ({"tunnel1.2.0.conv_conv.weight": (16, 7, 3, 3)}, r"conv_conv\.weight has shape"),
        ({"tunnel4.2.0.conv_conv.weight": (15, 5, 3, 3)}, "no generator of this kind"),
    ],
)
def test_other_tensors_are_refused_by_name(
    tmp_path: Path, changes: dict[str, tuple[int, ...] | None], reason: str
) -> None:
    state = small() | {name: torch.zeros(shape) for name, shape in changes.items() if shape is not None}
    kept = {name: tensor for name, tensor in state.items() if changes.get(name, ()) is not None}
    with pytest.raises(InputError, match=reason):
        load_official(saved(tmp_path / "g.pth", kept))


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    state = small() | {"exit.bias": torch.zeros(3, dtype=torch.int64)}
    with pytest.raises(InputError, match=r"exit\.bias has shape none"):
        load_official(saved(tmp_path / "g.pth", state))


@pytest.mark.parametrize(
    "value", [3, [{"toH.0.weight": torch.zeros(1)}], {"toH": {"toH": {"toH.": torch.ones(1)}}}]
)
def test_a_file_without_a_generator(tmp_path: Path, value: object) -> None:
    with pytest.raises(InputError, match=r"holds no generator: expected tensors toH\."):
        load_official(saved(tmp_path / "g.pth", value))


def test_only_the_first_few_differences_are_told(tmp_path: Path) -> None:
    state = {name: tensor[..., :1] for name, tensor in small().items() if "conv_conv" in name}
    with pytest.raises(InputError, match=r"^[^;]*: 28 tensors differ: ([^;]*; ){3}choose another file$"):
        load_official(saved(tmp_path / "g.pth", small() | state))


def test_a_critic_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file, generator = tmp_path / "d.pth", saved(tmp_path / "g.pth", small())
    layout = critic_layout(16)
    for state, reason in (
        (made({**layout, "out.weight": (1, 7)}), r"out\.weight has shape \(1, 7\), expected \(1, 128\)"),
        (made({k: v for k, v in layout.items() if "feed2.3" not in k}), "tensors differ"),
        (small(), "holds no critic"),
    ):
        with pytest.raises(InputError, match=reason):
            load_official(generator, critic=saved(file, state))
    with pytest.raises(InputError, match=r"absent\.pth is not there"):
        load_official(tmp_path / "absent.pth")


def test_dilations_may_be_given(tmp_path: Path) -> None:
    file = saved(tmp_path / "g.pth", made(generator_layout(32, (1, 2, 1, 1))))
    generator, _ = load_official(file, dilations=((1,), (2, 4), (1,), (3,)))
    assert generator.decode3.blocks[1].spatial.dilation == (4, 4)
    with pytest.raises(InputError, match="tensors differ"):
        load_official(file, dilations=((1,), (2,), (1,), (3,)))


class Gadget:
    def __init__(self, call: Any, *arguments: object) -> None:
        self.told = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.told


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("call", [os.system, subprocess.check_call, eval, np.load])
def test_a_file_that_asks_for_code_is_refused(tmp_path: Path, call: Any, zipped: bool) -> None:
    gadget = Gadget(call, f"touch {tmp_path / 'ran'}")
    for value in (gadget, {**small(), "toH.0.weight": gadget}, {"netG": small(), "extra": gadget}):
        file = saved(tmp_path / "g.pth", value, _use_new_zipfile_serialization=zipped)
        with pytest.raises(IntegrityError, match=r"it asks for .*, expected tensors only"):
            load_official(file)
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="save the networks' state dicts"):
        load_official(saved(tmp_path / "net.pth", nn.Conv2d(1, 1, 1)))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, zipped: bool) -> None:
    state = {"toH.0.weight": torch.zeros(4, 4), "step": 3}
    file = saved(tmp_path / "g.pth", state, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    for end in range(0, len(whole) - 1, 7):
        file.write_bytes(whole[:end])
        with pytest.raises(IntegrityError, match="cannot be read safely"):
            load_official(file)


def test_a_file_that_tells_of_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    repeated = {name: torch.zeros(1).expand(shape) for name, shape in generator_layout(**SMALL).items()}
    with pytest.raises(IntegrityError, match=r"flat\.pth unpacks to [\d,]+ bytes, expected at most its own"):
        load_official(saved(tmp_path / "flat.pth", {"state_dictG": repeated}))
    empty = {name: torch.zeros_like(tensor) for name, tensor in small().items()}
    plain, packed = saved(tmp_path / "plain.pth", empty), tmp_path / "packed.pth"
    load_official(plain)
    with zipfile.ZipFile(plain) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    with pytest.raises(IntegrityError, match=r"packed\.pth unpacks to [\d,]+ bytes"):
        load_official(packed)


def test_tensors_without_numbers_are_no_weights(tmp_path: Path) -> None:
    state = {name: tensor.to("meta") for name, tensor in small().items()}
    with pytest.raises(InputError, match="holds no generator"):
        load_official(saved(tmp_path / "meta.pth", state))
