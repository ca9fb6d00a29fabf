r"""Starlets and their ℓ₁-norm; scattering coefficients.

Starlet: with c₀ = κ and the B₃-spline h = (1, 4, 6, 4, 1)/16 spread by 2^j,

    c_{j+1} = h_j * c_j,   w_j = c_j - c_{j+1},   κ = c_J + Σ_j w_j   exactly;

the ℓ₁-norm is Σ |w_j| over the pixels in each bin of w_j/σ_j, per pixel (Ajani et al. 2021).

Scattering: with Morlet wavelets ψ_{j,l} of scale 2^j pixels and L angles, on the torus,

    S₁(j) = ⟨|κ * ψ_{j,l}|⟩,   S₂(j, j') = ⟨||κ * ψ_{j,l}| * ψ_{j',l'}|⟩,  j < j',

averaged over the map, l and l' (Cheng et al. 2020).

- Starck, Fadili, Murtagh, The undecimated wavelet decomposition and its reconstruction, 2007
- Ajani et al., Starlet ℓ1-norm for weak lensing cosmology, 2021, https://arxiv.org/abs/2101.01542
- Cheng et al., A new approach to observational cosmology using the scattering transform, 2020,
  https://arxiv.org/abs/2006.08561
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import convolve1d

from emulant_apps.lensing.field.grid import Floats

__all__ = ["L1_EDGES", "Scattering", "starlet", "starlet_l1"]

SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
L1_EDGES = np.linspace(-4.0, 8.0, 13)
"""Edges of the bins of w_j/σ_j; what lies beyond counts in the first and last."""


def starlet(maps: NDArray[np.floating], scales: int) -> Floats:
    """Return w_0 ... w_{J-1} and c_J of each map, (N, J + 1, n, n); mirrored at the rim."""
    smooth = maps.astype(np.float64)
    planes = []
    for j in range(scales):
        kernel = np.zeros(4 * 2**j + 1)
        kernel[:: 2**j] = SPLINE
        coarser = convolve1d(smooth, kernel, axis=-1, mode="mirror")
        coarser = convolve1d(coarser, kernel, axis=-2, mode="mirror")
        planes.append(smooth - coarser)
        smooth = coarser
    return np.stack([*planes, smooth], axis=1)


def starlet_l1(maps: NDArray[np.floating], sigmas: Floats, edges: Floats = L1_EDGES) -> Floats:
    """Return the ℓ₁-norm of each map in each scale and bin, (N, scales, bins).

    ``sigmas`` are the fixed σ_j of the scales, (scales,).
    """
    planes = starlet(maps, len(sigmas))[:, :-1]
    bins = len(edges) - 1
    found = np.empty((len(maps), len(sigmas), bins))
    for row, scales in zip(found, planes, strict=True):
        for j, (sigma, w) in enumerate(zip(sigmas, scales, strict=True)):
            snr = w.ravel() / sigma
            index = np.clip(np.searchsorted(edges, snr, side="right") - 1, 0, bins - 1)
            row[j] = np.bincount(index, np.abs(snr), bins) / snr.size
    return found


class Scattering:
    """Scattering coefficients of n × n maps with ``scales`` J and ``angles`` L.

    >>> Scattering(32, 3).measure(np.zeros((2, 32, 32))).shape
    (2, 6)
    """

    def __init__(self, n: int, scales: int = 4, angles: int = 4) -> None:
        if 2 ** (scales + 1) > n:
            raise ValueError(f"'scales' must leave 2^(J+1) <= {n}, got {scales}")
        self.n, self.scales, self.angles = n, scales, angles

    @cached_property
    def wavelets(self) -> Floats:
        """Return the transforms of ψ_{j,l}, real, (J, L, n, n), zero at ℓ = 0."""
        line = 2 * np.pi * np.fft.fftfreq(self.n)
        ky, kx = line[None, :], line[:, None]
        found = np.empty((self.scales, self.angles, self.n, self.n))
        for j in range(self.scales):
            width, centre = 0.8 * 2**j, 0.75 * np.pi / 2**j
            for l in range(self.angles):  # noqa: E741 - the field's letter
                angle = np.pi * l / self.angles
                along = kx * np.cos(angle) + ky * np.sin(angle)
                across = self.angles / 4 * (ky * np.cos(angle) - kx * np.sin(angle))
                bump = np.exp(-0.5 * width**2 * ((along - centre) ** 2 + across**2))
                at_zero = np.exp(-0.5 * width**2 * centre**2)
                bump -= at_zero * np.exp(-0.5 * width**2 * (along**2 + across**2))
                found[j, l] = bump
        return found

    def measure(self, maps: NDArray[np.floating]) -> Floats:
        """Return S₁ (J) and S₂ (J (J - 1)/2) of each map, (N, J (J + 1)/2)."""
        found = []
        for values in maps:
            modes = fft.fft2(values.astype(np.float64))
            first = np.abs(fft.ifft2(modes * self.wavelets))
            row = [*first.mean((1, 2, 3))]
            again = fft.fft2(first)
            for j in range(self.scales):
                for later in range(j + 1, self.scales):
                    second = fft.ifft2(again[j][:, None] * self.wavelets[later][None])
                    row.append(float(np.abs(second).mean()))
            found.append(row)
        return np.array(found)
