r"""Flat ΛCDM without radiation: parameters, distances and growth.

Notation: a scale factor, z = 1/a - 1, H = H₀ E(a), lengths in Mpc/h:

    E²(a) = Ω_m a⁻³ + 1 - Ω_m,     χ(a) = (c/H₀) ∫_a^1 da / (a² E),
    D(a) = a ₂F₁(1/3, 1; 11/6; -a³ (1 - Ω_m)/Ω_m) / (same at 1),
    f = d ln D / d ln a = Ω_m(a) [5a / (2 D̃) - 3/2],  D̃ = a ₂F₁ unnormalised,
    d(a³ E D')/da = (3/2) Ω_m D / (a² E)     (the growth equation).

Radiation is left out: it moves χ(z = 1) by 2e-4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import hyp2f1

from emulant.errors import InputError

__all__ = ["HUBBLE_LENGTH", "Cosmology", "Floats"]

Floats = NDArray[np.float64]

HUBBLE_LENGTH = 2997.92458
"""c/H₀, Mpc/h."""
LIMITS = {
    "omega_m": (0.05, 0.95),
    "sigma8": (0.1, 2.0),
    "h": (0.3, 1.2),
    "n_s": (0.5, 1.5),
    "omega_b": (0.005, 0.2),
}
"""Range of each parameter in which the fitting formulas mean anything."""


@dataclass(frozen=True, slots=True)
class Cosmology:
    """The five numbers of a flat ΛCDM universe.

    >>> fiducial = Cosmology(0.3089, 0.8159)
    >>> round(float(fiducial.distance(0.5)))
    2301
    """

    omega_m: float = 0.3
    """Matter density today, in units of the critical one."""
    sigma8: float = 0.8
    """RMS of the linear density contrast today in spheres of 8 Mpc/h."""
    h: float = 0.6774
    """Hubble constant, 100 km/s/Mpc."""
    n_s: float = 0.9667
    """Slope of the primordial power."""
    omega_b: float = 0.0486
    """Baryon density today, in units of the critical one."""

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                flag = "--" + name.replace("_", "-")
                raise InputError(f"{flag}: must lie in [{low:g}, {high:g}], got {value:g}")
        if self.omega_b >= self.omega_m:
            raise InputError(
                f"--omega-m: must exceed the baryons' {self.omega_b:g}, got {self.omega_m:g}"
            )

    @property
    def s8(self) -> float:
        """S₈ = σ₈ √(Ω_m / 0.3), the combination that lensing knows best."""
        return self.sigma8 * math.sqrt(self.omega_m / 0.3)

    def expansion(self, a: ArrayLike) -> Floats:
        """Return E(a) = H / H₀."""
        return np.sqrt(self.omega_m * np.asarray(a, float) ** -3 + 1 - self.omega_m)

    def matter_fraction(self, a: ArrayLike) -> Floats:
        """Return Ω_m(a)."""
        x = np.asarray(a, float)
        fraction: Floats = self.omega_m * x**-3 / self.expansion(x) ** 2
        return fraction

    def distance(self, a: ArrayLike) -> Floats:
        """Return the comoving distance χ(a), Mpc/h, by Gauss-Legendre in a."""
        x = np.asarray(a, float)
        nodes, weights = np.polynomial.legendre.leggauss(32)
        t = 0.5 * (1 - x)[..., None] * nodes + 0.5 * (1 + x)[..., None]
        integrand = 1 / (t**2 * self.expansion(t))
        chi: Floats = HUBBLE_LENGTH * 0.5 * (1 - x) * (integrand * weights).sum(-1)
        return chi

    def scale_factor(self, chi: ArrayLike) -> Floats:
        """Return a at comoving distance ``chi``, Mpc/h; within 1e-6 for z < 9."""
        grid = np.linspace(0.1, 1.0, 4000)
        found: Floats = np.interp(np.asarray(chi, float), self.distance(grid)[::-1], grid[::-1])
        return found

    def growth(self, a: ArrayLike) -> Floats:
        """Return D(a), one today."""
        return self._growth(a) / self._growth(1.0)

    def _growth(self, a: ArrayLike) -> Floats:
        x = np.asarray(a, float)
        grown: Floats = x * hyp2f1(1 / 3, 1, 11 / 6, -(x**3) * (1 - self.omega_m) / self.omega_m)
        return grown

    def growth_rate(self, a: ArrayLike) -> Floats:
        """Return f = d ln D / d ln a."""
        x = np.asarray(a, float)
        rate: Floats = self.matter_fraction(x) * (2.5 * x / self._growth(x) - 1.5)
        return rate
