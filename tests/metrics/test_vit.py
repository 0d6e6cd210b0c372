"""DINOv2 and CLIP from small made-up weights of their layouts, against torch's own transformer layers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lacbench import weights
from lacbench.errors import InputError, IntegrityError
from lacbench.images import read, write_png
from lacbench.metrics.features import Extractor, cached_features
from lacbench.metrics.fid import fid
from lacbench.metrics.frechet import frechet_distance
from lacbench.metrics.mmd import cmmd
from lacbench.metrics.protocols import CLIP, DINOV2, FeatureProtocol
from lacbench.metrics.registry import METRICS
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import FeatureStatistics
from lacbench.metrics.vit import _positions, clip, dinov2, prepare_clip, prepare_dinov2
from lacbench.originals import read_clip, read_dinov2
from lacbench.pretrained import Weights
from lacbench.scorecard import score

from given import Given

WIDTH, DEPTH = 128, 2


def made(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.15 for name, shape in shapes.items()}


def dinov2_state(side: int = 3) -> dict[str, Tensor]:
    shapes = {
        **{"cls_token": (1, 1, WIDTH), "pos_embed": (1, 1 + side**2, WIDTH), "mask_token": (1, WIDTH)},
        **{"patch_embed.proj.weight": (WIDTH, 3, 14, 14), "patch_embed.proj.bias": (WIDTH,)},
        **{"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)},
    }
    for i in range(DEPTH):
        at = f"blocks.{i}."
        shapes |= {f"{at}{n}.{p}": (WIDTH,) for n in ("norm1", "norm2") for p in ("weight", "bias")}
        shapes |= {f"{at}attn.qkv.weight": (3 * WIDTH, WIDTH), f"{at}attn.qkv.bias": (3 * WIDTH,)}
        shapes |= {f"{at}attn.proj.weight": (WIDTH, WIDTH), f"{at}attn.proj.bias": (WIDTH,)}
        shapes |= {f"{at}ls1.gamma": (WIDTH,), f"{at}ls2.gamma": (WIDTH,)}
        shapes |= {f"{at}mlp.fc1.weight": (4 * WIDTH, WIDTH), f"{at}mlp.fc1.bias": (4 * WIDTH,)}
        shapes |= {f"{at}mlp.fc2.weight": (WIDTH, 4 * WIDTH), f"{at}mlp.fc2.bias": (WIDTH,)}
    return made(shapes, 1)


def clip_state(side: int = 3, embedding: int = 24) -> dict[str, Tensor]:
    shapes = {
        **{"class_embedding": (WIDTH,), "positional_embedding": (1 + side**2, WIDTH)},
        **{"conv1.weight": (WIDTH, 3, 14, 14), "proj": (WIDTH, embedding)},
        **{f"{n}.{p}": (WIDTH,) for n in ("ln_pre", "ln_post") for p in ("weight", "bias")},
    }
    for i in range(DEPTH):
        at = f"transformer.resblocks.{i}."
        shapes |= {f"{at}{n}.{p}": (WIDTH,) for n in ("ln_1", "ln_2") for p in ("weight", "bias")}
        shapes |= {f"{at}attn.in_proj_weight": (3 * WIDTH, WIDTH), f"{at}attn.in_proj_bias": (3 * WIDTH,)}
        shapes |= {f"{at}attn.out_proj.weight": (WIDTH, WIDTH), f"{at}attn.out_proj.bias": (WIDTH,)}
        shapes |= {f"{at}mlp.c_fc.weight": (4 * WIDTH, WIDTH), f"{at}mlp.c_fc.bias": (4 * WIDTH,)}
        shapes |= {f"{at}mlp.c_proj.weight": (WIDTH, 4 * WIDTH), f"{at}mlp.c_proj.bias": (WIDTH,)}
    return made({f"visual.{name}": shape for name, shape in shapes.items()}, 2)


def layer(
    state: dict[str, Tensor], names: dict[str, str], epsilon: float, activation: Callable[[Tensor], Tensor]
) -> nn.Module:
    """Torch's own block, norms first; `names` says what its parameters are called in the state."""
    block = nn.TransformerEncoderLayer(
        WIDTH, WIDTH // 64, 4 * WIDTH, 0.0, activation, epsilon, batch_first=True, norm_first=True
    )
    block.load_state_dict({ours: state[theirs] for ours, theirs in names.items()})
    return block.train()  # its path for inference knows GELU and ReLU only; there is no dropout


def both(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}


def test_dinov2_is_torchs_transformer_with_scaled_halves() -> None:
    state, pictures = dinov2_state(), torch.randn(2, 3, 42, 42, generator=torch.Generator().manual_seed(3))
    got = dinov2(state, pictures)
    patches = pictures.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).reshape(2, 9, -1)
    tokens = patches @ state["patch_embed.proj.weight"].reshape(WIDTH, -1).T + state["patch_embed.proj.bias"]
    tokens = torch.cat([state["cls_token"].expand(2, -1, -1), tokens], 1) + state["pos_embed"]
    for i in range(DEPTH):
        at, scaled = f"blocks.{i}.", dict(state)
        for gamma, part in (("ls1", "attn.proj"), ("ls2", "mlp.fc2")):
            factor = state[f"{at}{gamma}.gamma"]
            scaled[f"{at}{part}.weight"] = factor[:, None] * state[f"{at}{part}.weight"]
            scaled[f"{at}{part}.bias"] = factor * state[f"{at}{part}.bias"]
        names = {
            **{f"self_attn.in_proj_{part}": f"{at}attn.qkv.{part}" for part in ("weight", "bias")},
            **both("self_attn.out_proj", f"{at}attn.proj"),
            **both("linear1", f"{at}mlp.fc1"),
            **both("linear2", f"{at}mlp.fc2"),
            **both("norm1", f"{at}norm1"),
            **both("norm2", f"{at}norm2"),
        }
        tokens = layer(scaled, names, 1e-6, nn.functional.gelu)(tokens)
    expected = nn.functional.layer_norm(tokens, (WIDTH,), state["norm.weight"], state["norm.bias"], 1e-6)
    torch.testing.assert_close(got, expected[:, 0], rtol=1e-4, atol=1e-5)


def test_clip_is_torchs_transformer_with_the_quick_gelu() -> None:
    state, pictures = clip_state(), torch.randn(2, 3, 42, 42, generator=torch.Generator().manual_seed(4))
    got = clip(state, pictures)
    v = {name.removeprefix("visual."): tensor for name, tensor in state.items()}
    patches = pictures.unfold(2, 14, 14).unfold(3, 14, 14).permute(0, 2, 3, 1, 4, 5).reshape(2, 9, -1)
    tokens = patches @ v["conv1.weight"].reshape(WIDTH, -1).T
    tokens = torch.cat([v["class_embedding"].expand(2, 1, -1), tokens], 1) + v["positional_embedding"]
    tokens = nn.functional.layer_norm(tokens, (WIDTH,), v["ln_pre.weight"], v["ln_pre.bias"])
    for i in range(DEPTH):
        at = f"transformer.resblocks.{i}."
        names = {
            **{f"self_attn.in_proj_{part}": f"{at}attn.in_proj_{part}" for part in ("weight", "bias")},
            **both("self_attn.out_proj", f"{at}attn.out_proj"),
            **both("linear1", f"{at}mlp.c_fc"),
            **both("linear2", f"{at}mlp.c_proj"),
            **both("norm1", f"{at}ln_1"),
            **both("norm2", f"{at}ln_2"),
        }
        tokens = layer(v, names, 1e-5, lambda x: x * torch.sigmoid(1.702 * x))(tokens)
    last = (
        nn.functional.layer_norm(tokens[:, 0], (WIDTH,), v["ln_post.weight"], v["ln_post.bias"]) @ v["proj"]
    )
    torch.testing.assert_close(got, last / last.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)
    assert got.norm(dim=1).tolist() == pytest.approx([1, 1])


def cubic(x: float) -> float:
    """Keys' kernel with a = −0.75, torch's."""
    x, a = abs(x), -0.75
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def matrix(n: int, side: int) -> np.ndarray:
    """(n, side) weights of a bicubic resize whose step is that of a factor of (n + 0.1) / side."""
    weights = np.zeros((n, side))
    for i in range(n):
        at = (i + 0.5) * side / (n + 0.1) - 0.5
        for j in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            weights[i, min(max(j, 0), side - 1)] += cubic(at - j)
    return weights


def test_positions_are_resized_as_dinov2_does() -> None:
    embedding = dinov2_state(side=7)["pos_embed"]
    assert torch.equal(_positions(embedding, 7, 7), embedding)
    got = _positions(embedding, 4, 5)
    grid = embedding[0, 1:].reshape(7, 7, WIDTH).numpy().astype(float)
    expected = np.einsum("ri,cj,ijd->rcd", matrix(4, 7), matrix(5, 7), grid).reshape(20, WIDTH)
    np.testing.assert_allclose(got[0, 1:].numpy(), expected, atol=1e-5)
    assert torch.equal(got[0, 0], embedding[0, 0])


def test_pictures_are_prepared_as_the_published_codes_do() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    whole = np.asarray(Image.fromarray(picture).resize((224, 224), Image.Resampling.BICUBIC)) / 255
    expected = (whole - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(prepare_dinov2(picture).permute(1, 2, 0).numpy(), expected, atol=1e-6)
    middle = Image.fromarray(picture[:, 10:50]).resize((336, 336), Image.Resampling.BICUBIC)
    mean, sd = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    expected = (np.asarray(middle) / 255 - mean) / sd
    np.testing.assert_allclose(prepare_clip(picture).permute(1, 2, 0).numpy(), expected, atol=1e-6)


class Holder(nn.Module):
    """Parameters under dotted names, as a network has them."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for head in {name.split(".")[0] for name in state if "." in name}:
            self.add_module(
                head,
                Holder({n.split(".", 1)[1]: t for n, t in state.items() if n.split(".")[0] == head}),
            )
        for name, tensor in state.items():
            if "." not in name:
                self.register_buffer(name, tensor)

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_originals_are_read_and_others_refused(tmp_path: Path) -> None:
    state = dinov2_state()
    torch.save(state, tmp_path / "dinov2.pth")
    got = read_dinov2(tmp_path / "dinov2.pth", width=WIDTH, depth=DEPTH, side=3)
    assert set(got) == set(state) - {"mask_token"}
    assert all(torch.equal(got[name], state[name]) for name in got)
    with pytest.raises(
        IntegrityError, match=r"no DINOv2 model without registers: cls_token is \(1, 1, 128\)"
    ):
        read_dinov2(tmp_path / "dinov2.pth")
    with pytest.raises(IntegrityError, match=r"blocks\.2\.norm1\.weight is nothing"):
        read_dinov2(tmp_path / "dinov2.pth", width=WIDTH, depth=3, side=3)
    halves = {name: tensor.half() for name, tensor in clip_state().items()}
    torch.jit.script(Holder({**halves, "text_projection": torch.ones(2, 2)})).save(str(tmp_path / "clip.pt"))
    found = read_clip(tmp_path / "clip.pt", width=WIDTH, depth=DEPTH, side=3, embedding=24)
    assert set(found) == set(halves)
    assert all(torch.equal(found[name], halves[name]) for name in found)
    with pytest.raises(IntegrityError, match="no CLIP model of that size"):
        read_clip(tmp_path / "clip.pt")


def folder(path: Path, n: int) -> list[Path]:
    path.mkdir()
    random = np.random.default_rng(6)
    for i in range(n):
        size = (30 + 5 * i, 40, 3)
        Image.fromarray(random.integers(0, 256, size).astype(np.uint8)).save(path / f"{i}.png")
    return sorted(path.iterdir())


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, FeatureProtocol]:
    """Both protocols by small weights of the same layouts, which the cache folder holds."""
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "cache"))
    halves = {name: tensor.half() for name, tensor in clip_state(side=24).items()}
    for name, state in (("dinov2-vitl14", dinov2_state(side=37)), ("clip-vitl14-336", halves)):
        weights.fetch(Weights(name, "tests", "CC0-1.0", "none", 0, (Given(state),)))
    return {"dinov2": replace(DINOV2, dimensions=WIDTH), "clip": replace(CLIP, dimensions=24)}


def test_features_of_files(tmp_path: Path, small: dict[str, FeatureProtocol]) -> None:
    paths = folder(tmp_path / "pictures", 3)
    for protocol in small.values():
        extractor = Extractor(weights.load(protocol.weights), protocol=protocol)
        got = extractor.features(paths)
        assert got.shape == (3, protocol.dimensions) and got.dtype == np.float32
        np.testing.assert_allclose(extractor.features(paths[::-1]), got[::-1], atol=1e-5)
        pictures = Pictures.of(paths)
        kept = cached_features(pictures, protocol=protocol)
        np.testing.assert_array_equal(kept, extractor.features(pictures.paths))
    state = weights.load("dinov2-vitl14")
    prepared = torch.stack([prepare_dinov2(np.asarray(Image.open(path))) for path in paths])
    expected = dinov2(state, prepared).numpy()
    got = Extractor(state, protocol=small["dinov2"]).features(paths)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_the_engine_onnxruntime_is_for_inceptions(small: dict[str, FeatureProtocol]) -> None:
    with pytest.raises(
        InputError, match="onnxruntime runs the Inceptions in float32 only; use --engine torch"
    ):
        Extractor({}, protocol=DINOV2, engine="onnxruntime")


def test_a_frechet_distance_on_dinov2_is_fids_with_other_features(
    tmp_path: Path, small: dict[str, FeatureProtocol]
) -> None:
    paths = [Pictures.of(folder(tmp_path / name, n)).paths for name, n in (("a", 4), ("b", 6))]
    result = fid(tmp_path / "a", tmp_path / "b", protocol=small["dinov2"], infinity=False)
    extractor = Extractor(weights.load("dinov2-vitl14"), protocol=small["dinov2"])
    a, b = (FeatureStatistics.from_features(extractor.features(side)) for side in paths)
    assert (result.metric, result.protocol) == ("fd-dinov2", "dinov2")
    assert result.value == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert result.standard_error is not None and result.standard_error > 0
    assert result.weights_sha256 == weights.digest("dinov2-vitl14")
    assert f"fewer than the {WIDTH} features" in result.warning


def test_scores_by_vision_transformers_are_taken_when_asked_for(
    data: tuple, tmp_path: Path, small: dict[str, FeatureProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = data[0]
    for lineart in dataset.linearts:
        write_png(tmp_path / f"out/{lineart.record.sha256}.png", read(dataset.file(lineart)))
    monkeypatch.setattr("lacbench.metrics.registry.DINOV2", small["dinov2"])
    monkeypatch.setattr("lacbench.metrics.registry.CLIP", small["clip"])
    card = score(tmp_path / "out", dataset, metrics=["fd-dinov2", "cmmd"])
    told = card.metrics["fd-dinov2"]
    assert (told["protocol"], told["n"], told["better"]) == ("dinov2/on-white", (5, 12), "lower")
    sides = [find(tmp_path / "out"), find(dataset)]
    a, b = (cached_features(side, protocol=small["clip"]) for side in sides)
    assert card.metrics["cmmd"]["value"] == cmmd(a, b).value > 0
    assert card.metrics["cmmd"]["weights_sha256"] == weights.digest("clip-vitl14-336")
    assert not METRICS["fd-dinov2"].usual and not METRICS["cmmd"].usual


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_a_gpu_gives_the_features_of_the_cpu(tmp_path: Path, small: dict[str, FeatureProtocol]) -> None:
    paths, state = folder(tmp_path / "pictures", 3), weights.load("dinov2-vitl14")
    on_gpu, on_cpu = (
        Extractor(state, protocol=small["dinov2"], device=device).features(paths)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-4, atol=1e-4)
