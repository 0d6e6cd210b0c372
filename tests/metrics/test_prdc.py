"""Precision, recall, density, coverage: equal to the published package's, ties and copies included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.metrics import prdc as module
from lacbench.metrics.prdc import prdc


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared, each by itself: exact for small integers."""
    return np.array([[((u - v) ** 2).sum() for v in y] for u in x])


def by_the_package(fake: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Written as Naeem et al.'s `prdc` has it: the k + 1 smallest of a row hold the feature itself."""

    def radii(features: np.ndarray) -> np.ndarray:
        return np.sort(distances(features, features), axis=1)[:, k]

    between, of_real, of_fake = distances(real, fake), radii(real), radii(fake)
    return (
        (between < of_real[:, None]).any(axis=0).mean(),
        (between < of_fake[None]).any(axis=1).mean(),
        (between < of_real[:, None]).sum(axis=0).mean() / k,
        (between.min(axis=1) < of_real).mean(),
    )


@given(
    st.integers(7, 25),
    st.integers(7, 25),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.booleans(),
    st.integers(1, 26),
)
@settings(max_examples=80)
def test_equals_the_package_whatever_the_blocks(
    n: int, m: int, d: int, k: int, seed: int, tied: bool, block: int
) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, d)), random.normal(size=(m, d)) * 1.5
    if tied:  # distances that are equal, and features that are copies of others
        x, y = x.round(), y.round()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = prdc(x, y, precision_k=k, density_k=k)
    got = (found.precision, found.recall, found.density, found.coverage)
    assert got == pytest.approx(by_the_package(x, y, k), abs=1e-12)
    assert found.n == (n, m)


def test_each_pair_has_its_own_k() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(60, 3)).astype(np.float32), random.normal(size=(50, 3)).astype(np.float32)
    found = prdc(x, y)
    three, five = (by_the_package(x.astype(float), y.astype(float), k) for k in (3, 5))
    assert (found.precision, found.recall) == pytest.approx(three[:2])
    assert (found.density, found.coverage) == pytest.approx(five[2:])
    assert found.as_json() == {
        "precision": found.precision,
        "recall": found.recall,
        "density": found.density,
        "coverage": found.coverage,
        "precision_k": 3,
        "density_k": 5,
        "n": (60, 50),
    }


def test_far_sets_share_nothing_and_a_set_covers_itself() -> None:
    x = np.random.default_rng(2).normal(size=(40, 6))
    apart = prdc(x, x + 100)
    assert (apart.precision, apart.recall, apart.density, apart.coverage) == (0, 0, 0, 0)
    same = prdc(x, x)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    moved = prdc(x + 1e4, x + 1e4)  # far from 0, where squares lose digits
    assert (moved.precision, moved.recall, moved.density) == (1, 1, same.density)


@pytest.mark.parametrize(
    ("n", "k", "reason"), [(5, 5, "got k of 3 and 5, and sets of 5 and 9"), (9, 0, "got k of 3 and 0")]
)
def test_too_few_features_are_refused(n: int, k: int, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        prdc(np.ones((n, 2)), np.ones((9, 2)), density_k=k)
    with pytest.raises(InputError, match="two sets of features"):
        prdc(np.ones((9, 2)), np.ones((9, 3)))
