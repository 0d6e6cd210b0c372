"""FID batch by batch with the real weights: the command's figure, of few pictures and of many."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lacbench.images import write_png
from lacbench.metrics.features import cached_features
from lacbench.metrics.fid import fid
from lacbench.metrics.frechet import frechet_distance
from lacbench.metrics.module import LacFID
from lacbench.metrics.moments import Moments
from lacbench.metrics.sources import Pictures
from lacbench.metrics.statistics import FeatureStatistics

from made import draw_figure

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("pretrained")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("real")
    for seed in range(14):
        write_png(home / ("ours" if seed < 8 else "theirs") / f"{seed}.png", draw_figure(seed, 96 + seed)[0])
    return home / "ours", home / "theirs"


def test_the_figure_is_the_commands(folders: tuple[Path, Path]) -> None:
    metric = LacFID(folders[1], normalize=True)
    for seed in range(8):
        picture = torch.from_numpy(draw_figure(seed, 96 + seed)[0]).permute(2, 0, 1)[None]
        metric.update(picture / 255)
    expected = fid(*folders).value
    assert metric.compute().item() == pytest.approx(expected, rel=1e-6, abs=0) and expected > 1


@pytest.mark.gpu
def test_a_gpu_gives_the_same_figure(folders: tuple[Path, Path]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    metric = LacFID(folders[1], device="cuda")
    for seed in range(8):
        picture = torch.from_numpy(draw_figure(seed, 96 + seed)[0]).permute(2, 0, 1)[None]
        metric.update(picture.cuda())
    assert metric.compute().item() == pytest.approx(fid(*folders).value, rel=1e-3)


@pytest.mark.parametrize("n", [40, *(pytest.param(n, marks=pytest.mark.long) for n in (2040, 2400))])
def test_features_in_batches_have_the_distance_of_all(n: int, folders: tuple[Path, Path]) -> None:
    """Real features, blended to as many as are wanted, against others."""
    ours, theirs = (cached_features(Pictures.of(folder.iterdir())) for folder in folders)
    random = np.random.default_rng(n)
    shares = random.dirichlet(np.ones(len(ours)), n)
    noise = random.gamma(1, 0.02, (n, ours.shape[1]))  # else the covariance had the rank of eight
    features = (shares @ ours + noise).astype(np.float32)
    reference = FeatureStatistics.from_features(theirs)
    expected = frechet_distance(FeatureStatistics.from_features(features), reference)
    moments = Moments(reference.mean)
    for top in range(0, n, 64):
        moments.update(features[top : top + 64])
    assert frechet_distance(moments.statistics(), reference) == pytest.approx(expected, rel=1e-6, abs=0)
