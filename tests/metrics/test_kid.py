"""MMD², KID and CMMD: equal to their definitions however the blocks fall, with an honest standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.metrics import mmd
from lacbench.metrics.kid import kid, polynomial, subset_kid
from lacbench.metrics.mmd import cmmd, discrepancy


def two(n: int, m: int, dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, dimensions)), random.normal(size=(m, dimensions)) * 1.2 + 0.3
    return x.astype(np.float32), y.astype(np.float32)


def by_definition(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Unbiased and biased MMD² with KID's kernel, pair by pair."""
    k = lambda u, v: (float(u.astype(float) @ v.astype(float)) / len(u) + 1) ** 3  # noqa: E731
    shared = 2 * np.mean([k(u, v) for u in x for v in y])
    off, whole = 0.0, 0.0
    for side in (x, y):
        n = len(side)
        kernels = np.array([[k(u, v) for u in side] for v in side])
        off += (kernels.sum() - np.trace(kernels)) / (n * (n - 1))
        whole += kernels.mean()
    return off - shared, whole - shared


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 5), st.integers(0, 2**32), st.integers(1, 13))
@settings(max_examples=40)
def test_equals_the_definition_whatever_the_blocks(n: int, m: int, d: int, seed: int, block: int) -> None:
    x, y = two(n, m, d, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmd, "BLOCK", block)
        found = discrepancy(x, y, polynomial)
    assert (found.unbiased, found.biased) == pytest.approx(by_definition(x, y), rel=1e-9, abs=1e-9)
    assert (found.standard_error is None) == (n < 4)


def by_clip_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """CMMD as its published code writes it, in float64."""
    norms = [np.diag(side @ side.T) for side in (x, y)]

    def mean(i: int, j: int) -> float:
        u, v = ((x, y)[i], (x, y)[j])
        return float(np.exp(-(-2 * u @ v.T + norms[i][:, None] + norms[j][None]) / 200).mean())

    return 1000 * (mean(0, 0) + mean(1, 1) - 2 * mean(0, 1))


def test_cmmd_is_that_of_the_published_code() -> None:
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in two(40, 30, 16, 1))
    found = cmmd(x, y)
    assert found.value == pytest.approx(by_clip_mmd(x.astype(float), y.astype(float)), rel=1e-9)
    assert (found.metric, found.n) == ("cmmd", (40, 30))
    assert found.standard_error is not None and found.standard_error > 0


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_value_is_unbiased_and_its_standard_error_is_that_of_redraws(shift: float) -> None:
    """For like sets and for unlike ones: the former vary by pairs of features, the latter by each alone."""
    random = np.random.default_rng(2)
    reference = random.normal(size=(150, 6))
    far = random.normal(size=(100_000, 6)) + shift
    drawn = [kid(random.normal(size=(40, 6)) + shift, reference) for _ in range(300)]
    values = np.array([result.value for result in drawn])
    variances = np.array([result.standard_error or 0 for result in drawn]) ** 2
    truth = _large(far, reference)
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(len(values))
    assert variances.mean() == pytest.approx(values.var(), rel=0.25)


def _large(x: np.ndarray, y: np.ndarray) -> float:
    """MMD² of so many features that their own pairs can be taken as independent halves."""
    half = len(x) // 2
    own = ((x[:half] * x[half:]).sum(axis=1) / x.shape[1] + 1) ** 3
    other = polynomial(y, y)
    off = (other.sum() - np.trace(other)) / (len(y) * (len(y) - 1))
    return float(own.mean() + off - 2 * polynomial(x, y).mean())


def test_the_variance_is_unbiased_on_all_samples_of_a_small_population() -> None:
    """Every ordered sample of four without repetition has a U-statistic; the mean of squares is exact."""
    from itertools import permutations

    population = np.random.default_rng(3).normal(size=(7, 2))
    reference = np.random.default_rng(4).normal(size=(5, 2)) + 0.5
    g = polynomial(population, reference).mean(axis=1)
    h = polynomial(population, population) - g[:, None] - g

    def zeta(shared: int) -> float:
        """Mean of h h′ over all choices of different features that share so many."""
        found = [
            h[p[0], p[1]] * {2: h[p[0], p[1]], 1: h[p[0], p[2]], 0: h[p[2], p[3]]}[shared]
            for p in permutations(range(7), 4)
        ]
        return float(np.mean(found))

    expected = (4 * 2 * (zeta(1) - zeta(0)) + 2 * (zeta(2) - zeta(0))) / 12
    estimates = []
    for chosen in permutations(range(7), 4):
        part = h[np.ix_(chosen, chosen)].copy()
        np.fill_diagonal(part, 0)
        rows, squares = part.sum(axis=1), float((part**2).sum())
        estimates.append(raw_variance(rows, squares))
        assert mmd._standard_error(rows, squares) == pytest.approx(np.sqrt(max(estimates[-1], 0)), abs=1e-9)
    assert np.mean(estimates) == pytest.approx(expected, rel=1e-9)


def raw_variance(rows: np.ndarray, squares: float) -> float:
    """The estimate for four features before it is cut at 0, from its definition."""
    triples = ((rows**2).sum() - squares) / 24
    quadruples = (rows.sum() ** 2 - 4 * (rows**2).sum() + 2 * squares) / 24
    return float((8 * (triples - quadruples) + 2 * (squares / 12 - quadruples)) / 12)


def test_a_set_against_itself_is_below_0_without_bias_and_0_with_it() -> None:
    x, _ = two(50, 2, 8, 5)
    assert kid(x, x).value < 0
    assert discrepancy(x, x, polynomial).biased == pytest.approx(0, abs=1e-9)


def test_subsets_of_everything_are_the_whole() -> None:
    x, y = two(30, 30, 4, 6)
    found = subset_kid(x, y, subsets=3, size=30)
    assert found.mean == pytest.approx(kid(x, y).value)
    assert found.sd == pytest.approx(0, abs=1e-12)
    assert set(found.as_json()) == {"mean", "sd"}
    parts = subset_kid(x, y, subsets=200, size=10)
    assert parts.mean == pytest.approx(kid(x, y).value, abs=4 * parts.sd / np.sqrt(200))
    assert subset_kid(x, y, subsets=2, size=10) == subset_kid(x, y, subsets=2, size=10)


def test_results_say_all_that_scripts_need() -> None:
    found = kid(*two(9, 8, 3, 7))
    told = found.as_json()
    assert set(told) == {"metric", "value", "standard_error", "n", "interval"}
    assert found.interval is not None and found.interval[0] < found.value < found.interval[1]
    assert kid(*two(3, 8, 3, 7)).interval is None


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (np.ones((1, 3)), np.ones((4, 3)), r"two pictures or more each, got \(1, 3\) and \(4, 3\)"),
        (np.ones((4, 2)), np.ones((4, 3)), r"got \(4, 2\) and \(4, 3\)"),
        (np.ones(4), np.ones(4), r"got \(4,\) and \(4,\)"),
        (np.full((4, 3), np.nan), np.ones((4, 3)), "not finite"),
    ],
)
def test_what_are_no_features_is_refused(a: np.ndarray, b: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        kid(a, b)


@pytest.mark.parametrize("size", [1, 9])
def test_subsets_that_cannot_be_drawn_are_refused(size: int) -> None:
    with pytest.raises(
        InputError, match=f"subsets of 2 to 8 features, which the smaller set has, got {size}"
    ):
        subset_kid(*two(9, 8, 3, 7), size=size)
