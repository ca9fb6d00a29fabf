r"""Shear from convergence and back, smoothing, and shape noise, on a periodic flat sky.

    γ̃(ℓ) = D(ℓ) κ̃(ℓ),   D = (ℓ_x² - ℓ_y² + 2 i ℓ_x ℓ_y) / |ℓ|²,   κ̃ = D* γ̃,

γ = γ₁ + iγ₂; the real part of κ is the E-mode, the imaginary part the B-mode. Nyquist modes are
left out where n is even, and the mean of κ is lost (Kaiser and Squires 1993,
https://doi.org/10.1086/172297). Shape noise per pixel of area A is normal with
σ_e / √(2 n_gal A); a Gaussian of standard deviation θ multiplies κ̃ by e^(-ℓ²θ²/2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["add_shape_noise", "convergence_of_shear", "shear_of_convergence", "smoothed"]

Complexes = NDArray[np.complex128]


def _kernel(patch: Patch) -> Complexes:
    x, y = patch.axes
    square = x**2 + y**2
    square[0, 0] = 1
    kernel: Complexes = ((x**2 - y**2 + 2j * x * y) / square).astype(np.complex128)
    kernel[0, 0] = 0
    if patch.n % 2 == 0:
        kernel[patch.n // 2] = kernel[:, patch.n // 2] = 0
    return kernel


def shear_of_convergence(patch: Patch, maps: NDArray[np.floating]) -> Complexes:
    """Return γ₁ + iγ₂ (..., n, n)."""
    shear: Complexes = fft.ifft2(fft.fft2(maps.astype(np.float64)) * _kernel(patch))
    return shear


def convergence_of_shear(patch: Patch, shear: Complexes) -> Complexes:
    """Return E + iB (..., n, n), of mean zero."""
    kappa: Complexes = fft.ifft2(fft.fft2(shear) * np.conj(_kernel(patch)))
    return kappa


def smoothed(patch: Patch, maps: NDArray[np.floating], arcmin: float) -> NDArray[np.float32]:
    """Return maps smoothed by a Gaussian of standard deviation ``arcmin``, periodic."""
    if arcmin <= 0:
        return maps.astype(np.float32)
    theta = np.radians(arcmin / 60)
    gain: Floats = np.exp(-0.5 * (patch.ell[:, : patch.n // 2 + 1] * theta) ** 2)
    modes = fft.rfft2(maps.astype(np.float64)) * gain
    found: NDArray[np.float32] = fft.irfft2(modes, s=(patch.n,) * 2).astype(np.float32)
    return found


def add_shape_noise(
    patch: Patch, maps: NDArray[np.floating], noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return maps plus white noise; ``noise`` is σ_e/√(2 n_gal), n_gal per arcmin²."""
    sigma = noise / patch.arcmin
    drawn = rng.standard_normal(maps.shape, dtype=np.float32)
    return maps.astype(np.float32) + np.float32(sigma) * drawn
