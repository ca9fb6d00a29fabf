r"""How good a risk is: discrimination, calibration, use.

Notation: outcome y in {0, 1} (n,), predicted risk p (n,), weights of a bootstrap w (n,).

    AUC                 P(p_case > p_control) + P(=) / 2
    AP                  sum_k (R_k - R_(k-1)) precision_k over falling thresholds
    Brier               E (p - y)^2
    slope, intercept    logit P(y = 1) = a + b logit p: b the slope; a with b = 1 the intercept
    ECE                 sum_b n_b / n |ybar_b - pbar_b| over bins of equal number
    net benefit at t    TP / n - FP / n  t / (1 - t)

- Van Calster et al., Calibration: the Achilles heel of predictive analytics, 2019,
  https://doi.org/10.1186/s12916-019-1466-7
- Vickers and Elkin, Decision Curve Analysis, 2006, https://doi.org/10.1177/0272989X06295361
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import rankdata

__all__ = [
    "Calibration", "Scores", "auc", "average_precision", "brier", "calibration_curve",
    "calibration_line", "decision_curve", "ece", "scores",
]  # fmt: skip

Array = NDArray[np.float64]

CLIP = 1e-6


@dataclass(frozen=True, slots=True)
class Scores:
    """All measures of one model on one set of patients."""

    auc: float
    average_precision: float
    brier: float
    slope: float
    intercept: float
    ece: float
    accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Bins of equal number: mean risk, share of cases, patients, cases."""

    predicted: Array
    observed: Array
    count: NDArray[np.int64]


def auc(y: Array, p: Array) -> float:
    """Return the area under the ROC curve; NaN where one class is absent.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    cases = y == 1
    a, b = int(cases.sum()), int((~cases).sum())
    if not a or not b:
        return float("nan")
    return float((rankdata(p)[cases].sum() - a * (a + 1) / 2) / (a * b))


def average_precision(y: Array, p: Array) -> float:
    """Return the average precision, ties taken together."""
    order = np.argsort(-p, kind="stable")
    ys, ps = y[order], p[order]
    last = np.flatnonzero(np.r_[ps[1:] != ps[:-1], True])
    hits = np.cumsum(ys)[last]
    if not hits[-1]:
        return float("nan")
    recall = hits / hits[-1]
    return float(np.sum(np.diff(np.r_[0.0, recall]) * hits / (last + 1)))


def brier(y: Array, p: Array) -> float:
    """Return the mean squared error of the risk."""
    return float(np.mean((p - y) ** 2))


def calibration_line(y: Array, p: Array) -> tuple[float, float]:
    """Return slope and intercept; (1, 0) is perfect. NaN where one class is absent."""
    if len(np.unique(y)) < 2:
        return float("nan"), float("nan")
    z = logit(np.clip(p, CLIP, 1 - CLIP))
    beta = np.array([0.0, 1.0])
    for _ in range(50):
        q = expit(beta[0] + beta[1] * z)
        w = q * (1 - q) + 1e-12
        design = np.column_stack([np.ones_like(z), z])
        hessian = (design * w[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.clip(np.linalg.solve(hessian, design.T @ (y - q)), -2, 2)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    shift = 0.0
    for _ in range(50):
        q = expit(shift + z)
        step0 = float(np.clip((y - q).sum() / ((q * (1 - q)).sum() + 1e-12), -2, 2))
        shift += step0
        if abs(step0) < 1e-10:
            break
    return float(beta[1]), shift


def calibration_curve(y: Array, p: Array, bins: int = 10) -> Calibration:
    """Return observed against predicted risk in ``bins`` bins of equal number."""
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Calibration(
        np.array([p[k].mean() for k in parts]),
        np.array([y[k].mean() for k in parts]),
        np.array([len(k) for k in parts]),
    )


def ece(y: Array, p: Array, bins: int = 10) -> float:
    """Return the expected calibration error."""
    curve = calibration_curve(y, p, bins)
    return float(np.sum(curve.count * np.abs(curve.observed - curve.predicted)) / len(y))


def decision_curve(y: Array, p: Array, thresholds: Array) -> Array:
    """Return the net benefit of treating where p >= threshold, (T,).

    >>> decision_curve(np.array([0.0, 1.0]), np.array([0.1, 0.9]), np.array([0.5]))
    array([0.5])
    """
    n = len(y)
    treated = p[:, None] >= thresholds
    hits = (treated & (y == 1)[:, None]).sum(0) / n
    false = (treated & (y == 0)[:, None]).sum(0) / n
    benefit: Array = hits - false * thresholds / (1 - thresholds)
    return benefit


def scores(y: Array, p: Array) -> Scores:
    """Return all measures."""
    slope, intercept = calibration_line(y, p)
    return Scores(
        auc(y, p), average_precision(y, p), brier(y, p), slope, intercept, ece(y, p),
        float(np.mean((p >= 0.5) == (y == 1))),
    )  # fmt: skip
