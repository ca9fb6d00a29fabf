r"""The convergence and its power spectrum, in Born's and Limber's approximations, flat sky.

Notation: χ comoving distance and χ_s that of a source, Mpc/h; n(z) normalised; ℓ in rad⁻¹.

    κ(θ) = ∫ dχ q(χ) δ(χ θ, χ),   q(χ) = (3/2) Ω_m (H₀/c)² χ/a ∫ dz n(z) max(0, 1 - χ/χ_s(z)),
    C_ℓ = ∫ dχ q² / χ² P(ℓ/χ, a(χ)).

- Bartelmann and Schneider, Weak gravitational lensing, 2001,
  https://arxiv.org/abs/astro-ph/9912508, eqs 6.16-6.18
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from emulant.errors import InputError
from emulant_apps.lensing.theory.cosmology import HUBBLE_LENGTH, Cosmology, Floats
from emulant_apps.lensing.theory.matter import MatterPower

__all__ = ["Convergence", "Sources", "Spectrum"]

Spectrum = Callable[[Floats], Floats]
"""C(ℓ), rad², for ℓ > 0 in rad⁻¹."""
ELL = np.geomspace(2.0, 2e5, 240)
STEPS = 256


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the light comes from: n(z) as weights at redshifts, normalised on use.

    >>> Sources.plane(1.0).redshifts
    (1.0,)
    """

    redshifts: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.redshifts) != len(self.weights) or not self.redshifts:
            raise InputError("n(z): give as many weights as redshifts, at least one")
        if min(self.redshifts) <= 0 or max(self.redshifts) > 2.3:
            worst = max(self.redshifts) if max(self.redshifts) > 2.3 else min(self.redshifts)
            raise InputError(f"--z-source: must lie in (0, 2.3], got {worst:g}")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise InputError("n(z): weights must not be negative, and not all zero")

    @classmethod
    def plane(cls, z: float) -> Sources:
        """Return all sources at redshift ``z``."""
        return cls((z,), (1.0,))


class Convergence:
    """κ of one cosmology and one set of sources.

    >>> kappa = Convergence(Cosmology(0.3089, 0.8159), Sources.plane(1.0))
    >>> ell = np.array([1000.0])
    >>> round(float((ell**2 * kappa.spectrum(ell) / (2 * np.pi))[0] * 1e5), 1)
    6.9
    """

    def __init__(self, cosmology: Cosmology, sources: Sources | None = None) -> None:
        self.cosmology = cosmology
        self.sources = Sources.plane(1.0) if sources is None else sources
        self.matter = MatterPower(cosmology)
        z = np.array(self.sources.redshifts)
        self._chi_s = cosmology.distance(1 / (1 + z))
        self._n = np.array(self.sources.weights) / sum(self.sources.weights)
        self.horizon = float(self._chi_s.max())
        grid = np.linspace(0.0, self.horizon, 2000)
        self._scale = (grid, cosmology.scale_factor(grid))

    def scale_factor(self, chi: ArrayLike) -> Floats:
        """Return a(χ) within the farthest source."""
        found: Floats = np.interp(np.asarray(chi, float), *self._scale)
        return found

    def efficiency(self, chi: ArrayLike) -> Floats:
        """Return q(χ), h/Mpc."""
        x = np.asarray(chi, float)
        geometry = np.maximum(0.0, 1 - x[..., None] / self._chi_s) @ self._n
        q: Floats = (
            1.5 * self.cosmology.omega_m / HUBBLE_LENGTH**2 * x / self.scale_factor(x) * geometry
        )
        return q

    def weight(self, low: float, high: float) -> float:
        """Return ∫ q dχ over a slab, without unit."""
        nodes, weights = _gauss(low, high, 16)
        return float(self.efficiency(nodes) @ weights)

    def slab_power(self, low: float, high: float, ell: ArrayLike, steps: int = 24) -> Floats:
        """Return the part of C_ℓ that matter between two distances makes, rad²."""
        nodes, weights = _gauss(max(low, 1.0), high, steps)
        k = np.asarray(ell, float)[..., None] / nodes
        a = np.broadcast_to(self.scale_factor(nodes), k.shape)
        power = self.matter.nonlinear(k, a) * (k < 290)
        found: Floats = power @ (weights * self.efficiency(nodes) ** 2 / nodes**2)
        return found

    @cached_property
    def _log_table(self) -> Floats:
        edges = np.linspace(0.0, self.horizon, STEPS // 24 + 1)
        parts = [self.slab_power(a, b, ELL) for a, b in pairwise(edges)]
        table: Floats = np.log(np.sum(parts, axis=0) + 1e-300)
        return table

    def spectrum(self, ell: ArrayLike) -> Floats:
        """Return C_ℓ, rad², interpolated in its logarithm."""
        log_l = np.log(np.maximum(np.asarray(ell, float), ELL[0]))
        found: Floats = np.exp(np.interp(log_l, np.log(ELL), self._log_table))
        return found


def _gauss(low: float, high: float, count: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 * (high - low)
    return 0.5 * (high + low) + half * nodes, half * weights
