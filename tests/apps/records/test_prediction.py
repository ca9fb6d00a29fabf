"""Classifiers: scikit-learn's contract, no leak, the adversary, saving, and honest judgement."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant_apps.records import (
    ACGANClassifier,
    BoostedClassifier,
    IndicatorLogistic,
    StackedDenoisingImputer,
)
from emulant_apps.records.contracts.baselines import BlendedClassifier
from emulant_apps.records.contracts.folds import out_of_fold
from emulant_apps.records.contracts.saving import dump, load
from emulant_apps.records.contracts.simple import ImputedClassifier
from emulant_apps.records.data import Table
from emulant_apps.records.evaluate import judged
from emulant_apps.records.metrics import auc
from emulant_apps.records.model import read_model, write_model
from emulant_apps.records.pipeline import classifier, problem, settled
from emulant_apps.records.schema import OTHER, Column

Array = NDArray[np.float64]

SMALL_NET = {"steps": 60, "hidden": (16,), "codes": 2, "rate": 1e-2, "batch": 64, "decay": 0.1}


@parametrize_with_checks(
    [
        ACGANClassifier(random_state=0, **SMALL_NET),
        BoostedClassifier(iterations=20, random_state=0),
        IndicatorLogistic(penalties=(1.0,), random_state=0),
    ]
)
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def patients(n: int, seed: int) -> tuple[Array, Array]:
    """Return two columns, the second with holes that tell of the outcome, and the outcome."""
    rng = numpy_rng(seed, "patients")
    y = (rng.random(n) < 0.4).astype(float)
    x = np.column_stack([rng.normal(size=n) + 1.2 * y, rng.normal(size=n) - y])
    x[rng.random(n) < np.where(y == 1, 0.5, 0.1), 1] = np.nan
    return x, y


@pytest.mark.parametrize("adversary", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_network_learns_from_values_and_holes(adversary: bool, seed: int) -> None:
    x, y = patients(600, seed)
    model = ACGANClassifier(adversary=adversary, random_state=seed, **{**SMALL_NET, "steps": 150})
    area = auc(y[300:], model.fit(x[:300], y[:300]).predict_proba(x[300:])[:, 1])
    alone = auc(y[300:], x[300:, 0])
    assert area > alone + 0.03


def test_unlabelled_rows_are_taken_and_generated_rows_have_their_class() -> None:
    x, y = patients(500, 0)
    model = ACGANClassifier(random_state=0, **{**SMALL_NET, "steps": 400, "rate": 5e-3})
    model.fit(x[:40], np.where(y[:40] == 1, "ill", "well"), unlabelled=x[40:])
    assert auc(y[40:], model.predict_proba(x[40:])[:, 0]) > 0.75  # classes in order: ill, well
    made, label = model.generate(400, seed=1)
    assert made.shape == (400, 2)
    assert set(label) == {"ill", "well"}
    assert made[label == "ill", 0].mean() > made[label == "well", 0].mean()
    with pytest.raises(ValueError, match="'adversary' must be True"):
        ACGANClassifier(adversary=False, **SMALL_NET).fit(x, y).generate(3)


@pytest.mark.parametrize("name", ["logistic", "boosting", "blend"])
@pytest.mark.parametrize("whole", [False, True], ids=["holes", "no holes"])
def test_a_saved_classifier_gives_the_same_risks(tmp_path: Path, name: str, whole: bool) -> None:
    x, y = patients(200, 1)
    x = np.where(np.isnan(x), 0.5, x) if whole else x
    fitted = classifier(name, (), 0).fit(x, y)
    record, arrays = dump(fitted)
    write_model(tmp_path / "model.safetensors", arrays, record)
    arrays, read, _ = read_model(tmp_path / "model.safetensors")
    again = load(read, arrays)
    assert np.array_equal(again.predict_proba(x), fitted.predict_proba(x))


@pytest.mark.parametrize("adversary", [True, False])
def test_a_saved_network_gives_the_same_risks(adversary: bool) -> None:
    x, y = patients(150, 1)
    seed = StackedDenoisingImputer(hidden=(8,), steps=10, pretraining=3, random_state=0)
    network = ACGANClassifier(adversary=adversary, random_state=0, **SMALL_NET)
    fitted = ImputedClassifier(seed, network).fit(x, y)
    record, arrays = dump(fitted)
    again = load(json.loads(json.dumps(record, allow_nan=False)), arrays)
    assert np.array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_lightgbm_where_it_is_installed() -> None:
    pytest.importorskip("lightgbm")
    x, y = patients(400, 2)
    fitted = classifier("lightgbm", (), 0).fit(x[:200], y[:200])
    risk = fitted.predict_proba(x[200:])
    assert np.allclose(risk.sum(1), 1)
    assert auc(y[200:], risk[:, 1]) > 0.7


def test_the_blend_lies_between_its_members() -> None:
    x, y = patients(300, 2)
    fitted = BlendedClassifier(random_state=0).fit(x, y)
    risks = [m.predict_proba(fitted.encoding_.forth(x))[:, 1] for m in fitted.members_]
    blend = fitted.predict_proba(x)[:, 1]
    assert (blend >= np.min(risks, 0) - 1e-9).all()
    assert (blend <= np.max(risks, 0) + 1e-9).all()


def test_folds_never_part_a_patient_and_noise_is_judged_as_noise() -> None:
    """Rows of one patient repeat a random outcome: only a leak can predict it."""
    rng = numpy_rng(3, "leak")
    x = np.repeat(rng.normal(size=(120, 3)), 4, axis=0)
    y = np.repeat((rng.random(120) < 0.5).astype(float), 4)
    groups = np.repeat(np.arange(120), 4)

    def make(_name: str, seed: int) -> Any:
        return BoostedClassifier(iterations=60, least=2, random_state=seed)

    apart = out_of_fold(make, ["trees"], x, y, groups, 4, 1, 0)["trees"][0]
    leaking = out_of_fold(make, ["trees"], x, y, None, 4, 1, 0)["trees"][0]
    assert auc(y, leaking) > 0.8
    assert abs(auc(y, apart) - 0.5) < 0.16


def test_intervals_are_by_patient() -> None:
    """Four copies of every patient must not narrow an interval."""
    rng = numpy_rng(4, "by patient")
    y = (rng.random(150) < 0.4).astype(float)
    p = np.clip(0.4 + 0.2 * (y - 0.4) + 0.2 * rng.normal(size=150), 0.01, 0.99)
    once = judged(y, p[None], None, 0)
    copied = judged(np.repeat(y, 4), np.repeat(p, 4)[None], np.repeat(np.arange(150), 4), 0)
    width = [j.high["auc"] - j.low["auc"] for j in (once, copied)]
    assert width[1] == pytest.approx(width[0], rel=0.15)
    assert once.low["auc"] < once.value["auc"] < once.high["auc"]


def table(n: int = 80, **more: Array) -> Table:
    rng = numpy_rng(5, "table")
    y = (rng.random(n) < 0.4).astype(float)
    values = {"x": rng.normal(size=n) + y, **more, "death": y}
    columns = [
        Column(
            k, "nominal" if k == "death" else "numeric", levels=("0", "1") if k == "death" else ()
        )
        for k in values
    ]
    return Table(tuple(columns), np.column_stack(list(values.values())))


def test_the_outcome_in_disguise_is_refused() -> None:
    n = 80
    y = table(n)["death"]
    for disguise in (3 - 2 * y, y + 0.001 * np.arange(n) / n):
        dressed = table(n, code=disguise)
        with pytest.raises(InputError, match=r"column 'code': tells the outcome 'death' almost"):
            problem(dressed, "death")
        assert problem(dressed, "death", allow=("code",)).features.names == ("x", "code")
        assert problem(dressed, "death", drop=("code",)).features.names == ("x",)


def test_outcomes_that_are_none_are_refused() -> None:
    one = table()
    with pytest.raises(InputError, match="has no column 'dead'; there are death"):
        problem(one, "dead")
    with pytest.raises(InputError, match="is no outcome of two levels"):
        problem(one, "x")
    single = table().rows(np.flatnonzero(table()["death"] == 0))
    with pytest.raises(InputError, match="single class"):
        problem(single, "death")
    with pytest.raises(InputError, match="has no such level"):
        problem(one, "death", positive="3")


def test_levels_of_fewer_than_ten_patients_become_one() -> None:
    code = np.r_[np.zeros(30), np.ones(12), np.full(4, 2.0), np.full(5, 3.0), np.nan]
    one = Table((Column("g", "nominal", levels=("a", "b", "rare", "rarer")),), code[:, None])
    found = settled(one)
    assert found.columns[0].levels == ("a", "b", OTHER)
    assert np.nansum(found.values == 2) == 9
    assert np.isnan(found.values[-1, 0])
    assert [a.count for a in found.audit] == [9]
