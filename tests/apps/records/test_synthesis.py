"""The certificate of synthetic patients: copies and nonsense are found, fresh draws pass."""

import numpy as np
import pytest
from numpy.typing import NDArray

from emulant.rng import numpy_rng
from emulant_apps.records.synthesis import fit_copula
from emulant_apps.records.validate import attacks, certificate

Array = NDArray[np.float64]


def people(n: int, seed: int) -> Array:
    rng = numpy_rng(seed, "people")
    z = rng.multivariate_normal([0, 0, 0], [[1, 0.7, 0.5], [0.7, 1, 0.4], [0.5, 0.4, 1]], n)
    level = (z[:, 2] > 0.3).astype(float) + (z[:, 2] > 1.2)
    return np.column_stack([np.exp(z[:, 0]), z[:, 1], level])


def test_the_copula_keeps_margins_correlations_and_shares() -> None:
    x = people(3000, 0)
    made = fit_copula(x, [0, 0, 3]).sample(3000, 1)
    assert np.allclose(
        np.quantile(made[:, 0], [0.1, 0.5, 0.9]), np.quantile(x[:, 0], [0.1, 0.5, 0.9]), rtol=0.12
    )
    assert np.corrcoef(np.log(made[:, 0]), made[:, 1])[0, 1] == pytest.approx(0.7, abs=0.05)
    shares = [np.bincount(t[:, 2].astype(int), minlength=3) / 3000 for t in (x, made)]
    assert np.allclose(*shares, atol=0.04)
    means = [[t[t[:, 2] == k, 1].mean() for k in range(3)] for t in (x, made)]
    assert np.allclose(*means, atol=0.2)
    assert not np.isin(made[:, 0], x[:, 0]).any()


def test_an_attacker_finds_copies_and_nothing_in_fresh_draws() -> None:
    rng = numpy_rng(0, "attack")
    train, held, fresh = (rng.normal(size=(600, 4)) for _ in range(3))
    copied = {
        a.name: a.auc for a in attacks(train + 0.01 * rng.normal(size=train.shape), train, held, 0)
    }
    honest = attacks(fresh, train, held, 0)
    assert copied["by distance"] > 0.99
    assert all(abs(a.auc - 0.5) < 4 * a.error for a in honest)


def test_a_copier_and_a_fool_fail_and_fresh_patients_do_not() -> None:
    rng = numpy_rng(1, "certificate")
    law = np.array([[1.0, 0.6], [0.6, 1.0]])
    train, held, fresh = (rng.multivariate_normal([0, 0], law, 800) for _ in range(3))
    names = ["a", "b"]
    verdicts = {
        kind: certificate(names, made, train, held, 0).verdict
        for kind, made in (
            ("fresh", fresh),
            ("copier", train + 1e-3 * rng.normal(size=train.shape)),
            ("fool", rng.normal(size=(800, 2))),
        )
    }
    assert verdicts["fresh"] != "fail"
    assert verdicts["copier"] == "fail"
    assert verdicts["fool"] == "fail"
