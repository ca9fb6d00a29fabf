r"""Standard errors of functions of means, by leaving out one block of the series at a time.

.. math::
    \theta = f(\bar x), \qquad \theta_{(b)} = f(\bar x \text{ without block } b), \qquad
    \mathrm{error}^2 = \frac{B-1}{B} \sum_{b=1}^{B} (\theta_{(b)} - \bar\theta_{(\cdot)})^2

x̄ are weighted means of K columns, Σ_i w_i x_i / Σ_i w_i. Blocks are at least 20 (2τ - 1) steps
long, τ the integrated autocorrelation time in steps, so that the correlation left between
blocks changes the error by less than about 3 %; independent samples (τ = 1/2) need no length.

References
----------
M. Quenouille, "Notes on Bias in Estimation", Biometrika 43, 353 (1956). H. Künsch, "The
jackknife and the bootstrap for general stationary observations", Ann. Statist. 17, 1217 (1989).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.hamiltonian import Floats

__all__ = ["Estimates", "checked_weights", "jackknife"]

_MOST, _LEAST = 200, 4


@dataclass(frozen=True, eq=False)
class Estimates:
    """``values`` (M,) and their standard ``errors`` (M,), in the same units."""

    values: Floats
    errors: Floats


def jackknife(
    function: Callable[[Floats], Floats],
    columns: Floats,
    weights: Floats | None = None,
    tau: float | None = None,
) -> Estimates:
    """Return f(means of ``columns``) with standard errors.

    Parameters
    ----------
    function
        Maps means (B, K) to values (B, M), each row by itself.
    columns
        (N, K), one row a sample, in the order of the chain.
    weights
        Importance weights (N,), not negative, of any scale; default: equal.
    tau
        Integrated autocorrelation time in rows, 1/2 for independent rows; default: the
        longest measured among the columns.

    Raises
    ------
    ValueError
        If the series is too short for four blocks: its error is unknown.

    >>> x = np.random.default_rng(0).normal(size=(10000, 1))
    >>> bool(abs(jackknife(lambda mean: mean, x).errors[0] - 0.01) < 0.002)
    True
    """
    n = len(columns)
    w = checked_weights(weights, n)
    weighted = columns * w[:, None]
    if tau is None:
        tau = max(integrated_autocorrelation_time(column).tau for column in weighted.T)
    length = max(1, math.ceil(20 * (2 * tau - 1) - 1e-9))
    blocks = min(_MOST, n // length)
    if blocks < _LEAST:
        raise ValueError(
            f"'columns' has {n} rows, too few for an error: "
            f"at least {_LEAST * length} are needed at an autocorrelation time of {tau:.3g} rows"
        )
    edges = np.linspace(0, n, blocks + 1).astype(np.int64)[:-1]
    sums = np.add.reduceat(weighted, edges, axis=0)
    scale = np.add.reduceat(w, edges)[:, None]
    without = (sums.sum(axis=0) - sums) / (scale.sum() - scale)
    value = function(sums.sum(axis=0, keepdims=True) / scale.sum())[0]
    left = function(without)
    spread = np.square(left - left.mean(axis=0)).sum(axis=0)
    return Estimates(value, np.sqrt((blocks - 1) / blocks * spread))


def checked_weights(weights: Floats | None, count: int) -> Floats:
    """Return ``weights`` (N,) with mean one, or ones for None; ValueError if they cannot be."""
    if weights is None:
        return np.ones(count)
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (count,):
        raise ValueError(f"'weights' must have shape ({count},), got {w.shape}")
    if not (np.isfinite(w).all() and (w >= 0).all() and w.sum() > 0):
        raise ValueError("'weights' must be finite, not negative and not all zero")
    return np.asarray(w / w.mean())
