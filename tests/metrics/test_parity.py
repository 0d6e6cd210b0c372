"""FID on real art with the real weights: pytorch-fid's where that is exact, and exact where it is not."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid.fid_score import calculate_frechet_distance
from torchvision.models import inception_v3

from lacbench import weights
from lacbench.metrics.features import cached_features
from lacbench.metrics.fid import FidResult, fid
from lacbench.metrics.frechet import frechet_distance, standard_error
from lacbench.metrics.sources import Pictures
from lacbench.metrics.statistics import FeatureStatistics

from oracles import frechet_by_long_doubles

pytestmark = [pytest.mark.long, pytest.mark.art, pytest.mark.network, pytest.mark.timeout(3600)]
N = 2100
"""Pictures in each set, above the 2,048 features."""
SIDE = 64
"""Pixels of a picture's side: small ones are read fast, and are resized as others are."""


def crops(files: Sequence[Path], folder: Path, seed: int) -> Path:
    """A folder of N crops of these pictures."""
    folder.mkdir()
    random, each, made = np.random.default_rng(seed), -(-N // len(files)), 0
    for file in files:
        with Image.open(file) as image:
            picture = np.asarray(image.convert("RGB"))
        for _ in range(min(each, N - made)):
            top, left = (random.integers(0, length - SIDE + 1) for length in picture.shape[:2])
            crop = picture[top : top + SIDE, left : left + SIDE]
            Image.fromarray(crop).save(folder / f"{made:04}.png")
            made += 1
    return folder


@pytest.fixture(scope="module")
def folders(art: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    files, home = sorted((art / "illustrations").iterdir()), tmp_path_factory.mktemp("crops")
    return crops(files[::2], home / "a", 1), crops(files[1::2], home / "b", 2)


@pytest.fixture(scope="module")
def result(pretrained: None, folders: tuple[Path, Path]) -> FidResult:
    return fid(*folders)


@pytest.fixture(scope="module")
def features(result: FidResult, folders: tuple[Path, Path]) -> tuple[np.ndarray, np.ndarray]:
    """Features of both sets, kept by the run that made the result."""
    a, b = (cached_features(Pictures.of(folder.iterdir())) for folder in folders)
    return a, b


def test_fid_is_that_of_pytorch_fids_own_command(
    result: FidResult,
    features: tuple[np.ndarray, np.ndarray],
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first set as pictures, the second, to save minutes, as a statistics file of ours."""
    FeatureStatistics.from_features(features[1]).save(tmp_path / "b.npz")
    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    network.load_state_dict(weights.load("inception"), strict=False)
    checkpoint = tmp_path / "hub/checkpoints/pt_inception-2015-12-05-6726825d.pth"
    checkpoint.parent.mkdir(parents=True)
    torch.save(network.state_dict(), checkpoint)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # with more, its sqrtm is several times slower
    command = [sys.executable, "-m", "pytorch_fid", str(folders[0]), str(tmp_path / "b.npz")]
    command += ["--device", "cpu", "--num-workers", "0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"FID:\s+(\S+)", said)
    assert match, said
    assert result.warning == ""
    assert result.value == pytest.approx(float(match[1]), abs=1e-3)


@pytest.mark.filterwarnings("ignore")  # SciPy's, about an argument that pytorch-fid gives it
def test_below_as_many_pictures_as_features_the_error_is_the_square_roots(
    features: tuple[np.ndarray, np.ndarray],
) -> None:
    few, many = features[0][:600], features[1]
    a, b = FeatureStatistics.from_features(few), FeatureStatistics.from_features(many)
    exact = frechet_by_long_doubles(few, many)
    theirs = calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(exact, abs=1e-6)
    assert 1e-5 < abs(theirs - exact) < 2.4e-3


def test_the_standard_error_covers_that_of_redraws(features: tuple[np.ndarray, np.ndarray]) -> None:
    """The first set's features are the population, of which 600 are drawn again and again."""
    population, reference = features[0], FeatureStatistics.from_features(features[1])
    random = np.random.default_rng(3)
    values, errors = [], []
    for draw in range(60):
        x = population[random.integers(0, N, 600)]
        drawn = FeatureStatistics.from_features(x)
        values.append(frechet_distance(drawn, reference))
        if draw < 4:
            errors.append(standard_error(x, drawn, reference))
    assert 1 < np.mean(errors) / np.std(values) < 2  # too large at such n, never too small
