"""The authors' checkpoints: their names for our tensors, and back.

Their generator has `toH`, `to0` … `to4`, `tunnel4` … `tunnel1` and `exit`, their critic `feed`, `feed2` and
`out`: nn.Sequential but for `exit` and `out`. A stage's blocks are a Sequential within the Sequential
(`tunnel4.2.0.conv_reduce.weight`); the same layers without that level, and so with other numbers, are
understood by their order.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from lacbench.baselines.alacgan.checkpoint import Header, save_checkpoint
from lacbench.baselines.alacgan.config import (
    LONG,
    MIDDLE,
    PAPER_MIDDLE,
    SHORT,
    Config,
    Dilations,
    make_config,
)
from lacbench.baselines.alacgan.networks import LOCAL_CHANNELS, Block, Critic, Generator
from lacbench.errors import InputError, IntegrityError
from lacbench.files import write_bytes

State = dict[str, Tensor]

RULES: Final = (
    (r"^hint\.", "toH.0."),
    (r"^encode(\d)\.", r"to\1.0."),
    (r"^decode(\d)\.fuse\.", r"tunnel\1.0."),
    (r"^decode(\d)\.blocks\.", r"tunnel\1.2."),
    (r"^decode(\d)\.grow\.", r"tunnel\1.3."),
    (r"^output\.", "exit."),
    (r"^look\.", "feed."),
    (r"^judge\.", "feed2."),
    (r"\.reduce\.", ".conv_reduce."),
    (r"\.spatial\.", ".conv_conv."),
    (r"\.expand\.", ".conv_expand."),
)
"""Our names, and what they are in theirs; but for the critic's last layer, their `out`."""
PARALLEL: Final = "module."
"""What nn.DataParallel, which the authors trained with, puts before every name."""
KEYS: Final = ("state_dictG", "state_dictD")
"""Where the authors' training script keeps generator and critic in a checkpoint."""
DILATIONS: Final = {len(stage): stage for stage in (LONG, MIDDLE, PAPER_MIDDLE, SHORT)}
"""A stage's dilations by its number of blocks: a checkpoint does not tell them."""
STAGES: Final = ("tunnel4", "tunnel3", "tunnel2", "tunnel1")
WIDEST: Final = 512
"""Channels at full resolution, at most: what `Config` takes."""


def load_official(
    path: Path, *, critic: Path | None = None, dilations: Sequence[Dilations] | None = None
) -> tuple[Generator, Critic | None]:
    """Load a checkpoint in the authors' layout, on the CPU.

    The file is a state dict, or a dict that holds some; what else it holds is not looked at. Widths, blocks,
    groups, local features and the critic's crop follow from the shapes.

    Args:
        path: the file with the generator, and perhaps the critic.
        critic: another file, where the critic was saved by itself.
        dilations: of each block of each stage, coarsest first; by default those of the published code, or of
            the preset `paper`, by the number of blocks.

    Returns:
        The generator, and the critic where there is one.

    Raises:
        InputError: no such file, no generator in it, or other tensors than the networks'.
        IntegrityError: a file that is cut short, or asks for anything but tensors.
    """
    states = _states(path)
    if "toH" not in states:
        raise InputError(f"{path} holds no generator: expected tensors toH.…; choose another file")
    generator = _generator(states["toH"], path, dilations)
    states |= _states(critic) if critic else {}
    if critic and "feed" not in states:
        raise InputError(f"{critic} holds no critic: expected tensors feed.…; choose another file")
    return generator, _critic(states["feed"], critic or path) if "feed" in states else None


def save_official(
    path: Path, generator: Generator, critic: Critic | None = None, *, prefix: str = PARALLEL
) -> None:
    """Write a checkpoint in the authors' layout: {"state_dictG": …, "state_dictD": …}. Raises OutputError.

    Their code fills what it finds by name and leaves the rest as it is, silently: without the prefix, all.
    """
    held = {
        key: {prefix + theirs: network.state_dict()[ours].cpu() for ours, theirs in _names(network).items()}
        for key, network in zip(KEYS, (generator, critic), strict=True)
        if network is not None
    }
    buffer = io.BytesIO()
    torch.save(held, buffer)
    write_bytes(path, buffer.getvalue())


def convert_official(path: Path, out: Path, *, critic: Path | None = None) -> Config:
    """Write a checkpoint in the authors' layout as one of ours, which `lacbench colorize` takes.

    It tells a configuration read off the shapes, and where they say nothing the preset `official`'s; and 0
    iterations, no data and no digests of weights, for these are not known.

    Args:
        path: the file with the generator; see `load_official`, as for `critic`.
        out: the checkpoint, FILE.safetensors.
        critic: another file, where the critic was saved by itself.

    Returns:
        The configuration.

    Raises:
        RecipeError: networks that no configuration describes.
        InputError, IntegrityError, OutputError: see `load_official` and `save_checkpoint`.
    """
    generator, judge = load_official(path, critic=critic)
    config = make_config("official", _told(generator, judge))
    held = {"generator": generator.state_dict(), "critic": judge.state_dict() if judge else {}}
    tensors = {f"{part}.{name}": tensor for part, state in held.items() for name, tensor in state.items()}
    save_checkpoint(out, Header(config, 0, "", {}), tensors)
    return config


def _told(generator: Generator, critic: Critic | None) -> dict[str, Any]:
    """The fields of a configuration that describe two networks."""
    stages = [generator.decode4, generator.decode3, generator.decode2, generator.decode1]
    spatial = [
        [m for m in stage.blocks.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
        for stage in stages
    ]
    channels = generator.decode4.fuse.in_channels - generator.encode4.out_channels
    told: dict[str, Any] = {
        "generator_width": generator.encode0.out_channels,
        "groups": [convolutions[0].groups for convolutions in spatial],
        "dilations": [[convolution.dilation[0] for convolution in stage] for stage in spatial],
        "local_features": "illustration2vec" if channels else "none",
        "adversarial": critic is not None,
    }
    if critic:
        blocks = [layer for layer in critic.judge if isinstance(layer, Block)]
        told["critic_width"] = critic.look[0].out_channels
        told["critic_groups"] = blocks[0].spatial.groups
        told["crop"] = 64 * 2 ** (len(blocks) // 2)
        told["size"] = max(512, told["crop"])
    return told


def _names(network: nn.Module) -> dict[str, str]:
    """Their name of every tensor of a network, by ours."""
    last = f"judge.{len(network.judge) - 1}." if isinstance(network, Critic) else "output."
    names = {}
    for ours in network.state_dict():
        theirs = ours.replace(last, "out.") if isinstance(network, Critic) else ours
        for rule, name in RULES:
            theirs = re.sub(rule, name, theirs)
        names[ours] = theirs
    return names


def _states(path: Path) -> dict[str, State]:
    """The state dicts in a file that are a generator's or a critic's, under `toH` or `feed`."""
    loaded = _load(path)
    held = [loaded, *loaded.values()] if isinstance(loaded, Mapping) else []
    states = dict[str, State]()
    for value in held:
        if isinstance(value, Mapping):
            state = {k.removeprefix(PARALLEL): v for k, v in value.items() if _is_named_tensor(k, v)}
            _check_length(path, sum(tensor.nbytes for tensor in state.values()))
            for part in {name.split(".")[0] for name in state} & {"toH", "feed"}:
                states.setdefault(part, state)
    return states


def _is_named_tensor(key: object, value: object) -> bool:
    if not (isinstance(key, str) and isinstance(value, Tensor)):
        return False
    return value.is_floating_point() and value.layout == torch.strided and not value.is_meta


class _Forgotten:
    """Stands in for NumPy's scalars, which the authors' script saves beside the tensors, and is nothing."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


_IGNORED: Final[list[Any]] = [
    (_Forgotten, f"numpy{name}") for name in (".core.multiarray.scalar", "._core.multiarray.scalar", ".dtype")
]


def _load(path: Path) -> Any:
    """What a PyTorch file holds, read without running what it says."""
    if not path.is_file():
        raise InputError(f"{path} is not there; expected a checkpoint of the authors' code")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_length(path, sum(part.file_size for part in archive.infolist()))
        with torch.serialization.safe_globals(_IGNORED):
            return torch.load(path, map_location="cpu", weights_only=True)
    except IntegrityError:
        raise
    except Exception as error:  # a broken pickle may fail in any way
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {asked[1]}" if asked else "it is cut short or no file of PyTorch's"
        raise IntegrityError(
            f"{path} cannot be read safely: {reason}, expected tensors only; download it again, or save the "
            "networks' state dicts"
        ) from error


def _check_length(path: Path, told: int) -> None:
    """Raise IntegrityError where a file tells of more bytes than it has: PyTorch packs nothing."""
    if told > (length := path.stat().st_size):
        raise IntegrityError(
            f"{path} unpacks to {told:,} bytes, expected at most its own {length:,}; do not use it, or save "
            "the networks' state dicts again"
        )


# Networks from shapes.


def _generator(state: State, path: Path, dilations: Sequence[Dilations] | None) -> Generator:
    width = _width(state, "to0", path)
    channels = LOCAL_CHANNELS if _sides(state, "tunnel4")[1] > 16 * width else 0
    if dilations is None:
        dilations = [_dilations(state, stage, path) for stage in STAGES]
    groups = [_groups(state, stage) for stage in STAGES]
    try:
        with torch.device("meta"):
            network = Generator(width, groups, dilations, channels)
    except ValueError as error:
        raise InputError(f"{path} is no generator of this kind: {error}; choose another file") from error
    _fill(network, state, path)
    return network


def _critic(state: State, path: Path) -> Critic:
    width = _width(state, "feed", path)
    channels = LOCAL_CHANNELS if _sides(state, "feed2")[1] > 4 * width else 0
    halvings = min(max(_count_blocks(state, "feed2") - 1, 0) // 2, 8)
    try:
        with torch.device("meta"):
            network = Critic(width, _groups(state, "feed"), 64 * 2**halvings, channels)
    except ValueError as error:
        raise InputError(f"{path} is no critic of this kind: {error}; choose another file") from error
    _fill(network, state, path)
    return network


def _part(state: Mapping[str, Any], part: str) -> list[str]:
    """Names of a part's tensors in the order of its layers; see `_place`."""
    return sorted((name for name in state if name.split(".")[0] == part), key=_place)


def _place(name: str) -> tuple[list[int], str, bool]:
    """Where a name stands: by its numbers, then conv_reduce, conv_conv, conv_expand, then weight, bias."""
    words = name.split(".")
    inner = {"conv_reduce": "1", "conv_conv": "2", "conv_expand": "3"}
    numbers = [int(word) for word in words if re.fullmatch("[0-9]{1,4}", word)]
    return numbers, "".join(inner.get(word, "") for word in words), words[-1] == "bias"


def _sides(state: State, part: str, layer: str = "weight") -> tuple[int, int]:
    """Outputs and inputs of a part's first convolution (of that name); 0 where there is none."""
    for name in _part(state, part):
        if name.endswith(layer) and state[name].ndim == 4:
            return state[name].shape[0], state[name].shape[1]
    return 0, 0


def _width(state: State, part: str, path: Path) -> int:
    width = _sides(state, part)[0]
    if not 0 < width <= WIDEST:
        raise InputError(
            f"{path} has {width} channels at full resolution, expected 1 to {WIDEST}; choose another file"
        )
    return width


def _groups(state: State, part: str) -> int:
    outputs, inputs = _sides(state, part, "conv_conv.weight")
    return outputs // inputs if inputs else 1


def _count_blocks(state: State, part: str) -> int:
    return len({name.split(".conv_")[0] for name in _part(state, part) if ".conv_" in name})


def _dilations(state: State, part: str, path: Path) -> Dilations:
    blocks = _count_blocks(state, part)
    if blocks not in DILATIONS:
        raise InputError(
            f"{path} has {blocks} blocks in {part}, expected {', '.join(map(str, sorted(DILATIONS)))}, whose "
            "dilations are known; a checkpoint does not tell them: give load_official its `dilations`"
        )
    return DILATIONS[blocks]


def _fill(network: nn.Module, state: State, path: Path) -> None:
    """Fill a network without storage from a state of their names. Raises InputError where tensors differ."""
    ours = {theirs: name for name, theirs in _names(network).items()}
    expected = {theirs: tuple(network.state_dict()[name].shape) for theirs, name in ours.items()}
    found = dict(_matched(list(state), list(expected)))
    got = {found.get(name, name): tuple(tensor.shape) for name, tensor in state.items()}
    differing = [name for name in [*expected, *got] if expected.get(name) != got.get(name)]
    if differing:
        told = "; ".join(
            f"{name} has shape {got.get(name, 'none')}, expected {expected.get(name, 'none')}"
            for name in list(dict.fromkeys(differing))[:3]
        )
        raise InputError(
            f"{path} does not fit: {len(set(differing))} tensors differ: {told}; choose another file"
        )
    plain = {ours[found[name]]: tensor.float().contiguous() for name, tensor in state.items()}
    network.load_state_dict(plain, assign=True)


def _matched(given: Sequence[str], expected: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a file's name and the one it stands for: the same, or the same in order within its part."""
    same = set(given) & set(expected)
    yield from ((name, name) for name in same)
    for part in {name.split(".")[0] for name in expected}:
        others = [
            [n for n in _part(dict.fromkeys(names), part) if n not in same] for names in (given, expected)
        ]
        if len(others[0]) == len(others[1]) and all(
            _place(g)[1:] == _place(e)[1:] for g, e in zip(*others, strict=True)
        ):
            yield from zip(*others, strict=True)
