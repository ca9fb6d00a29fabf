r"""Cells that are missing because of what they hold: a tilt of the Gaussian, where it is earned.

Notation: mask m_ij = 1 where x_ij is missing; P(m_ij = 1 | x_ij) = sigmoid(a_j x_ij + b_j).

The slope a_j is estimated from leave-one-out means only, which are known for observed and missing
cells alike: with u_ij = E[x_ij | others], of variance v_j about it, P(m | u) = sigmoid(c u + b')
and a = c / sqrt(1 - pi c^2 v / 8). A column is tilted only where this explains its mask better
than chance, by 4 in log likelihood, and better than the logistic regression on all other columns,
by AIC. Missing cells of a row then move to the mode of their tilted law, a fixed point of

    x = E[x_M | x_O] + C_i g(x),     g_j = a_j (1 - sigmoid(a_j x_j + b_j)),  C_i = Cov[x_M | x_O].

It assumes that the chance of being missing rises or falls with the value; nothing in the data can
show that it does, where no other column follows x_j.

- Diggle and Kenward, Informative Drop-out in Longitudinal Data Analysis, 1994,
  https://doi.org/10.2307/2986113
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, xlogy

from emulant_apps.records.gaussian import (
    Gaussian,
    chunk_of,
    conditional,
    patterns_of,
    precisions_of,
)

__all__ = ["Tilt", "fit_tilt", "odds_of_missing"]

Array = NDArray[np.float64]

LEAST = 20
"""Missing cells, and observed ones, below which a column is left alone."""
NEEDED = 4.0
"""Gain in log likelihood over a constant rate that a tilt has to bring."""
STRONGEST = 2.0
"""Largest slope, per standard deviation."""
RIVALS = 30
"""Other columns that may explain a mask."""
ROUNDS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    """A Gaussian fitted with the masks, and how they depend on the values."""

    law: Gaussian
    slope: Array
    """a (D,); zero for a column that is not tilted."""
    offset: Array
    """b (D,)."""

    @property
    def any(self) -> bool:
        """Whether some column is tilted."""
        return bool(np.any(self.slope))

    def shift(self, x: Array) -> Array:
        """Return by how much the holes of ``x`` (n, D) move, zero where observed."""
        if not self.any:
            return np.zeros(x.shape)
        plain, tilted, _ = _moved(self, x)
        return tilted - plain


def fit_tilt(law: Gaussian, x: Array, candidates: NDArray[np.bool_]) -> Tilt:
    """Return the tilt of the columns ``candidates`` (D,) of ``x`` (n, D), most often none."""
    width = x.shape[1]
    tilt = Tilt(law, np.zeros(width), np.zeros(width))
    for _ in range(ROUNDS):
        tilt = _chosen(tilt, x, candidates)
        if not tilt.any:
            return tilt
        for _ in range(3):
            _, filled, spread = _moved(tilt, x)
            mean = filled.mean(0)
            centred = filled - mean
            s = (centred.T @ centred + spread) / len(x)
            s = (len(x) * s + 2.0 * np.diag(np.diag(s))) / (len(x) + 2.0) + 1e-7 * np.eye(width)
            tilt = Tilt(Gaussian(mean, 0.5 * (s + s.T)), tilt.slope, tilt.offset)
    return tilt


def _chosen(tilt: Tilt, x: Array, candidates: NDArray[np.bool_]) -> Tilt:
    """Return the tilt with slopes for the columns that earn one."""
    missing = np.isnan(x)
    found = conditional(tilt.law, x)
    _, filled, _ = _moved(tilt, x)
    slope, offset = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for j in map(int, np.flatnonzero(candidates)):
        m = missing[:, j].astype(float)
        if m.sum() < LEAST or (1 - m).sum() < LEAST:
            continue
        beta, own, _ = _logistic(found.mean[:, j : j + 1], m, 1.0)
        if own - _constant(m) <= NEEDED:
            continue
        _, rival, degrees = _logistic(_explaining(filled, m, j), m, 5.0)
        if own - 2.0 <= rival - degrees:
            continue
        c, v = float(beta[0]), float(np.median(found.variance[:, j]))
        slope[j] = np.clip(c / np.sqrt(max(1 - np.pi * c * c * v / 8, 0.1)), -STRONGEST, STRONGEST)
        offset[j] = beta[1] * np.sqrt(1 + np.pi * slope[j] ** 2 * v / 8)
    return Tilt(tilt.law, slope, offset)


def odds_of_missing(filled: Array, observed: NDArray[np.bool_]) -> Array:
    """Return the odds, up to a factor a column, that a cell had of being missing, (n, D).

    By logistic regression of the column's mask on the other columns of the rows ``filled``
    (n, D); one where that explains it no better than chance, by AIC. Weighed by these odds the
    observed cells of a column stand for its missing ones, if they are missing at random.
    """
    odds = np.ones(filled.shape)
    for j in range(filled.shape[1]):
        m = (~observed[:, j]).astype(float)
        if m.sum() < LEAST or (1 - m).sum() < LEAST:
            continue
        design = _explaining(filled, m, j)
        beta, likelihood, degrees = _logistic(design, m, 5.0)
        if likelihood - degrees > _constant(m) + 2.0:
            odds[:, j] = np.exp(np.clip(design @ beta[:-1] + beta[-1], -20, 20))
    return odds


def _constant(m: Array) -> float:
    """Return the log likelihood of a mask under a constant rate."""
    rate = m.mean()
    return len(m) * float(xlogy(rate, rate) + xlogy(1 - rate, 1 - rate))


def _explaining(filled: Array, m: Array, j: int) -> Array:
    """Return the other columns that go along best with the mask ``m`` of column ``j``."""
    others = np.delete(np.arange(filled.shape[1]), j)
    link = np.abs((filled[:, others] - filled[:, others].mean(0)).T @ (m - m.mean()))
    chosen: Array = filled[:, others[np.argsort(-link, kind="stable")[:RIVALS]]]
    return chosen


def _logistic(x: Array, m: Array, ridge: float) -> tuple[Array, float, float]:
    """Return coefficients with the intercept last, log likelihood, effective parameters."""
    design = np.column_stack([x, np.ones(len(x))])
    penalty = np.r_[np.full(x.shape[1], ridge), 1e-6]
    beta = np.zeros(design.shape[1])
    for _ in range(8):
        p = expit(design @ beta)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        beta = beta + np.clip(np.linalg.solve(hessian, design.T @ (m - p) - penalty * beta), -3, 3)
    p = np.clip(expit(design @ beta), 1e-9, 1 - 1e-9)
    likelihood = float((m * np.log(p) + (1 - m) * np.log1p(-p)).sum())
    degrees = float(np.trace(np.linalg.solve(hessian, hessian - np.diag(penalty))))
    return beta, likelihood, degrees


def _moved(tilt: Tilt, x: Array) -> tuple[Array, Array, Array]:
    """Return rows filled by conditional means, by tilted ones, and the sum of C_i, (D, D)."""
    observed = ~np.isnan(x)
    known = np.where(observed, x, 0.0)
    law = tilt.law
    width = x.shape[1]
    plain, moved, total = np.empty(x.shape), np.empty(x.shape), np.zeros((width, width))
    for patterns, rows, which in patterns_of(observed, chunk_of(width)):
        precision = precisions_of(law.covariance, patterns)
        delta = np.where(observed[rows], known[rows] - law.mean, 0.0)
        w = np.matmul(precision[which], delta[:, :, None])[:, :, 0]
        guess = np.where(observed[rows], known[rows], law.mean + w @ law.covariance)
        spread = law.covariance - np.matmul(np.matmul(law.covariance, precision), law.covariance)
        spread *= ~patterns[:, :, None] & ~patterns[:, None, :]
        now = guess.copy()
        if tilt.any:
            for _ in range(6):
                pull = tilt.slope * (1 - expit(tilt.slope * now + tilt.offset))
                pull = np.where(observed[rows], 0.0, pull)
                step = np.matmul(spread[which], pull[:, :, None])[:, :, 0]
                now = 0.5 * now + 0.5 * (guess + step)
        plain[rows], moved[rows] = guess, now
        total += np.tensordot(np.bincount(which, minlength=len(patterns)), spread, 1)
    return plain, moved, total
