"""FID batch by batch: the command's figure on the same pixels, in however many batches and processes."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lacbench
from lacbench import weights
from lacbench.errors import InputError
from lacbench.images import write_png
from lacbench.metrics import module
from lacbench.metrics.decoding import read_rgb
from lacbench.metrics.features import Extractor, cached_features
from lacbench.metrics.fid import fid, reference_statistics
from lacbench.metrics.module import LacFID
from lacbench.metrics.moments import Moments
from lacbench.metrics.sources import Pictures, find
from lacbench.metrics.statistics import FeatureStatistics
from lacbench.pixels import levels

from made import draw_figure

OURS, THEIRS = range(6), range(20, 25)
"""Seeds of the pictures that are scored, and of the reference's."""


def floats_of(seed: int) -> torch.Tensor:
    """A picture as a network would give it: float32 (3, 64, 48 + seed) in 0–1."""
    random = np.random.default_rng(seed)
    picture = draw_figure(seed, 64)[0].astype(np.float32) / 255 + random.normal(0, 0.1, (64, 64, 3))
    wide = np.concatenate([picture, picture], axis=1)[:, : 48 + seed]
    return torch.tensor(wide.clip(0, 1), dtype=torch.float32).permute(2, 0, 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Outputs as files, and a reference."""
    home = tmp_path_factory.mktemp("folders")
    for name, seeds in (("ours", OURS), ("theirs", THEIRS)):
        for seed in seeds:
            write_png(home / name / f"{seed:02}.png", levels(floats_of(seed).permute(1, 2, 0).numpy()))
    return home / "ours", home / "theirs"


@pytest.fixture(scope="module")
def reference(random_cache: Path, folders: tuple[Path, Path]) -> FeatureStatistics:
    return reference_statistics(folders[1])


@pytest.fixture(scope="module")
def extractor(random_cache: Path) -> Extractor:
    return Extractor(weights.load("inception"))


@pytest.fixture(scope="module")
def expected(random_cache: Path, folders: tuple[Path, Path]) -> float:
    """What the command gives."""
    return fid(*folders).value


@pytest.fixture
def _one_network(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics share a network, which takes long to make."""
    monkeypatch.setattr(module, "Extractor", lambda *_, **__: extractor)


def near(value: float, relative: float) -> object:
    """Numbers within a share of it: with random weights FIDs are tiny."""
    return pytest.approx(value, rel=relative, abs=0)


def bytes_of(folder: Path) -> list[torch.Tensor]:
    """The pictures of a folder, uint8 (1, 3, H, W) each."""
    return [torch.from_numpy(read_rgb(file)).permute(2, 0, 1)[None] for file in sorted(folder.iterdir())]


def test_the_figure_is_the_commands(random_cache: Path, folders: tuple[Path, Path]) -> None:
    for protocol in ("pytorch-fid", "clean"):
        expected = fid(*folders, protocol=protocol).value
        metric = LacFID(str(folders[1]), protocol=protocol)
        for batch in bytes_of(folders[0]):
            metric.update(batch)
        value = metric.compute()
        assert (value.shape, value.dtype, metric.n) == ((), torch.float64, len(OURS))
        assert value.item() == near(expected, 1e-6) and expected > 0


def test_features_are_those_of_the_files_to_the_bit(extractor: Extractor, folders: tuple[Path, Path]) -> None:
    pictures = find(folders[0])
    assert isinstance(pictures, Pictures)
    decoded = extractor.of_decoded([read_rgb(path) for path in pictures.paths])
    assert (decoded == cached_features(pictures)).all()
    assert extractor.of_decoded([]).shape == (0, 2048)


@pytest.mark.usefixtures("_one_network")
def test_floats_are_rounded_as_files_are_unless_asked_not_to(
    expected: float, reference: FeatureStatistics
) -> None:
    same = [floats_of(seed)[..., :48] for seed in OURS]
    values = {}
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        metric = LacFID(reference, normalize=True)
        metric.update(torch.stack(same).to(dtype))
        values[dtype] = metric.compute().item()
    assert values[torch.float32] == values[torch.float64]
    for rounded in (True, False):
        metric = LacFID(reference, normalize=True, rounded=rounded)
        for seed in OURS:
            metric.update(floats_of(seed)[None].requires_grad_())
        values[rounded] = metric.compute().item()
    assert values[True] == near(expected, 1e-6)
    assert values[False] != near(expected, 1e-6)
    assert values[False] == near(expected, 0.05)


@pytest.mark.usefixtures("_one_network")
def test_batches_and_parts_come_to_the_whole(
    random_cache: Path, folders: tuple[Path, Path], reference: FeatureStatistics, tmp_path: Path
) -> None:
    batch = torch.cat([picture[..., :48] for picture in bytes_of(folders[0])])
    whole, first, second = LacFID(reference), LacFID(reference), LacFID(folders[0])
    whole.update(batch)
    whole.update(batch[:0])
    expected = whole.compute().item()
    first.update(batch[:2])
    second.update(batch[2:])  # about another origin
    torch.save(second.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    copied = copy.deepcopy(first)
    first.merge_state(state)
    assert first.compute().item() == near(expected, 1e-9) and first.n == len(batch)
    copied.merge_state(second)
    assert copied.compute().item() == first.compute().item()
    loaded = LacFID(reference)
    loaded.load_state_dict(state)
    loaded.update(batch[:2])
    assert loaded.compute().item() == near(expected, 1e-9)
    pickled = pickle.loads(pickle.dumps(loaded))
    pickled.reset()
    assert pickled.n == 0 and loaded.n == len(batch)
    pickled.update(batch)
    assert pickled.compute().item() == near(expected, 1e-12)


@pytest.mark.usefixtures("_one_network")
def test_states_of_one_reference_add_up(
    expected: float, folders: tuple[Path, Path], reference: FeatureStatistics
) -> None:
    parts = [LacFID(reference) for _ in range(2)]
    pictures = bytes_of(folders[0])
    for metric, share in zip(parts, (pictures[:2], pictures[2:]), strict=True):
        for batch in share:
            metric.update(batch)
    first, second = (metric.state_dict() for metric in parts)
    assert (first["origin"] == second["origin"]).all()
    sums = {name: first[name] + second[name] for name in ("n", "sum", "products")}
    together = LacFID(reference)
    together.load_state_dict({**first, **sums})
    assert together.compute().item() == near(expected, 1e-6)


RANK = """
import json, sys
from pathlib import Path
import torch
from torch import distributed
from lacbench import LacFID
from lacbench.metrics import module
from lacbench.metrics.decoding import read_rgb
torch.set_num_threads(1)
ours, theirs, out = map(Path, sys.argv[1:])
distributed.init_process_group("gloo")
rank = distributed.get_rank()
metric = LacFID(theirs / f"{rank}.npz")
for file in sorted(ours.iterdir())[rank::2]:
    metric.update(torch.from_numpy(read_rgb(file)).permute(2, 0, 1)[None])
value = metric.compute().item()
alone = metric.n
metric.sync_on_compute = False
(out / f"{rank}.json").write_text(json.dumps([value, alone, metric.compute().item()]))
distributed.destroy_process_group()
"""


@pytest.mark.usefixtures("_one_network")
def test_two_processes_have_the_figure_of_one(
    random_cache: Path, folders: tuple[Path, Path], reference: FeatureStatistics, tmp_path: Path
) -> None:
    (tmp_path / "rank.py").write_text(RANK)
    for rank, mean in enumerate((reference.mean, reference.mean * 1.01)):  # and so about two origins
        FeatureStatistics(reference.n, mean, reference.covariance).save(tmp_path / f"{rank}.npz")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1",
            tmp_path / "rank.py", folders[0], tmp_path, tmp_path,
        ],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for rank, (value, n, alone) in enumerate(told):
        metric = LacFID(tmp_path / f"{rank}.npz")
        for batch in bytes_of(folders[0]):
            metric.update(batch)
        expected = metric.compute().item()
        assert value == near(expected, 1e-6)  # the file's covariance is singular
        assert n == 3 and alone != near(expected, 1e-3)


@pytest.mark.parametrize(
    ("normalize", "batch", "told"),
    [
        (False, torch.zeros(2, 3, 8, 8), "expected uint8, as normalize=False says, got float32"),
        (True, torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "expected floats in 0–1, as normalize=True says"),
        (True, torch.zeros(2, 3, 8, 8, dtype=torch.int32), "got int32"),
        (True, torch.full((2, 3, 8, 8), -1.0), r"got -1 to -1; map what lies in −1…1 by \(x \+ 1\) / 2"),
        (True, torch.full((2, 3, 8, 8), 1.01), "got 1.01 to 1.01"),
        (True, torch.full((2, 3, 8, 8), torch.nan), "got nan to nan"),
        (
            False,
            torch.zeros(3, 8, 8, dtype=torch.uint8),
            r"expected a tensor \(N, 3, H, W\).*got \(3, 8, 8\)",
        ),
        (False, torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"got \(2, 8, 8, 3\)"),
        (False, torch.zeros(2, 3, 0, 8, dtype=torch.uint8), r"got \(2, 3, 0, 8\)"),
        (False, np.zeros((2, 3, 8, 8), np.uint8), "got ndarray"),
    ],
)
def test_other_batches_are_refused(
    reference: FeatureStatistics, normalize: bool, batch: torch.Tensor, told: str
) -> None:
    for rounded in (True, False):
        with pytest.raises(InputError, match=told):
            LacFID(reference, normalize=normalize, rounded=rounded).update(batch)


def test_what_does_not_compare_is_refused(reference: FeatureStatistics) -> None:
    with pytest.raises(InputError, match=r"alacgan2018 crops at random.*run `lacbench fid`"):
        LacFID(reference, protocol="alacgan2018")
    with pytest.raises(InputError, match="protocols pytorch-fid and clean do not compare"):
        LacFID(reference, protocol="clean")
    with pytest.raises(InputError, match="have 3 dimensions; expected 2,048"):
        LacFID(FeatureStatistics(4, np.zeros(3), np.eye(3)))
    metric = LacFID(reference)
    with pytest.raises(InputError, match="got 0 pictures; expected two or more"):
        metric.compute()
    state = metric.state_dict()
    with pytest.raises(InputError, match="protocols clean and pytorch-fid do not compare"):
        metric.merge_state({**state, "protocol": "clean"})
    for broken in ({}, {**state, "sum": torch.zeros(3)}, {**state, "n": "many"}):
        with pytest.raises(
            InputError, match=r"this is no state of LacFID: .*is missing, or has another shape"
        ):
            metric.load_state_dict(broken)


def test_it_is_to_be_had_from_lacbench_itself() -> None:
    assert lacbench.LacFID is LacFID


def spread(sets: Sequence[np.ndarray]) -> float:
    """The size of the numbers that rounding is relative to."""
    return max(float(np.abs(part).max(initial=0)) for part in sets)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    dimensions=st.integers(1, 12),
    seed=st.integers(0, 2**31),
    offset=st.floats(0, 100),
)
def test_moments_in_any_parts_are_those_of_all(
    sizes: list[int], dimensions: int, seed: int, offset: float
) -> None:
    random = np.random.default_rng(seed)
    parts = [random.normal(offset, 1, (n, dimensions)).astype(np.float32) for n in sizes]
    moments = Moments(np.full(dimensions, offset))
    for part in parts:
        other = Moments(random.normal(offset, 3, dimensions))
        other.update(part)
        moments.add(other)
    features = np.concatenate(parts)
    if len(features) < 2:
        with pytest.raises(InputError, match="expected two or more"):
            moments.statistics()
        return
    expected, got = FeatureStatistics.from_features(features.astype(np.float64)), moments.statistics()
    assert got.n == expected.n == len(features)
    assert np.abs(got.mean - expected.mean).max() <= 1e-12 * spread(parts)
    assert np.abs(got.covariance - expected.covariance).max() <= 1e-11
    assert (got.rows is None) == (len(features) > dimensions)
    if got.rows is not None:
        assert len(got.rows) <= max(len(features) - 1, 1)
        assert np.abs(got.rows.T @ got.rows - expected.covariance).max() <= 1e-11


def test_an_origin_near_the_mean_keeps_digits() -> None:
    features = 1e6 + np.random.default_rng(0).normal(0, 1e-3, (50, 4))
    exact = np.cov(features - 1e6, rowvar=False)
    near, far = Moments(np.full(4, 1e6)), Moments(np.zeros(4))
    for moments in (near, far):
        moments.update(features)
    assert np.abs(near.statistics().covariance - exact).max() <= 1e-9 * exact.max()
    assert np.abs(far.statistics().covariance - exact).max() > 1e-3 * exact.max()


def test_rounding_adds_no_directions() -> None:
    """Three vectors span two: more would be rounding, whose roots add up to a share of the distance."""
    features = 1e4 + np.random.default_rng(1).normal(0, 1, (3, 10))
    moments = Moments(np.zeros(10))
    moments.update(features)
    rows = moments.statistics().rows
    assert rows is not None and len(rows) == 2
    assert np.abs(rows.T @ rows - np.cov(features, rowvar=False)).max() < 1e-6


def test_equal_pictures_have_a_covariance_of_nothing() -> None:
    moments = Moments(np.zeros(5))
    moments.update(np.ones((3, 5), np.float32))
    statistics = moments.statistics()
    assert (statistics.covariance == 0).all() and statistics.rows is not None and not statistics.rows.any()
    with pytest.raises(InputError, match="do not add up"):
        moments.add(Moments(np.zeros(4)))
