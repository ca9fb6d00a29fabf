"""Imputers: scikit-learn's contract without exceptions, known laws, draws, intervals, saving."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from emulant.rng import numpy_rng
from emulant_apps.records import (
    ChainedEquationsImputer,
    GAINImputer,
    HybridImputer,
    IndicatorLogistic,
    MIWAEImputer,
    StackedDenoisingImputer,
)
from emulant_apps.records.contracts.boosting import boost, exported
from emulant_apps.records.contracts.chained import MatchedMeans
from emulant_apps.records.contracts.saving import dump, load
from emulant_apps.records.contracts.simple import MeanImputer
from emulant_apps.records.contracts.stacking import convex_weights
from emulant_apps.records.trees import joined

Array = NDArray[np.float64]

CHEAP = [
    HybridImputer(network=3, boosting=2, bootstraps=1, random_state=0),
    ChainedEquationsImputer(rounds=2, chains=1, random_state=0),
    StackedDenoisingImputer(hidden=(8,), steps=10, pretraining=3, random_state=0),
    GAINImputer(hidden=(8,), steps=10, random_state=0),
    MIWAEImputer(hidden=(8,), codes=2, steps=10, inference=20, random_state=0),
]
every_imputer = pytest.mark.parametrize("imputer", CHEAP, ids=lambda e: type(e).__name__)


@parametrize_with_checks([*CHEAP, MeanImputer()])
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def holes(x: Array, rate: float, seed: int) -> Array:
    out = x.copy()
    out[numpy_rng(seed, "holes").random(x.shape) < rate] = np.nan
    return out


def gaussian(n: int, d: int, seed: int) -> Array:
    rng = numpy_rng(seed, "gaussian")
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + 0.3 * rng.normal(size=(n, d))


def mixed(n: int, seed: int) -> pd.DataFrame:
    rng = numpy_rng(seed, "mixed")
    z = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "lab": z + 0.3 * rng.normal(size=n),
            "group": np.where(z + 0.3 * rng.normal(size=n) > 0.4, "high", "low").astype(object),
            "other": np.exp(z + 0.3 * rng.normal(size=n)),
        }
    )
    for name in frame:
        frame.loc[rng.random(n) < 0.15, name] = None
    return frame


@every_imputer
def test_observed_cells_stay_and_no_hole_is_left(imputer: Any) -> None:
    x = holes(gaussian(80, 4, 0), 0.2, 1)
    x[0] = np.nan  # a patient of whom nothing is known
    filled = clone(imputer).fit(x[:60]).transform(x)
    seen = ~np.isnan(x)
    assert np.array_equal(filled[seen], x[seen])
    assert np.isfinite(filled).all()


@every_imputer
def test_one_new_patient_is_imputed_as_in_company(imputer: Any) -> None:
    x = holes(gaussian(80, 4, 0), 0.2, 1)
    fitted = clone(imputer).fit(x[:60])
    together = fitted.transform(x[60:])
    alone = np.concatenate([fitted.transform(x[k : k + 1]) for k in range(60, 80)])
    if isinstance(imputer, GAINImputer | MIWAEImputer):  # chance is drawn by place in the table
        assert np.abs(together - alone).mean() < 0.1 * x[~np.isnan(x)].std()
    else:
        assert np.allclose(together, alone, atol=1e-5)


@every_imputer
def test_frames_of_mixed_types_pipelines_and_pandas_output(imputer: Any) -> None:
    frame = mixed(90, 0)
    out = clone(imputer).set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == ["lab", "group", "other"]
    assert out.index.equals(frame.index)
    assert set(out["group"]) == {"high", "low"}
    assert not out.isna().any().any()
    seen = frame["group"].notna()
    assert (out.loc[seen, "group"] == frame.loc[seen, "group"]).all()
    with pytest.raises(ValueError, match="row 1: holds a level that was not seen") as caught:
        clone(imputer).fit(frame).transform(frame.assign(group=["high", "Canary"] + ["low"] * 88))
    assert "Canary" not in str(caught.value)


def test_text_in_an_array_is_refused_without_repeating_it() -> None:
    x = np.array([[1.0, "Canary"], [2.0, 3.0]], dtype=object)
    for estimator in (HybridImputer(), IndicatorLogistic()):
        with pytest.raises(ValueError, match="must hold numbers, got text") as caught:
            estimator.fit(x, [0, 1])
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert "Canary" not in " ".join(map(str, chain))


@every_imputer
def test_draws_differ_in_the_holes_only(imputer: Any) -> None:
    x = holes(gaussian(80, 4, 0), 0.2, 1)
    one, two = clone(imputer).fit(x).draw(x, 2)
    seen = ~np.isnan(x)
    assert np.array_equal(one[seen], x[seen])
    assert np.array_equal(two[seen], x[seen])
    assert np.mean(one[~seen] != two[~seen]) > 0.5


@every_imputer
def test_a_saved_model_gives_the_same_cells(imputer: Any) -> None:
    x = holes(gaussian(80, 4, 0), 0.2, 1)
    fitted = clone(imputer).fit(x)
    record, arrays = dump(fitted)
    again = load(json.loads(json.dumps(record, allow_nan=False)), arrays)
    assert np.array_equal(again.transform(x), fitted.transform(x))
    for one, two in zip(fitted.draw(x, 2), again.draw(x, 2), strict=True):
        assert np.array_equal(one, two)


def test_a_damaged_record_and_a_foreign_class_are_refused() -> None:
    with pytest.raises(ValueError, match="does not know"):
        load({"=": "Popen", "of": {"args": "true"}}, {})
    with pytest.raises(ValueError, match="damaged"):
        load({"=": "HybridImputer"}, {})


def test_it_stands_in_a_grid_search() -> None:
    x = gaussian(90, 3, 2)
    y = (x[:, 0] > 0).astype(int)
    pipe = make_pipeline(
        HybridImputer(network=0, boosting=0, bootstraps=0, random_state=0),
        IndicatorLogistic(penalties=(1.0,)),
    )
    search = GridSearchCV(pipe, {"hybridimputer__shrinkage": [1.0, 10.0]}, cv=2)
    assert search.fit(holes(x, 0.2, 3), y).best_score_ > 0.7


def rmse(guess: Array, truth: Array, hidden: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean((guess - truth)[hidden] ** 2)))


@pytest.mark.parametrize("seed", range(5))
def test_the_hybrid_is_nearly_the_best_there_is_for_a_gaussian(seed: int) -> None:
    """The conditional mean under the true law is the least possible error."""
    rng = numpy_rng(seed, "oracle")
    root = rng.normal(size=(5, 5))
    law = root @ root.T
    x = rng.multivariate_normal(np.zeros(5), law, 900)
    masked = holes(x, 0.2, seed)
    hidden = np.isnan(masked[600:])
    best = masked[600:].copy()
    for row in best:
        gone = np.isnan(row)
        if gone.all():
            row[:] = 0
        elif gone.any():
            row[gone] = law[np.ix_(gone, ~gone)] @ np.linalg.solve(
                law[np.ix_(~gone, ~gone)], row[~gone]
            )
    fitted = HybridImputer(random_state=seed, network=40, boosting=5).fit(masked[:600])
    guess = fitted.transform(masked[600:])
    assert rmse(guess, x[600:], hidden) < 1.06 * rmse(best, x[600:], hidden)
    low, high = fitted.intervals(masked[600:])
    inside = ((x[600:] >= low) & (x[600:] <= high))[hidden].mean()
    assert abs(inside - 0.95) < 0.037  # three standard errors of 300 cells
    narrow = fitted.intervals(masked[600:], 0.5)
    half = ((x[600:] >= narrow[0]) & (x[600:] <= narrow[1]))[hidden].mean()
    assert abs(half - 0.5) < 0.09


def test_the_trees_find_what_no_gaussian_can() -> None:
    rng = numpy_rng(0, "curve")
    u = rng.normal(size=1200)
    x = np.column_stack([u, u**2 + 0.1 * rng.normal(size=1200)])
    masked = x.copy()
    masked[900:, 1] = np.nan
    hidden = np.isnan(masked)
    errors = [
        rmse(
            HybridImputer(network=0, boosting=b, random_state=0)
            .fit(masked[:900])
            .transform(masked),
            x,
            hidden,
        )
        for b in (0, 60)
    ]
    assert errors[1] < 0.6 * errors[0]


def test_the_tilt_is_adopted_under_self_masking_and_not_under_mcar() -> None:
    rng = numpy_rng(1, "tilt")
    u = rng.normal(size=(1500, 1))
    x = u + 0.6 * rng.normal(size=(1500, 4))
    hidden = rng.random(1500) < 1 / (1 + np.exp(-2.5 * (x[:, 0] - 0.8)))
    masked = x.copy()
    masked[hidden, 0] = np.nan
    shift = {}
    for mnar in (False, True):
        fitted = HybridImputer(network=0, boosting=0, mnar=mnar, random_state=0).fit(masked)
        shift[mnar] = float((fitted.transform(masked) - x)[hidden, 0].mean())
    assert fitted.tilt_.slope[0] > 1
    assert np.all(fitted.tilt_.slope[1:] == 0)
    assert abs(shift[True]) < 0.6 * abs(shift[False])
    for seed in range(5):
        assert not (
            HybridImputer(network=0, boosting=0, random_state=0).fit(holes(x, 0.2, seed)).tilt_.any
        )


def test_levels_are_drawn_by_their_probabilities() -> None:
    rng = numpy_rng(2, "levels")
    z = rng.normal(size=3000)
    level = (z + rng.normal(size=3000) > 0.5).astype(float)
    x = np.column_stack([z, level])
    masked = x.copy()
    masked[1500:, 1] = np.nan
    fitted = HybridImputer(nominal=[1], network=0, boosting=10, random_state=0).fit(masked[:1500])
    share = np.mean([d[1500:, 1].mean() for d in fitted.draw(masked, 10)])
    assert share == pytest.approx(level[1500:].mean(), abs=0.03)
    best = fitted.transform(masked)[1500:, 1]
    assert set(best) <= {0.0, 1.0}
    assert np.mean(best == level[1500:]) > 0.7


def test_matching_gives_values_that_were_observed() -> None:
    rng = numpy_rng(3, "match")
    x = rng.normal(size=(200, 2))
    y = np.round(x[:, 0], 1)
    drawn = MatchedMeans(donors=5, draw=True, seed=1).fit(x, y).predict(rng.normal(size=(50, 2)))
    assert np.isin(drawn, y).all()


def test_exported_trees_predict_as_scikit_learns() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x = holes(gaussian(400, 3, 4), 0.1, 4)
    y = np.nan_to_num(x[:, 0]) ** 2
    model = HistGradientBoostingRegressor(max_iter=15, random_state=0).fit(x, y)
    assert np.allclose(exported(model)(x), model.predict(x), atol=1e-12)
    full = np.nan_to_num(x)
    forests = [boost(full, y, 5, 0.1, 8, seed) for seed in (0, 1)]
    assert np.allclose(joined(forests)(full), np.mean([f(full) for f in forests], 0), atol=1e-12)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    from emulant_apps.records.pipeline import save_model

    x = holes(gaussian(80, 4, 0), 0.2, 1)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_model(
            tmp_path / name, HybridImputer(network=3, boosting=3, random_state=5).fit(x), (), {}
        )
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert one == two


def test_stacked_weights_are_the_best_on_the_simplex() -> None:
    rng = numpy_rng(5, "stack")
    c = rng.normal(size=(500, 3))
    x = c @ [0.5, 0.5, 0.0] + 0.1 * rng.normal(size=500) - 0.3 * c[:, 2]
    seen = np.ones((500, 1), bool)
    w = convex_weights(x[:, None], [c[:, k : k + 1] for k in range(3)], seen)[:, 0]
    assert w.sum() == pytest.approx(1.0)
    assert w[2] == 0.0  # its best weight is negative
    grid = [
        np.array([a, b, 1 - a - b])
        for a in np.linspace(0, 1, 41)
        for b in np.linspace(0, 1 - a, 41)
    ]
    least = min(float(np.sum((x - c @ g) ** 2)) for g in grid)
    assert np.sum((x - c @ w) ** 2) < 1.001 * least


def test_the_network_earns_its_weight_where_the_law_is_curved_and_not_where_it_is_normal() -> None:
    rng = numpy_rng(6, "bent")
    u = rng.normal(size=(500, 2))
    bent = np.column_stack([u, u**2, u[:, 0] * u[:, 1]]) + 0.2 * rng.normal(size=(500, 5))
    plain = u @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(500, 5))
    share = [
        HybridImputer(network=150, boosting=0, mnar=False, bootstraps=0, random_state=0)
        .fit(holes(x, 0.2, 7))
        .weight_[2]
        .mean()
        for x in (bent, plain)
    ]
    assert share[0] > 0.4 > share[1]


def test_a_cell_beyond_the_observed_range_is_believed_as_far_as_its_row_explains_it() -> None:
    rng = numpy_rng(8, "reach")
    u = np.sort(rng.uniform(0.0, 1.0, 400))
    x = np.column_stack([u, u + 0.01 * rng.normal(size=400) + 0.05, rng.uniform(0, 1, 400)])
    x[300:, 1:] = np.nan  # what is largest was never seen
    filled = HybridImputer(network=0, boosting=0, mnar=False, random_state=0).fit_transform(x)
    assert np.max(np.abs(filled[300:, 1] - u[300:] - 0.05)) < 0.08
    assert filled[300:, 2].max() < 1.0


def test_intervals_hold_where_cells_are_missing_at_random() -> None:
    """The spread grows with u, as does the chance of being missing: unweighed, 95 % is 83 %."""
    rng = numpy_rng(9, "weighed")
    u = rng.uniform(-1, 1, 4000)
    x = np.column_stack([u, u + np.exp(1.2 * u) * rng.normal(size=4000)])
    hidden = rng.random(4000) < 1 / (1 + np.exp(-2 * u))
    masked = np.where(hidden[:, None] * [0, 1] == 1, np.nan, x)
    fitted = HybridImputer(network=0, boosting=0, mnar=False, bootstraps=0, random_state=0)
    low, high = fitted.fit(masked).intervals(masked)
    inside = ((low <= x) & (x <= high))[hidden, 1].mean()
    assert abs(inside - 0.95) < 0.02
