r"""Standard errors over independent units.

Notation: G units of any number of samples, merged in order into B ≤ 1024 blocks; block sums
S_b = Σ_{i∈b} w_i f_i and W_b = Σ_{i∈b} w_i; R bootstrap replicates with multinomial counts c_rb.

    bootstrap    θ*_r = r(f, c_r w),   s² = B/(B−1) · Var_r θ*_r
    scatter      σ = s √G: the error that one independent unit carries
    freedom      1/ν = (κ − (B−3)/(B−1)) / 2B + 1/R,   κ the kurtosis of ψ_b = θ − θ_(−b)

ν is the number of degrees of freedom of s² as an estimate: G−1 for Gaussian features, about twice
the count in a rare histogram bin, a handful when a few importance weights carry everything. For a
general reduction, of which each ψ_b is a call, blocks are left out in at most 200 groups.
θ/s is then referred to Student's t with ν degrees (Welch 1938, Satterthwaite 1946; variance of a
sample variance from its kurtosis: Cramér, Mathematical Methods of
Statistics, 1946, ch. 27). Resampling is over units and never
over correlated samples (Davison and Hinkley, Bootstrap Methods and their Application, 1997, §3.8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Array, FunctionOfMeans, Statistic
from emulant.errors import InputError

__all__ = ["Estimate", "Units", "bootstrap_counts", "estimate", "halves"]

MOST_BLOCKS = 1024

MOST_CALLS = 200
"""Replicates of a black box, which sees all samples in each; and groups of blocks left out."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its standard error over independent units."""

    value: Array
    """θ, shape (M,)."""
    error: Array
    """Standard error s, shape (M,)."""
    dof: Array
    """Degrees of freedom ν of s², shape (M,)."""
    units: int
    """Number G of independent units."""

    @property
    def scatter(self) -> Array:
        """Scatter σ = s √G of one independent unit, shape (M,)."""
        scatter: Array = self.error * np.sqrt(self.units)
        return scatter


@dataclass(frozen=True, slots=True)
class Units:
    """Which independent unit, and which block of units, each sample belongs to."""

    unit: NDArray[np.int64]
    """Unit of each sample, shape (n,)."""
    block: NDArray[np.int64]
    """Block of each sample, shape (n,)."""
    blocks: int
    count: int
    """Number G of independent units before merging."""

    @classmethod
    def of(cls, n: int, groups: NDArray[Any] | None, most: int = MOST_BLOCKS) -> Units:
        """Return the blocks of n samples; each sample is its own unit without ``groups`` (n,)."""
        if groups is None:
            unit = np.arange(n, dtype=np.int64)
        else:
            if np.shape(groups) != (n,):
                raise InputError(f"groups must have shape ({n},), got {np.shape(groups)}")
            _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
            unit = np.argsort(np.argsort(first)).astype(np.int64)[inverse]
        count = int(unit.max()) + 1 if n else 0
        if count < 2:
            raise InputError(f"needs at least 2 independent units, got {count}")
        blocks = min(count, most)
        return cls(unit, unit * blocks // count, blocks, count)


def bootstrap_counts(rng: np.random.Generator, blocks: int, replicates: int) -> Array:
    """Return how often each block is drawn in each replicate, shape (R, B)."""
    drawn = (
        rng.integers(blocks, size=(replicates, blocks)) + blocks * np.arange(replicates)[:, None]
    )
    counts = np.bincount(drawn.ravel(), minlength=replicates * blocks)
    return counts.reshape(replicates, blocks).astype(np.float64)


def estimate(
    statistic: Statistic, rows: NDArray[Any], weights: Array, units: Units, counts: Array
) -> Estimate:
    """Return θ, its error and degrees of freedom.

    Parameters
    ----------
    rows
        Features (n, K), or samples (n, *X) for a black box.
    weights
        Importance weights (n,), ones for plain samples.
    counts
        Bootstrap counts (R, B) of the blocks of ``units``.
    """
    value = statistic.vector(rows, weights)
    if isinstance(statistic.reduce, FunctionOfMeans):
        return _of_means(statistic.reduce, rows, weights, units, counts, value)
    counts = counts[:MOST_CALLS] if statistic.whole else counts
    replicas = np.stack([statistic.vector(rows, c[units.block] * weights) for c in counts])
    group = units.block * min(units.blocks, MOST_CALLS) // units.blocks
    without = np.stack(
        [statistic.vector(rows, weights * (group != g)) for g in range(int(group.max()) + 1)]
    )
    freedom = 1.0 / (1.0 / _freedom(without) + 1.0 / len(counts))
    return Estimate(value, _spread(replicas, units), freedom, units.count)


def halves(
    statistic: Statistic, rows: NDArray[Any], weights: Array, units: Units, rng: np.random.Generator
) -> Array:
    """Return θ(first half) − θ(second half) of a random split of the units, shape (M,)."""
    first = np.zeros(units.blocks)
    first[rng.permutation(units.blocks)[: units.blocks // 2]] = 1.0
    side = first[units.block]
    return statistic.vector(rows, weights * side) - statistic.vector(rows, weights * (1.0 - side))


def _of_means(
    reduce: FunctionOfMeans, rows: Array, weights: Array, units: Units, counts: Array, value: Array
) -> Estimate:
    columns = [weights, *(rows.T * weights)]
    sums = np.stack([np.bincount(units.block, c, minlength=units.blocks) for c in columns])
    drawn = np.einsum("rb,kb->rk", counts, sums)  # not BLAS: the same bytes for any thread count
    replicas = reduce.function(drawn[:, 1:] / drawn[:, :1])
    left = sums.sum(axis=1, keepdims=True) - sums
    without = reduce.function((left[1:] / left[:1]).T)
    freedom = 1.0 / (1.0 / _freedom(without) + 1.0 / len(counts))
    return Estimate(value, _spread(replicas, units), freedom, units.count)


def _spread(replicas: Array, units: Units) -> Array:
    """Return the standard deviation of the replicates with the B/(B−1) of a sample variance."""
    return np.asarray(
        replicas.std(axis=0, ddof=1) * np.sqrt(units.blocks / (units.blocks - 1)), dtype=np.float64
    )


def _freedom(without: Array) -> Array:
    """Return ν from leave-one-out values (B, M): at least 1, at most B−1."""
    blocks = len(without)
    psi = without - without.mean(axis=0)
    second, fourth = (psi**2).sum(axis=0), (psi**4).sum(axis=0)
    kurtosis = np.full_like(second, 3.0)
    np.divide(blocks * fourth, second**2, out=kurtosis, where=second**2 > 0)
    excess = np.maximum(kurtosis - (blocks - 3) / (blocks - 1), 1e-12)
    freedom: Array = np.clip(2 * blocks / excess, 1.0, blocks - 1.0)
    return freedom
