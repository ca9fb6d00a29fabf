r"""Statistics of how features vary together: variances, correlations, and parameter errors.

Notation: features f (n, K), C = ⟨f fᵀ⟩ − ⟨f⟩⟨f⟩ᵀ their covariance, D = ∂⟨f⟩/∂θ (K, P) the response
of their means to P parameters.

    variances      C_kk
    correlations   C_kl / √(C_kk C_ll),  k < l
    errors         σ_p = √[(Dᵀ C⁻¹ D)⁻¹]_pp, the Fisher error of each parameter; its ratio to the
                   truth's is 1 + effect · tolerance for a relative tolerance

All are functions of means, and are judged bin by bin as any other statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.statistic import Array, FunctionOfMeans, Samples, Statistic, Tolerance

__all__ = ["correlations", "parameter_errors", "variances"]

Features = Callable[[Samples], NDArray[Any]]


def variances(
    features: Features,
    labels: Sequence[str],
    *,
    name: str = "variance",
    tolerance: Tolerance | None = None,
    unit: str = "",
) -> Statistic:
    """Return the variances of features, one bin each."""
    K = len(labels)

    def reduce(means: Array) -> Array:
        return means[..., K:] - means[..., :K] ** 2

    def rows(samples: Samples) -> Array:
        f = np.asarray(features(samples), dtype=np.float64)
        return np.concatenate([f, f**2], axis=1)

    return Statistic(
        name, rows, FunctionOfMeans(reduce), tuple(labels), unit, tolerance,
        "variances of the features",
    )  # fmt: skip


def correlations(
    features: Features,
    labels: Sequence[str],
    *,
    name: str = "correlation",
    tolerance: Tolerance | None = None,
) -> Statistic:
    """Return the K(K−1)/2 correlations of features.

    Example
    -------
    >>> x = np.random.default_rng(0).normal(size=(10_000, 2))
    >>> x[:, 1] += x[:, 0]
    >>> correlations(lambda s: s, ["a", "b"])(x).round(2)
    array([0.7])
    """
    K = len(labels)
    k, l = np.triu_indices(K, 1)  # noqa: E741 (the formula's own index)

    def reduce(means: Array) -> Array:
        covariance = _covariance(means, K)
        spread = np.sqrt(np.maximum(np.einsum("...kk->...k", covariance), 0.0))
        correlation: Array = np.zeros_like(covariance[..., k, l])  # of a constant: 0
        product = spread[..., k] * spread[..., l]
        np.divide(covariance[..., k, l], product, out=correlation, where=product > 0)
        return correlation

    pairs = tuple(f"{labels[i]}, {labels[j]}" for i, j in zip(k.tolist(), l.tolist(), strict=True))
    return Statistic(
        name, _products(features, K), FunctionOfMeans(reduce), pairs, "", tolerance,
        "correlations of the features",
    )  # fmt: skip


def parameter_errors(
    features: Features,
    response: Array,
    labels: Sequence[str],
    *,
    name: str = "parameter error",
    tolerance: Tolerance | None = None,
    unit: str = "",
) -> Statistic:
    """Return the Fisher errors of P parameters whose ``response`` D is (K, P)."""
    K = len(response)

    def reduce(means: Array) -> Array:
        fisher = np.swapaxes(response, -1, -2) @ np.linalg.solve(
            _covariance(means, K), np.broadcast_to(response, (*means.shape[:-1], *response.shape))
        )
        errors: Array = np.sqrt(np.einsum("...pp->...p", np.linalg.inv(fisher)))
        return errors

    return Statistic(
        name, _products(features, K), FunctionOfMeans(reduce), tuple(labels), unit, tolerance,
        "Fisher errors of parameters from the features' covariance",
    )  # fmt: skip


def _products(features: Features, K: int) -> Features:
    """Return features f and their products f_k f_l, k ≤ l, as rows of K + K(K+1)/2."""
    k, l = np.triu_indices(K)  # noqa: E741 (the formula's own index)

    def rows(samples: Samples) -> Array:
        f = np.asarray(features(samples), dtype=np.float64)
        return np.concatenate([f, f[:, k] * f[:, l]], axis=1)

    return rows


def _covariance(means: Array, K: int) -> Array:
    """Return C (..., K, K) from the means of features and products (..., K + K(K+1)/2)."""
    k, l = np.triu_indices(K)  # noqa: E741 (the formula's own index)
    covariance = np.empty((*means.shape[:-1], K, K))
    covariance[..., k, l] = covariance[..., l, k] = means[..., K:] - means[..., k] * means[..., l]
    return covariance
