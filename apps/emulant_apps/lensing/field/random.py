r"""Gaussian and lognormal maps whose C_ℓ is exact.

A patch of n × n pixels is cut from a torus of 2n × 2n on which the correlation function is that
of the sky at every lag of the patch, so that nothing wraps around inside it. With shift λ > 0:

    κ = λ (e^(g - σ_g²/2) - 1),   ξ_g = ln(1 + ξ/λ²),   skewness = (σ/λ) (3 + σ²/λ²).

- Xavier, Abdalla, Joachimi, Improving lognormal models for cosmological fields, 2016,
  https://arxiv.org/abs/1602.08503
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from emulant_apps.lensing.field.grid import Floats, Patch
from emulant_apps.lensing.field.pixels import Spectrum, correlation

__all__ = ["RandomSky", "shift_of_skewness", "skewness_of_shift"]


WIDE = 12.0
"""Side in degrees from which scales longer than twice the patch are left out, to save memory."""


def skewness_of_shift(ratio: float) -> float:
    """Return the skewness of a lognormal field for σ/λ = ``ratio``."""
    return ratio * (3 + ratio**2)


def shift_of_skewness(skewness: float) -> float:
    """Return σ/λ of a lognormal field of that skewness, the real root of r³ + 3r = S.

    >>> round(skewness_of_shift(shift_of_skewness(1.2)), 12)
    1.2
    """
    if not skewness > 0:
        raise ValueError(f"'skewness' must be positive, got {skewness}")
    return float(2 * np.sinh(np.arcsinh(skewness / 2) / 3))


class RandomSky:
    """Gaussian maps, or with a ``shift`` λ lognormal ones, of a given C_ℓ.

    Arguments
    ---------
    patch : the maps' pixels.
    spectrum : C(ℓ), rad².
    shift : λ; None for Gaussian maps.
    samples : as in :func:`emulant_apps.lensing.field.pixels.correlation`.
    torus : draw periodic maps of the patch itself, whose modes have the sky's C_ℓ.
    given : C(ℓ) of Gaussian maps L, part of the sky's, that :meth:`draw` is to build on: g is then
        L/λ and a Gaussian rest of what is missing. Lognormal patches only.

    Examples
    --------
    >>> sky = RandomSky(Patch(16, 5.0), lambda ell: 1e-9 + 0 * ell)
    >>> sky.draw(3, np.random.default_rng(0)).shape
    (3, 16, 16)
    """

    def __init__(
        self,
        patch: Patch,
        spectrum: Spectrum,
        shift: float | None = None,
        samples: int = 0,
        torus: bool = False,
        given: Spectrum | None = None,
    ) -> None:
        if shift is not None and not shift > 0:
            raise ValueError(f"'shift' must be positive, got {shift}")
        if given is not None and (shift is None or torus):
            raise ValueError("'given' needs a 'shift' and a patch, got none or a torus")
        self.patch, self.shift, self.torus = patch, shift, torus
        if torus:
            xi = correlation(patch, spectrum, samples, period=1)
        else:
            lags = np.r_[0 : patch.n, -patch.n : 0]
            period = 4 if patch.degrees < WIDE else 2
            xi = correlation(patch, spectrum, samples, period)[np.ix_(lags, lags)]
            if given is not None:
                known = correlation(patch, given, samples, period)[np.ix_(lags, lags)]
        self.variance = float(xi[0, 0])
        """Of a pixel about the mean of the sky."""
        if shift is not None:
            xi = np.log1p(xi / shift**2)
        self._log_variance = float(xi[0, 0])
        if given is not None and shift is not None:
            xi = xi - known / shift**2
        power = fft.rfft2(xi).real
        self.clipped = float(-power[power < 0].sum() / power.sum())
        """Share of the power that had to be set to zero; lognormal fields of some C_ℓ do not
        exist."""
        self._amplitude = np.sqrt(np.maximum(power, 0)).astype(np.float32)

    def draw(
        self,
        count: int,
        rng: np.random.Generator,
        given: NDArray[np.float32] | None = None,
        opposed: bool = False,
    ) -> NDArray[np.float32]:
        """Return independent maps (count, n, n), built on maps L (count, n, n) where given.

        ``opposed``: every second map is of the field before with its sign changed, so that means
        over both lack what is odd in it: most of the scatter of a bispectrum.
        """
        n = self.patch.n
        out = np.empty((count, n, n), dtype=np.float32)
        for index, field in enumerate(self._rests(count, rng, opposed)):
            g = field[:n, :n]
            if self.shift is None:
                out[index] = g
                continue
            if given is not None:
                g = g + given[index] / self.shift
            out[index] = self.shift * np.expm1(g - 0.5 * self._log_variance)
        return out

    def _rests(self, count: int, rng: np.random.Generator, opposed: bool) -> Iterator[Floats]:
        """Yield Gaussian fields of the amplitudes, whole."""
        side = self.patch.n if self.torus else 2 * self.patch.n
        field: Floats = np.zeros((side, side), dtype=np.float32)
        for index in range(count):
            if opposed and index % 2:
                field = -field
            else:
                white = rng.standard_normal((side, side), dtype=np.float32)
                field = fft.irfft2(fft.rfft2(white) * self._amplitude, s=(side, side))
            yield field
