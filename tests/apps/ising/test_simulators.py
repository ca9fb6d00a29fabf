"""Every simulator must draw from exp(-E/T) / Z: judged against all states of small lattices."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
from scipy import stats

from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.bitsliced import heat_bath_words, lanes, pack, unpack, up_thresholds
from emulant_apps.ising.exact import T_C, Enumeration, enumerate_states, kaufman, state_index
from emulant_apps.ising.hamiltonian import (
    Floats,
    Spins,
    bond_sums,
    energies,
    local_fields,
    magnetisations,
    spin_sums,
)
from emulant_apps.ising.simulators import (
    Algorithm,
    simulate,
    sweep_heat_bath,
    sweep_metropolis,
    sweep_scalar_heat_bath,
    sweep_swendsen_wang,
    sweep_wolff,
)
from emulant_apps.ising.xoshiro import below, next_word, streams, threshold, uniform

ALGORITHMS = get_args(Algorithm)
SWEEPS: list[Callable[..., Spins]] = [
    sweep_heat_bath,
    sweep_metropolis,
    sweep_scalar_heat_bath,
    sweep_swendsen_wang,
    sweep_wolff,
]
WITH_FIELD = [sweep for sweep in SWEEPS if sweep is not sweep_wolff]
LEAST_P = 1e-4


def chi_square_p(counts: Floats, probabilities: Floats) -> float:
    """Return the p-value of ``counts``, classes of expectation below 10 lumped together."""
    expected = probabilities * counts.sum()
    rare = expected < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    if expected[-1] < 5:
        observed, expected = observed[:-1], expected[:-1]
    return float(stats.chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - 1))


def law_p(spins: Spins, exact: Enumeration) -> float:
    """Return the p-value of ``spins`` under ``exact``, in classes of equal energy and M."""
    bonds, total = bond_sums(exact.spins), spin_sums(exact.spins)
    label = np.unique(1000 * bonds + total, return_inverse=True)[1]
    p: Floats = np.bincount(label, weights=exact.probabilities).astype(np.float64)
    counts = np.bincount(label[state_index(spins)], minlength=len(p))
    return chi_square_p(counts.astype(np.float64), p)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("temperature", [1.5, T_C, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_simulate_draws_the_enumerated_law(
    algorithm: Algorithm, temperature: float, seed: int
) -> None:
    # no spacing given: the samples must be as independent as the chi-square test takes them to
    samples = simulate(4, temperature, 20_000, algorithm, seed=seed)
    assert law_p(samples.spins, enumerate_states(4, temperature)) > LEAST_P


@pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a != "wolff"])
def test_simulate_draws_the_enumerated_law_in_a_field(algorithm: Algorithm) -> None:
    samples = simulate(4, 2.5, 20_000, algorithm, field=0.1, seed=1)
    assert law_p(samples.spins, enumerate_states(4, 2.5, 0.1)) > LEAST_P


@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("seed", range(3))
def test_exact_samples_stay_exact(sweep: Callable[..., Spins], seed: int) -> None:
    exact = enumerate_states(4, 2.5)
    start = exact.sample(50_000, np.random.default_rng(seed))
    assert law_p(sweep(start, 2.5, 2, seed), exact) > LEAST_P


@pytest.mark.parametrize("sweep", WITH_FIELD)
def test_exact_samples_stay_exact_in_a_field(sweep: Callable[..., Spins]) -> None:
    exact = enumerate_states(4, 2.0, -0.3)
    start = exact.sample(50_000, np.random.default_rng(0))
    assert law_p(sweep(start, 2.0, 3, 0, field=-0.3), exact) > LEAST_P


@pytest.mark.parametrize("sweep", SWEEPS)
def test_the_law_test_notices_a_temperature_two_percent_off(sweep: Callable[..., Spins]) -> None:
    exact = enumerate_states(4, 2.5)
    start = exact.sample(50_000, np.random.default_rng(0))
    assert law_p(sweep(start, 2.55, 60, 0), exact) < LEAST_P


def test_bit_sliced_heat_bath_reaches_each_of_the_65536_states_as_often_as_it_must() -> None:
    exact = enumerate_states(4, 10.0)
    start = exact.sample(1_000_000, np.random.default_rng(0))
    counts = np.bincount(state_index(sweep_heat_bath(start, 10.0, 2)), minlength=65536)
    assert chi_square_p(counts.astype(np.float64), exact.probabilities) > LEAST_P


@pytest.mark.parametrize("sweep", [sweep_wolff, sweep_swendsen_wang])
def test_cluster_moves_obey_detailed_balance(sweep: Callable[..., Spins]) -> None:
    """In equilibrium a move a -> b is as frequent as b -> a, for every pair of the 16 states."""
    exact = enumerate_states(2, 4.0)
    start = exact.sample(400_000, np.random.default_rng(0))
    a, b = state_index(start), state_index(sweep(start, 4.0, 1, 7))
    flow = np.bincount(16 * a + b, minlength=256).reshape(16, 16).astype(np.float64)
    upper = np.triu_indices(16, 1)
    there, back = flow[upper], flow.T[upper]
    seen = there + back > 10
    statistic = ((there - back)[seen] ** 2 / (there + back)[seen]).sum()
    assert seen.sum() > 50
    assert stats.chi2.sf(statistic, seen.sum()) > LEAST_P


@pytest.mark.parametrize("up", [0.1, 0.5])
def test_single_spins_are_renewed_from_their_exact_conditional(up: float) -> None:
    """After a sweep the odd sublattice is a fresh draw given the even one."""
    rng = np.random.default_rng(0)
    start = np.where(rng.random((20_000, 4, 4)) < up, 1, -1).astype(np.int8)
    swept = sweep_heat_bath(start, 3.0, 1, field=0.2)
    h = local_fields(swept, 0.2)
    odd = np.indices((4, 4)).sum(axis=0) % 2 == 1
    for value in np.unique(h):
        spins = swept[:, odd][h[:, odd] == value]
        p = 1 / (1 + np.exp(-2 * value / 3.0))
        assert stats.binomtest(int((spins > 0).sum()), spins.size, p).pvalue > LEAST_P


def test_the_64_replicas_of_a_word_are_independent() -> None:
    """All start alike; then no random bit is shared, so sites and energies decorrelate."""
    words, state = pack(np.ones((64, 16, 16), dtype=np.int8)), lanes(0, "independence")
    up, snapshots = up_thresholds(4.0, 0.0), 600
    squares, energy = np.empty(snapshots), np.empty((snapshots, 64))
    heat_bath_words(words, up, 200, state)
    for k in range(snapshots):
        heat_bath_words(words, up, 20, state)
        spins = unpack(words, 64)
        # Σ_r s_r² / 64 has mean 1 if replicas are independent, 64 if they are equal
        squares[k] = np.square(spins.sum(axis=0, dtype=np.int64)).mean() / 64
        energy[k] = energies(spins)
    z = (squares.mean() - 1) / (squares.std(ddof=1) / np.sqrt(snapshots))
    assert abs(z) < 4
    r: Floats = np.asarray(np.corrcoef(energy.T))[np.triu_indices(64, 1)]
    assert stats.chi2.sf(snapshots * np.square(r).sum(), len(r)) > LEAST_P


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("lattice", "temperature"), [(16, T_C), (32, 2.0), (32, 2.6)])
def test_energy_agrees_with_kaufman(algorithm: Algorithm, lattice: int, temperature: float) -> None:
    u = energies(simulate(lattice, temperature, 3000, algorithm, seed=2).spins)
    error = u.std(ddof=1) / np.sqrt(len(u))
    assert abs(u.mean() - kaufman(lattice, temperature).energy) < 4 * error


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_both_signs_occur_below_the_critical_temperature(algorithm: Algorithm) -> None:
    up = int((magnetisations(simulate(8, 1.0, 400, algorithm).spins) > 0).sum())
    assert stats.binomtest(up, 400).pvalue > LEAST_P


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_seed_same_states_and_another_seed_others(algorithm: Algorithm) -> None:
    first = simulate(8, 2.5, 50, algorithm, seed=4)
    simulate(8, 2.0, 10, algorithm, seed=4)  # what ran in between does not matter
    again = simulate(8, 2.5, 50, algorithm, seed=4)
    other = simulate(8, 2.5, 50, algorithm, seed=5)
    np.testing.assert_array_equal(first.spins, again.spins)
    assert (first.spins != other.spins).any()
    assert first.spins.shape == (50, 8, 8)
    assert first.spins.dtype == np.int8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_spaced_samples_are_independent(algorithm: Algorithm) -> None:
    samples = simulate(16, T_C, 4000, algorithm, seed=3)
    assert samples.spacing >= 2 * max(samples.tau_energy, samples.tau_magnetisation)
    order = np.abs(magnetisations(samples.spins))
    assert integrated_autocorrelation_time(order).tau < 0.65


def test_given_spacing_and_burn_in_measure_the_autocorrelation_from_the_samples() -> None:
    given = simulate(16, T_C, 20_000, "wolff", spacing=1, burn_in=500)
    found = simulate(16, T_C, 10, "wolff")
    assert given.spacing == 1
    assert given.tau_energy == pytest.approx(found.tau_energy, rel=0.4)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_sweeps_leave_their_input_alone(sweep: Callable[..., Spins]) -> None:
    start = np.ones((70, 6, 6), dtype=np.int8)
    start.flags.writeable = False
    swept = sweep(start, 3.0, 5, 1)
    assert swept.shape == start.shape
    assert set(np.unique(swept)) == {-1, 1}
    assert (start == 1).all()
    np.testing.assert_array_equal(sweep(start, 3.0, 0), start)
    np.testing.assert_array_equal(sweep(start, 3.0, 5, 1), swept)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("lattice", [2, 4, 6, 16])
def test_packing_loses_nothing(count: int, lattice: int) -> None:
    rng = np.random.default_rng(count)
    spins = (2 * rng.integers(0, 2, (count, lattice, lattice)) - 1).astype(np.int8)
    np.testing.assert_array_equal(unpack(pack(spins), count), spins)


def test_energies_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    spins = (2 * rng.integers(0, 2, (9, 6, 6)) - 1).astype(np.int8)
    s = spins.astype(np.float64)
    bonds = (s * np.roll(s, 1, 1) + s * np.roll(s, 1, 2)).sum(axis=(1, 2))
    np.testing.assert_allclose(energies(spins, 0.3), -(bonds + 0.3 * s.sum(axis=(1, 2))) / 36)
    np.testing.assert_allclose((s * local_fields(spins)).sum(axis=(1, 2)), 2 * bonds)


def test_wolff_refuses_a_field() -> None:
    with pytest.raises(ValueError, match="'field' must be 0 with the Wolff algorithm"):
        simulate(4, 2.0, 1, "wolff", field=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((5, 2.0, 1), "'lattice' must be an even"),
        ((4, 0.0, 1), "'temperature' must be positive"),
        ((4, 2.0, 0), "'count' must be at least 1"),
        ((4, 2.0, 1, "gibbs"), "'algorithm' must be one of"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(*arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_sweeps_refuse_other_arrays() -> None:
    with pytest.raises(ValueError, match="must be int8"):
        sweep_heat_bath(np.ones((1, 4, 4)), 2.0, 1)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="must have shape"):
        sweep_metropolis(np.ones((1, 4, 6), dtype=np.int8), 2.0, 1)


def test_xoshiro_words_are_those_of_the_reference_code() -> None:
    """The first outputs for the state 1, 2, 3, 4, as in the tests of Rust's rand_xoshiro."""
    stream = np.array([1, 2, 3, 4], dtype=np.uint64)
    expected = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]
    assert [int(next_word(stream)) for _ in expected] == expected


def test_uniform_numbers_are_uniform() -> None:
    stream = streams(1, 0, "test")[0]
    assert stats.kstest([uniform(stream) for _ in range(5000)], "uniform").pvalue > LEAST_P
    counts = np.bincount([below(6, stream) for _ in range(6000)], minlength=6)
    assert stats.chisquare(counts).pvalue > LEAST_P
    assert threshold(1.0) == np.uint64(2**64 - 1)
    assert threshold(0.5) == np.uint64(2**63)
