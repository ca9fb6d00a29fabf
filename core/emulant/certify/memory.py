r"""Whether the emulator invents, or repeats its training set.

Notation: training set t, samples x, truth y that was held out of training, all as they came;
d_x, d_y the distance to the nearest training row (Euclidean);
r the 1 % quantile of d_y.

    copier       A = P(d_x < d_y) + ½ P(=): ½ when samples lie as far from training as truth does
    near copies  share(d_x ≤ r) − share(d_y ≤ r)
    repeats      share of samples that equal another sample, minus the same share of as much truth
    near repeats the same with a neighbour within r', the 1 % quantile of truth's distances to truth

The control matters: where truth itself repeats (ordered spins, small tables) so may an emulator.
Held-out truth is refused when it overlaps the training set by more than chance. A fresh draw is in
the training set with probability 1 − N₁/t, N₁ the number of training rows that occur once (Good,
Biometrika 40, 1953).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from emulant.certify.distances import squared_distances
from emulant.certify.evidence import Evidence, Pair, unit_mean
from emulant.certify.statistic import Array, Tolerance
from emulant.errors import InputError

__all__ = [
    "Copier",
    "NearCopies",
    "NearRepeats",
    "Repeats",
    "nearest",
    "overlap",
    "refuse_overlap",
]

OVERLAP_LIMIT = 0.05
"""Share of truth found in the training set, beyond chance, above which it is not held out."""

CHUNK = 1 << 24
"""Distances held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Copier:
    """Whether samples lie closer to the training set than held-out truth does."""

    tolerance: Tolerance | None = Tolerance(0.05, by="the default: P(closer) at most 0.55")  # noqa: RUF009 (frozen)
    most: int = 2000
    name: str = "closer to training than truth"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return P(d_x < d_y); expected is one half."""
        if pair.training is None or pair.raw_y.dtype.kind not in "biuf":
            return None
        few = pair.thin(self.most, rng)
        dx, dy = nearest(few.raw_x, pair.training), nearest(few.raw_y, pair.training)
        ranks = rankdata(np.concatenate([dx, dy]))
        below = 1.0 - (ranks[: len(dx)] - rankdata(dx)) / len(dy)  # share of d_y beyond each d_x
        above = (ranks[len(dx) :] - rankdata(dy)) / len(dx)
        sides = [unit_mean(below, few.x_unit), unit_mean(above, few.y_unit)]
        area = float(below.mean())
        error = float(np.sqrt(sum(s.var(ddof=1) / len(s) for s in sides)))
        return Evidence(
            area, 0.5, area - 0.5, max(error, 0.5 / len(dx)), float(min(len(s) for s in sides) - 1),
            samples=len(dx), truth=len(dy), note=f"{len(pair.training):,} training rows",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class NearCopies:
    """Whether more samples than chance lie on top of training rows."""

    tolerance: Tolerance | None = Tolerance(0.01, by="the default: 1 % of the samples")  # noqa: RUF009 (frozen)
    most: int = 2000
    quantile: float = 0.01
    name: str = "near copies of training"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the share of samples within r of a training row; expected is that of truth."""
        if pair.training is None:
            return None
        few = pair.thin(self.most, rng)
        if few.raw_y.dtype.kind not in "biuf":  # texts have no distance: equal or not
            own, true = (np.isin(side, pair.training) for side in (few.raw_x, few.raw_y))
            return _share(own, true, few, f"{int(own.sum())} of {len(own)} equal a training row")
        dx, dy = nearest(few.raw_x, pair.training), nearest(few.raw_y, pair.training)
        radius = np.quantile(dy, self.quantile, method="inverted_cdf")
        exact = int((dx == 0).sum())
        note = f"{exact} of {len(dx)} equal a training row"
        return _share(dx <= radius, dy <= radius, few, note)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Whether samples repeat each other more often than truth repeats itself."""

    tolerance: Tolerance | None = Tolerance(0.01, by="the default: 1 % of the samples")  # noqa: RUF009 (frozen)
    most: int = 20_000
    name: str = "repeated samples"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the share of samples that occur more than once; expected is that of truth."""
        few = pair.thin(min(self.most, len(pair.x), len(pair.y)), rng)
        return _share(_repeated(few.raw_x), _repeated(few.raw_y), few, "")


@dataclass(frozen=True, slots=True)
class NearRepeats:
    """Whether samples lie closer to each other than truth does to itself."""

    tolerance: Tolerance | None = None
    most: int = 2000
    quantile: float = 0.01
    name: str = "nearly repeated samples"

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the share of samples within r' of another; expected is that of truth."""
        few = pair.thin(min(self.most, len(pair.x), len(pair.y)), rng)
        if few.raw_y.dtype.kind not in "biuf":
            return None
        dx, dy = _to_others(few.raw_x), _to_others(few.raw_y)
        radius = np.quantile(dy, self.quantile, method="inverted_cdf")
        return _share(dx <= radius, dy <= radius, few, f"within {radius:.4g}")


def nearest(rows: NDArray[Any], training: NDArray[Any]) -> Array:
    """Return the Euclidean distance of each row (n, *X) to its nearest training row, (n,).

    >>> nearest(np.array([[0.0], [2.0]]), np.array([[2.0], [5.0]]))
    array([2., 0.])
    """
    x, t = _flat(rows), _flat(training)
    centre = t.mean(axis=0)
    x, t = x - centre, t - centre
    norm = np.einsum("nk,nk->n", t, t)
    size = max(1, CHUNK // len(t))
    found = np.empty(len(x), dtype=np.int64)
    for start in range(0, len(x), size):
        part = x[start : start + size]
        found[start : start + size] = np.argmin(norm - 2 * part @ t.T, axis=1)
    # once more without the cancellation of the expanded square, so that a copy is at 0
    return np.asarray(np.sqrt(((x - t[found]).astype(np.float64) ** 2).sum(axis=1)))


def _to_others(rows: NDArray[Any]) -> Array:
    """Return the Euclidean distance of each row (n, *X) to the nearest other row, (n,)."""
    x = _flat(rows).astype(np.float64)
    square = squared_distances(x, x)
    np.fill_diagonal(square, np.inf)
    found = np.argmin(square, axis=1)
    return np.asarray(np.sqrt(((x - x[found]) ** 2).sum(axis=1)))


def overlap(truth: NDArray[Any], training: NDArray[Any]) -> tuple[float, float]:
    """Return the share of truth rows that are training rows, and the share expected by chance.

    >>> overlap(np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]]))
    (0.5, 0.0)
    """
    kind = np.result_type(truth, training)  # texts of two files differ in width
    known, times = np.unique(_keys(training.astype(kind)), return_counts=True)
    found = np.isin(_keys(truth.astype(kind)), known).mean()
    return float(found), float(1.0 - (times == 1).sum() / len(training))


def refuse_overlap(label: str, truth: NDArray[Any], training: NDArray[Any]) -> float:
    """Return the overlapping share of truth, or refuse truth that was trained on.

    Raises
    ------
    InputError
        More than 5 % of truth, and four standard errors, beyond chance is in the training set.
    """
    if truth.shape[1:] != training.shape[1:]:
        raise InputError(
            f"case {label}: training rows have shape {training.shape[1:]} each, "
            f"truth {truth.shape[1:]}"
        )
    share, chance = overlap(truth, training)
    n, t = len(truth), len(training)
    variance = share * (1 - share) / n + 2 * chance / t
    if share > chance + OVERLAP_LIMIT + 4 * variance**0.5:
        raise InputError(
            f"case {label}: {100 * share:.1f} % of truth is in the training set "
            f"({100 * chance:.1f} % by chance); give truth that was held out of training"
        )
    return share


def _flat(rows: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(rows.reshape(len(rows), -1), dtype=np.float32)


def _keys(rows: NDArray[Any]) -> NDArray[Any]:
    """Return one opaque, comparable value per row."""
    flat = np.ascontiguousarray(rows.reshape(len(rows), -1))
    if flat.dtype.kind != "U":
        flat = flat + 0  # -0.0 becomes 0.0
    return flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()


def _repeated(rows: NDArray[Any]) -> NDArray[np.bool_]:
    _, index, times = np.unique(_keys(rows), return_inverse=True, return_counts=True)
    return np.asarray(times[index] > 1)


def _share(x: NDArray[np.bool_], y: NDArray[np.bool_], pair: Pair, note: str) -> Evidence:
    """Return the evidence of two shares, with Agresti and Caffo's added counts in the error."""
    parts = [unit_mean(v.astype(np.float64), u) for v, u in ((x, pair.x_unit), (y, pair.y_unit))]
    variance = 0.0
    for share in parts:
        n, p = len(share) + 2, (share.sum() + 1) / (len(share) + 2)
        variance += max(share.var(ddof=1) / len(share), p * (1 - p) / n)
    expected = float(y.mean())
    return Evidence(
        float(x.mean()), expected, float(x.mean()) - expected, float(np.sqrt(variance)),
        float(min(len(p) for p in parts) - 1), samples=len(x), truth=len(y), note=note,
    )  # fmt: skip
