r"""Distances between samples and truth, each with its permutation null.

Notation: pooled rows z_i of both sides, N = n + m; side indicators a, b (0 or 1, a + b = 1).

    MMD²       mean k(x,x′) + mean k(y,y′) − 2 mean k(x,y), unbiased, k Gaussian with the median
               distance as width          (Gretton et al., A kernel two-sample test, JMLR 2012)
    energy     2 mean|x−y| − mean|x−x′| − mean|y−y′|     (Székely and Rizzo, InterStat 2004)
    sliced W₁  mean over random directions of ∫|F_x(t) − F_y(t)| dt  (Bonneel et al., JMIV 2015)
    Fréchet    |μ_x−μ_y|² + Tr(C_x + C_y − 2 (C_x C_y)^½), extrapolated to infinite n linearly in
               1/n                        (Chong and Forsyth, Effectively unbiased FID, CVPR 2020)

All work on at most ``most`` random rows of each side, so that their cost does not grow with n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.certify.evidence import Evidence, Pair, from_null, permuted_sides
from emulant.certify.statistic import Array, Tolerance

__all__ = [
    "Energy",
    "Frechet",
    "MaximumMeanDiscrepancy",
    "SlicedWasserstein",
    "frechet",
    "squared_distances",
]


@dataclass(frozen=True, slots=True)
class MaximumMeanDiscrepancy:
    """MMD² with a Gaussian kernel of the median width."""

    most: int = 1000
    replicates: int = 200
    tolerance: Tolerance | None = None
    name: str = "MMD²"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence:
        """Return MMD² and its null."""
        few = pair.thin(self.most, rng)
        pooled = np.concatenate([few.x, few.y])
        square = squared_distances(pooled, pooled)
        width = np.median(square[np.triu_indices(len(square), 1)])
        kernel = np.exp(-square / (width if width > 0 else 1.0))
        return _quadratic(kernel, few, self.replicates, rng)


@dataclass(frozen=True, slots=True)
class Energy:
    """The energy distance."""

    most: int = 1000
    replicates: int = 200
    tolerance: Tolerance | None = None
    name: str = "energy distance"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence:
        """Return the energy distance and its null."""
        few = pair.thin(self.most, rng)
        pooled = np.concatenate([few.x, few.y])
        square = squared_distances(pooled, pooled)
        return _quadratic(-np.sqrt(square), few, self.replicates, rng)


@dataclass(frozen=True, slots=True)
class SlicedWasserstein:
    """Mean 1-Wasserstein distance along random directions, in truth's standard deviations."""

    most: int = 2000
    replicates: int = 200
    directions: int = 64
    tolerance: Tolerance | None = None
    name: str = "sliced Wasserstein"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence:
        """Return the sliced distance and its null."""
        few = pair.thin(self.most, rng)
        pooled = np.concatenate([few.x, few.y])
        axes = rng.normal(size=(pooled.shape[1], self.directions))
        along = np.einsum("nk,kd->nd", pooled, axes / np.linalg.norm(axes, axis=0))
        sides = permuted_sides(few.x_unit, few.y_unit, self.replicates, rng)
        gap = sides / sides.sum(1, keepdims=True) - ~sides / (~sides).sum(1, keepdims=True)
        total = np.zeros(len(sides))
        for t in along.T:
            order = np.argsort(t, kind="stable")
            difference = np.abs(np.cumsum(gap[:, order], axis=1)[:, :-1])
            total += difference @ np.diff(t[order])
        return from_null(total / self.directions, len(few.x), len(few.y))


@dataclass(frozen=True, slots=True)
class Frechet:
    """The Fréchet distance of Gaussians fitted to both sides; value extrapolated to infinite n."""

    most: int = 5000
    replicates: int = 100
    tolerance: Tolerance | None = None
    name: str = "Fréchet distance"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence:
        """Return FD∞, and the null of FD at the full n; the excess is of FD at the full n."""
        few = pair.thin(self.most, rng)
        pooled = np.concatenate([few.x, few.y])
        sides = permuted_sides(few.x_unit, few.y_unit, self.replicates, rng)
        values = np.array([frechet(pooled[a], pooled[~a]) for a in sides])
        plain = from_null(values, len(few.x), len(few.y))
        note = f"extrapolated to infinite n: {_extrapolated(few, rng):.4g}"
        return Evidence(
            plain.value, plain.expected, plain.excess, plain.error, plain.dof, plain.p_equal,
            plain.null_low, plain.null_high, plain.samples, plain.truth, note,
        )  # fmt: skip


def frechet(x: Array, y: Array) -> float:
    """Return the Fréchet distance of two sets of rows (n, K), (m, K).

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(frechet(x, x + 2.0), 6)  # a shift by 2 in each of three features
    12.0
    """
    cx, cy = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    values, vectors = np.linalg.eigh(cx)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ cy @ root)
    shift = x.mean(0) - y.mean(0)
    trace = np.trace(cx) + np.trace(cy) - 2 * np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(shift @ shift + trace)


def _extrapolated(pair: Pair, rng: np.random.Generator) -> float:
    """Return FD at 1/n → 0 from a line through subsets of both sides."""
    sizes = np.linspace(0.4, 1.0, 7)
    points = []
    for share in np.repeat(sizes, 4):
        i = rng.permutation(len(pair.x))[: int(share * len(pair.x))]
        j = rng.permutation(len(pair.y))[: int(share * len(pair.y))]
        points.append((1.0 / share, frechet(pair.x[i], pair.y[j])))
    inverse, distance = np.array(points).T
    return float(np.polyfit(inverse, distance, 1)[1])


def squared_distances(x: Array, y: Array) -> Array:
    """Return squared distances (n, m) between rows, exact zeros on equal ones.

    >>> squared_distances(np.array([[0.0], [3.0]]), np.array([[3.0]]))
    array([[9.],
           [0.]])
    """
    square: Array = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    square[square < 1e-9 * (1.0 + np.abs(square).max() * 1e-3)] = 0.0
    return square


def _quadratic(
    kernel: NDArray[np.float64], pair: Pair, replicates: int, rng: np.random.Generator
) -> Evidence:
    """Return mean k(x,x′) + mean k(y,y′) − 2 mean k(x,y) over distinct rows, and its null."""
    np.fill_diagonal(kernel, 0.0)
    sides = permuted_sides(pair.x_unit, pair.y_unit, replicates, rng)
    a, b = sides.astype(np.float64), (~sides).astype(np.float64)
    towards_a, towards_b = a @ kernel, b @ kernel
    n, m = a.sum(1), b.sum(1)
    own = (a * towards_a).sum(1) / (n * (n - 1)) + (b * towards_b).sum(1) / (m * (m - 1))
    values = own - 2 * (a * towards_b).sum(1) / (n * m)
    return from_null(values, len(pair.x), len(pair.y))
