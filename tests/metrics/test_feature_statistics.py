"""Statistics: equal to NumPy's, however the features come, and readable by pytorch-fid."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.metrics.statistics import Accumulator, FeatureStatistics, merge


def features(n: int, dimensions: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing, mean = random.normal(size=(dimensions, dimensions)), random.normal(size=dimensions) * 10
    return (random.normal(size=(n, dimensions)) @ mixing + mean).astype(np.float32)


def assert_equal_to_numpy(statistics: FeatureStatistics, x: np.ndarray) -> None:
    wide = x.astype(np.float64)
    covariance = np.cov(wide, rowvar=False)
    assert statistics.n == len(x)
    assert statistics.mean.dtype == statistics.covariance.dtype == np.float64
    np.testing.assert_allclose(statistics.mean, wide.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        statistics.covariance, covariance, rtol=1e-10, atol=1e-12 * abs(covariance).max()
    )


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 2**32), st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=60)
def test_streaming_merging_and_two_passes_equal_numpy(n: int, d: int, seed: int, cuts: list[int]) -> None:
    x = features(n, d, seed)
    accumulator = Accumulator()
    for batch in np.split(x, sorted(min(cut, n) for cut in cuts)):
        accumulator.update(batch)
    assert accumulator.n == n
    assert_equal_to_numpy(accumulator.statistics(), x)
    assert_equal_to_numpy(FeatureStatistics.from_features(x), x)
    if n >= 4:
        halves = [FeatureStatistics.from_features(half) for half in (x[: n // 2], x[n // 2 :])]
        assert_equal_to_numpy(merge(*halves), x)


def test_rows_are_kept_where_there_are_fewer_than_dimensions() -> None:
    few = FeatureStatistics.from_features(features(5, 8, 0))
    assert few.rows is not None and few.rows.shape == (5, 8)
    np.testing.assert_allclose(few.rows.T @ few.rows, few.covariance)
    assert FeatureStatistics.from_features(features(9, 8, 0)).rows is None


def test_a_constant_feature_has_no_variance_at_all() -> None:
    x = features(1000, 3, 1)
    x[:, 1] = np.float32(0.1)
    accumulator = Accumulator()
    for batch in np.array_split(x, 7):
        accumulator.update(batch)
    for statistics in (accumulator.statistics(), FeatureStatistics.from_features(x)):
        assert statistics.covariance[1, 1] == 0


@pytest.mark.parametrize("with_n", [True, False])
def test_save_and_load_as_pytorch_fid_does(tmp_path: Path, with_n: bool) -> None:
    made = FeatureStatistics.from_features(features(30, 4, 2))
    if not with_n:
        made = FeatureStatistics(None, made.mean, made.covariance)
    made.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as arrays:  # as pytorch-fid reads it
        mean, covariance = arrays["mu"][:], arrays["sigma"][:]
    loaded = FeatureStatistics.load(tmp_path / "s.npz")
    assert loaded.n == (30 if with_n else None)
    for got in (mean, loaded.mean):
        np.testing.assert_array_equal(got, made.mean)
    for got in (covariance, loaded.covariance):
        np.testing.assert_array_equal(got, made.covariance)


def arrays_file(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"mu": np.zeros(3)}, r"expected pytorch-fid's \.npz"),
        ({"mu": np.zeros(3), "sigma": np.eye(2)}, r"got \(3,\) and \(2, 2\)"),
        ({"mu": np.zeros(()), "sigma": EYE}, "expected a mean"),
        ({"mu": np.full(3, np.nan), "sigma": EYE}, "not finite"),
        ({"mu": np.zeros(3), "sigma": EYE + np.triu(EYE[::-1], 1)}, "not symmetric"),
        ({"mu": np.array([None] * 3), "sigma": EYE}, r"expected pytorch-fid's \.npz"),
        ({"mu": np.zeros(3), "sigma": -EYE}, "negative variance"),
        ({"mu": np.full(3, 1e200), "sigma": EYE}, "not finite"),
        ({"mu": np.zeros(3) + 1j, "sigma": EYE}, "values of type complex128"),
        ({"mu": np.array(["1", "2", "3"]), "sigma": EYE}, "values of type <U1"),
        ({"mu": np.zeros(3), "sigma": EYE, "n": 1}, "an n of 1, not of 2 or more"),
        ({"mu": np.zeros(3), "sigma": EYE, "n": -4}, "an n of -4"),
        ({"mu": np.zeros(3), "sigma": EYE, "n": np.inf}, "an n of inf"),
        ({"mu": np.zeros(3), "sigma": EYE, "n": [3, 4]}, r"an n of \[3 4\]"),
        ({"mu": np.zeros(3), "sigma": EYE, "protocol": "\x1b[31m"}, "a protocol that is no name"),
        ({"mu": np.zeros(3), "sigma": EYE, "protocol": ["a", "b"]}, "a protocol that is no name"),
    ],
)
def test_statistics_that_are_none_are_refused_by_name(
    tmp_path: Path, arrays: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        FeatureStatistics.load(arrays_file(tmp_path / "s.npz", **arrays))
    assert str(tmp_path / "s.npz") in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_archive_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"expected pytorch-fid's \.npz"):
        FeatureStatistics.load(tmp_path / "s.npz")


def test_a_bomb_is_refused_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lacbench.metrics.statistics.MOST", 100)
    np.savez_compressed(tmp_path / "s.npz", mu=np.zeros(3), sigma=np.zeros((101, 101)))
    with pytest.raises(InputError, match=r"sigma\.npy of 81,736 bytes: more than 100 dimensions"):
        FeatureStatistics.load(tmp_path / "s.npz")


NPZ = io.BytesIO()
np.savez_compressed(NPZ, mu=np.zeros(3), sigma=np.eye(3), n=np.asarray(7), protocol=np.asarray("clean"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_are_refused_in_a_sentence(tmp_path: Path, damage: list[tuple[int, int]]) -> None:
    data = bytearray(NPZ.getvalue())
    for place, value in damage:
        data[place % len(data)] = value
    (tmp_path / "s.npz").write_bytes(data)
    with suppress(InputError):
        FeatureStatistics.load(tmp_path / "s.npz")


def test_too_few_or_unlike_features_are_refused() -> None:
    one = features(1, 3, 0)
    with pytest.raises(InputError, match="got 1 picture, which has no covariance"):
        FeatureStatistics.from_features(one)
    accumulator = Accumulator()
    accumulator.update(one)
    with pytest.raises(InputError, match="got 1 picture"):
        accumulator.statistics()
    with pytest.raises(InputError, match="not finite"):
        FeatureStatistics.from_features(np.array([[1, np.inf], [np.nan, 1]]))
    a, b = (FeatureStatistics.from_features(features(9, d, 0)) for d in (3, 4))
    with pytest.raises(InputError, match="3 and 4 dimensions"):
        merge(a, b)
    with pytest.raises(InputError, match="without n cannot be merged"):
        merge(FeatureStatistics(None, a.mean, a.covariance), a)
