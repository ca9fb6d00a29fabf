"""The exact answers against the literature's values, arbitrary precision, and each other."""

from __future__ import annotations

import math

import mpmath as mp  # type: ignore[import-untyped]  # it ships no type information
import numpy as np
import pytest

from emulant_apps.ising.exact import (
    T_C,
    density_of_states,
    energy_histogram,
    enumerate_states,
    infinite_lattice,
    kaufman,
    magnetisation_law,
    state_index,
)
from emulant_apps.ising.hamiltonian import bond_sums

# u, c, f computed with 50 digits from Kaufman's formula; L = 4 also by brute force
KAUFMAN = [
    (16, 2.0, -1.74553066899, 0.725508767737, -2.05700164402),
    (16, T_C, -1.45306485281, 1.49870495940, -2.11532618792),
    (16, 2.269185, -1.45306532373, 1.49870429265, -2.11532609622),
    (16, 2.6, -1.03911001114, 0.799094250291, -2.24413643138),
    (32, 2.0, -1.74556452703, 0.724873978199, -2.05293942893),
    (32, T_C, -1.43365846615, 1.84676759004, -2.11106936692),
    (32, 2.6, -1.02846451785, 0.708143063932, -2.24369354108),
    (64, 2.0, -1.74556457531, 0.724871448605, -2.05192407616),
    (64, T_C, -1.42393838983, 2.19221139314, -2.11000566704),
    (64, 2.6, -1.02829370400, 0.704860308178, -2.24369018086),
]
BRUTE_FORCE = [
    (2.0, -1.755380288777, 0.605532657210, 0.918943267402),
    (T_C, -1.565623787638, 0.783266825929, 0.843860444813),
    (2.6, -1.298807589477, 0.790779841383, 0.729419106807),
]
# transfer matrix, L = 8: <|m|>, <m^2>, <m^4>
MOMENTS = [
    (2.0, 0.9114522661, 0.8416711846, 0.7340152049),
    (T_C, 0.7773310928, 0.6469115750, 0.4858152341),
    (2.6, 0.5319315970, 0.3529094387, 0.1969225167),
]


def log_z(k: mp.mpf, lattice: int) -> mp.mpf:
    """Kaufman's ln Z, written naively in arbitrary precision."""
    c0 = mp.cosh(2 * k) ** 2 / mp.sinh(2 * k)
    modes = range(1, 2 * lattice)
    gamma = [2 * k + mp.log(mp.tanh(k))]
    gamma += [mp.acosh(c0 - mp.cos(mp.pi * mode / lattice)) for mode in modes]
    total = mp.mpf(0)
    for first in (1, 0):
        for function in (mp.cosh, mp.sinh):
            total += mp.fprod(2 * function(lattice * g / 2) for g in gamma[first::2])
    return lattice**2 * mp.log(2 * mp.sinh(2 * k)) / 2 + mp.log(total / 2)


@pytest.mark.parametrize(("lattice", "temperature", "u", "c", "f"), KAUFMAN)
def test_kaufman_reproduces_the_check_values(
    lattice: int, temperature: float, u: float, c: float, f: float
) -> None:
    found = kaufman(lattice, temperature)
    assert found.energy == pytest.approx(u, abs=1e-11)
    assert found.heat_capacity == pytest.approx(c, abs=1e-11)
    assert found.free_energy == pytest.approx(f, abs=1e-11)


@pytest.mark.parametrize("lattice", [2, 4, 8, 32])
@pytest.mark.parametrize(
    "temperature", [0.1, 0.5, 1.0, 2.0, 2.26, T_C, T_C * (1 + 1e-9), 2.28, 3.4, 10.0, 100.0]
)
def test_kaufman_agrees_with_arbitrary_precision(lattice: int, temperature: float) -> None:
    with mp.workdps(60):
        k, step, sites = 1 / mp.mpf(temperature), mp.mpf(10) ** -15, lattice**2
        low, middle, high = (log_z(k + d, lattice) for d in (-step, 0, step))
        u = -(high - low) / (2 * step) / sites
        c = k**2 * (high - 2 * middle + low) / step**2 / sites
    found = kaufman(lattice, temperature)
    assert found.log_z == pytest.approx(float(middle), rel=1e-14)
    assert found.free_energy == pytest.approx(float(-temperature * middle / sites), rel=1e-13)
    assert found.energy == pytest.approx(float(u), abs=1e-12)
    assert found.heat_capacity == pytest.approx(float(c), abs=1e-12)


def test_kaufman_is_finite_on_a_large_cold_lattice() -> None:
    found = kaufman(1024, 0.1)
    assert found.energy == pytest.approx(-2, abs=1e-12)
    assert found.log_z == pytest.approx(2 * 1024**2 / 0.1 + math.log(2), rel=1e-15)


@pytest.mark.parametrize(("temperature", "u", "c", "m"), BRUTE_FORCE)
def test_enumeration_reproduces_the_check_values(
    temperature: float, u: float, c: float, m: float
) -> None:
    exact = enumerate_states(4, temperature)
    mean = exact.mean(exact.energies)
    variance = exact.mean(exact.energies**2) - mean**2
    assert mean == pytest.approx(u, abs=1e-12)
    assert 16 / temperature**2 * variance == pytest.approx(c, abs=1e-11)
    assert exact.mean(np.abs(exact.magnetisations)) == pytest.approx(m, abs=1e-12)
    assert exact.log_z == pytest.approx(kaufman(4, temperature).log_z, rel=1e-14)
    np.testing.assert_array_equal(state_index(exact.spins), np.arange(65536))


def test_a_field_tilts_the_enumeration() -> None:
    free, tilted = enumerate_states(4, 2.0), enumerate_states(4, 2.0, 0.25)
    weight = np.exp(0.25 * 16 * free.magnetisations / 2.0)
    expected = free.mean(free.magnetisations * weight) / free.mean(weight)
    assert tilted.mean(tilted.magnetisations) == pytest.approx(expected, rel=1e-12)


def test_density_of_states_counts_the_enumerated_states() -> None:
    bonds = bond_sums(enumerate_states(4, 1.0).spins)
    counts = np.bincount((32 - bonds) // 4, minlength=17)
    assert density_of_states(4) == tuple(counts)
    assert density_of_states(4)[:9] == (2, 0, 32, 64, 424, 1728, 6688, 13568, 20524)


@pytest.mark.parametrize("lattice", [2, 6, 10, 16, 32])
def test_density_of_states_is_whole_and_symmetric(lattice: int) -> None:
    g, sites = density_of_states(lattice), lattice**2
    assert sum(g) == 2**sites
    assert g == g[::-1]
    if lattice > 4:  # no cluster of up to three spins winds around; P. Beale 1996
        assert g[:5] == (2, 0, 2 * sites, 4 * sites, sites * (sites + 9))
    if lattice == 16:
        assert g[:6] == (2, 0, 512, 1024, 67840, 268288)


@pytest.mark.parametrize("lattice", [4, 16, 32])
@pytest.mark.parametrize("temperature", [0.5, 2.0, T_C, 2.6, 50.0])
def test_energy_histogram_has_kaufmans_moments(lattice: int, temperature: float) -> None:
    histogram, exact = energy_histogram(lattice, temperature), kaufman(lattice, temperature)
    sites = lattice**2
    mean = float(histogram.energies @ histogram.probabilities)
    variance = float((histogram.energies - mean) ** 2 @ histogram.probabilities)
    assert histogram.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert mean / sites == pytest.approx(exact.energy, abs=1e-12)
    assert variance / sites / temperature**2 == pytest.approx(exact.heat_capacity, abs=1e-11)


@pytest.mark.parametrize(("temperature", "m1", "m2", "m4"), MOMENTS)
def test_magnetisation_law_reproduces_the_check_values(
    temperature: float, m1: float, m2: float, m4: float
) -> None:
    law = magnetisation_law(8, temperature)
    for power, value in ((1, m1), (2, m2), (4, m4)):
        assert law.moment(power) == pytest.approx(value, abs=1e-10)
    if temperature == T_C:
        assert law.binder == pytest.approx(0.61304, abs=1e-5)


@pytest.mark.parametrize("lattice", [2, 4])
@pytest.mark.parametrize("temperature", [1.0, T_C, 5.0])
def test_magnetisation_law_is_that_of_the_enumeration(lattice: int, temperature: float) -> None:
    exact, law = enumerate_states(lattice, temperature), magnetisation_law(lattice, temperature)
    down = np.rint((1 + exact.magnetisations) * lattice**2 / 2).astype(np.int64)
    expected = np.bincount(down, weights=exact.probabilities)
    np.testing.assert_allclose(law.probabilities, expected, atol=1e-14)


def test_infinite_lattice_reproduces_the_check_values() -> None:
    cold, hot = infinite_lattice(2.0), infinite_lattice(2.6)
    assert cold.energy == pytest.approx(-1.74556457531, abs=1e-11)
    assert cold.heat_capacity == pytest.approx(0.724871448602, abs=1e-12)
    assert cold.magnetisation == pytest.approx(0.911319377877, abs=1e-12)
    assert hot.energy == pytest.approx(-1.02829363801, abs=1e-11)
    assert hot.heat_capacity == pytest.approx(0.704857692640, abs=1e-12)
    assert hot.magnetisation == 0
    critical = infinite_lattice(T_C)
    assert critical.energy == -math.sqrt(2)
    assert critical.heat_capacity == math.inf
    assert math.sinh(2 / T_C) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("temperature", [1.5, 2.0, 3.0, 5.0])
def test_large_lattices_approach_the_infinite_one(temperature: float) -> None:
    finite, infinite = kaufman(256, temperature), infinite_lattice(temperature)
    assert finite.energy == pytest.approx(infinite.energy, abs=1e-10)
    assert finite.heat_capacity == pytest.approx(infinite.heat_capacity, abs=1e-9)


@pytest.mark.parametrize("step", [1e-3, 1e-6, 1e-9])
def test_onsagers_energy_is_continuous_at_the_critical_temperature(step: float) -> None:
    for temperature in (T_C * (1 - step), T_C * (1 + step)):
        assert abs(infinite_lattice(temperature).energy + math.sqrt(2)) < 50 * step


@pytest.mark.parametrize("function", [kaufman, energy_histogram, magnetisation_law])
def test_wrong_arguments_are_named(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="'lattice' must be an even"):
        function(5, 2.0)
    with pytest.raises(ValueError, match="'temperature' must be positive"):
        function(4, -1.0)
