"""Weights: identities on systems small enough to enumerate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulant_apps.ising.data import States
from emulant_apps.ising.weights import (
    bias_by_weights,
    effective_sample_size,
    independence_chains,
    independence_metropolis,
    ln_mean_weight,
    ln_partition,
    normalised,
    resample,
    resampled,
    reweighted_mean,
)

P = np.array([0.5, 0.3, 0.15, 0.05])
"""True probabilities of four states; the emulator gives 1/4 to each, and Z = e^7."""
LN_WEIGHT = np.log(P) + 7.0 - np.log(0.25)


def draws(n, seed=0):
    return np.random.default_rng(seed).integers(0, 4, n)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30), st.floats(-1e4, 1e4))
def test_a_constant_in_the_weights_is_immaterial(values, shift):
    w = np.array(values)
    np.testing.assert_allclose(normalised(w + shift), normalised(w), atol=1e-9)
    size = effective_sample_size(w)
    assert 1 / len(w) - 1e-12 <= size <= 1 + 1e-12


def test_effective_sample_size_of_equal_and_of_single_weights():
    assert effective_sample_size(np.zeros(8)) == pytest.approx(1.0)
    assert effective_sample_size(np.array([0.0] + [-800.0] * 7)) == pytest.approx(1 / 8)
    np.testing.assert_allclose(effective_sample_size(np.zeros((3, 5))), np.ones(3))


def test_all_states_once_give_z_and_the_mean_exactly():
    assert ln_mean_weight(LN_WEIGHT).value == pytest.approx(7.0, abs=1e-12)
    assert reweighted_mean(np.arange(4.0), LN_WEIGHT).value == pytest.approx(P @ np.arange(4.0))


def test_errors_cover_the_truth_as_often_as_they_should():
    z, mean = [], []
    for seed in range(400):
        i = draws(500, seed)
        estimate = ln_mean_weight(LN_WEIGHT[i])
        z.append((estimate.value - 7.0) / estimate.error)
        estimate = reweighted_mean(np.arange(4.0)[i], LN_WEIGHT[i])
        mean.append((estimate.value - P @ np.arange(4.0)) / estimate.error)
    for scores in (z, mean):
        assert abs(np.mean(scores)) < 0.2
        assert np.std(scores) == pytest.approx(1.0, abs=0.12)


def test_weights_below_the_floor_are_refused():
    with pytest.raises(ValueError, match="below the floor"):
        reweighted_mean(np.zeros(100), np.array([0.0] + [-50.0] * 99))


def test_bias_by_weights_is_the_bias_with_less_error():
    # q close to p: weights near one
    q = np.array([0.48, 0.32, 0.15, 0.05])
    values = np.array([0.0, 1.0, 2.0, 3.0])
    i = np.random.default_rng(5).choice(4, 50_000, p=q)
    found = bias_by_weights(values[i], (np.log(P / q) + 7.0)[i], 7.0)
    plain = values[i].std() / np.sqrt(len(i))
    assert abs(found.value - (q - P) @ values) < 4 * found.error
    assert found.error < 0.2 * plain


def test_bias_after_an_exact_kernel_is_told_by_the_weights_before():
    # K resamples from p with probability 1/2: halves the bias and leaves p invariant
    rng = np.random.default_rng(6)
    values = np.arange(4.0)
    i = rng.integers(0, 4, 200_000)
    after = np.where(rng.uniform(size=len(i)) < 0.5, rng.choice(4, len(i), p=P), i)
    found = bias_by_weights(values[after], LN_WEIGHT[i], 7.0)
    assert abs(found.value - 0.5 * (values.mean() - P @ values)) < 4 * found.error


def test_resampling_keeps_each_within_one_of_its_share():
    i = draws(1000)
    w = normalised(LN_WEIGHT[i])
    kept = np.bincount(resampled(LN_WEIGHT[i], np.random.default_rng(1)), minlength=1000)
    assert kept.sum() == 1000
    assert (np.abs(kept - 1000 * w) < 1).all()


def test_independence_chains_reach_the_true_distribution():
    n, steps = 40_000, 12
    i = draws(n)
    chains = independence_chains(LN_WEIGHT[i], steps, np.random.default_rng(2))
    found = np.bincount(i[chains.indices], minlength=4) / n
    np.testing.assert_allclose(found, P, atol=0.02)
    assert 0.3 < chains.acceptance < 1.0


def test_true_states_are_left_true_by_one_step():
    # p invariant: starts drawn from p, equal weights would accept all
    chains = independence_chains(np.zeros(50), 3, np.random.default_rng(0))
    assert chains.acceptance == 1.0
    assert sorted(chains.indices) == list(range(50))


def test_no_steps_change_nothing():
    chains = independence_chains(LN_WEIGHT, 0, np.random.default_rng(0))
    assert chains.indices.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="'steps' must be"):
        independence_chains(LN_WEIGHT, 4, np.random.default_rng(0))


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        normalised(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="shape"):
        ln_mean_weight(np.zeros((2, 2)))


def two_by_two():
    """Uniform draws of 2×2 blocks tiled to 4×4 at T = 3, and what they estimate."""
    bits = np.random.default_rng(3).integers(0, 2, (1, 30_000, 4)) * 2 - 1
    blocks = bits.reshape(1, -1, 2, 2).astype(np.int8)
    energy = -(blocks[..., 0, :] * blocks[..., 1, :]).sum(-1).astype(float)
    log_weight = -energy / 3.0 + 4 * np.log(2)
    return States(np.tile(blocks, (1, 1, 2, 2)), np.array([3.0]), log_weight)


def test_states_give_ln_z_and_follow_the_target_after_the_chain():
    states = two_by_two()
    (ln_z,) = ln_partition(states)
    exact = np.log((2 * 2 * np.cosh(1 / 3)) ** 2)  # two independent bonds of two spins
    assert abs(ln_z.value - exact) < 4 * ln_z.error
    for made in (resample(states, 0), independence_metropolis(states, 20, 0)):
        bond = (made.spins[0, :, 0, 0] * made.spins[0, :, 1, 0]).mean()
        assert bond == pytest.approx(np.tanh(1 / 3), abs=0.03)
        assert made.log_weight is None
        assert "dropped" in made.notes["log_weight"]
    with pytest.raises(ValueError, match="no log_weight"):
        ln_partition(made)
