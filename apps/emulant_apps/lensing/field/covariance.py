r"""Covariances from a finite number of maps.

With N maps and p numbers each, Ĉ unbiased, the unbiased inverse is h Ĉ⁻¹ with Hartlap's
h = (N - p - 2)/(N - 1) (Hartlap, Simon, Schneider 2007, https://arxiv.org/abs/astro-ph/0608064).
"""

from __future__ import annotations

import numpy as np

from emulant_apps.lensing.field.grid import Floats

__all__ = ["correlation_matrix", "hartlap", "precision"]


def hartlap(maps: int, numbers: int) -> float:
    """Return h, between 0 and 1.

    >>> hartlap(102, 0), hartlap(102, 50)
    (0.9900990099009901, 0.49504950495049505)
    """
    if maps <= numbers + 2:
        raise ValueError(f"'maps' must exceed {numbers + 2} for {numbers} numbers, got {maps}")
    return (maps - numbers - 2) / (maps - 1)


def precision(vectors: Floats) -> Floats:
    """Return the unbiased inverse covariance (p, p) of data vectors (N, p)."""
    inverse: Floats = np.linalg.inv(np.cov(vectors, rowvar=False)).astype(np.float64)
    return hartlap(*vectors.shape) * inverse


def correlation_matrix(vectors: Floats) -> Floats:
    """Return the correlations (p, p) of data vectors (N, p)."""
    return np.asarray(np.corrcoef(vectors, rowvar=False), dtype=np.float64)
