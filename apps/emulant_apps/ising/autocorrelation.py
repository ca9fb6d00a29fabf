r"""How many steps of a Markov chain make an independent sample.

.. math::
    \rho(t) = \frac{\langle x_0 x_t\rangle - \langle x\rangle^2}{\langle x^2\rangle
    - \langle x\rangle^2}, \qquad
    \tau = \tfrac12 + \sum_{t=1}^{W} \rho(t), \qquad
    \mathrm{var}(\bar x) \approx \frac{2\tau}{n}\,\mathrm{var}(x)

The window W is the least with W >= 6 τ(W). Independent samples have τ = 1/2.

References
----------
N. Madras and A. Sokal, "The pivot algorithm", J. Stat. Phys. 50, 109 (1988), Eq. (C.16) to
(C.19), for the window and the error τ √((4W + 2) / n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emulant_apps.ising.hamiltonian import Floats

__all__ = ["Autocorrelation", "integrated_autocorrelation_time"]

_WINDOW = 6.0


@dataclass(frozen=True, slots=True)
class Autocorrelation:
    """The integrated autocorrelation time, in steps of the series, and its standard error."""

    tau: float
    error: float


def integrated_autocorrelation_time(series: npt.ArrayLike) -> Autocorrelation:
    """Return τ of ``series``, (n,) or (chains, n) of independent chains of the same process.

    A constant series counts as independent. τ is not below 1/2 times (1 - anticorrelation):
    an anticorrelated series may give less than 1/2.

    >>> integrated_autocorrelation_time(np.random.default_rng(0).normal(size=1000)).tau < 0.7
    True
    """
    x: Floats = np.atleast_2d(np.asarray(series, dtype=np.float64))
    if x.ndim != 2 or x.shape[1] < 2:
        raise ValueError(f"'series' must be (n,) or (chains, n) with n > 1, got {x.shape}")
    n = x.shape[1]
    x = x - x.mean()
    length = 1 << (2 * n - 1).bit_length()
    spectrum = np.square(np.abs(np.fft.rfft(x, length, axis=1))).mean(axis=0)
    covariance = np.fft.irfft(spectrum, length)[:n] / np.arange(n, 0, -1)
    if covariance[0] <= 1e-30:
        return Autocorrelation(0.5, 0.0)
    tau = np.cumsum(covariance / covariance[0]) - 0.5
    wide = np.flatnonzero(np.arange(n) >= _WINDOW * tau)
    window = int(wide[0]) if len(wide) else n - 1
    return Autocorrelation(
        float(tau[window]), float(abs(tau[window]) * np.sqrt((4 * window + 2) / x.size))
    )
