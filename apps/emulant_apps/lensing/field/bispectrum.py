r"""The bispectrum by rings in Fourier space.

Notation: ring r holds the modes of a range of |ℓ|; d_r(x) is the map filtered by it, and I_r(x)
the inverse transform of the ring itself. Over the triangles with one side in each ring

    B(r₁, r₂, r₃) = Δ⁶/s² Σ_x d₁ d₂ d₃ / Σ_x I₁ I₂ I₃,   ⟨κ̃κ̃κ̃⟩ = (2π)² δ(Σ ℓ) B,  rad⁴.

Configurations: equilateral (ℓ, ℓ, ℓ), folded (ℓ, ℓ/2, ℓ/2), squeezed (ℓ, ℓ, lowest ring). For a
lognormal field of shift λ,  B = (C₁C₂ + C₂C₃ + C₃C₁)/λ + O(σ²/λ²)  relative (tree order).

- Scoccimarro, Fast estimators for redshift-space clustering, 2015,
  https://arxiv.org/abs/1506.02729
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from emulant_apps.lensing.field.grid import Floats, Patch

__all__ = ["Triangles", "default_triangles"]

Ring = tuple[float, float]


@dataclass(frozen=True)
class Triangles:
    """Triples of rings, each (lowest, highest) |ℓ| in rad⁻¹."""

    patch: Patch
    rings: tuple[tuple[Ring, Ring, Ring], ...]
    names: tuple[str, ...]

    @cached_property
    def _distinct(self) -> tuple[Ring, ...]:
        return tuple(dict.fromkeys(ring for triple in self.rings for ring in triple))

    @cached_property
    def _masks(self) -> Floats:
        n = self.patch.n
        ell = self.patch.ell[:, : n // 2 + 1]
        return np.array([((ell >= low) & (ell < high)) * 1.0 for low, high in self._distinct])

    def _index(self, triple: tuple[Ring, Ring, Ring]) -> tuple[int, int, int]:
        first, second, third = (self._distinct.index(ring) for ring in triple)
        return first, second, third

    @cached_property
    def _volumes(self) -> Floats:
        n = self.patch.n
        rings = fft.irfft2(self._masks, s=(n, n))
        sums = [(rings[a] * rings[b] * rings[c]).sum() for a, b, c in map(self._index, self.rings)]
        return np.array(sums)

    @property
    def counts(self) -> Floats:
        """Triangles in each triple, ordered triples of modes counted once each."""
        found: Floats = np.round(self._volumes * self.patch.n**4)
        return found

    @property
    def filters(self) -> tuple[Floats, tuple[tuple[int, int, int], ...]]:
        """Return the rings (R, n, n/2 + 1), 0 or 1, and which three make each triple."""
        return self._masks, tuple(self._index(triple) for triple in self.rings)

    def measure(self, maps: NDArray[np.floating]) -> Floats:
        """Return B of each map and triple, (N, triples), rad⁴."""
        n = self.patch.n
        found = np.empty((len(maps), len(self.rings)))
        for row, values in zip(found, maps, strict=True):
            rings = fft.irfft2(fft.rfft2(values.astype(np.float64)) * self._masks, s=(n, n))
            for k, (a, b, c) in enumerate(map(self._index, self.rings)):
                row[k] = (rings[a] * rings[b] * rings[c]).sum()
        bispectrum: Floats = found / self._volumes * (self.patch.pixel**6 / self.patch.side**2)
        return bispectrum


def default_triangles(patch: Patch) -> Triangles:
    """Return equilateral, folded and squeezed triples between the fundamental and 0.6 Nyquist.

    >>> default_triangles(Patch(64, 5.0)).names[0]
    'equilateral 288'
    """
    f, top = patch.fundamental, 0.6 * patch.nyquist
    centres = [c for c in (4, 7, 11, 16, 26, 40) if c * f < top]
    squeezed = (0.999 * f, 2.5 * f)

    def ring(centre: float) -> Ring:
        return (centre * f * 0.8, centre * f * 1.2)

    rings: list[tuple[Ring, Ring, Ring]] = []
    names = []
    for c in centres:
        rings.append((ring(c), ring(c), ring(c)))
        names.append(f"equilateral {c * f:.0f}")
    for c in centres[1:]:
        rings.append((ring(c), ring(c / 2), ring(c / 2)))
        names.append(f"folded {c * f:.0f}")
    for c in centres[1:]:
        rings.append((ring(c), ring(c), squeezed))
        names.append(f"squeezed {c * f:.0f}")
    return Triangles(patch, tuple(rings), tuple(names))
