r"""Statistics for samples of which nothing is known but their shape.

Notation: truth's thresholds q_1..q_9 are the tenths of its values; a grid is an array of one to
three axes, P(k) its isotropic power, the mean of |FFT|²/cells over shells of wave number.

    tables (n, K)           means, variances, shares below q_1..q_9 of each column, correlations
    grids (n, C?, L, ..)    mean and variance of a sample's values, shares below q_1..q_9, P(k)

Tolerances are multiples of one number t: means within t scatters of one true sample, variances and
powers within the fraction t, shares within t/4, correlations within t/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.covariance import correlations, variances
from emulant.certify.statistic import Array, Samples, Statistic, Tolerance

__all__ = ["TABLE_WIDTH", "grid_axes", "grid_statistics", "statistics_of", "table_statistics"]

TABLE_WIDTH = 64
"""Samples of one axis and at most so many numbers are rows of a table."""

CORRELATED_COLUMNS = 12
"""Correlations are taken among this many columns at most, the first."""

SHELLS = 12

ROUNDING = 1e-6
"""Means of grids that scatter less, in units of the values' own scatter, are constant but for
rounding and are not measured: fields from which the mean was taken off."""


def statistics_of(
    truth: Samples, tolerance: float, by: str, names: Sequence[str] = ()
) -> tuple[Statistic, ...]:
    """Return the statistics that suit samples like ``truth`` (n, *X)."""
    if truth.ndim == 1 or (truth.ndim == 2 and truth.shape[1] <= TABLE_WIDTH):
        return table_statistics(truth, tolerance, by, names)
    return grid_statistics(truth, tolerance, by)


def table_statistics(
    truth: Samples, tolerance: float, by: str, names: Sequence[str] = ()
) -> tuple[Statistic, ...]:
    """Return means, variances, shares below truth's tenths, and correlations of columns."""
    columns = _columns(truth)
    labels = tuple(names) or tuple(f"column {k}" for k in range(columns.shape[1]))
    varying = np.flatnonzero(columns.std(axis=0) > 0)
    cuts = [(k, q) for k in varying for q in _tenths(columns[:, k])]
    few = varying[:CORRELATED_COLUMNS]

    def shares(x: Samples) -> Array:
        rows = _columns(x)
        return np.stack([rows[:, k] <= q for k, q in cuts], axis=1).astype(np.float64)

    made = [
        Statistic(
            "mean", _columns, labels=labels, tolerance=Tolerance(tolerance, "scatter", by),
            description="mean of each column",
        ),
        variances(
            lambda x: _columns(x)[:, varying],
            [labels[k] for k in varying],
            tolerance=Tolerance(tolerance, "relative", by),
        ),
        Statistic(
            "share below", shares, labels=tuple(f"{labels[k]} ≤ {q:.4g}" for k, q in cuts),
            tolerance=Tolerance(tolerance / 4, "absolute", by),
            description="share of samples below each tenth of truth",
        ),
    ]  # fmt: skip
    if len(few) > 1:
        made.append(
            correlations(
                lambda x: _columns(x)[:, few],
                [labels[k] for k in few],
                tolerance=Tolerance(tolerance / 2, "absolute", by),
            )
        )
    return tuple(made)


def grid_statistics(truth: Samples, tolerance: float, by: str) -> tuple[Statistic, ...]:
    """Return one-point statistics and the power spectrum of grids."""
    axes = grid_axes(truth)
    thinned = truth[:: max(1, len(truth) // 256)]
    cuts = _tenths(np.asarray(thinned, dtype=np.float64).ravel())
    shell, middle = _shells(tuple(truth.shape[a] for a in axes))

    def moments(x: Samples) -> Array:
        flat = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
        return np.stack([flat.mean(axis=1), flat.var(axis=1)], axis=1)

    def shares(x: Samples) -> Array:
        flat = np.asarray(x).reshape(len(x), -1)
        return np.stack([(flat <= q).mean(axis=1) for q in cuts], axis=1)

    def power(x: Samples) -> Array:
        field = np.asarray(x, dtype=np.float64)
        cells = np.prod([field.shape[a] for a in axes])
        spectrum = np.abs(np.fft.fftn(field, axes=axes)) ** 2 / cells
        channels = tuple(a for a in range(1, field.ndim) if a not in axes)
        flat = spectrum.mean(axis=channels).reshape(len(x), -1)
        sums = np.stack([flat[:, shell == s].mean(axis=1) for s in range(len(middle))], axis=1)
        return np.asarray(sums)

    within = moments(truth[:: max(1, len(truth) // 256)])
    found = (
        [
            Statistic(
                "mean",
                lambda x: moments(x)[:, :1],
                tolerance=Tolerance(tolerance, "scatter", by),
                description="mean value of a sample",
            )
        ]
        if within[:, 0].std() > ROUNDING * np.sqrt(within[:, 1].mean())
        else []
    )
    found += [
        Statistic(
            "variance", lambda x: moments(x)[:, 1:], tolerance=Tolerance(tolerance, "relative", by),
            description="variance of the values inside a sample",
        ),
        Statistic(
            "power", power, labels=tuple(f"k = {k:.3g}" for k in middle),
            tolerance=Tolerance(tolerance, "relative", by),
            description="isotropic power |FFT|²/cells, k in cycles per box",
        ),
    ]  # fmt: skip
    if cuts:
        found.append(
            Statistic(
                "share below", shares, labels=tuple(f"≤ {q:.4g}" for q in cuts),
                tolerance=Tolerance(tolerance / 4, "absolute", by),
                description="share of values below each tenth of truth",
            )
        )  # fmt: skip
    return tuple(found)


def _columns(x: Samples) -> Array:
    return np.asarray(x, dtype=np.float64).reshape(len(x), -1)


def _tenths(values: Array) -> list[float]:
    """Return the distinct tenths that leave values on both sides."""
    cuts = np.unique(np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf"))
    return [float(q) for q in cuts if q < values.max()]


def grid_axes(truth: Samples) -> tuple[int, ...]:
    """Return the grid's axes: all but the sample's, and but a leading axis of channels."""
    axes = tuple(range(1, truth.ndim))
    return axes[-3:] if len(axes) > 3 or truth.shape[1] > 4 or len(axes) == 1 else axes[1:]


def _shells(sides: tuple[int, ...]) -> tuple[NDArray[Any], Array]:
    """Return the shell of each wave number, −1 outside, and the mean wave number of each."""
    grids = np.meshgrid(*[np.fft.fftfreq(L) * L for L in sides], indexing="ij")
    k = np.sqrt(sum(g**2 for g in grids)).ravel()
    top = min(sides) / 2
    edges = np.unique(np.round(np.geomspace(1.0, top + 0.5, SHELLS + 1) - 0.5, 0)) + 0.5
    shell = np.digitize(k, edges) - 1
    shell[(k == 0) | (shell >= len(edges) - 1)] = -1
    full = [s for s in range(len(edges) - 1) if (shell == s).any()]
    shell = np.array([full.index(s) if s in full else -1 for s in shell])
    return shell, np.array([k[shell == s].mean() for s in range(len(full))])
