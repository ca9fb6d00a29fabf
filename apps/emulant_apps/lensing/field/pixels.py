r"""What the power of a pixelised, finite map is, given the C_ℓ of the sky: the effective C_ℓ.

Three things lie between theory and a map, each worth up to 30 %: pixels average (window), modes
above Nyquist fold back (aliasing), and a patch is not periodic (leakage). All three are exact
through the correlation function ξ: with s × s point samples averaged into a pixel,

    W(ℓ) = [sin(ℓ s δ/2) / (s sin(ℓ δ/2))]²   per axis, δ = Δ/s   (→ sinc² as s → ∞),
    ξ(x) = ∫ d²ℓ/(2π)² C_ℓ W(ℓ_x) W(ℓ_y) e^(iℓx),
    ⟨P(ℓ)⟩ = Δ² Σ_x ξ(x) t(x) e^(-iℓx),  t = (1 - |x|/s)(1 - |y|/s)  (patch),  t = 1  (torus).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["correlation", "patch_power", "pixel_variance", "torus_power"]

Spectrum = Callable[[Floats], Floats]
FINEST = 3
"""Points along a pixel's side of the fine grid on which C_ℓ is laid, at least."""


def _sample_window(ell: Floats, spacing: float, count: int) -> Floats:
    """Return W of ``count`` points ``spacing`` apart, the sine ratio squared."""
    half = np.sin(0.5 * ell * spacing)
    safe = np.where(np.abs(half) < 1e-9, 1.0, half)
    ratio = np.where(np.abs(half) < 1e-9, 1.0, np.sin(0.5 * ell * spacing * count) / (count * safe))
    window: Floats = ratio**2
    return window


def correlation(patch: Patch, spectrum: Spectrum, samples: int = 0, period: int = 4) -> Floats:
    """Return ξ at whole pixel lags, (n·period, n·period), lag zero first, wrapped.

    Parameters
    ----------
    spectrum
        C(ℓ), rad².
    samples
        Points along a pixel's side that are averaged; 0: the pixel's true average (sinc).
    period
        Period of the grid in units of the patch; 2 is exact for a patch up to modes longer
        than the period.
    """
    per_pixel = max(samples, FINEST) if samples == 0 else samples * -(-FINEST // samples)
    total = patch.n * period * per_pixel
    step = patch.pixel / per_pixel
    line: Floats = 2 * np.pi * np.fft.fftfreq(total, step).astype(np.float64)
    half = np.abs(line[: total // 2 + 1])
    if samples:
        window = _sample_window(line, patch.pixel / samples, samples)
    else:
        window = np.sinc(line * patch.pixel / (2 * np.pi)) ** 2
    power = spectrum(np.hypot(line[:, None], half))
    power *= window[:, None] * window[: total // 2 + 1]
    power[0, 0] = 0
    xi: Floats = fft.irfft2(power, s=(total, total))[::per_pixel, ::per_pixel] / step**2
    return xi


def patch_power(patch: Patch, spectrum: Spectrum, samples: int = 0, period: int = 4) -> Floats:
    """Return ⟨P(ℓ)⟩ (n, n), rad², of a patch cut from a larger sky, not apodised."""
    n = patch.n
    xi = correlation(patch, spectrum, samples, period)
    lags = np.r_[0:n, -n:0]
    triangle = 1 - np.abs(lags) / n
    shaped = xi[np.ix_(lags, lags)] * triangle[:, None] * triangle
    power: Floats = fft.fft2(shaped).real[::2, ::2] * patch.pixel**2
    return power


def torus_power(patch: Patch, spectrum: Spectrum, samples: int = 0) -> Floats:
    """Return ⟨P(ℓ)⟩ (n, n), rad², of a periodic map whose ξ is that of the sky, folded."""
    xi = correlation(patch, spectrum, samples, period=1)
    power: Floats = fft.fft2(xi).real * patch.pixel**2
    return power


def pixel_variance(patch: Patch, spectrum: Spectrum, samples: int = 0) -> float:
    """Return the variance of a pixel about the mean of the whole sky."""
    return float(correlation(patch, spectrum, samples)[0, 0])
