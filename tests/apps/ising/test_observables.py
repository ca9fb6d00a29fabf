"""Estimates, their errors, and the tests that need no reference."""

from __future__ import annotations

import numpy as np
import pytest

from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.exact import (
    T_C,
    energy_histogram,
    enumerate_states,
    kaufman,
    magnetisation_law,
)
from emulant_apps.ising.hamiltonian import Floats, Spins, local_fields
from emulant_apps.ising.jackknife import jackknife
from emulant_apps.ising.observables import (
    correlation_function,
    correlation_length,
    correlations,
    energy_counts,
    estimate,
    magnetisation_counts,
    measure,
    structure_factor,
    structure_factor_map,
    structure_factors,
    summarise,
)
from emulant_apps.ising.reference_free import CALLEN_FUNCTIONS, callen, drift
from emulant_apps.ising.simulators import simulate, sweep_heat_bath, sweep_wolff


def random_spins(count: int, lattice: int, seed: int = 0) -> Spins:
    rng = np.random.default_rng(seed)
    return (2 * rng.integers(0, 2, (count, lattice, lattice)) - 1).astype(np.int8)


def autoregression(rho: float, shape: tuple[int, ...], seed: int) -> Floats:
    """x_t = ρ x_(t-1) + sqrt(1 - ρ²) noise along the last axis: τ = (1 + ρ) / (2 (1 - ρ))."""
    noise = np.random.default_rng(seed).normal(size=shape)
    x = np.empty(shape)
    x[..., 0] = noise[..., 0]
    for t in range(1, shape[-1]):
        x[..., t] = rho * x[..., t - 1] + np.sqrt(1 - rho**2) * noise[..., t]
    return x


@pytest.fixture(scope="module")
def critical() -> Spins:
    return simulate(8, T_C, 20_000, "swendsen-wang", seed=11).spins


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("shape", [(40_000,), (16, 2500)])
def test_autocorrelation_time_of_an_autoregression(rho: float, shape: tuple[int, ...]) -> None:
    exact = (1 + rho) / (2 * (1 - rho))
    for seed in range(3):
        found = integrated_autocorrelation_time(autoregression(rho, shape, seed))
        assert abs(found.tau - exact) < 4 * found.error + 0.02 * exact


def test_autocorrelation_time_of_a_constant_is_that_of_independence() -> None:
    assert integrated_autocorrelation_time(np.full(100, 3.0)).tau == 0.5


def test_jackknife_of_the_mean_is_the_standard_error() -> None:
    """With blocks of one sample the two formulae are the same."""
    x = np.random.default_rng(0).normal(size=(150, 1))
    found = jackknife(lambda mean: mean, x, tau=0.5)
    assert found.values[0] == pytest.approx(x.mean(), rel=1e-12)
    assert found.errors[0] == pytest.approx(x.std(ddof=1) / np.sqrt(150), rel=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_jackknife_errors_have_the_spread_of_repeated_estimates(rho: float) -> None:
    """var(x), estimated from correlated series: the error is the scatter over 200 series."""
    found = []
    for x in autoregression(rho, (200, 2000), 1):
        columns = np.stack([x, x**2], axis=1)
        found.append(jackknife(lambda mean: mean[:, 1:] - mean[:, :1] ** 2, columns))
    values = np.array([estimates.values[0] for estimates in found])
    errors = np.array([estimates.errors[0] for estimates in found])
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(values.std(ddof=1), rel=0.2)
    assert abs(values.mean() - 1) < 5 * values.std() / np.sqrt(200) + 0.01


def test_jackknife_takes_whole_weights_as_repetitions() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, 2)), rng.integers(1, 4, 500).astype(np.float64)
    weighted = jackknife(lambda mean: mean, x, weights=w, tau=0.5).values
    np.testing.assert_allclose(weighted, np.repeat(x, w.astype(np.int64), axis=0).mean(axis=0))


def test_jackknife_refuses_a_series_too_short_for_its_correlation() -> None:
    with pytest.raises(ValueError, match="too few for an error"):
        jackknife(lambda mean: mean, np.zeros((50, 1)), tau=5.0)
    with pytest.raises(ValueError, match="'weights' must"):
        jackknife(lambda mean: mean, np.zeros((50, 1)), weights=np.full(50, -1.0))


def test_estimates_agree_with_the_exact_answers(critical: Spins) -> None:
    found, law = measure(critical, T_C), magnetisation_law(8, T_C)
    exact = kaufman(8, T_C)
    chi = 64 / T_C * (law.moment(2) - law.moment(1) ** 2)
    for estimate_, value in (
        (found.energy, exact.energy),
        (found.heat_capacity, exact.heat_capacity),
        (found.magnetisation, law.moment(1)),
        (found.susceptibility, chi),
        (found.binder, law.binder),
    ):
        assert abs(estimate_.value - value) < 4 * estimate_.error
        assert 0 < estimate_.error < 0.05 * abs(value)


def test_errors_from_a_correlated_chain_cover_the_exact_answer() -> None:
    """Neighbouring Wolff states are correlated; the z-scores of 24 chains must not notice."""
    exact, law = kaufman(8, T_C), magnetisation_law(8, T_C)
    z = []
    for seed in range(24):
        chain = simulate(8, T_C, 4000, "wolff", seed=seed, spacing=1).spins
        found = measure(chain, T_C)
        z.append((found.energy.value - exact.energy) / found.energy.error)
        z.append((found.magnetisation.value - law.moment(1)) / found.magnetisation.error)
    assert np.abs(z).max() < 4.5
    assert 0.6 < np.sqrt(np.square(z).mean()) < 1.4


def test_weights_carry_samples_to_another_temperature() -> None:
    """Ferrenberg and Swendsen: w = exp(-E (1/T' - 1/T))."""
    summaries = summarise(simulate(8, 2.4, 20_000, "swendsen-wang", seed=2).spins)
    log_weight = -64 * summaries.energy * (1 / 2.3 - 1 / 2.4)
    found = estimate(summaries, 2.3, weights=np.exp(log_weight - log_weight.max()))
    exact, law = kaufman(8, 2.3), magnetisation_law(8, 2.3)
    assert abs(found.energy.value - exact.energy) < 4 * found.energy.error
    assert abs(found.heat_capacity.value - exact.heat_capacity) < 4 * found.heat_capacity.error
    assert abs(found.magnetisation.value - law.moment(1)) < 4 * found.magnetisation.error
    assert abs(found.energy.value - kaufman(8, 2.4).energy) > 10 * found.energy.error


@pytest.mark.parametrize("lattice", [4, 6, 16])
def test_correlations_and_structure_factors_are_those_of_the_definition(lattice: int) -> None:
    spins = random_spins(5, lattice)
    s = spins.astype(np.float64)
    for r in range(lattice // 2 + 1):
        both = (s * np.roll(s, r, 1) + s * np.roll(s, r, 2)).mean(axis=(1, 2)) / 2
        np.testing.assert_allclose(correlations(spins)[:, r], both, atol=1e-15)
    power = np.square(np.abs(np.fft.fft2(s))) / lattice**2
    axes = (power[:, 0] + power[:, :, 0])[:, : lattice // 2 + 1] / 2
    np.testing.assert_allclose(structure_factors(spins), axes, atol=1e-12)
    np.testing.assert_allclose(structure_factor_map(spins), power.mean(axis=0), atol=1e-12)


def test_structure_factor_of_noise_is_white() -> None:
    found = structure_factor(random_spins(4000, 16))
    assert (np.abs(found.values - 1) < 4.5 * found.errors).all()


def test_correlation_function_agrees_with_the_enumeration() -> None:
    exact = enumerate_states(4, 2.5)
    spins = exact.sample(20_000, np.random.default_rng(0))
    found, expected = correlation_function(spins), exact.probabilities @ correlations(exact.spins)
    assert found.values[0] == 1
    assert (np.abs(found.values - expected)[1:] < 4 * found.errors[1:]).all()


def test_correlation_length_agrees_with_its_exact_moments() -> None:
    exact = enumerate_states(4, 3.0)
    s0, s1 = exact.probabilities @ structure_factors(exact.spins)[:, :2]
    found = correlation_length(exact.sample(20_000, np.random.default_rng(1)))
    expected = np.sqrt(s0 / s1 - 1) / (2 * np.sin(np.pi / 4))
    assert abs(found.value - expected) < 4 * found.error


def test_histograms_agree_with_the_exact_ones(critical: Spins) -> None:
    for found, values, expected in (
        (
            energy_counts(critical),
            energy_histogram(8, T_C).energies,
            energy_histogram(8, T_C).probabilities,
        ),
        (
            magnetisation_counts(critical),
            magnetisation_law(8, T_C).magnetisations,
            magnetisation_law(8, T_C).probabilities,
        ),
    ):
        np.testing.assert_array_equal(found.values, values)
        assert found.probabilities.sum() == pytest.approx(1)
        often = expected > 1e-3
        error = np.sqrt(expected * (1 - expected) / len(critical))[often]
        z = (found.probabilities - expected)[often] / error
        assert np.abs(z).max() < 4.5
        np.testing.assert_allclose(found.errors[often], error, rtol=0.35)


@pytest.mark.parametrize("temperature", [2.0, T_C, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_callen_and_drift_pass_on_truth_and_find_a_wrong_temperature(
    temperature: float, seed: int
) -> None:
    spins = simulate(16, temperature, 4000, "swendsen-wang", seed=seed).spins
    assert callen(spins, temperature).p_value > 1e-4
    assert drift(spins, temperature, seed=seed).p_value > 1e-4
    assert callen(spins, 1.03 * temperature).p_value < 1e-6
    assert drift(spins, 1.03 * temperature, seed=seed).p_value < 1e-6


@pytest.mark.parametrize("temperature", [1.5, 3.0])
def test_callens_identities_hold_exactly_on_all_states(temperature: float) -> None:
    exact = enumerate_states(4, temperature, 0.2)
    for function in CALLEN_FUNCTIONS.values():
        f = function(exact.spins.astype(np.int16))
        residual = exact.spins - np.tanh(local_fields(exact.spins, 0.2) / temperature)
        assert abs(exact.mean((f * residual).mean(axis=(1, 2)))) < 1e-13


@pytest.mark.parametrize("name", CALLEN_FUNCTIONS)
def test_callens_functions_do_not_see_their_own_site(name: str) -> None:
    spins = random_spins(3, 8).astype(np.int16)
    turned = spins.copy()
    turned[:, 2, 5] *= -1
    function = CALLEN_FUNCTIONS[name]
    np.testing.assert_array_equal(function(spins)[:, 2, 5], function(turned)[:, 2, 5])


def test_drift_sees_long_wavelengths_where_callen_is_blind() -> None:
    """Local sweeps from an ordered start at T_C cure the neighbourhoods, not the order."""
    start = np.ones((1500, 32, 32), dtype=np.int8)
    spins = sweep_heat_bath(start, T_C, 60)
    assert callen(spins, T_C).p_value > 1e-4
    assert drift(spins, T_C).p_value < 1e-6


def test_weighted_tests_accept_reweighted_samples() -> None:
    spins = simulate(8, 2.6, 20_000, "swendsen-wang", seed=4).spins
    u = summarise(spins).energy
    weights = np.exp(-64 * (u - u.min()) * (1 / 2.5 - 1 / 2.6))
    assert callen(spins, 2.5, weights=weights).p_value > 1e-4
    assert drift(spins, 2.5, weights=weights).p_value > 1e-4
    assert callen(spins, 2.5).p_value < 1e-4


def test_drift_takes_another_kernel() -> None:
    spins = simulate(8, 2.5, 4000, "swendsen-wang", seed=0).spins
    assert drift(spins, 2.5, kernel=lambda s: sweep_wolff(s, 2.5, 3)).p_value > 1e-4
    assert drift(spins, 2.5, kernel=lambda s: sweep_wolff(s, 2.3, 3)).p_value < 1e-4
