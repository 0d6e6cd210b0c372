"""The Fréchet distance: closed forms, independent oracles, and its standard error against redraws."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.metrics.frechet import frechet_distance, influence, limit, standard_error
from lacbench.metrics.statistics import FeatureStatistics

from oracles import frechet_by_long_doubles


def gaussian(dimensions: int, seed: int, n: int | None = None) -> FeatureStatistics:
    random = np.random.default_rng(seed)
    factor = random.normal(size=(2 * dimensions, dimensions))
    return FeatureStatistics(n, random.normal(size=dimensions), factor.T @ factor / (2 * dimensions))


def alone(statistics: FeatureStatistics) -> FeatureStatistics:
    """The same without the features at hand."""
    return FeatureStatistics(statistics.n, statistics.mean, statistics.covariance)


def by_sqrtm(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """As pytorch-fid defines it, by SciPy's square root of the product."""
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    difference = a.mean - b.mean
    return float(difference @ difference + np.trace(a.covariance + b.covariance - 2 * np.real(root)))


def exact_statistics(x: np.ndarray) -> tuple[mpmath.matrix, mpmath.matrix]:
    """Mean (1, D) and covariance of features, in mpmath's precision."""
    rows = mpmath.matrix(x.tolist())
    mean = mpmath.ones(1, rows.rows) * rows / rows.rows
    centred = rows - mpmath.ones(rows.rows, 1) * mean
    return mean, centred.T * centred / (rows.rows - 1)


def by_mpmath(a: FeatureStatistics | np.ndarray, b: FeatureStatistics | np.ndarray) -> float:
    """With 60 digits, by the eigenvalues of S₁^½ S₂ S₁^½."""
    with mpmath.workdps(60):
        (mean, first), (other, second) = (
            exact_statistics(s)
            if isinstance(s, np.ndarray)
            else (mpmath.matrix([s.mean.tolist()]), mpmath.matrix(s.covariance.tolist()))
            for s in (a, b)
        )
        values, vectors = mpmath.eigsy(first)
        root = vectors * mpmath.diag([mpmath.sqrt(abs(v)) for v in values]) * vectors.T
        inner = root * second * root
        crossed = mpmath.eigsy((inner + inner.T) / 2, eigvals_only=True)
        shift = sum((x - y) ** 2 for x, y in zip(mean, other, strict=True))
        traces = sum(first[i, i] + second[i, i] for i in range(first.rows))
        return float(shift + traces - 2 * sum(mpmath.sqrt(abs(v)) for v in crossed))


@pytest.mark.parametrize("dimensions", [1, 2, 30, 200])
def test_equals_the_square_root_of_the_product_where_that_is_well_conditioned(dimensions: int) -> None:
    a, b = gaussian(dimensions, 1), gaussian(dimensions, 2)
    assert frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-10)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=40)
def test_commuting_gaussians_have_a_closed_form(seed: int, dimensions: int) -> None:
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0]
    (s, t), (m, n) = random.uniform(0.1, 3, (2, dimensions)), random.normal(size=(2, dimensions))
    a, b = (FeatureStatistics(None, mean, basis * sd**2 @ basis.T) for mean, sd in ((m, s), (n, t)))
    assert frechet_distance(a, b) == pytest.approx(((m - n) ** 2).sum() + ((s - t) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize("smallest", [-8, -16, -30])
def test_near_singular_covariances_against_60_digits(smallest: int) -> None:
    random = np.random.default_rng(3)
    spectra = np.logspace(0, smallest, 12)
    sides = []
    for _ in range(2):
        basis = np.linalg.qr(random.normal(size=(12, 12)))[0]
        covariance = basis * spectra @ basis.T
        sides.append(FeatureStatistics(None, random.normal(size=12), (covariance + covariance.T) / 2))
    assert frechet_distance(*sides) == pytest.approx(by_mpmath(*sides), rel=1e-7)


@pytest.mark.parametrize(("n", "m"), [(6, 40), (40, 6), (5, 7), (2, 2), (40, 50)])
def test_fewer_pictures_than_features_against_60_digits(n: int, m: int) -> None:
    random = np.random.default_rng(4)
    x, y = random.normal(size=(n, 20)), random.normal(size=(m, 20)) * 1.3 + 0.2
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)
    exact = by_mpmath(x, y)
    assert frechet_distance(a, b) == pytest.approx(exact, rel=1e-9)
    assert frechet_distance(alone(a), alone(b)) == pytest.approx(exact, rel=1e-6)


def test_all_routes_agree_where_features_are_dead() -> None:
    random = np.random.default_rng(5)
    mixing = random.normal(size=(400, 400)) * np.exp(-np.arange(400) / 40)[:, None]

    def draw(n: int) -> np.ndarray:
        x = np.maximum(random.normal(size=(n, 400)) @ mixing * 0.02 + 0.1, 0)
        x[:, :7] = 0  # dead, as some of the network's features are on line art
        return x.astype(np.float32)

    few, many = FeatureStatistics.from_features(draw(100)), FeatureStatistics.from_features(draw(900))
    value = frechet_distance(few, many)
    assert value == pytest.approx(frechet_distance(alone(few), many), rel=1e-6)
    transposed = np.linalg.eigvalsh(few.rows @ many.covariance @ few.rows.T).clip(0)
    by_low_rank = ((few.mean - many.mean) ** 2).sum() + np.trace(few.covariance + many.covariance)
    assert value == pytest.approx(by_low_rank - 2 * np.sqrt(transposed).sum(), rel=1e-7)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_identical_sets_are_0_up_to_rounding(n: int) -> None:
    statistics = FeatureStatistics.from_features(np.random.default_rng(n).normal(size=(n, 10)) * 100)
    for side in (statistics, alone(statistics)):
        assert 0 <= frechet_distance(side, side) <= 1e-7 * np.trace(side.covariance)


def test_dead_and_degenerate_features_are_never_nan() -> None:
    zero = FeatureStatistics(None, np.zeros(3), np.zeros((3, 3)))
    one = FeatureStatistics(None, np.ones(3), np.diag([4.0, 0, 1]))
    assert frechet_distance(zero, zero) == 0
    assert frechet_distance(zero, one) == frechet_distance(one, zero) == 3 + 5
    constant = FeatureStatistics.from_features(np.ones((4, 3)))
    assert frechet_distance(constant, one) == pytest.approx(5)
    assert standard_error(np.ones((4, 3)), constant, one) == 0


def test_unlike_or_impossible_statistics_are_refused() -> None:
    with pytest.raises(InputError, match="3 and 4 dimensions"):
        frechet_distance(gaussian(3, 0), gaussian(4, 0))
    impossible = FeatureStatistics(None, np.zeros(2), np.array([[1.0, 2], [2, 1]]))
    with pytest.raises(InputError, match="no covariance: expected no negative eigenvalue, got -1"):
        frechet_distance(impossible, impossible)


def test_a_few_pictures_do_not_hide_that_a_covariance_is_none() -> None:
    few = FeatureStatistics.from_features(np.random.default_rng(0).normal(size=(4, 6)))
    indefinite = np.eye(6)
    indefinite[0, 1] = indefinite[1, 0] = 9.0
    assert few.rows is not None
    with pytest.raises(InputError, match="no covariance: expected no negative eigenvalue, got -"):
        frechet_distance(few, FeatureStatistics(9, np.zeros(6), indefinite))


def test_influence_is_the_derivative() -> None:
    """Adding a little weight to one picture moves the distance by that weight times its influence."""
    n, dimensions = 2000, 3
    random = np.random.default_rng(6)
    x = random.normal(size=(n, dimensions)) @ random.normal(size=(dimensions, dimensions))
    reference = gaussian(dimensions, 7)

    def at(weights: np.ndarray) -> float:
        mean = weights @ x
        covariance = ((x - mean).T * weights) @ (x - mean)
        return frechet_distance(FeatureStatistics(None, mean, covariance), reference)

    influences = influence(x, FeatureStatistics.from_features(x), reference)
    even, step = np.full(n, 1 / n), 1e-4
    for i in range(10):
        towards = np.eye(n)[i] - even
        slope = (at(even + step * towards) - at(even - step * towards)) / (2 * step)
        assert slope == pytest.approx(influences[i], rel=2e-3, abs=2e-3 * influences.std())
    assert influences.sum() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("n", "m"), [(60, 90), (60, 7), (8, 90), (8, 7)])
def test_influence_by_its_formula(n: int, m: int) -> None:
    """Written out with square roots of matrices, for full and for low rank on either side."""
    random = np.random.default_rng(11)
    x, y = random.normal(size=(n, 12)) + 0.3, random.normal(size=(m, 12)) * 1.2
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)

    def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        kept = values > 1e-10 * values[-1]
        return np.asarray(vectors[:, kept] * values[kept] ** exponent @ vectors[:, kept].T)

    root = power(b.covariance, 0.5)
    transport = root @ power(root @ a.covariance @ root, -0.5) @ root
    centred = x - a.mean
    raw = 2 * centred @ (a.mean - b.mean) + np.einsum("ni,ij,nj->n", centred, np.eye(12) - transport, centred)
    np.testing.assert_allclose(influence(x, a, b), raw - raw.mean(), atol=1e-6)


def test_standard_error_against_redraws() -> None:
    random = np.random.default_rng(8)
    reference, truth = gaussian(4, 9), gaussian(4, 10)
    root = np.linalg.cholesky(truth.covariance)
    values, errors = [], []
    for _ in range(300):
        x = random.normal(size=(400, 4)) @ root.T + truth.mean
        drawn = FeatureStatistics.from_features(x)
        values.append(frechet_distance(drawn, reference))
        errors.append(standard_error(x, drawn, reference))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert np.std(errors) < 0.2 * np.mean(errors)


def like_features(n: int, seed: int, dimensions: int = 400) -> np.ndarray:
    """Features whose spectrum falls as the Inception's does, float32."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(dimensions, dimensions)))[0]
    spread = (1 + np.arange(dimensions)) ** -0.75
    return (random.normal(size=(n, dimensions)) * spread @ basis + 0.3).astype(np.float32)


@pytest.mark.parametrize("copies", [False, True])
def test_low_rank_against_long_doubles(copies: bool) -> None:
    """Also where copies among the pictures leave more eigenvalues at 0 than the one that is known."""
    few, many = like_features(90, 1), like_features(600, 2)
    if copies:
        few[60:] = few[:30]
    exact = frechet_by_long_doubles(few, many)
    a, b = FeatureStatistics.from_features(few), FeatureStatistics.from_features(many)
    assert frechet_distance(a, b) == pytest.approx(exact, rel=3e-7)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-12)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(alone(a), b), rel=1e-6)


def test_full_rank_against_long_doubles() -> None:
    x, y = like_features(130, 1, 100), like_features(200, 2, 100)
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)
    assert frechet_distance(a, b) == pytest.approx(frechet_by_long_doubles(x, y), rel=1e-11)


def test_eigenvalues_that_lost_their_digits_are_not_used() -> None:
    """A spectrum so steep that the small eigenproblem would be off: the singular values are not."""
    random = np.random.default_rng(1)
    steep = np.logspace(0, -9, 60)
    x, y = (random.normal(size=(n, 60)) * steep for n in (20, 300))
    a, b = FeatureStatistics.from_features(x), FeatureStatistics.from_features(y)
    exact = frechet_by_long_doubles(x, y)
    assert frechet_distance(a, b) == pytest.approx(exact, rel=1e-9)


def test_the_limit_for_many_pictures_is_far_less_biased_than_the_distance() -> None:
    dimensions, n = 40, 200
    reference, truth = gaussian(dimensions, 1), gaussian(dimensions, 2)
    root = np.linalg.cholesky(truth.covariance)
    limits, values = [], []
    for seed in range(30):
        x = np.random.default_rng(seed).normal(size=(n, dimensions)) @ root.T + truth.mean
        found = limit(x, reference)
        limits.append(found.value)
        values.append(frechet_distance(FeatureStatistics.from_features(x), reference))
        assert found.value + found.bias == pytest.approx(values[-1])
    exact = frechet_distance(truth, reference)
    assert np.mean(values) - exact > 1
    assert abs(np.mean(limits) - exact) < 0.1 * (np.mean(values) - exact)
    assert np.std(limits) == pytest.approx(np.std(values), rel=0.25)


def test_the_limit_needs_six_pictures() -> None:
    with pytest.raises(InputError, match="expected 6 pictures or more, got 5"):
        limit(np.ones((5, 3)), gaussian(3, 1))
    assert limit(np.random.default_rng(1).normal(size=(6, 3)), gaussian(3, 1)).bias != 0
