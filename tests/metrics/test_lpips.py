"""LPIPS: with made-up weights against the formula, with the real ones against the authors' package."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from lacbench import originals, weights
from lacbench.errors import FetchError
from lacbench.metrics.lpips import LINEAR, SCALE, SHIFT, Lpips
from lacbench.pretrained import WEIGHTS, Weights

from given import Given
from pictures_alike import alike

CHANNELS = (64, 192, 384, 256, 256)


def keep(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    weights.fetch(Weights(name, "tests", "CC0-1.0", "none", 0, (Given(state),)))
    return state


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, torch.Tensor], ...]:
    """A cache folder with an AlexNet of random weights."""
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path))
    torch.manual_seed(0)
    inputs, sides = (3, *CHANNELS[:-1]), (11, 5, 3, 3, 3)
    state = {}
    for layer, out, into, side in zip(originals.ALEXNET_LAYERS, CHANNELS, inputs, sides, strict=True):
        state[f"{layer}.weight"] = torch.randn(out, into, side, side) / (into * side * side) ** 0.5
        state[f"{layer}.bias"] = torch.randn(out) / 10
    linear = {f"lin{i}": torch.rand(count) for i, count in enumerate(CHANNELS)}
    return keep("alexnet", state), keep("lpips-alex", linear)


def test_lpips_is_the_formula(made_up: tuple[dict[str, torch.Tensor], ...]) -> None:
    """Zhang et al. 2018, equation 1, with AlexNet written out in float64."""
    a, b = alike(90, 110)
    state, linear = ({k: v.double() for k, v in tensors.items()} for tensors in made_up)
    features = []
    for picture in (a, b):
        x = torch.tensor(picture).permute(2, 0, 1)[None].double() / 127.5 - 1
        x = (x - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
        depths = []
        for i, layer in enumerate(originals.ALEXNET_LAYERS):
            x = functional.max_pool2d(x, 3, 2) if i in (1, 2) else x
            stride, padding = (4, 2) if i == 0 else (1, 2 if i == 1 else 1)
            x = functional.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], stride, padding).relu()
            depths.append(functional.normalize(x[0], dim=0))
        features.append(depths)
    expected = sum(
        float((linear[f"lin{i}"][:, None, None] * (x - y) ** 2).sum(0).mean())
        for i, (x, y) in enumerate(zip(*features, strict=True))
    )
    lpips = Lpips("alexnet")
    assert lpips.distance(a, b) == pytest.approx(expected, rel=1e-5)
    assert lpips.distance(a, a) == 0
    assert lpips.distance(b, a) == pytest.approx(lpips.distance(a, b), rel=1e-5)
    assert lpips.digests == {name: weights.digest(name) for name in ("alexnet", "lpips-alex")}


@pytest.mark.gpu
def test_lpips_is_the_same_on_a_gpu(made_up: tuple[dict[str, torch.Tensor], ...]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    a, b = alike(90, 110)
    assert Lpips("alexnet", device="cuda").distance(a, b) == pytest.approx(
        Lpips("alexnet").distance(a, b), rel=1e-5
    )


@pytest.mark.network
@pytest.mark.parametrize(
    ("network", "expected"), [("alexnet", 0.09872012585401535), ("vgg16", 0.40705186128616333)]
)
def test_lpips_is_that_of_its_authors_package(network: str, expected: float) -> None:
    """Noted once: `lpips` 0.1.4, version 0.1, with these weights in its own networks."""
    try:
        for name in (network, LINEAR[network]):
            assert weights.fetch(name).stat().st_size == WEIGHTS[name].size
    except FetchError as error:
        pytest.skip(f"no way to the pretrained weights from here: {error}")
    assert Lpips(network).distance(*alike(192, 176)) == pytest.approx(expected, abs=1e-5)
