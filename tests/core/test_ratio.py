import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from emulant.ratio import correction_weights, fit_ratio, logistic
from emulant.rng import numpy_rng, torch_rng


def two_bells(n=4000, shift=0.7, seed=0):
    rng = numpy_rng(seed)
    return rng.standard_normal((n, 2)), rng.standard_normal((n, 2)) + shift


def test_the_bill_at_the_exact_ratio_is_least_and_log_4_where_the_laws_are_one():
    rng = torch_rng(0)
    q, p = torch.randn(100_000, generator=rng), torch.randn(100_000, generator=rng) + 1
    exact = logistic(p - 0.5, q - 0.5)
    assert exact < min(logistic(b * p - a, q * b - a) for a, b in ((0.4, 1.0), (0.5, 1.2)))
    assert torch.isclose(logistic(0 * p, 0 * q), 2 * softplus(torch.zeros(())))


def test_the_ratio_of_two_bells_is_found_and_corrects_the_samples():
    samples, truth = two_bells()
    ratio = fit_ratio(samples, truth, seed=0)
    new = numpy_rng(1).standard_normal((2000, 2))
    error = ratio.log_ratio(new) - (0.7 * new.sum(1) - 0.49)
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert ratio.kl() == pytest.approx(0.49, abs=0.08)  # standard error of the mean: 0.016
    assert ratio.miscalibration() < 0.02
    weights = ratio.weights()
    assert weights.weight.mean() == pytest.approx(1)
    assert (weights.weight[:, None] * samples).mean(0) == pytest.approx([0.7, 0.7], abs=0.15)


def test_equal_laws_have_ratio_one_and_almost_all_samples_stay_effective():
    samples, truth = two_bells(shift=0.0)
    ratio = fit_ratio(samples, truth, seed=0)
    assert np.abs(ratio.samples).mean() < 0.05
    assert ratio.weights().effective > 0.95


def test_rows_in_any_order_and_constant_features_do_no_harm():
    samples, truth = (np.sort(x, 0) for x in two_bells())
    flat = [np.c_[x, np.ones(len(x))] for x in (samples, truth)]
    assert fit_ratio(*flat, seed=0).kl() > 0.4


def test_the_same_seed_gives_the_same_ratio():
    samples, truth = two_bells(500)
    first, second, other = (fit_ratio(samples, truth, seed).samples for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_weights_that_rest_on_a_few_samples_are_refused():
    with pytest.raises(ValueError, match=r"effective share of 10%.*got 5\.0%"):
        correction_weights(np.r_[50.0, np.zeros(19)])
    assert correction_weights(np.r_[50.0, np.zeros(19)], floor=0.01).effective < 0.06


def test_what_cannot_be_compared_is_refused():
    samples, truth = two_bells(50)
    with pytest.raises(ValueError, match="'truth_features' must have shape"):
        fit_ratio(samples, truth[:, :1], seed=0)
    with pytest.raises(ValueError, match="'folds' must"):
        fit_ratio(samples[:8], truth, seed=0)
    samples[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"'samples_features' must be finite.*row 3"):
        fit_ratio(samples, truth, seed=0)
