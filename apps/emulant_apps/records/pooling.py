r"""Rubin's rules: one answer from m imputed tables.

Notation: estimates q_k and their squared standard errors u_k of table k = 1..m, nu_com the
degrees of freedom of the complete table (infinite for large samples).

    qbar = mean q_k,  ubar = mean u_k,  b = var q_k (m - 1),  t = ubar + (1 + 1/m) b
    lambda = (1 + 1/m) b / t,     riv = (1 + 1/m) b / ubar
    nu_old = (m - 1) / lambda^2,  nu_obs = (nu_com + 1) / (nu_com + 3) nu_com (1 - lambda)
    nu = nu_old nu_obs / (nu_old + nu_obs)                              (Barnard and Rubin 1999)
    fmi = (riv + 2 / (nu + 3)) / (riv + 1)

- Rubin, Multiple Imputation for Nonresponse in Surveys, 1987
- Barnard and Rubin, Small-sample Degrees of Freedom with Multiple Imputation, 1999,
  https://doi.org/10.1093/biomet/86.4.948
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t as student

__all__ = ["Pooled", "fit_linear", "fit_logistic", "pool"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """Estimates over all imputed tables, (k,) each."""

    estimate: Array
    error: Array
    """Standard error, the root of t."""
    degrees: Array
    """nu of Barnard and Rubin."""
    within: Array
    """ubar"""
    between: Array
    """b"""
    increase: Array
    """riv, the relative increase of variance by missing cells."""
    share: Array
    """lambda, the share of the variance that is due to missing cells."""
    missing_information: Array
    """fmi"""

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return the ends of the confidence intervals."""
        half = student.ppf(0.5 + level / 2, self.degrees) * self.error
        return self.estimate - half, self.estimate + half

    @property
    def p_value(self) -> Array:
        """Two-sided p of a coefficient of zero."""
        return np.asarray(2 * student.sf(np.abs(self.estimate) / self.error, self.degrees))


def pool(estimates: Array, variances: Array, complete_degrees: float = np.inf) -> Pooled:
    """Return the pooled estimates of ``estimates`` and squared errors ``variances``, (m, k).

    >>> pooled = pool(np.array([[1.0], [2.0], [3.0]]), np.ones((3, 1)))
    >>> float(pooled.estimate[0]), float(pooled.error[0] ** 2)
    (2.0, 2.333333333333333)
    """
    q, u = np.atleast_2d(estimates), np.atleast_2d(variances)
    m = len(q)
    if m < 2 or q.shape != u.shape:
        raise ValueError(f"'estimates' must be (m, k) with m >= 2, as 'variances', got {q.shape}")
    within, between = u.mean(0), q.var(0, ddof=1)
    extra = (1 + 1 / m) * between
    total = within + extra
    share, increase = extra / total, extra / within
    floor = np.maximum(share, 1e-4)  # as R's mice does, where no cell was missing
    old = (m - 1) / floor**2
    if np.isinf(complete_degrees):
        degrees = old
    else:
        nu = complete_degrees
        seen = (nu + 1) / (nu + 3) * nu * (1 - floor)
        degrees = old * seen / (old + seen)
    fmi = (increase + 2 / (degrees + 3)) / (increase + 1)
    return Pooled(q.mean(0), np.sqrt(total), degrees, within, between, increase, share, fmi)


def fit_linear(tables: Sequence[tuple[Array, Array]]) -> Pooled:
    """Return the pooled least-squares coefficients, intercept first, of tables (x, y)."""
    found = [_least_squares(x, y) for x, y in tables]
    n, k = tables[0][0].shape
    return pool(np.array([f[0] for f in found]), np.array([f[1] for f in found]), n - k - 1)


def fit_logistic(tables: Sequence[tuple[Array, Array]]) -> Pooled:
    """Return the pooled logistic coefficients, intercept first, of tables (x, y in {0, 1})."""
    found = [_maximum_likelihood(x, y) for x, y in tables]
    n, k = tables[0][0].shape
    return pool(np.array([f[0] for f in found]), np.array([f[1] for f in found]), n - k - 1)


def _design(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])


def _least_squares(x: Array, y: Array) -> tuple[Array, Array]:
    d = _design(x)
    inverse = np.linalg.inv(d.T @ d)
    beta = inverse @ d.T @ y
    residual = y - d @ beta
    return beta, np.diag(inverse) * float(residual @ residual) / (len(y) - d.shape[1])


def _maximum_likelihood(x: Array, y: Array) -> tuple[Array, Array]:
    d = _design(x)
    beta = np.zeros(d.shape[1])
    for _ in range(100):
        p = expit(d @ beta)
        hessian = (d * (p * (1 - p))[:, None]).T @ d
        step = np.linalg.solve(hessian, d.T @ (y - p))
        beta = beta + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-12:
            break
    p = expit(d @ beta)
    return beta, np.diag(np.linalg.inv((d * (p * (1 - p))[:, None]).T @ d))
