"""Slow, plain versions of what the library computes otherwise."""

import numpy as np


def frechet_by_long_doubles(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance of features, with 64-bit mantissas: the cross term is the largest tr UᵀF₁F₂ᵀ, U
    orthogonal.

    `x` has no more rows than `y`. The U of a float64 decomposition is off by rounding; a step of Newton and
    Schulz makes it orthogonal to long double's precision, and then an error of ε in it is one of ε² in the
    trace.
    """
    wide = [np.asarray(side, dtype=np.longdouble) for side in (x, y)]
    means = [side.mean(axis=0) for side in wide]
    factors = [(s - m) / np.sqrt(np.longdouble(len(s) - 1)) for s, m in zip(wide, means, strict=True)]
    product = factors[0] @ factors[1].T
    left, _, right = np.linalg.svd(product.astype(np.float64), full_matrices=False)
    polar = (left @ right).astype(np.longdouble)
    polar = (3 * np.eye(len(polar)) - polar @ polar.T) @ polar / 2
    traces = sum((factor**2).sum() for factor in factors)
    return float(((means[0] - means[1]) ** 2).sum() + traces - 2 * (polar * product).sum())
