r"""Whether all kinds of truth are there, and nothing else.

Notation: half A of truth, with balls B_i around y_i ∈ A reaching to its k-th neighbour in A; the
other half B of truth, and as many samples S.

    coverage   share of balls that hold at least one row          (loses when modes are missing)
    density    mean number of balls that hold a row, over k       (loses when rows are outliers)
    precision  share of rows that lie in any ball                 (loses when rows are outliers)
    recall     share of A in the k-th-neighbour balls of the rows (loses when modes are missing)

(Naeem et al., Reliable fidelity and diversity metrics, ICML 2020; Kynkäänniemi et al., Improved
precision and recall metric, NeurIPS 2019.) Each is computed of S and of B, both against A; the
excess is value(B) − value(S), and its null exchanges units between S and B.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulant.certify.distances import squared_distances
from emulant.certify.evidence import Evidence, Pair, permuted_sides
from emulant.certify.statistic import Array, Tolerance

__all__ = ["Coverage"]

Kind = Literal["coverage", "density", "precision", "recall"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage, density, precision or recall of samples against half of truth."""

    kind: Kind = "coverage"
    tolerance: Tolerance | None = None
    most: int = 2000
    """Rows of each of A, B and S at most."""
    neighbours: int = 5
    replicates: int = 200

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the value of the samples; expected is that of the other half of truth."""
        parts = _three(pair, self.most, rng)
        if parts is None or min(len(rows) for rows, _ in parts) <= self.neighbours:
            return None
        (a, _), (b, b_unit), (s, s_unit) = parts
        pooled = np.concatenate([s, b])
        distance = np.sqrt(squared_distances(a, pooled))
        sides = permuted_sides(s_unit, b_unit, self.replicates, rng)
        value = (
            self._recall(pooled, distance) if self.kind == "recall" else self._balls(a, distance)
        )
        first = np.array([value(side) for side in sides])
        second = np.array([value(~side) for side in sides])
        excess = second - first
        p = (1 + int((excess[1:] >= excess[0] - 1e-12).sum())) / len(excess)
        low, high = np.quantile(first[1:], [0.025, 0.975])
        return Evidence(
            float(first[0]), float(second[0]), float(excess[0]),
            float(max(excess[1:].std(ddof=1), 1.0 / len(a))), self.replicates - 1.0,
            p, float(low), float(high), len(s), len(a) + len(b), f"k = {self.neighbours}",
        )  # fmt: skip

    def _balls(self, a: Array, distance: Array) -> Callable[[NDArray[np.bool_]], float]:
        """Return the measure of a set of rows against the balls of A."""
        radius = np.partition(np.sqrt(squared_distances(a, a)), self.neighbours, axis=1)[
            :, self.neighbours
        ]
        inside = distance <= radius[:, None]
        counts = np.asarray(inside.sum(axis=0))

        def value(side: NDArray[np.bool_]) -> float:
            if self.kind == "coverage":
                return float(inside[:, side].any(axis=1).mean())
            if self.kind == "density":
                return float(counts[side].mean() / self.neighbours)
            return float((counts[side] > 0).mean())

        return value

    def _recall(self, pooled: Array, distance: Array) -> Callable[[NDArray[np.bool_]], float]:
        """Return the share of A inside the balls of a set of rows."""
        between = np.sqrt(squared_distances(pooled, pooled))

        def value(side: NDArray[np.bool_]) -> float:
            own = np.partition(between[np.ix_(side, side)], self.neighbours, axis=1)
            return float((distance[:, side] <= own[:, self.neighbours]).any(axis=1).mean())

        return value


def _three(
    pair: Pair, most: int, rng: np.random.Generator
) -> list[tuple[Array, NDArray[np.int64]]] | None:
    """Return rows and units of A, B and S; A and B share no unit, B and S are equally many."""
    names, index = np.unique(pair.y_unit, return_inverse=True)
    if len(names) < 4:
        return None
    first = (rng.permutation(len(names)) < len(names) // 2)[index]
    size = min(most, int((~first).sum()), len(pair.x))
    chosen = [
        rng.permutation(np.flatnonzero(first))[: min(most, int(first.sum()))],
        rng.permutation(np.flatnonzero(~first))[:size],
    ]
    i = rng.permutation(len(pair.x))[:size]
    truth = [(pair.y[j], pair.y_unit[j]) for j in chosen]
    return [*truth, (pair.x[i], pair.x_unit[i])]
