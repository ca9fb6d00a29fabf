r"""Convex weights of several predictions of one column, by least squares out of fold.

Notation: predictions c_ik, k = 1..K, of cells x_i; weights w on the simplex; nu pseudo-rows of the
predictions' own spread v that hold the weights together:

    w = argmin sum_i (x_i - sum_k w_k c_ik)^2 + nu v sum_k (w_k - 1/K)^2,   w >= 0, sum w = 1.

K is 2 or 3, so that every face of the simplex is tried and the best is exact.

- Breiman, Stacked Regressions, 1996, https://doi.org/10.1007/BF00117832
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["convex_weights"]

Array = NDArray[np.float64]

HOLD = 5.0
"""nu"""


def convex_weights(x: Array, candidates: Sequence[Array], observed: NDArray[np.bool_]) -> Array:
    """Return the weights (K, D) of K ``candidates`` (n, D) for the columns of ``x`` (n, D)."""
    stacked = np.stack(candidates)
    weights = np.empty((len(stacked), x.shape[1]))
    for j in range(x.shape[1]):
        seen = observed[:, j]
        weights[:, j] = _column(x[seen, j], stacked[:, seen, j].T)
    return weights


def _column(x: Array, c: Array) -> Array:
    count = c.shape[1]
    hold = HOLD * float(np.var(c - c.mean(1, keepdims=True))) + 1e-9
    gram = c.T @ c + hold * np.eye(count)
    slope = c.T @ x + hold / count
    best, found = np.inf, np.full(count, 1.0 / count)
    places = range(count)
    for face in map(list, chain.from_iterable(combinations(places, k + 1) for k in places)):
        k = len(face)
        border = np.ones((k + 1, k + 1))
        border[:k, :k], border[k, k] = gram[np.ix_(face, face)], 0.0
        w = np.zeros(count)
        w[face] = np.linalg.solve(border, np.r_[slope[face], 1.0])[:k]
        price = float(w @ gram @ w - 2 * slope @ w)
        if (w >= -1e-9).all() and price < best:
            best, found = price, w
    return np.asarray(np.clip(found, 0.0, 1.0))
