"""Tables of mixed types as standardised numbers, and back.

A numeric column becomes (x - mean) / sd, within ±8; a nominal one with K levels becomes K - 1
standardised indicators (level 0 has none), which are missing together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Encoding", "fit_encoding"]

Array = NDArray[np.float64]

REACH = 8.0
"""Standard deviations beyond which a number is drawn in."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """d columns as D numbers."""

    mean: Array
    """(D,)"""
    scale: Array
    """(D,), positive"""
    owner: NDArray[np.int64]
    """(D,): the column that each number comes from."""
    levels: NDArray[np.int64]
    """(d,): the number of levels of a nominal column, 0 for a number."""

    @property
    def blocks(self) -> list[NDArray[np.intp]]:
        """The places of each nominal column."""
        return [np.flatnonzero(self.owner == j) for j in np.flatnonzero(self.levels)]

    @property
    def numbers(self) -> NDArray[np.bool_]:
        """Which of the D numbers are columns of their own."""
        own: NDArray[np.bool_] = self.levels[self.owner] == 0
        return own

    def forth(self, x: Array) -> Array:
        """Return (n, D) of columns (n, d); NaN stays."""
        out = _spread(x, self.owner, self.levels)
        return np.clip((out - self.mean) / self.scale, -REACH, REACH)

    def back(self, z: Array) -> Array:
        """Return numbers, and the likeliest level of each nominal column, (n, d)."""
        out = np.empty((len(z), len(self.levels)))
        numbers = self.numbers
        out[:, self.owner[numbers]] = z[:, numbers] * self.scale[numbers] + self.mean[numbers]
        for block in self.blocks:
            out[:, self.owner[block[0]]] = self.shares(z, block).argmax(1)
        return out

    def shares(self, z: Array, block: NDArray[np.intp]) -> Array:
        """Return the probabilities (n, K) of the levels of the column at ``block``."""
        rest = np.clip(z[:, block] * self.scale[block] + self.mean[block], 1e-4, 1.0)
        first = np.clip(1.0 - rest.sum(1, keepdims=True), 1e-4, 1.0)
        share = np.concatenate([first, rest], 1)
        shares: Array = share / share.sum(1, keepdims=True)
        return shares


def fit_encoding(x: Array, levels: Sequence[int]) -> Encoding:
    """Return the encoding of columns (n, d), each with at least one observed cell.

    Arguments
    ---------
    levels : for each column the number of its levels 0, 1, ..., or 0 where it holds numbers.
    """
    counts = np.asarray(levels, dtype=np.int64)
    owner = np.repeat(np.arange(len(counts)), np.maximum(counts - 1, 1))
    spread = _spread(x, owner, counts)
    mean, scale = np.nanmean(spread, 0), np.nanstd(spread, 0)
    return Encoding(mean, np.where(scale > 1e-12 * (1 + np.abs(mean)), scale, 1.0), owner, counts)


def _spread(x: Array, owner: NDArray[np.int64], levels: NDArray[np.int64]) -> Array:
    out = x[:, owner].astype(np.float64)
    for j in np.flatnonzero(levels):
        block = np.flatnonzero(owner == j)
        gone = np.isnan(x[:, j])
        out[:, block] = x[:, j : j + 1] == np.arange(1, len(block) + 1)
        out[gone[:, None] & np.isin(np.arange(len(owner)), block)] = np.nan
    return out
