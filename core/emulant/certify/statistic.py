r"""What is measured on samples, and how much error its owner allows.

Notation: N samples x_i of shape X, K features f_i = f(x_i), weights w_i ≥ 0, M bins.

A statistic is a vector θ = r(f_1..N, w_1..N) in two stages. *Features* look at one sample at a
time and are computed once; *reduce* turns weighted rows of features into the statistic and is
all that a bootstrap, a jackknife or an importance weight has to repeat:

    mean               r(f, w) = m,       m = Σ_i w_i f_i / Σ_i w_i
    function of means  r(f, w) = g(m)     (susceptibility, Binder cumulant, correlation)
    anything           r(f, w)            (a weighted quantile)
    whole              r = F(x_1..N)      (a user's black box)

Functions of means are resampled as one matrix product; prefer them. A black box sees a sample c_i
times: c_i = w_i where these are whole, else c_i the number of k + ½, k = 0..N−1, in the i-th step
of N Σ_{j≤i} w_j / Σ w (systematic resampling, without chance), so that |c_i − N w_i/Σw| < 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError

__all__ = [
    "Array",
    "FunctionOfMeans",
    "Samples",
    "Statistic",
    "Tolerance",
    "Whole",
    "weighted_mean",
]

Array: TypeAlias = NDArray[np.float64]
Samples: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["absolute", "relative", "scatter"]

BATCH_BYTES = 1 << 25
"""Features are computed on batches of at most this many bytes of samples."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest bias that is still acceptable, τ per bin, and who says so.

    absolute: τ = value;  relative: τ = value · |truth|;  scatter: τ = value · σ, the scatter of
    one independent true unit.

    Example
    -------
    >>> Tolerance(0.05, "relative", by="survey requirement").width(np.array([2.0]), np.ones(1))
    array([0.1])
    """

    value: float | tuple[float, ...]
    """One number for all bins, or one per bin; positive."""
    kind: Kind = "absolute"
    by: str = "the author of the statistic"
    """Who set it: a paper, a survey, a user."""

    def __post_init__(self) -> None:
        if self.kind not in ("absolute", "relative", "scatter"):
            msg = f"'kind' must be 'absolute', 'relative' or 'scatter', got {self.kind!r}"
            raise ValueError(msg)
        if not np.all(np.asarray(self.value) > 0) or not np.all(np.isfinite(self.value)):
            raise ValueError(f"'value' of a tolerance must be positive, got {self.value}")

    def width(self, truth: Array, scatter: Array) -> Array:
        """Return τ (M,) for the true value and per-unit scatter, both (M,)."""
        scale = {"absolute": np.ones_like(truth), "relative": np.abs(truth), "scatter": scatter}
        width: Array = np.asarray(self.value, dtype=np.float64) * scale[self.kind]
        return width


@dataclass(frozen=True, slots=True)
class FunctionOfMeans:
    """Reduce rows to g(m), m the weighted mean; g maps (..., K) to (..., M).

    Example
    -------
    >>> variance = FunctionOfMeans(lambda m: m[..., 1:] - m[..., :1] ** 2)
    >>> variance(np.array([[1.0, 1.0], [3.0, 9.0]]), np.ones(2))
    array([1.])
    """

    function: Callable[[Array], Array]

    def __call__(self, rows: Array, weights: Array) -> Array:
        """Return g of the weighted mean of ``rows`` (n, K) under ``weights`` (n,)."""
        means: Array = np.einsum("n,nk->k", weights, rows) / weights.sum()
        return self.function(means)


@dataclass(frozen=True, slots=True)
class Whole:
    """Reduce all samples at once with a user's function; a weight repeats or drops a sample.

    Example
    -------
    >>> Whole(lambda x: x)(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 1.0]))
    array([2., 2., 3.])
    """

    function: Callable[[Samples], Array]

    def __call__(self, rows: Samples, weights: Array) -> Array:
        """Return F of the samples, each repeated in proportion to its weight (n,)."""
        return self.function(np.repeat(rows, _times(weights), axis=0))


def _times(weights: Array) -> NDArray[np.int64]:
    """Return how often a black box sees each sample: its weight, or N of them in proportion."""
    whole = weights.astype(np.int64)
    if np.array_equal(whole, weights):
        return whole
    steps = np.cumsum(weights) * (len(weights) / weights.sum())
    times: NDArray[np.int64] = np.diff(np.floor(steps + 0.5).astype(np.int64), prepend=0)
    return times


def _same(means: Array) -> Array:
    return means


weighted_mean = FunctionOfMeans(_same)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A named vector of numbers measured on samples, with its bins, unit and tolerance.

    Example
    -------
    >>> energy = Statistic("u", lambda s: s.reshape(len(s), -1).mean(1, keepdims=True),
    ...                    tolerance=Tolerance(0.01, by="a referee"))
    >>> energy(np.ones((4, 2, 2)))
    array([1.])
    """

    name: str
    features: Callable[[Samples], NDArray[Any]]
    """Maps samples (n, *X) to features (n, K), one row per sample."""
    reduce: Callable[[Any, Array], Array] = weighted_mean
    """Maps features (n, K) and weights (n,) to the statistic (M,)."""
    labels: tuple[str, ...] = ()
    """One label per bin; empty for a single number."""
    unit: str = ""
    tolerance: Tolerance | None = None
    """Without one the statistic is reported and not judged."""
    description: str = ""
    scale: Callable[[Mapping[str, Any]], float | Array] | None = None
    """Maps a case's context to the factor on θ, such as N/T² of a specific heat."""

    @classmethod
    def from_function(
        cls,
        name: str,
        function: Callable[[Samples], Array],
        *,
        labels: tuple[str, ...] = (),
        unit: str = "",
        tolerance: Tolerance | None = None,
        description: str = "",
    ) -> Statistic:
        """Return a statistic from a black box ``samples -> (M,)``.

        Its error is a bootstrap of 200 calls on resampled samples, and its degrees of freedom
        come from as many calls without a part of them. Under importance weights it sees each
        sample as often as its weight says; what counts repeats or looks at extremes is then
        misled.

        Example
        -------
        >>> Statistic.from_function("median", lambda x: np.atleast_1d(np.median(x)))(np.arange(5))
        array([2.])
        """
        return cls(
            name, np.asarray, Whole(function), labels, unit, tolerance, description=description
        )

    def __call__(self, samples: Samples, context: Mapping[str, Any] | None = None) -> Array:
        """Return θ (M,) of ``samples`` (n, *X), every sample of weight one."""
        rows = self.rows(samples)
        return self.vector(rows, np.ones(len(rows))) * self.factor(context or {})

    @property
    def whole(self) -> bool:
        """Whether this is a black box on all samples at once."""
        return isinstance(self.reduce, Whole)

    def factor(self, context: Mapping[str, Any]) -> Array:
        """Return the factor on θ for a case's context, shape () or (M,)."""
        return np.asarray(1.0 if self.scale is None else self.scale(context), dtype=np.float64)

    def rows(self, samples: Samples) -> NDArray[Any]:
        """Return the features (n, K) as float64, computed in batches; samples for a black box."""
        if self.whole:
            return samples
        size = max(1, BATCH_BYTES // max(1, samples[:1].nbytes))
        parts = [
            np.asarray(self.features(samples[start : start + size]), dtype=np.float64)
            for start in range(0, len(samples), size)
        ]
        for start, part in zip(range(0, len(samples), size), parts, strict=True):
            expected = min(size, len(samples) - start)
            if part.ndim != 2 or len(part) != expected:
                msg = f"features must have shape ({expected}, K), got {part.shape}"
                raise InputError(msg)
        if len({part.shape[1] for part in parts}) > 1:
            raise InputError("the number of features K changes from one batch to the next")
        return np.concatenate(parts)

    def vector(self, rows: NDArray[Any], weights: Array) -> Array:
        """Return the reduced statistic (M,) without its factor, checked against the labels."""
        theta = np.asarray(self.reduce(rows, weights), dtype=np.float64)
        bins = len(self.labels) or 1
        if theta.shape != (bins,):
            raise InputError(
                f"gives a vector of shape {theta.shape} for {bins} label(s); "
                "every evaluation must return one number per label"
            )
        return theta
