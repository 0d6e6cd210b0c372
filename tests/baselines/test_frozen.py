"""Frozen networks by name: fetched, from a file of one's own, recorded, and never mistaken for others."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lacbench import weights
from lacbench.baselines.alacgan.checkpoint import Header, load_header, save_checkpoint
from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.alacgan.frozen import (
    FORMAT,
    LocalFeatures,
    Perceptual,
    VggLocalFeatures,
    load_frozen,
    load_local,
    load_local_of,
    save_local_features,
)
from lacbench.baselines.alacgan.networks import make_generator
from lacbench.baselines.alacgan.painter import load_trained
from lacbench.errors import FetchError, InputError, IntegrityError
from lacbench.originals import VGG16_LAYERS
from lacbench.pretrained import WEIGHTS
from lacbench.routes import Package, Site

from caffemodels import caffemodel


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a registry that reaches nothing: weights come from files that are here."""
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "cache"))
    for name, entry in WEIGHTS.items():
        route = entry.routes[0]
        assert isinstance(route, Site | Package)
        closed = Site("http://127.0.0.1:9/", "", route.read)
        monkeypatch.setitem(WEIGHTS, name, dataclasses.replace(entry, routes=(closed,)))
    return tmp_path / "cache/weights"


def random(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) / 32


def bring_vgg16(folder: Path) -> None:
    """VGG16's first nine convolutions at their own widths; the last four, which are not used, are tiny."""
    state = dict(VggLocalFeatures().state_dict())
    for layer in VGG16_LAYERS[9:]:
        state |= {f"{layer}.weight": torch.zeros(1, 1, 3, 3), f"{layer}.bias": torch.zeros(1)}
    torch.save(state, folder / "vgg16.pth")
    weights.import_file("vgg16", folder / "vgg16.pth")


def illustration2vec() -> dict[str, list[np.ndarray]]:
    sides = ((3, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512))
    names = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "conv4_1", "conv4_2")
    return {
        name: [random((out, inputs, 3, 3)).numpy(), random((out,), 1).numpy()]
        for name, (inputs, out) in zip(names, sides, strict=True)
    }


def bring_illustration2vec(folder: Path) -> None:
    (folder / "tag.caffemodel").write_bytes(caffemodel(illustration2vec()))
    weights.import_file("illustration2vec", folder / "tag.caffemodel")


def test_illustration2vec_sees_bgr_less_its_mean(tmp_path: Path) -> None:
    bring_illustration2vec(tmp_path)
    network, digests = load_local("illustration2vec")
    assert isinstance(network, LocalFeatures)
    assert digests == {"illustration2vec": weights.digest("illustration2vec")}
    line_art = random((1, 1, 32, 48), 2).clamp(-1, 1)
    x = (torch.nn.functional.avg_pool2d(line_art, 2) + 1) / 2 * 255
    x = x - torch.tensor([164.76139251, 167.47864617, 181.13838569]).view(1, 3, 1, 1)  # blue first
    for name, (weight, bias) in illustration2vec().items():
        x = torch.nn.functional.conv2d(x, torch.tensor(weight), torch.tensor(bias), padding=1).relu()
        if name in ("conv1_1", "conv2_1", "conv3_2"):
            x = torch.nn.functional.max_pool2d(x, 2)
    torch.testing.assert_close(network(line_art), x)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_configurations_networks_and_their_digests(tmp_path: Path) -> None:
    bring_vgg16(tmp_path)
    bring_illustration2vec(tmp_path)
    for name, kind in {"illustration2vec": LocalFeatures, "vgg16": VggLocalFeatures}.items():
        frozen = load_frozen(make_config("official", {"local_features": name}))
        assert isinstance(frozen.perceptual, Perceptual) and isinstance(frozen.local_features, kind)
        assert frozen.digests == {"vgg16": weights.digest("vgg16"), name: weights.digest(name)}
    assert load_frozen(make_config("official", {"local_features": "none"})).local_features is None


def test_weights_that_cannot_be_had_are_told_how_to_bring() -> None:
    with pytest.raises(FetchError, match="`lacbench weights import illustration2vec FILE`"):
        load_frozen(make_config("official"))


# Files of one's own.


def own(path: Path, told: Mapping[str, Any] | None = None) -> LocalFeatures:
    torch.manual_seed(3)
    network = LocalFeatures()
    save_local_features(path, network, told or {"data": "ab" * 32})
    return network


def test_a_file_of_ones_own_comes_back_and_is_recorded(tmp_path: Path) -> None:
    saved = own(tmp_path / "mine.safetensors")
    network, digests = load_local(str(tmp_path / "mine.safetensors"))
    assert network is not None
    assert digests == {
        "mine.safetensors": hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    }
    line_art = random((1, 1, 32, 32))
    assert torch.equal(network(line_art), saved(line_art))
    bring_vgg16(tmp_path)
    frozen = load_frozen(make_config("tiny", {"local_features": str(tmp_path / "mine.safetensors")}))
    assert frozen.digests == {"vgg16": weights.digest("vgg16"), **digests}


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    state = own(path).state_dict()
    told = {"lacbench": f'{{"format": "{FORMAT}"}}'}
    short = {name: tensor for name, tensor in state.items() if name != "features.13.bias"}
    for tensors, metadata, reason in (
        (state, None, f"it tells of no {FORMAT}"),
        (state, {"lacbench": "{"}, f"it tells of no {FORMAT}"),
        (state, {"lacbench": '{"format": "lacbench.alacgan/1"}'}, f"it tells of no {FORMAT}"),
        (short, told, r"features\.13\.bias has shape None"),
        (state | {"features.0.bias": torch.zeros(3)}, told, r"features\.0\.bias has shape \(3,\)"),
        (state | {"more": torch.zeros(3)}, told, r"more has shape \(3,\)"),
    ):
        save_file(tensors, path, metadata)
        with pytest.raises(InputError, match=f"holds no local features: {reason}, expected"):
            load_local(str(path))
    whole = path.read_bytes()
    for end in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(IntegrityError, match="is no whole safetensors file"):
            load_local(str(path))
    path.unlink()
    with pytest.raises(InputError, match="are not there; bring the file"):
        load_local(str(path))


def test_a_checkpoint_takes_no_other_local_features_than_its_own(tmp_path: Path) -> None:
    own(tmp_path / "mine.safetensors")
    digest = load_local(str(tmp_path / "mine.safetensors"))[1]["mine.safetensors"]
    config = make_config("tiny", {"local_features": "elsewhere/mine.safetensors"})
    checkpoint, generator = tmp_path / "checkpoint.safetensors", make_generator(config)
    tensors = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
    save_checkpoint(checkpoint, Header(config, 1, "", {"mine.safetensors": digest}), tensors)
    assert isinstance(
        load_local_of(load_header(checkpoint), checkpoint), LocalFeatures
    )  # beside the checkpoint
    told = load_trained(checkpoint).told["config"]
    assert told == config.model_dump(mode="json") | {"local_features": "mine.safetensors"}  # no path
    own(tmp_path / "mine.safetensors", {"data": "another"})
    with pytest.raises(IntegrityError, match=f"other weights of mine.safetensors: expected SHA-256 {digest}"):
        load_local_of(load_header(checkpoint), checkpoint)
