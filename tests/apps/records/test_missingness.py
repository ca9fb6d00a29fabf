"""The laws of missingness: Little's test is uniform under MCAR and small under MAR."""

import numpy as np
import pytest
from scipy.stats import kstest

from emulant.rng import numpy_rng
from emulant_apps.records.copula import fit_quantiles
from emulant_apps.records.data import Table
from emulant_apps.records.gaussian import Gaussian, conditional, fit_gaussian
from emulant_apps.records.metrics import (
    auc,
    average_precision,
    brier,
    calibration_line,
    decision_curve,
    ece,
)
from emulant_apps.records.missingness import is_monotone, little_test, patterns, who_is_missing
from emulant_apps.records.schema import Column


def correlated(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)


def test_littles_p_is_uniform_under_mcar() -> None:
    p = []
    for seed in range(40):
        rng = numpy_rng(seed, "little")
        x = correlated(250, 3, rng)
        x[rng.random(x.shape) < 0.15] = np.nan
        found = little_test(x)
        assert found is not None
        p.append(found.p_value)
    assert kstest(p, "uniform").pvalue > 0.01


def test_littles_p_is_small_where_the_mask_depends_on_another_column() -> None:
    rng = numpy_rng(0, "little mar")
    x = correlated(500, 3, rng)
    x[x[:, 0] > np.median(x[:, 0]), 1] = np.nan
    found = little_test(x)
    assert found is not None
    assert found.p_value < 1e-6
    assert found.degrees == 3 + 2 - 3


def test_who_is_missing_finds_the_column_that_tells() -> None:
    rng = numpy_rng(1, "who")
    x = correlated(600, 4, rng)
    x[rng.random(600) < 1 / (1 + np.exp(-3 * (x[:, 2] - x[:, 2].mean()) / x[:, 2].std())), 0] = (
        np.nan
    )
    x[rng.random(600) < 0.3, 1] = np.nan
    table = Table(tuple(Column(n, "numeric") for n in "abcd"), x)
    found = {w.column: w for w in who_is_missing(table)}
    assert found["a"].auc > 0.8
    assert found["a"].strongest[0] == "c"
    assert found["b"].low < 0.5 < found["b"].high + 0.03


def test_patterns_and_monotone() -> None:
    x = np.zeros((30, 3))
    x[:10, 2] = np.nan
    x[:5, 1] = np.nan
    table = Table(tuple(Column(n, "numeric") for n in "abc"), x)
    assert [(p.missing, p.rows) for p in patterns(table)] == [
        ((), 20),
        (("c",), 5),
        (("b", "c"), 5),
    ]
    assert is_monotone(table.missing)
    x[29, 0] = np.nan
    assert not is_monotone(np.isnan(x))


def test_em_without_holes_is_the_sample_covariance() -> None:
    x = correlated(200, 4, numpy_rng(0, "em"))
    law = fit_gaussian(x, shrinkage=0.0)
    assert np.allclose(law.mean, x.mean(0))
    assert np.allclose(law.covariance, np.cov(x.T, bias=True), atol=1e-6)


def test_em_recovers_the_truth_under_mar() -> None:
    rng = numpy_rng(3, "em")
    truth = np.array([[1.0, 0.8], [0.8, 1.0]])
    x = rng.multivariate_normal([0.0, 0.0], truth, 20000)
    x[x[:, 0] > 0, 1] = np.nan  # the mean of what is left is far from 0
    law = fit_gaussian(x, iterations=300, shrinkage=0.0, tolerance=1e-7)
    assert np.nanmean(x[:, 1]) < -0.5
    assert np.allclose(law.mean, 0, atol=0.04)
    assert np.allclose(law.covariance, truth, atol=0.06)


def test_leave_one_out_is_what_a_second_computation_without_the_cell_gives() -> None:
    rng = numpy_rng(4, "loo")
    x = correlated(30, 6, rng)
    x[rng.random(x.shape) < 0.3] = np.nan
    law = fit_gaussian(x)
    blocks = (np.array([1, 2]),)
    x[np.isnan(x[:, 1]) | np.isnan(x[:, 2]), 1:3] = np.nan  # a category is there or not
    found = conditional(law, x, blocks, gain=True)
    observed = ~np.isnan(x)
    for i, j in zip(*np.nonzero(observed), strict=True):
        less = x[i : i + 1].copy()
        less[0, [1, 2] if j in (1, 2) else j] = np.nan
        again = conditional(law, less)
        assert found.mean[i, j] == pytest.approx(again.mean[0, j], abs=1e-8)
        assert found.variance[i, j] == pytest.approx(again.variance[0, j], abs=1e-8)
        if j not in (1, 2):
            filled = again.filled[0].copy()
            filled[j] = 0
            assert np.allclose(found.without(j, observed)[i], filled, atol=1e-8)


def test_conditional_is_the_textbook_formula() -> None:
    law = Gaussian(np.array([1.0, 2.0]), np.array([[2.0, 1.0], [1.0, 3.0]]))
    found = conditional(law, np.array([[3.0, np.nan]]))
    assert found.mean[0, 1] == pytest.approx(2 + 1 / 2 * (3 - 1))
    assert found.variance[0, 1] == pytest.approx(3 - 1 / 2)
    assert found.mean[0, 0] == pytest.approx(1.0)


def test_quantiles_go_there_and_back_and_repeat_no_patient() -> None:
    x = np.exp(numpy_rng(5, "q").normal(size=(400, 1)))
    quantiles = fit_quantiles(x)
    z = quantiles.forth(x)
    inner = np.abs(z[:, 0]) < 2
    assert np.allclose(quantiles.back(z[inner], 0), x[inner], rtol=1e-9)
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1, abs=0.03)
    assert not np.isin(quantiles.values, x).any()
    mean = quantiles.mean(np.zeros((1, 1)), np.ones((1, 1)))
    assert mean[0, 0] == pytest.approx(x.mean(), rel=0.03)


def test_metrics_equal_scikit_learn() -> None:
    from sklearn import metrics

    rng = numpy_rng(6, "metrics")
    p = np.round(rng.random(300), 2)
    y = (rng.random(300) < p).astype(float)
    assert auc(y, p) == pytest.approx(metrics.roc_auc_score(y, p))
    assert average_precision(y, p) == pytest.approx(metrics.average_precision_score(y, p))
    assert brier(y, p) == pytest.approx(metrics.brier_score_loss(y, p))


def test_calibration_of_the_truth_is_perfect_and_of_a_boast_is_not() -> None:
    rng = numpy_rng(7, "calibration")
    p = rng.beta(1, 3, 40000)
    y = (rng.random(len(p)) < p).astype(float)
    slope, intercept = calibration_line(y, p)
    assert slope == pytest.approx(1, abs=0.05)
    assert intercept == pytest.approx(0, abs=0.05)
    assert ece(y, p) < 0.01
    boast = p**2 / (p**2 + (1 - p) ** 2)  # the logit twice as large
    assert calibration_line(y, boast)[0] == pytest.approx(0.5, abs=0.03)
    assert ece(y, boast) > 0.05


def test_treating_all_has_the_net_benefit_of_its_formula() -> None:
    y = np.r_[np.ones(30), np.zeros(70)]
    t = np.array([0.1, 0.3])
    assert np.allclose(decision_curve(y, np.ones(100), t), 0.3 - 0.7 * t / (1 - t))
