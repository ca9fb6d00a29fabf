"""Boosted trees as plain arrays: read from scikit-learn once, kept and evaluated without it.

A forest of T trees holds N nodes in five arrays. A row x walks from the root r_t: at node k left
where x[feature_k] <= threshold_k, else right; a leaf leads to itself. The forest says

    f(x) = base + sum_t value[leaf_t(x)].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest", "joined"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CHUNK = 1 << 21
"""Nodes that are looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees, one after the other; children are counted from the first node of the forest."""

    base: float
    roots: Index
    feature: Index
    threshold: Array
    left: Index
    right: Index
    value: Array
    missing_left: NDArray[np.bool_]
    """Where a row goes whose feature is NaN."""
    depth: int

    def __call__(self, x: Array) -> Array:
        """Return f (n,) of rows (n, F); NaN is allowed where the trees learned from it."""
        out = np.empty(len(x))
        size = max(1, CHUNK // max(1, len(self.roots)))
        for start in range(0, len(x), size):
            out[start : start + size] = self._chunk(x[start : start + size])
        return out

    def _chunk(self, x: Array) -> Array:
        rows = np.arange(len(x))[:, None]
        node = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        for _ in range(self.depth):
            seen = x[rows, self.feature[node]]
            goes_left = (seen <= self.threshold[node]) | (np.isnan(seen) & self.missing_left[node])
            node = np.where(goes_left, self.left[node], self.right[node])
        total: Array = self.base + self.value[node].sum(1)
        return total


def joined(forests: Sequence[Forest]) -> Forest:
    """Return the mean of ``forests`` as one forest."""
    count = len(forests)
    starts = np.cumsum([0, *(len(f.feature) for f in forests[:-1])])
    return Forest(
        float(np.mean([f.base for f in forests])),
        np.concatenate([f.roots + s for f, s in zip(forests, starts, strict=True)]),
        np.concatenate([f.feature for f in forests]),
        np.concatenate([f.threshold for f in forests]),
        np.concatenate([f.left + s for f, s in zip(forests, starts, strict=True)]),
        np.concatenate([f.right + s for f, s in zip(forests, starts, strict=True)]),
        np.concatenate([f.value for f in forests]) / count,
        np.concatenate([f.missing_left for f in forests]),
        max(f.depth for f in forests),
    )
