r"""What is missing, where, in whom, and whether it is missing at random.

Notation: observed masks O (n, d); patterns p of n_p rows with d_p observed columns; N(mu, S) by EM.

Little's statistic for "missing completely at random" over the numeric columns:

    d^2 = sum_p n_p (xbar_p - mu_p)' inv(S_pp) (xbar_p - mu_p),   chi^2 with sum_p d_p - d degrees.

The model of *who is missing* predicts each column's mask from the values and masks of the other
columns by ridge logistic regression; its AUC is taken out of fold. An AUC of 0.5 says that the
others do not tell whose cell is missing.

- Little, A Test of Missing Completely at Random for Multivariate Data with Missing Values, 1988,
  https://doi.org/10.1080/01621459.1988.10478722
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import chi2

from emulant.rng import numpy_rng
from emulant_apps.records.data import Table
from emulant_apps.records.gaussian import fit_gaussian
from emulant_apps.records.metrics import auc
from emulant_apps.records.schema import SMALL

__all__ = [
    "Little", "Pattern", "Rate", "Who", "is_monotone", "little_test", "logistic", "patterns",
    "rates", "subgroup_rates", "who_is_missing",
]  # fmt: skip

Array = NDArray[np.float64]

MOST_ROWS = 4000
"""Rows on which the test and the models are computed, drawn at random from more."""
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of one column is missing."""

    column: str
    missing: int
    rows: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """Rows that lack the same columns."""

    missing: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class Little:
    """Little's test."""

    statistic: float
    degrees: int
    p_value: float
    patterns: int
    columns: int


@dataclass(frozen=True, slots=True)
class Who:
    """How well the other columns tell whose cell is missing."""

    column: str
    auc: float
    low: float
    high: float
    strongest: tuple[str, ...]
    """Columns with the largest coefficients."""


def rates(table: Table) -> list[Rate]:
    """Return the missing cells of each column."""
    missing = table.missing.sum(0)
    return [Rate(n, int(m), len(table)) for n, m in zip(table.names, missing, strict=True)]


def patterns(table: Table, most: int = 20) -> list[Pattern]:
    """Return the commonest patterns of missing columns, commonest first."""
    distinct, counts = np.unique(table.missing, axis=0, return_counts=True)
    order = np.lexsort((distinct.sum(1), -counts))[:most]
    return [
        Pattern(
            tuple(n for n, m in zip(table.names, distinct[k], strict=True) if m), int(counts[k])
        )
        for k in order
    ]


def is_monotone(missing: NDArray[np.bool_]) -> bool:
    """Return whether the columns can be ordered so that who lacks one lacks all later ones."""
    ordered = missing[:, np.argsort(missing.sum(0), kind="stable")]
    return bool((ordered[:, 1:] >= ordered[:, :-1]).all())


def subgroup_rates(table: Table, by: str) -> dict[str, list[Rate]]:
    """Return the rates in each level of column ``by``, or in each quarter of its numbers."""
    k = table.index(by)
    column, values = table.columns[k], table.values[:, k]
    seen = ~np.isnan(values)
    if column.levels:
        groups = {f"{by} = {level}": values == code for code, level in enumerate(column.levels)}
    else:
        cuts = np.unique(np.quantile(values[seen], [0.25, 0.5, 0.75]) if seen.any() else [])
        code = np.searchsorted(cuts, values, side="right")
        groups = {
            f"{by}, part {q + 1} of {len(cuts) + 1}": seen & (code == q)
            for q in range(len(cuts) + 1)
        }
    groups[f"{by} missing"] = ~seen
    return {
        g: rates(table.rows(np.flatnonzero(rows)))
        for g, rows in groups.items()
        if rows.sum() >= SMALL
    }


def _thin(n: int, seed: int, purpose: str) -> NDArray[np.intp]:
    if n <= MOST_ROWS:
        return np.arange(n)
    return np.sort(numpy_rng(seed, "records", purpose).choice(n, MOST_ROWS, replace=False))


def little_test(x: Array, seed: int = 0) -> Little | None:
    """Return Little's test of the columns of ``x`` (n, d), or None where it cannot be made."""
    x = x[_thin(len(x), seed, "little")]
    x = x[~np.isnan(x).all(1)]
    seen = (~np.isnan(x)).sum(0)
    x = x[:, (seen >= 10) & (np.nanstd(x, 0) > 0)] if len(x) else x
    if x.shape[1] < 2 or not np.isnan(x).any():
        return None
    x = (x - np.nanmean(x, 0)) / np.nanstd(x, 0)
    x = x[~np.isnan(x).all(1)]
    law = fit_gaussian(x, iterations=200, shrinkage=0.0, tolerance=1e-6)
    covariance = law.covariance * len(x) / max(len(x) - 1, 1)
    observed = ~np.isnan(x)
    distinct, which = np.unique(observed, axis=0, return_inverse=True)
    which = which.reshape(-1)
    statistic, degrees = 0.0, -x.shape[1]
    for p, pattern in enumerate(distinct):
        rows = x[which == p][:, pattern]
        gap = rows.mean(0) - law.mean[pattern]
        statistic += len(rows) * float(
            gap @ np.linalg.solve(covariance[np.ix_(pattern, pattern)], gap)
        )
        degrees += int(pattern.sum())
    if degrees < 1:
        return None
    return Little(statistic, degrees, float(chi2.sf(statistic, degrees)), len(distinct), x.shape[1])


def logistic(x: Array, y: Array, ridge: float = 1.0, steps: int = 12) -> Array:
    """Return the coefficients (d + 1,), the last the intercept, of a ridge logistic regression."""
    design = np.column_stack([x, np.ones(len(x))])
    beta = np.zeros(design.shape[1])
    penalty = np.r_[np.full(x.shape[1], ridge), 1e-6]
    for _ in range(steps):
        p = expit(design @ beta)
        gradient = design.T @ (y - p) - penalty * beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.clip(np.linalg.solve(hessian, gradient), -3, 3)
        beta = beta + step
        if np.abs(step).max() < 1e-6:
            break
    return beta


def who_is_missing(table: Table, seed: int = 0, most: int = 40) -> list[Who]:
    """Return, for the columns with holes, how well the other columns tell whose cell it is."""
    rows = _thin(len(table), seed, "who")
    values, missing = table.values[rows], table.missing[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nanmean(np.where(missing.all(0), 0.0, values), 0)
        sd = np.nanstd(np.where(missing.all(0), 0.0, values), 0)
    z = np.where(missing, 0.0, np.clip((values - mean) / np.where(sd > 0, sd, 1.0), -5, 5))
    fold = numpy_rng(seed, "records", "who folds").permutation(len(rows)) % FOLDS
    found = []
    enough = [
        j
        for j in np.argsort(-missing.sum(0), kind="stable")
        if SMALL <= missing[:, j].sum() <= len(rows) - SMALL
    ]
    for j in enough[:most]:
        y = missing[:, j].astype(float)
        others = [k for k in range(values.shape[1]) if k != j]
        masks = [
            k
            for k in others
            if 0 < missing[:, k].sum() < len(rows) and (missing[:, k] != missing[:, j]).any()
        ]
        x = np.column_stack([z[:, others], missing[:, masks]])
        names = [table.names[k] for k in others] + [f"{table.names[k]} missing" for k in masks]
        score = np.zeros(len(y))
        for f in range(FOLDS):
            beta = logistic(x[fold != f], y[fold != f], ridge=5.0)
            score[fold == f] = x[fold == f] @ beta[:-1] + beta[-1]
        area, error = auc(y, score), _auc_error(y, auc(y, score))
        beta = np.abs(logistic(x, y, ridge=5.0)[:-1])
        strongest = tuple(names[k] for k in np.argsort(-beta, kind="stable")[:3])
        found.append(
            Who(table.names[j], area, area - 1.96 * error, min(1.0, area + 1.96 * error), strongest)
        )
    return found


def _auc_error(y: Array, area: float) -> float:
    """Return the standard error of an AUC by Hanley and McNeil 1982."""
    a, b = y.sum(), (1 - y).sum()
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    top = area * (1 - area) + (a - 1) * (q1 - area**2) + (b - 1) * (q2 - area**2)
    return float(np.sqrt(max(top, 0.0) / (a * b)))
