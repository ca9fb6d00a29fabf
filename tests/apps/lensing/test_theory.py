"""Theory against an independent code, and against closed forms."""

from itertools import pairwise

import numpy as np
import pytest

from emulant.errors import InputError
from emulant_apps.lensing.theory.convergence import Convergence, Sources
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.theory.matter import MatterPower

COSMOLOGIES = [Cosmology(0.3089, 0.8159), Cosmology(0.2, 1.0), Cosmology(0.4, 0.65)]


def test_einstein_de_sitter_limit():
    almost = Cosmology(0.95, 0.8)
    a = np.array([0.01, 0.02])
    assert np.allclose(almost.growth_rate(a), 1, atol=1e-5)
    assert np.allclose(almost.growth(a)[1] / almost.growth(a)[0], 2, rtol=1e-5)


@pytest.mark.parametrize("cosmology", COSMOLOGIES)
def test_growth_obeys_its_equation(cosmology):
    a, step = np.array([0.3, 0.6, 0.95]), 1e-4

    def impulse(x):
        slope = cosmology.growth(x) * cosmology.growth_rate(x) / x
        return x**3 * cosmology.expansion(x) * slope

    left = (impulse(a + step) - impulse(a - step)) / (2 * step)
    right = 1.5 * cosmology.omega_m * cosmology.growth(a) / (a**2 * cosmology.expansion(a))
    assert np.allclose(left, right, rtol=1e-6)


def test_distance_and_scale_factor_are_inverse():
    cosmology = COSMOLOGIES[0]
    a = np.linspace(0.2, 0.99, 9)
    assert np.allclose(cosmology.scale_factor(cosmology.distance(a)), a, atol=1e-6)


def test_sigma8_is_what_was_asked_for():
    power = MatterPower(Cosmology(0.3, 0.77))
    k = np.geomspace(1e-4, 50, 4000)
    x = 8 * k
    window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    variance = np.trapezoid(k**3 * power.linear(k) * window**2 / (2 * np.pi**2), np.log(k))
    assert np.sqrt(variance) == pytest.approx(0.77, rel=1e-3)


def test_halofit_is_linear_on_large_scales():
    power = MatterPower(COSMOLOGIES[0])
    k = np.array([1e-3, 3e-3])
    assert np.allclose(power.nonlinear(k, 0.7 + 0 * k), power.linear(k, 0.7), rtol=0.01)


def test_sources_in_slabs_add_up():
    kappa = Convergence(COSMOLOGIES[0], Sources((0.8, 1.2), (1.0, 3.0)))
    ell = np.array([100.0, 1000.0, 4000.0])
    edges = np.linspace(0, kappa.horizon, 15)
    whole = sum(kappa.slab_power(a, b, ell) for a, b in pairwise(edges))
    assert np.allclose(whole, kappa.spectrum(ell), rtol=2e-3)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"omega_m": 2.0}, "--omega-m"),
        ({"omega_m": float("nan")}, "--omega-m"),
        ({"sigma8": -1.0}, "--sigma8"),
        ({"omega_m": 0.06, "omega_b": 0.1}, "--omega-m"),
    ],
)
def test_impossible_cosmologies_are_refused(wrong, word):
    with pytest.raises(InputError, match=word):
        Cosmology(**wrong)


@pytest.mark.parametrize("cosmology", COSMOLOGIES)
def test_agrees_with_pyccl(cosmology):
    """pyccl: distances, growth, Eisenstein-Hu, Halofit and the Limber integral, by DESC."""
    ccl = pytest.importorskip("pyccl")
    theirs = ccl.Cosmology(
        Omega_c=cosmology.omega_m - cosmology.omega_b,
        Omega_b=cosmology.omega_b,
        h=cosmology.h,
        sigma8=cosmology.sigma8,
        n_s=cosmology.n_s,
        transfer_function="eisenstein_hu",
        matter_power_spectrum="halofit",
    )
    h, k, a = cosmology.h, np.geomspace(1e-3, 20, 30), 0.6
    power = MatterPower(cosmology)
    linear = ccl.linear_matter_power(theirs, k * h, a) * h**3
    full = ccl.nonlin_matter_power(theirs, k * h, a) * h**3
    assert np.allclose(power.linear(k, a), linear, rtol=2e-3)
    assert np.allclose(power.nonlinear(k, a + 0 * k), full, rtol=2e-3)
    assert np.allclose(
        cosmology.distance(0.5), ccl.comoving_radial_distance(theirs, 0.5) * h, rtol=3e-4
    )
    z = np.linspace(0, 1.1, 2001)
    tracer = ccl.WeakLensingTracer(theirs, dndz=(z, np.exp(-0.5 * ((z - 1) / 0.003) ** 2)))
    ell = np.geomspace(60, 10000, 12)
    angular = ccl.angular_cl(theirs, tracer, tracer, ell)
    # theirs is the extended Limber approximation, P((ℓ + 1/2)/χ)
    assert np.allclose(Convergence(cosmology).spectrum(ell + 0.5), angular, rtol=2e-3)
