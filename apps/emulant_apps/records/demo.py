"""The app's part of ``emulant demo``: the Wisconsin table with a third of its cells hidden."""

from __future__ import annotations

import numpy as np

from emulant.certify.certificate import Verdict
from emulant.certify.page import Section, Table, style
from emulant.rng import derive, numpy_rng
from emulant_apps.records.data import wisconsin
from emulant_apps.records.metrics import auc, ece
from emulant_apps.records.pictures import calibration_figure, densities

__all__ = ["demo"]

HIDDEN = 0.3
COLUMNS = 10
"""The means of the ten measured things; the table has two more summaries of each."""


def demo(seed: int) -> Section:
    """Return the section: hidden cells imputed, intervals checked, the diagnosis predicted."""
    from emulant_apps.records.contracts.baselines import IndicatorLogistic
    from emulant_apps.records.contracts.hybrid import HybridImputer
    from emulant_apps.records.contracts.simple import MeanImputer

    table = wisconsin()
    x, y = table.values[:, :COLUMNS], table["diagnosis"]
    rng = numpy_rng(seed, "records demo")
    hidden = rng.random(x.shape) < HIDDEN
    order = rng.permutation(len(x))
    train, test = order[: len(x) * 2 // 3], order[len(x) * 2 // 3 :]
    masked = np.where(hidden, np.nan, x)
    sd = x[train].std(0)
    rows, risks = [], {}
    chance = derive(seed, "records demo fit") % (1 << 31)
    for name, imputer in (
        ("column means", MeanImputer()),
        ("hybrid", HybridImputer(random_state=chance, bootstraps=0)),
    ):
        fitted = imputer.fit(masked[train])
        filled = fitted.transform(masked)
        error = float(np.sqrt(np.mean((((filled - x) / sd)[test][hidden[test]]) ** 2)))
        model = IndicatorLogistic(penalties=(0.1,), random_state=0).fit(filled[train], y[train])
        risks[name] = model.predict_proba(filled[test])[:, 1]
        rows.append(
            [
                name,
                f"{error:.3f}",
                f"{auc(y[test], risks[name]):.4f}",
                f"{ece(y[test], risks[name]):.3f}",
            ]
        )
    low, high = fitted.intervals(masked[test])
    inside = ((low <= x[test]) & (x[test] <= high))[hidden[test]]
    covered = float(inside.mean())
    allowed = 4 * np.sqrt(0.95 * 0.05 / len(inside))
    verdict: Verdict = "pass" if abs(covered - 0.95) < allowed else "fail"
    with style():
        figures = [
            *densities(table.columns[:COLUMNS], masked, filled, hidden, most=2),
            calibration_figure(y[test], risks),
        ]
    return Section(
        "Records: the missing cells of a table of patients",
        "What would the missing cells have held, and how sure is that?",
        verdict,
        f"{covered:.1%} of {len(inside):,} hidden cells lie in their 95 % intervals",
        f"{HIDDEN:.0%} of the cells of the Wisconsin breast cancer table ({COLUMNS} columns, 569 "
        "patients) were hidden at random. Imputer and classifier learned from two thirds of the "
        "patients; the figures are of the others. On this table logistic regression is hard to "
        "beat, with or without a good imputer: see the docs for tables with holes of their own.",
        figures,
        (Table(("imputer", "error of hidden cells, sd", "AUC of the diagnosis", "ECE"), rows),),
        "emulant records impute table.csv --m 5 --out imputed",
    )
