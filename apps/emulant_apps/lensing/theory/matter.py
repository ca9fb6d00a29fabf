r"""Matter power: Eisenstein and Hu's linear transfer function, Takahashi's Halofit.

Notation: k in h/Mpc, P in (Mpc/h)³, Δ² = k³ P / 2π², a scale factor.

- Eisenstein and Hu, Baryonic features in the matter transfer function, 1998,
  https://arxiv.org/abs/astro-ph/9709112
- Takahashi et al., Revising the halofit model for the nonlinear matter power spectrum, 2012,
  https://arxiv.org/abs/1208.2701
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import RectBivariateSpline

from emulant_apps.lensing.theory.cosmology import Cosmology, Floats

__all__ = ["MatterPower", "transfer"]

T_CMB = 2.725
"""K."""
K_LOW, K_HIGH = 1e-4, 300.0
"""Range of the tables, h/Mpc; beyond it the power is continued by its slope."""


def transfer(cosmology: Cosmology, k: ArrayLike) -> Floats:
    """Return T(k), one on large scales (Eisenstein and Hu 1998, eqs 2-24)."""
    h = cosmology.h
    k_mpc = np.asarray(k, float) * h
    om, ob = cosmology.omega_m * h**2, cosmology.omega_b * h**2
    fb = cosmology.omega_b / cosmology.omega_m
    fc, theta = 1 - fb, T_CMB / 2.7
    z_eq = 2.5e4 * om * theta**-4
    k_eq = 7.46e-2 * om * theta**-2
    b1 = 0.313 * om**-0.419 * (1 + 0.607 * om**0.674)
    b2 = 0.238 * om**0.223
    z_d = 1291 * om**0.251 / (1 + 0.659 * om**0.828) * (1 + b1 * ob**b2)
    r_d, r_eq = (31.5 * ob * theta**-4 * 1e3 / z for z in (z_d, z_eq))
    sound = (
        2 / (3 * k_eq) * np.sqrt(6 / r_eq)
        * np.log((np.sqrt(1 + r_d) + np.sqrt(r_d + r_eq)) / (1 + np.sqrt(r_eq)))
    )  # fmt: skip
    k_silk = 1.6 * ob**0.52 * om**0.73 * (1 + (10.4 * om) ** -0.95)
    q, ks = k_mpc / (13.41 * k_eq), k_mpc * sound

    def pressureless(alpha: float, beta: float) -> Floats:
        c = 14.2 / alpha + 386 / (1 + 69.9 * q**1.08)
        logarithm: Floats = np.log(np.e + 1.8 * beta * q)
        return logarithm / (logarithm + c * q**2)

    a1 = (46.9 * om) ** 0.670 * (1 + (32.1 * om) ** -0.532)
    a2 = (12.0 * om) ** 0.424 * (1 + (45.0 * om) ** -0.582)
    alpha_c = a1**-fb * a2 ** -(fb**3)
    c1 = 0.944 / (1 + (458 * om) ** -0.708)
    beta_c = 1 / (1 + c1 * (fc ** ((0.395 * om) ** -0.0266) - 1))
    mix = 1 / (1 + (ks / 5.4) ** 4)
    cold = mix * pressureless(1.0, beta_c) + (1 - mix) * pressureless(alpha_c, beta_c)
    y = (1 + z_eq) / (1 + z_d)
    root = np.sqrt(1 + y)
    g = y * (-6 * root + (2 + 3 * y) * np.log((root + 1) / (root - 1)))
    alpha_b = 2.07 * k_eq * sound * (1 + r_d) ** -0.75 * g
    beta_b = 0.5 + fb + (3 - 2 * fb) * np.sqrt((17.2 * om) ** 2 + 1)
    s_tilde = sound / (1 + (8.41 * om**0.435 / ks) ** 3) ** (1 / 3)
    baryons = (
        pressureless(1.0, 1.0) / (1 + (ks / 5.2) ** 2)
        + alpha_b / (1 + (beta_b / ks) ** 3) * np.exp(-((k_mpc / k_silk) ** 1.4))
    ) * np.sinc(k_mpc * s_tilde / np.pi)
    found: Floats = fb * baryons + fc * cold
    return found


class MatterPower:
    """P(k, a) of one cosmology, linear and nonlinear, from tables made once.

    >>> power = MatterPower(Cosmology(0.3, 0.8))
    >>> bool(power.nonlinear(1.0, 1.0) > 3 * power.linear(1.0, 1.0))
    True
    """

    def __init__(self, cosmology: Cosmology) -> None:
        self.cosmology = cosmology
        self.k = np.geomspace(K_LOW, K_HIGH, 700)
        shape = self.k**cosmology.n_s * transfer(cosmology, self.k) ** 2
        variance = self._top_hat_variance(shape, 8.0)
        self.today = shape * cosmology.sigma8**2 / variance
        a = np.linspace(0.3, 1.0, 36)
        table = np.array([np.log(self._halofit(value)) for value in a])
        self._table = RectBivariateSpline(a, np.log(self.k), table, kx=3, ky=3)

    def _top_hat_variance(self, power: Floats, radius: float) -> float:
        x = self.k * radius
        window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
        integrand = self.k**3 * power * window**2 / (2 * np.pi**2)
        return float(np.trapezoid(integrand, np.log(self.k)))

    def linear(self, k: ArrayLike, a: float = 1.0) -> Floats:
        """Return the linear P(k, a), (Mpc/h)³."""
        log_p = np.interp(np.log(np.asarray(k, float)), np.log(self.k), np.log(self.today))
        found: Floats = np.exp(log_p) * self.cosmology.growth(a) ** 2
        return found

    def nonlinear(self, k: ArrayLike, a: ArrayLike) -> Floats:
        """Return Halofit's P(k, a), (Mpc/h)³, for a in [0.3, 1]; k and a of one shape."""
        log_k = np.log(np.clip(np.asarray(k, float), K_LOW, K_HIGH))
        found: Floats = np.exp(self._table.ev(np.asarray(a, float), log_k))
        return found

    def _halofit(self, a: float) -> Floats:
        """Return P on the table's k at ``a`` (Takahashi et al. 2012, appendix, w = -1)."""
        k = self.k
        p = self.today * self.cosmology.growth(a) ** 2
        linear = k**3 * p / (2 * np.pi**2)
        k_sigma, n, c = self._curvature(linear)
        om = float(self.cosmology.matter_fraction(a))
        an = 10 ** (
            1.5222 + 2.8553 * n + 2.3706 * n**2 + 0.9903 * n**3 + 0.2250 * n**4 - 0.6038 * c
        )
        bn = 10 ** (-0.5642 + 0.5864 * n + 0.5716 * n**2 - 1.5474 * c)
        cn = 10 ** (0.3698 + 2.0404 * n + 0.8161 * n**2 + 0.5869 * c)
        gamma = 0.1971 - 0.0843 * n + 0.8460 * c
        alpha = abs(6.0835 + 1.3373 * n - 0.1959 * n**2 - 5.5274 * c)
        beta = 2.0379 - 0.7354 * n + 0.3157 * n**2 + 1.2490 * n**3 + 0.3980 * n**4 - 0.1682 * c
        nu = 10 ** (5.2105 + 3.6902 * n)
        f1, f2, f3 = om**-0.0307, om**-0.0585, om**0.0743
        y = k / k_sigma
        two_halo = linear * (1 + linear) ** beta / (1 + alpha * linear) * np.exp(-y / 4 - y**2 / 8)
        one_halo = an * y ** (3 * f1) / (1 + bn * y**f2 + (cn * f3 * y) ** (3 - gamma))
        found: Floats = (two_halo + one_halo / (1 + nu / y**2)) * 2 * np.pi**2 / k**3
        return found

    def _curvature(self, linear: Floats) -> tuple[float, float, float]:
        """Return k_σ with σ(1/k_σ) = 1 and, there, the effective slope and curvature."""
        log_k = np.log(self.k)

        def moments(log_r: float) -> tuple[float, float, float]:
            x2 = (self.k * np.exp(log_r)) ** 2
            weight = linear * np.exp(-x2)
            s, t, u = (
                float(np.trapezoid(weight * m, log_k)) for m in (1.0, 2 * x2, 4 * x2 - 4 * x2**2)
            )
            return s, t, u

        low, high = np.log(1e-4), np.log(1e3)
        for _ in range(50):  # σ² falls with R
            middle = 0.5 * (low + high)
            low, high = (middle, high) if moments(middle)[0] > 1 else (low, middle)
        s, t, u = moments(0.5 * (low + high))
        slope, curvature = -t / s, -u / s - (t / s) ** 2
        return float(np.exp(-0.5 * (low + high))), -3 - slope, -curvature
