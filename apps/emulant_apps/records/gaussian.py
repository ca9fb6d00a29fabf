r"""A Gaussian fitted to a table with holes, and what it says of every cell without that cell.

Notation: rows x_i of D numbers, O_i the observed ones, M_i the others; N(mu, S); n rows.
P_i is inv(S_OO) on O_i, zero elsewhere, and w_i = P_i (x_i - mu), so that E[x_M | x_O] = mu_M +
(S w_i)_M and Cov[x_M | x_O] = (S - S P_i S)_MM.

EM (Dempster, Laird and Rubin 1977, section 4.1.3) with nu pseudo-rows that have no correlation:

    S <- (sum_i (x^_i - mu)(x^_i - mu)' + sum_i C_i + nu diag S) / (n + nu)

The law of an observed cell, or block b of cells, given the others that are observed in its row,
needs no second fit:

    E[x_b | x_(O \ b)] = x_b - inv(P_bb) w_b,      Cov = inv(P_bb).

- Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977
- Dubrule, Cross Validation of Kriging in a Unique Neighborhood (the last formula), 1983,
  https://doi.org/10.1007/BF01033232
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Conditional", "Gaussian", "conditional", "fit_gaussian"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

RIDGE = 1e-7
CHUNK_BYTES = 1 << 26
"""Memory that the inverses of one chunk of patterns may take."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaussian:
    """N(mu, S) over D numbers."""

    mean: Array
    """(D,)"""
    covariance: Array
    """(D, D)"""


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """What a Gaussian says of each cell, given the other observed cells of its row."""

    mean: Array
    """(n, D): leave-one-out means where observed, conditional means elsewhere."""
    variance: Array
    """(n, D), of the same laws."""
    filled: Array
    """(n, D): the rows with their holes filled by conditional means."""
    gain: Array | None = None
    """(n, D, D): the change of column mean k per unit of w_j, where asked for."""
    step: Array | None = None
    """(n, D): w_j / P_jj, what a row's w_j loses when cell j is left out."""

    def without(self, j: int, observed: Mask) -> Array:
        """Return the filled rows (n, D) as they would be without cell ``j``, zero at j."""
        assert self.gain is not None
        assert self.step is not None
        step = np.where(observed[:, j], self.step[:, j], 0.0)[:, None]
        filled: Array = self.filled - step * self.gain[:, :, j] * ~observed
        filled[:, j] = 0.0
        return filled


def patterns_of(
    observed: Mask, size: int
) -> Iterator[tuple[Mask, NDArray[np.intp], NDArray[np.intp]]]:
    """Yield chunks: distinct patterns (u, D), rows of each chunk, and each row's pattern."""
    packed = np.packbits(observed, axis=1)
    _, first, inverse, _ = np.unique(
        packed, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(-1)
    order = np.argsort(inverse, kind="stable")
    sorted_inverse = inverse[order]
    for start in range(0, len(first), size):
        stop = min(start + size, len(first))
        low, high = np.searchsorted(sorted_inverse, [start, stop])
        yield observed[first[start:stop]], order[low:high], sorted_inverse[low:high] - start


def precisions_of(covariance: Array, patterns: Mask) -> Array:
    """Return P (u, D, D): inverses of the observed blocks, zero elsewhere."""
    both = patterns[:, :, None] & patterns[:, None, :]
    blocks = np.where(both, covariance, 0.0)
    width = covariance.shape[0]
    blocks[:, np.arange(width), np.arange(width)] += ~patterns
    inverse: Array = np.linalg.inv(blocks)
    inverse *= both
    return inverse


def chunk_of(width: int) -> int:
    return max(1, CHUNK_BYTES // (8 * width * width))


def fit_gaussian(
    x: Array,
    start: Gaussian | None = None,
    iterations: int = 25,
    shrinkage: float = 2.0,
    tolerance: float = 2e-3,
    weight: Array | None = None,
) -> Gaussian:
    """Return the Gaussian of rows ``x`` (n, D) with NaN for holes.

    Arguments
    ---------
    start : where EM starts; by default the columns' own means and variances.
    iterations, tolerance : EM ends when no entry of S moves by more than ``tolerance`` of the
        largest variance, or after so many iterations.
    shrinkage : nu, the number of pseudo-rows without correlation.
    weight : how often each row counts (n,), for the bootstrap.
    """
    observed = ~np.isnan(x)
    known = np.where(observed, x, 0.0)
    width = x.shape[1]
    each = np.ones(len(x)) if weight is None else weight
    n = float(each.sum())
    if start is None:
        counts = np.maximum((each[:, None] * observed).sum(0), 1.0)
        mean = (each[:, None] * known).sum(0) / counts
        spread = (each[:, None] * np.where(observed, (known - mean) ** 2, 0.0)).sum(0) / counts
        covariance = np.diag(spread + 1e-6)
    else:
        mean, covariance = start.mean.copy(), start.covariance.copy()
    for _ in range(iterations):
        filled, total = np.empty_like(known), np.zeros((width, width))
        for patterns, rows, which in patterns_of(observed, chunk_of(width)):
            precision = precisions_of(covariance, patterns)
            delta = np.where(observed[rows], known[rows] - mean, 0.0)
            w = _apply(precision, which, delta)
            filled[rows] = np.where(observed[rows], known[rows], mean + w @ covariance)
            counts = np.bincount(which, each[rows], minlength=len(patterns))
            total += np.tensordot(counts, precision, 1)
        new_mean = each @ filled / n
        centred = filled - new_mean
        moment = (centred * each[:, None]).T @ centred
        moment += n * covariance - covariance @ total @ covariance
        diagonal = np.diag(np.diag(moment) / n)
        new = (moment + shrinkage * diagonal) / (n + shrinkage) + RIDGE * np.eye(width)
        new = 0.5 * (new + new.T)
        moved = np.abs(new - covariance).max() / np.abs(np.diag(covariance)).max()
        mean, covariance = new_mean, new
        if moved < tolerance:
            break
    return Gaussian(mean, covariance)


def _apply(precision: Array, which: NDArray[np.intp], delta: Array) -> Array:
    """Return P_(which i) delta_i for each row, without copying P where patterns are shared."""
    if len(precision) == len(delta):
        product: Array = np.matmul(precision[which], delta[:, :, None])[:, :, 0]
        return product
    out = np.empty_like(delta)
    edges = np.searchsorted(which, np.arange(len(precision) + 1))
    for k, matrix in enumerate(precision):
        rows = slice(edges[k], edges[k + 1])
        out[rows] = delta[rows] @ matrix
    return out


def conditional(
    law: Gaussian, x: Array, blocks: Sequence[NDArray[np.intp]] = (), gain: bool = False
) -> Conditional:
    """Return the leave-one-out and conditional laws of every cell of ``x`` (n, D).

    Arguments
    ---------
    blocks : columns that are observed, and left out, together (the levels of a category).
    gain : whether to keep what :meth:`Conditional.without` needs, 8 n D^2 bytes.
    """
    observed = ~np.isnan(x)
    known = np.where(observed, x, 0.0)
    n, width = x.shape
    mean, variance, filled = (np.empty((n, width)) for _ in range(3))
    gains = np.empty((n, width, width)) if gain else None
    steps = np.zeros((n, width)) if gain else None
    for patterns, rows, which in patterns_of(observed, chunk_of(width)):
        precision = precisions_of(law.covariance, patterns)
        seen = observed[rows]
        delta = np.where(seen, known[rows] - law.mean, 0.0)
        w = _apply(precision, which, delta)
        guess = law.mean + w @ law.covariance
        product = np.matmul(law.covariance, precision)
        rest = np.diag(law.covariance) - np.einsum("uij,ji->ui", product, law.covariance)
        diagonal = np.einsum("ujj->uj", precision)
        own = np.where(patterns, diagonal, 1.0)[which]
        mean[rows] = np.where(seen, known[rows] - w / own, guess)
        variance[rows] = np.where(seen, 1.0 / own, np.maximum(rest, 1e-9)[which])
        for block in blocks:
            _block(mean, variance, rows, which, precision, seen, w, known, block)
        filled[rows] = np.where(seen, known[rows], guess)
        if gains is not None and steps is not None:
            gains[rows] = product[which]
            steps[rows] = np.where(seen, w / own, 0.0)
    return Conditional(mean, variance, filled, gains, steps)


def _block(
    mean: Array,
    variance: Array,
    rows: NDArray[np.intp],
    which: NDArray[np.intp],
    precision: Array,
    seen: Mask,
    w: Array,
    known: Array,
    block: NDArray[np.intp],
) -> None:
    """Leave the columns of ``block`` out together, where they are observed."""
    here = seen[:, block[0]]
    if not here.any():
        return
    inner = precision[:, block[:, None], block]
    dark = ~np.einsum("ujj->uj", inner).any(1)
    inner[dark] = np.eye(len(block))
    inverse = np.linalg.inv(inner)[which[here]]
    moved = np.einsum("nij,nj->ni", inverse, w[here][:, block])
    at = np.ix_(rows[here], block)
    mean[at] = known[at] - moved
    variance[at] = np.einsum("njj->nj", inverse)


def draw_missing(law: Gaussian, x: Array, rng: np.random.Generator) -> Array:
    """Return standard residuals (n, D) of the holes of ``x``, correlated as ``law`` has them.

    A draw of the row is ``E[x_M | x_O] + sd z`` with z these residuals: each has variance one,
    and within a row they have the correlation of Cov[x_M | x_O]. Zero where observed.
    """
    observed = ~np.isnan(x)
    width = x.shape[1]
    noise = rng.standard_normal(x.shape)
    out = np.zeros(x.shape)
    for patterns, rows, which in patterns_of(observed, chunk_of(width)):
        edges = np.searchsorted(which, np.arange(len(patterns) + 1))
        precision = precisions_of(law.covariance, patterns)
        for k, pattern in enumerate(patterns):
            hidden = np.flatnonzero(~pattern)
            if not len(hidden):
                continue
            s = law.covariance
            c = s[np.ix_(hidden, hidden)] - s[hidden] @ precision[k] @ s[:, hidden]
            c[np.arange(len(hidden)), np.arange(len(hidden))] += 1e-9
            sd = np.sqrt(np.diag(c))
            root = np.linalg.cholesky(c / np.outer(sd, sd) + 1e-9 * np.eye(len(hidden)))
            chosen = rows[edges[k] : edges[k + 1]]
            out[np.ix_(chosen, hidden)] = noise[np.ix_(chosen, hidden)] @ root.T
    return out
