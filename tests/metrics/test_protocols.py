"""Protocols: each as its own source computes it, never mixed, and the same on every engine."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from pytorch_fid.inception import InceptionV3
from torch.nn.functional import adaptive_avg_pool2d

from lacbench import weights
from lacbench.cli.main import main
from lacbench.errors import ImageError, InputError, MissingError
from lacbench.metrics.features import Extractor, cached_features
from lacbench.metrics.fid import _Way, fid
from lacbench.metrics.frechet import standard_error
from lacbench.metrics.networks import ENGINES, fid_inception, start
from lacbench.metrics.protocols import PROTOCOLS, find_protocol, prepare_alacgan, prepare_clean
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import FeatureStatistics, merge, same_protocol
from lacbench.pretrained import Weights

from given import Given


def draw(folder: Path, n: int, seed: int, size: tuple[int, int] = (80, 60)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for i in range(n):
        coarse = Image.fromarray(random.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def bicubic(x: np.ndarray) -> np.ndarray:
    """Keys's kernel at a = −½, Pillow's."""
    x = abs(x)
    return np.where(
        x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0)
    )


def resampling(inner: int, outer: int) -> np.ndarray:
    """(outer, inner) weights of an antialiased bicubic resize, from its definition."""
    scale = inner / outer
    centres = (np.arange(outer) + 0.5) * scale
    rows = bicubic((np.arange(inner) + 0.5 - centres[:, None]) / max(scale, 1))
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(40, 700), (299, 299), (512, 512), (31, 17)])
def test_clean_is_an_antialiased_resize_in_float(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    down, across = (resampling(side, 299) for side in size)
    resized = np.einsum("ih,hwc,jw->cij", down, picture.astype(float), across, optimize=True).clip(0, 255)
    prepared = prepare_clean(picture)
    assert prepared.dtype == torch.float32 and prepared.shape == (3, 299, 299)
    np.testing.assert_allclose(prepared.numpy(), (resized - 128) / 128, atol=1e-5)


def test_alacgan_is_a_mirrored_crop_averaged_down() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    image = Image.fromarray(picture).resize((512, 768), Image.Resampling.BICUBIC)
    whole = torch.tensor(np.array(image)).permute(2, 0, 1) / 255
    mean, sd = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for seed in range(4):
        random = np.random.default_rng(seed)
        mirrored, left, top = random.random() < 0.5, random.integers(1), random.integers(257)
        assert left == 0
        square = (whole.flip(2) if mirrored else whole)[:, top : top + 512]
        expected = adaptive_avg_pool2d(square, 299) * sd / 0.5 + (mean - 0.5) / 0.5
        got = prepare_alacgan(picture, np.random.default_rng(seed))
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    with pytest.raises(ImageError, match="too narrow for squares of 512"):
        prepare_alacgan(np.zeros((1, 9000, 3), np.uint8), np.random.default_rng(0))


def imagenet_state() -> dict[str, torch.Tensor]:
    """Weights of torchvision's layout, scaled so that a picture's signal reaches the last pool."""
    from torchvision.models import inception_v3

    generator = torch.Generator().manual_seed(3)
    network = inception_v3(weights=None, init_weights=False, aux_logits=False)
    for name, value in network.state_dict().items():
        if name.endswith("conv.weight"):
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
    state = network.state_dict()
    return {k: v for k, v in state.items() if not k.startswith("fc.") and not k.endswith("tracked")}


def test_alacgans_network_is_torchvisions(tmp_path: Path) -> None:
    from torchvision.models import inception_v3

    state = imagenet_state()
    network = inception_v3(weights=None, init_weights=False, aux_logits=False)
    network.fc = network.dropout = torch.nn.Identity()
    network.load_state_dict(state)
    path = draw(tmp_path / "a", 1, seed=0) / "0.png"
    protocol = PROTOCOLS["alacgan2018"]
    got = Extractor(state, protocol=protocol).features([path], randoms=[np.random.default_rng(5)])
    prepared = prepare_alacgan(np.array(Image.open(path)), np.random.default_rng(5))
    with torch.inference_mode():
        expected = network.eval()(prepared[None]).numpy()
    assert expected.std() > 1e-3
    np.testing.assert_allclose(got, expected, atol=1e-5 * abs(expected).max())


def test_alacgan_takes_two_passes_and_three_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "cache"))
    entry = Weights("inception-imagenet", "tests", "CC0-1.0", "none", 0, (Given(imagenet_state()),))
    weights.fetch(entry)
    a, b = draw(tmp_path / "a", 3, seed=1), draw(tmp_path / "b", 3, seed=2)
    result = fid(a, b, protocol="alacgan2018")
    assert result.repeats is not None
    assert (result.protocol, result.n, len(set(result.repeats.values))) == ("alacgan2018", (3, 3), 3)
    assert result.value == pytest.approx(np.mean(result.repeats.values))
    assert result.as_json()["repeats"] == result.repeats.as_json()
    assert fid(a, b, protocol="alacgan2018") == result
    words = ["fid", str(a), str(b), "--protocol", "alacgan2018", "--json", "--repeats"]
    two, one = (json.loads(CliRunner().invoke(main, [*words, n]).stdout) for n in ("2", "1"))
    assert tuple(two["repeats"]["values"]) == result.repeats.values[:2] and "repeats" not in one
    assert one["value"] == result.repeats.values[0]
    with pytest.raises(
        InputError, match="2 repeats by clean: expected one or more, by a protocol that draws"
    ):
        fid(a, b, protocol="clean", repeats=2)
    pictures = find(a)
    assert isinstance(pictures, Pictures)
    features = cached_features(pictures, protocol=PROTOCOLS["alacgan2018"])
    assert features.shape == (6, 2048)
    assert not np.array_equal(features[:3], features[3:])


def test_copies_in_several_passes_add_no_certainty() -> None:
    random = np.random.default_rng(4)
    x, reference = random.normal(size=(200, 3)), FeatureStatistics(None, np.ones(3), np.eye(3))
    once = standard_error(x, FeatureStatistics.from_features(x), reference)
    twice = np.concatenate([x, x])
    error = standard_error(twice, FeatureStatistics.from_features(twice), reference, passes=2)
    assert error == pytest.approx(once, rel=1e-2)


def test_protocols_are_never_mixed(tmp_path: Path, random_cache: Path) -> None:
    for name in ("clean", "pytorch-fid"):
        made = FeatureStatistics(9, np.ones(2048), np.eye(2048), protocol=name)
        made.save(tmp_path / f"{name}.npz")
    clean, other = (FeatureStatistics.load(tmp_path / f"{name}.npz") for name in ("clean", "pytorch-fid"))
    assert clean.protocol == "clean"
    for compare in (
        lambda: merge(clean, other),
        lambda: fid(tmp_path / "clean.npz", tmp_path / "pytorch-fid.npz"),
    ):
        with pytest.raises(InputError, match="by the protocols clean and pytorch-fid do not compare"):
            compare()
    pictures = draw(tmp_path / "a", 2, seed=0)
    with pytest.raises(InputError, match="by the protocols pytorch-fid and clean do not compare"):
        fid(pictures, tmp_path / "clean.npz")
    result = fid(pictures, tmp_path / "clean.npz", protocol="clean")
    assert result.protocol == "clean"
    assert result.value != fid(pictures, tmp_path / "pytorch-fid.npz").value
    with pytest.raises(
        InputError, match="no protocol 'dirty'; expected one of pytorch-fid, clean, alacgan2018"
    ):
        find_protocol("dirty")


def test_unreadable_pictures_are_skipped_only_when_asked(tmp_path: Path, random_cache: Path) -> None:
    a, b = draw(tmp_path / "a", 3, seed=1), draw(tmp_path / "b", 2, seed=2)
    whole = fid(a, b)
    (a / "bad.png").write_bytes(b"no picture")
    words = ["fid", str(a), str(b)]
    failed = CliRunner().invoke(main, words)
    assert failed.exit_code == 1 and "bad.png" in failed.stderr
    done = CliRunner().invoke(main, [*words, "--skip-unreadable", "--json"])
    assert done.exit_code == 0 and f"{a / 'bad.png'} cannot be read and was left out" in done.stderr
    told = json.loads(done.stdout)
    assert (told["skipped"], told["n"]) == ([str(a / "bad.png")], [3, 2])
    assert (told["value"], told["digests"]) == (whole.value, list(whole.digests))
    for path in a.glob("[01].png"):
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="too few pictures: got 1"):
        fid(a, b, skip_unreadable=True)


# Engines, with the real weights, on real art.


@pytest.fixture(scope="module")
def real(pretrained: None) -> dict[str, torch.Tensor]:
    return weights.load("inception")


@pytest.fixture(scope="module")
def published(real: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> InceptionV3:
    """pytorch-fid's own network, loaded by itself, from a checkpoint where it looks for one."""
    from torchvision.models import inception_v3

    file = tmp_path_factory.mktemp("torch") / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    file.parent.mkdir(parents=True)
    whole = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    whole.load_state_dict(real, strict=False)
    torch.save(whole.state_dict(), file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(file.parents[2]))
        return InceptionV3()


@pytest.fixture(scope="module")
def some_art(art: Path) -> list[Path]:
    return sorted((art / "illustrations").rglob("*.*"))[:48:12]


@pytest.mark.network
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gives_pytorch_fids_features_for_any_batch_order_and_workers(
    engine: str,
    real: dict[str, torch.Tensor],
    published: InceptionV3,
    some_art: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = published.eval()
    got = Extractor(real, engine=engine, workers=2).features(some_art)
    for path, features in zip(some_art, got, strict=True):
        pixels = torch.tensor(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            expected = network(pixels[None])[0].flatten().numpy()
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-5 * abs(expected).max())
    monkeypatch.setattr("lacbench.metrics.features.BATCH", 2)
    again = Extractor(real, engine=engine, workers=1).features(some_art[::-1])[::-1]
    np.testing.assert_array_equal(again, got)


@pytest.mark.gpu
@pytest.mark.network
def test_a_gpu_gives_the_same_features(real: dict[str, torch.Tensor], some_art: list[Path]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    expected = Extractor(real).features(some_art)
    got = Extractor(real, device="cuda").features(some_art)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_engines_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no engine 'tpu'; expected one of torch, onnxruntime, reference"):
        start(fid_inception, {}, engine="tpu")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        MissingError, match=r"needs the extra \[fast\], of which onnxruntime is not installed"
    ):
        start(fid_inception, {}, engine="onnxruntime")


def test_less_precision_is_another_protocol(tmp_path: Path, random_cache: Path) -> None:
    folders = draw(tmp_path / "a", 3, seed=1), draw(tmp_path / "b", 3, seed=2)
    exact, rounded = (fid(*folders, protocol=name) for name in ("pytorch-fid", "pytorch-fid+bf16"))
    assert rounded.protocol == "pytorch-fid+bf16" != exact.protocol
    assert rounded.value == pytest.approx(exact.value, rel=0.5) and rounded.value != exact.value
    a, b = (
        cached_features(find(folders[0]), protocol=PROTOCOLS[name])
        for name in ("pytorch-fid", "pytorch-fid+bf16")
    )
    off = np.abs(a - b).max() / np.abs(a).max()
    assert 1e-4 < off < 0.3  # bf16 keeps 8 of 24 bits
    with pytest.raises(InputError, match="do not compare; take both by one"):
        same_protocol(exact.protocol, rounded.protocol)
    with pytest.raises(InputError, match="TF32 is for CUDA devices, not for cpu"):
        fid(*folders, protocol="pytorch-fid+tf32")
    with pytest.raises(InputError, match="in float32 only"):
        fid(*folders, protocol="pytorch-fid+bf16", engine="onnxruntime")


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from lacbench.metrics.frechet import frechet_distance, standard_error
from lacbench.metrics.statistics import FeatureStatistics
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
features = np.load(sys.argv[1], mmap_mode="r")
few = features[:600]
reference = FeatureStatistics.from_features(few)
reference = FeatureStatistics(None, reference.mean, reference.covariance)
def measure(part):
    statistics = FeatureStatistics.from_features(part)
    return frechet_distance(statistics, reference), standard_error(part, statistics, reference)
measure(features[:3000])
before = peak()
print(*measure(features), peak() - before)
"""


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    n, dimensions = 40_000, 256
    random = np.random.default_rng(0)
    features = (random.normal(size=(n, dimensions)) @ random.normal(size=(dimensions, dimensions))).astype(
        "f4"
    )
    np.save(tmp_path / "f.npy", features)
    said = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "f.npy")], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    *_, grown = map(float, said.stdout.split())
    assert grown < features.nbytes / 6


def test_statistics_of_many_pictures_are_kept(
    tmp_path: Path, random_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = find(draw(tmp_path / "a", 3, seed=7))
    features = cached_features(pictures, protocol=PROTOCOLS["clean"])
    two = replace(PROTOCOLS["clean"], dimensions=2)  # three pictures are many then
    way = _Way(two, "torch", "cpu", None)
    before = set(random_cache.glob("statistics/*"))
    made = way.statistics(pictures, features=features)
    (file,) = set(random_cache.glob("statistics/*")) - before
    with monkeypatch.context() as patch:
        patch.setattr("lacbench.metrics.fid.cached_features", None)
        kept = way.statistics(pictures)
    assert (kept.n, kept.protocol) == (made.n, made.protocol) == (3, "clean")
    np.testing.assert_array_equal(kept.mean, made.mean)
    np.testing.assert_array_equal(kept.covariance, made.covariance)
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes(8) + whole[5008:])
    again = way.statistics(pictures, features=features)
    np.testing.assert_array_equal(again.covariance, made.covariance)
    assert len(file.read_bytes()) == len(whole)
