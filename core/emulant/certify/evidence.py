r"""What a two-sample comparison looks at, and what it answers.

Notation: samples x (n, K) and truth y (m, K) in a common space of K features, centred and scaled by
truth; units g of samples that belong together.

A comparison answers with a *value*, what truth against truth would *expect*, and the *excess* by
which samples are worse (signed so that larger is worse) with its standard error. Where a comparison
has a tolerance τ on the excess ε, the verdict is one-sided, as in :mod:`emulant.certify.judge`:

    fail         Holm-adjusted P(t_ν ≥ (ε̂ − τ)/s) ≤ α
    pass         ε̂ + t_{(1+level)/2} s ≤ τ
    underpowered otherwise

The permutation p-value tests equality, which every emulator fails once n is large; it is reported
and is no verdict. Permutations exchange whole units between the sides, so that

    p = (1 + #{permuted value ≥ value}) / (1 + R)

is valid for correlated samples too (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Array, Tolerance

__all__ = ["Evidence", "Pair", "TwoSample", "from_null", "permuted_sides", "unit_mean"]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Samples and truth in a common feature space, and as they came."""

    x: Array
    """Samples' features (n, K), in units of truth's standard deviation."""
    y: Array
    """Truth's features (m, K)."""
    x_unit: NDArray[np.int64]
    y_unit: NDArray[np.int64]
    """Independent unit of each row, (n,) and (m,)."""
    raw_x: NDArray[Any]
    raw_y: NDArray[Any]
    """The samples and truth themselves, (n, *X) and (m, *X)."""
    training: NDArray[Any] | None = None
    """The training set, where it was given, (t, *X)."""

    @classmethod
    def of(
        cls,
        features: tuple[Array, Array],
        units: tuple[NDArray[np.int64], NDArray[np.int64]],
        raw: tuple[NDArray[Any], NDArray[Any]],
        training: NDArray[Any] | None = None,
    ) -> Pair:
        """Return the pair with features centred and scaled by truth."""
        x, y = features
        scale = y.std(axis=0)
        scale = np.where(scale > 0, scale, np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0))
        centre = y.mean(axis=0)
        return cls((x - centre) / scale, (y - centre) / scale, *units, *raw, training)

    def thin(self, most: int, rng: np.random.Generator) -> Pair:
        """Return at most ``most`` random rows of each side."""
        i = np.sort(rng.permutation(len(self.x))[:most])
        j = np.sort(rng.permutation(len(self.y))[:most])
        return Pair(
            self.x[i], self.y[j], self.x_unit[i], self.y_unit[j], self.raw_x[i], self.raw_y[j],
            self.training,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answer of one comparison."""

    value: float
    expected: float
    """The same for truth against truth."""
    excess: float
    """How much worse than expected; larger is worse."""
    error: float
    """Standard error of the excess."""
    dof: float
    p_equal: float | None = None
    """Permutation p-value of equality."""
    null_low: float | None = None
    null_high: float | None = None
    """Central 95 % of the value when samples and truth are exchanged at random."""
    samples: int = 0
    truth: int = 0
    """Rows used."""
    note: str = ""


class TwoSample(Protocol):
    """A named comparison of samples with truth."""

    @property
    def name(self) -> str:
        """What a reader sees."""
        ...

    @property
    def tolerance(self) -> Tolerance | None:
        """Of the excess, absolute; None: reported and not judged."""
        ...

    def __call__(self, pair: Pair, rng: np.random.Generator) -> Evidence | None:
        """Return the evidence, or None where the pair lacks what this needs."""
        ...


def permuted_sides(
    x_unit: NDArray[np.int64], y_unit: NDArray[np.int64], replicates: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return which pooled rows fall on the first side, (1 + R, n + m); row 0 is as observed."""
    _, x_index = np.unique(x_unit, return_inverse=True)
    _, y_index = np.unique(y_unit, return_inverse=True)
    first, second = int(x_index.max()) + 1, int(y_index.max()) + 1
    pooled = np.concatenate([x_index, first + y_index])
    sides = np.zeros((1 + replicates, first + second), dtype=np.bool_)
    sides[:, :first] = True
    sides[1:] = rng.permuted(sides[1:], axis=1)
    return sides[:, pooled]


def from_null(values: Array, samples: int, truth: int, note: str = "") -> Evidence:
    """Return the evidence of a distance from its values (1 + R,), the first as observed."""
    null = values[1:]
    low, high = np.quantile(null, [0.025, 0.975])
    p = (1 + int((null >= values[0] - 1e-12 * abs(values[0])).sum())) / len(values)
    return Evidence(
        float(values[0]), float(null.mean()), float(values[0] - null.mean()),
        float(null.std(ddof=1)), len(null) - 1.0, p, float(low), float(high), samples, truth, note,
    )  # fmt: skip


def unit_mean(values: Array, unit: NDArray[np.int64]) -> Array:
    """Return the mean of the values (n,) of each unit, (G,)."""
    _, index = np.unique(unit, return_inverse=True)
    return np.bincount(index, values) / np.bincount(index)
