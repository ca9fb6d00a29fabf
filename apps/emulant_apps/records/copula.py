r"""Quantile-normal columns: the Gaussian copula of a table, and the way back.

Notation: a column x with knots (u_k, z_k), z_k = Phi^-1 of the middle rank of u_k.
Forth z = interp(x; u, z); back x = interp(z; z, u), and the mean of the back-transformed
N(m, v) by Gauss-Hermite quadrature,

    E[x] = sum_q c_q x(m + sqrt(v) t_q).

A knot is the mean of at least five sorted values, or one value that occurs as often, so that a
saved model repeats no single patient.

- Liu, Lafferty and Wasserman, The Nonparanormal, 2009, https://arxiv.org/abs/0903.0649
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["Quantiles", "fit_quantiles"]

Array = NDArray[np.float64]

GROUP = 5
"""Patients that share a knot."""
MOST_KNOTS = 400
NODES = 11


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """The knots of D columns, one after the other."""

    values: Array
    """u of all columns, rising within each."""
    scores: Array
    """z of all columns, rising within each."""
    starts: NDArray[np.int64]
    """(D + 1,): column j has the knots starts[j] to starts[j + 1]."""

    def knots(self, j: int) -> tuple[Array, Array]:
        """Return u and z of column ``j``."""
        part = slice(self.starts[j], self.starts[j + 1])
        return self.values[part], self.scores[part]

    def forth(self, x: Array) -> Array:
        """Return the normal scores of ``x`` (n, D); NaN stays."""
        z = np.full(x.shape, np.nan)
        for j in range(x.shape[1]):
            u, s = self.knots(j)
            seen = ~np.isnan(x[:, j])
            z[seen, j] = np.interp(x[seen, j], u, s)
        return z

    def back(self, z: Array, j: int) -> Array:
        """Return the values of column ``j`` at scores ``z``, of any shape."""
        u, s = self.knots(j)
        return np.interp(z, s, u)

    def mean(self, m: Array, v: Array) -> Array:
        """Return E[x] of columns whose scores are N(m, v), all (n, D)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        weights = weights / weights.sum()
        out = np.empty(m.shape)
        for j in range(m.shape[1]):
            at = m[:, j, None] + np.sqrt(v[:, j, None]) * nodes
            out[:, j] = self.back(at, j) @ weights
        return out

    def half_width(self, x: Array, v: Array, j: int) -> Array:
        """Return half the width, in the unit of x, of z(x) ± sqrt(v) in column ``j``."""
        u, s = self.knots(j)
        z, sd = np.interp(x, u, s), np.sqrt(v)
        return 0.5 * (np.interp(z + sd, s, u) - np.interp(z - sd, s, u))


def fit_quantiles(x: Array) -> Quantiles:
    """Return the knots of the columns of ``x`` (n, D), each with at least one observed cell."""
    values, scores, starts = [], [], [0]
    for j in range(x.shape[1]):
        u, z = _knots(x[~np.isnan(x[:, j]), j])
        values.append(u)
        scores.append(z)
        starts.append(starts[-1] + len(u))
    return Quantiles(np.concatenate(values), np.concatenate(scores), np.array(starts, np.int64))


def _knots(x: Array) -> tuple[Array, Array]:
    """Return rising knots of one column: group sorted values by five, keep ties together."""
    distinct, counts = np.unique(x, return_counts=True)
    target = max(GROUP, -(-len(x) // MOST_KNOTS))
    before = np.cumsum(counts) - counts
    group = before // target
    group[counts >= target] = -1 - np.flatnonzero(counts >= target)  # a group of its own
    edges = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    size = np.add.reduceat(counts, edges).astype(float)
    mean = np.add.reduceat(distinct * counts, edges) / size
    middle = np.cumsum(size) - size / 2
    return mean, np.asarray(norm.ppf(middle / len(x)), dtype=np.float64)
