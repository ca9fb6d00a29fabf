r"""Square flat-sky patches: their pixels, Fourier modes and bands.

Notation: a patch of n × n pixels, side s radians, pixel Δ = s/n; maps κ (..., n, n) without unit.

    κ̃(ℓ) = Δ² Σ_x κ(x) e^(-iℓx),  ℓ = 2π fftfreq(n, Δ),  P(ℓ) = |κ̃(ℓ)|² / s²,  ⟨P⟩ = C_ℓ,

so that Σ_x κ² / n² = Σ_ℓ P(ℓ) / s² (Parseval). Fundamental 2π/s, Nyquist π/Δ. A band is a range
of |ℓ|; its value is the mean over its modes, each counted once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["Bands", "Floats", "Patch", "default_bands"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """n × n pixels on a side of ``degrees``.

    >>> patch = Patch(64, 5.0)
    >>> round(patch.fundamental), round(patch.nyquist)
    (72, 2304)
    """

    n: int
    """Pixels along a side."""
    degrees: float
    """Side of the patch, degrees."""

    def __post_init__(self) -> None:
        if self.n < 4 or not self.degrees > 0:
            raise ValueError(f"'n' >= 4 and 'degrees' > 0 are needed, got {self.n}, {self.degrees}")

    @property
    def side(self) -> float:
        """Side, rad."""
        return float(np.radians(self.degrees))

    @property
    def pixel(self) -> float:
        """Side of a pixel, rad."""
        return self.side / self.n

    @property
    def arcmin(self) -> float:
        """Side of a pixel, arcmin."""
        return self.degrees * 60 / self.n

    @property
    def area(self) -> float:
        """Square degrees."""
        return self.degrees**2

    @property
    def fundamental(self) -> float:
        """Lowest ℓ, rad⁻¹."""
        return 2 * np.pi / self.side

    @property
    def nyquist(self) -> float:
        """Highest ℓ along an axis, rad⁻¹."""
        return np.pi / self.pixel

    @cached_property
    def axes(self) -> tuple[Floats, Floats]:
        """ℓ_x (n, 1) and ℓ_y (1, n), rad⁻¹."""
        line: Floats = 2 * np.pi * np.fft.fftfreq(self.n, self.pixel).astype(np.float64)
        return line[:, None], line[None, :]

    @cached_property
    def ell(self) -> Floats:
        """|ℓ| of every mode, shape (n, n), rad⁻¹."""
        x, y = self.axes
        return np.hypot(x, y)

    def power(self, maps: NDArray[np.floating]) -> Floats:
        """Return P(ℓ) of every mode, shape (..., n, n), rad², of maps (..., n, n)."""
        modes = fft.fft2(np.asarray(maps, dtype=np.float64))
        power: Floats = (modes.real**2 + modes.imag**2) * (self.pixel**2 / self.n**2)
        return power


@dataclass(frozen=True)
class Bands:
    """Ranges of |ℓ| on a patch, averaged by mode count."""

    patch: Patch
    edges: tuple[float, ...]
    """Ascending; band b holds edges[b] ≤ |ℓ| < edges[b + 1]."""

    def __post_init__(self) -> None:
        if len(self.edges) < 2 or np.any(np.diff(self.edges) <= 0):
            raise ValueError(f"'edges' must ascend, got {self.edges}")
        if (self.counts == 0).any():
            empty = int(np.argmin(self.counts))
            low, high = self.edges[empty : empty + 2]
            raise ValueError(f"no mode of the patch lies in {low:.1f} ≤ ℓ < {high:.1f}")

    @cached_property
    def _index(self) -> NDArray[np.intp]:
        index: NDArray[np.intp] = np.digitize(self.patch.ell.ravel(), self.edges) - 1
        index[(index < 0) | (index >= len(self.edges) - 1)] = len(self.edges) - 1
        return index

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Modes in each band."""
        return np.bincount(self._index, minlength=len(self.edges))[:-1]

    @cached_property
    def centres(self) -> Floats:
        """Mean |ℓ| of the modes in each band, rad⁻¹."""
        return self.mean(self.patch.ell)

    @cached_property
    def matrix(self) -> Floats:
        """Weights (bands, n·n) whose product with a flat plane of modes is the band means."""
        rows = np.zeros((len(self.edges), self.patch.n**2))
        rows[self._index, np.arange(self.patch.n**2)] = 1
        found: Floats = rows[:-1] / self.counts[:, None]
        return found

    def mean(self, plane: Floats) -> Floats:
        """Return the mean over each band, shape (..., bands), of planes (..., n, n)."""
        flat = plane.reshape(*plane.shape[:-2], -1)
        found: Floats = flat @ self.matrix.T
        return found


STEPS = (1, 2, 3, 5, 8, 12, 18, 26, 36, 48, 64, 90, 128, 180, 256)


def default_bands(patch: Patch, highest: float = 0.9) -> Bands:
    """Return bands that widen from the fundamental to ``highest`` of Nyquist.

    >>> default_bands(Patch(64, 5.0)).centres.round().astype(int).tolist()
    [87, 167, 275, 461, 716, 1084, 1594, 1970]
    """
    top = patch.n / 2 * highest
    steps = [0.999 * step for step in STEPS if step < 0.93 * top] + [top]
    return Bands(patch, tuple(step * patch.fundamental for step in steps))
