"""Rubin's rules, against R's mice."""

import numpy as np
import pytest
from numpy.typing import NDArray

from emulant.rng import numpy_rng
from emulant_apps.records import HybridImputer
from emulant_apps.records.pooling import Pooled, fit_linear, fit_logistic, pool

Array = NDArray[np.float64]

# Made by mice 3.15.0 under R 4.2.2 (Debian's r-cran-mice), from the same five tables:
#   n <- 40; i <- 1:n
#   for (k in 1:5) {
#     x <- sin(i); z <- cos(2*i)
#     z[i %% 4 == 0] <- (cos(2*i) + 0.5*sin(7*i*k + k))[i %% 4 == 0]
#     y <- 1 + 2*x - z + 0.8*sin(3*i*i)
#     y[i %% 5 == 0] <- (y + 0.6*cos(5*i*k))[i %% 5 == 0]
#     d <- data.frame(x, z, y, b = as.integer(sin(11*i) + 0.5*x > 0))
#     fits[[k]] <- lm(y ~ x + z, d); logit[[k]] <- glm(b ~ z + y, binomial, d)
#   }
#   print(as.matrix(pool(as.mira(fits))$pooled), digits = 12)
# Columns: estimate, ubar, b, t, df, riv, lambda, fmi.
LINEAR = [
    [0.853434862343, 0.00718839186351, 0.003217152830427, 0.0110489752600, 13.4680579817,
     0.5370580054362, 0.3494064658177, 0.4284192473983],
    [2.202752003557, 0.01409605600349, 0.000155958267136, 0.0142832059241, 34.6378644803,
     0.0132767577340, 0.0131027950978, 0.0655445166742],
    [-0.793411464832, 0.01459626087116, 0.000735558647727, 0.0154789312484, 32.2759261010,
     0.0604723624128, 0.0570239871930, 0.1104868507962],
]  # fmt: skip
LOGISTIC = [
    [-0.714893747083, 0.1868919112463, 0.002208827047051, 0.189542503703, 34.5998300620,
     0.01418248889845, 0.0139841587226, 0.0664320468993],
    [0.343434681731, 0.2905508847485, 0.012229384952893, 0.305226146692, 32.8252403595,
     0.05050840563150, 0.0480799633404, 0.1012223862303],
    [0.614162711920, 0.0544013408924, 0.000414177866319, 0.054898354332, 34.8069324061,
     0.00913605127061, 0.0090533394968, 0.0614747658034],
]  # fmt: skip


def tables() -> list[tuple[Array, Array, Array, Array]]:
    i = np.arange(1, 41)
    made = []
    for k in range(1, 6):
        x, z = np.sin(i), np.cos(2 * i)
        z = np.where(i % 4 == 0, np.cos(2 * i) + 0.5 * np.sin(7 * i * k + k), z)
        y = 1 + 2 * x - z + 0.8 * np.sin(3 * i * i)
        y = np.where(i % 5 == 0, y + 0.6 * np.cos(5 * i * k), y)
        made.append((x, z, y, (np.sin(11 * i) + 0.5 * x > 0).astype(float)))
    return made


def columns(pooled: Pooled) -> Array:
    return np.column_stack(
        [
            pooled.estimate, pooled.within, pooled.between, pooled.error**2, pooled.degrees,
            pooled.increase, pooled.share, pooled.missing_information,
        ]
    )  # fmt: skip


def test_pooled_regressions_equal_mice() -> None:
    linear = fit_linear([(np.column_stack([x, z]), y) for x, z, y, _ in tables()])
    logistic = fit_logistic([(np.column_stack([z, y]), b) for _, z, y, b in tables()])
    assert np.allclose(columns(linear), LINEAR, rtol=1e-6, atol=1e-9)
    assert np.allclose(columns(logistic), LOGISTIC, rtol=1e-6, atol=1e-9)


def test_without_missing_cells_nothing_is_added() -> None:
    pooled = pool(np.full((4, 1), 2.0), np.full((4, 1), 0.25), 50)
    assert pooled.error[0] == pytest.approx(0.5)
    assert pooled.share[0] == 0
    low, high = pooled.interval()
    assert (low[0] + high[0]) / 2 == pytest.approx(2.0)


def simulated(seed: int, n: int = 200, m: int = 5) -> Pooled:
    """One study: y = x1 - x2 + e, a third of x2 missing at random given y; truth (0, 1, -1)."""
    rng = numpy_rng(seed, "rubin")
    x = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], n)
    y = x[:, 0] - x[:, 1] + rng.normal(size=n)
    table = np.column_stack([x, y])
    gone = rng.random(n) < 1 / (1 + np.exp(0.8 - 0.8 * y))
    table[gone, 1] = np.nan
    imputer = HybridImputer(network=0, boosting=0, mnar=False, bootstraps=m, random_state=seed).fit(
        table
    )
    return fit_linear([(d[:, :2], d[:, 2]) for d in imputer.draw(table, m, random_state=seed)])


def covered(seeds: range) -> Array:
    inside = []
    for seed in seeds:
        low, high = simulated(seed).interval()
        inside.append((low <= [0, 1, -1]) & (high >= [0, 1, -1]))
    return np.mean(inside, 0)


def test_pooled_intervals_cover_the_truth() -> None:
    """With 60 studies a true coverage of 0.95 lies above 0.85 with probability 0.999."""
    assert (covered(range(60)) > 0.85).all()


@pytest.mark.slow
def test_pooled_intervals_cover_the_truth_in_500_studies() -> None:
    share = covered(range(500))
    assert (share > 0.93).all()
    assert (share < 0.975).all()
