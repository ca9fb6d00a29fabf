"""``emulant records evaluate``: models side by side, out of fold, as TRIPOD+AI asks to report.

- Collins et al., TRIPOD+AI statement, 2024, https://doi.org/10.1136/bmj-2023-078378
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.page import Page, Section
from emulant.certify.page import Table as Rows
from emulant.errors import PASS, InputError
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng
from emulant.store import current, hash_file, new_directory, plain, write_json
from emulant_apps.records.codes import shown
from emulant_apps.records.config import EvaluateConfig
from emulant_apps.records.data import Table, read_like, read_table
from emulant_apps.records.metrics import Scores, scores
from emulant_apps.records.pictures import calibration_figure, decision_figure
from emulant_apps.records.pipeline import Problem, classifier, problem, require_free
from emulant_apps.records.report import audit_section
from emulant_apps.records.schema import SMALL, read_schema
from emulant_apps.records.words import say

__all__ = ["Judged", "judged", "run"]

Array = NDArray[np.float64]

REPLICATES = 200
MEASURES = tuple(f.name for f in fields(Scores))
FEWEST = 20
"""Observed cells below which a column is left out of all folds."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One model on one set of patients: each measure with its interval."""

    value: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    draws: Array
    """(replicates, measures): the bootstrap over patients, the same patients for all models."""


def judged(y: Array, risks: Array, groups: NDArray[Any] | None, seed: int) -> Judged:
    """Return the measures of ``risks`` (repeats, n), each a mean over repeats."""
    units = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(units, kind="stable")
    starts = np.searchsorted(units[order], np.arange(units.max() + 2))
    rng = numpy_rng(seed, "records", "bootstrap")
    value = _measures(y, risks)
    draws = np.full((REPLICATES, len(MEASURES)), np.nan)
    for b in range(REPLICATES):
        picked = rng.integers(len(starts) - 1, size=len(starts) - 1)
        rows = (
            picked
            if groups is None
            else np.concatenate([order[starts[u] : starts[u + 1]] for u in picked])
        )
        if 0 < y[rows].sum() < len(rows):
            draws[b] = _measures(y[rows], risks[:, rows])
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    value_of, low_of, high_of = (
        dict(zip(MEASURES, map(float, v), strict=True)) for v in (value, low, high)
    )
    return Judged(value_of, low_of, high_of, draws)


def _measures(y: Array, risks: Array) -> Array:
    each = [[getattr(scores(y, p), name) for name in MEASURES] for p in risks]
    return np.asarray(np.mean(each, axis=0))


def run(config: EvaluateConfig) -> int:
    """Run ``emulant records evaluate``."""
    from emulant_apps.records.contracts.folds import require_folds

    table = read_table(config.table, read_schema(config.schema))
    for name in (*config.by, *([config.group] if config.group else [])):
        table.index(name)
    drop = [*config.drop, *([config.group] if config.group else [])]
    task, thin = _enough(table, config, drop)
    groups = None if config.group is None else _groups(table, config.group)[task.rows]
    elsewhere = None if config.external is None else _external(config, task)
    require_folds(task.y, groups, config.folds)
    require_free(config.out)
    found = _judge(config, task, groups)
    outside = {} if elsewhere is None else _judge_external(config, task, *elsewhere)
    directory = new_directory(config.out)
    provenance = plain(current("records evaluate", config, config.seed, hash_file(config.table)))
    sections = [
        _data_section(config, table, task, thin),
        _models_section(config, task, found),
        *_subgroup_sections(config, table, task, found),
    ]
    if elsewhere is not None:
        sections.append(_external_section(config, elsewhere[1], outside))
    sections += [_methods_section(config), audit_section(table)]
    Page(f"{config.outcome} of {table.name}: models compared", sections, provenance).write(
        directory / "index.html"
    )
    record = {
        "outcome": config.outcome,
        "rows": len(task.y),
        "cases": shown(int(task.y.sum())),
        "models": {n: _record(j) for n, (j, _) in found.items()},
        "paired": _paired(found),
        "external": {n: _record(j) for n, (j, _) in outside.items()},
        "left_out": thin,
        "provenance": provenance,
    }
    write_json(directory / "report.json", record)
    lines = [
        f"{len(task.y):,} patients, {int(task.y.sum()):,} cases, "
        f"{config.folds} folds × {config.repeats}"
    ]
    lines += [_line(n, j) for n, (j, _) in found.items()]
    lines += [_line(f"{n}, external", j) for n, (j, _) in outside.items()]
    say(lines, directory / "index.html")
    return PASS


Found = dict[str, tuple[Judged, Array]]
"""For each model its measures and its risks (repeats, n)."""


def _enough(table: Table, config: EvaluateConfig, drop: Sequence[str]) -> tuple[Problem, list[str]]:
    """Return the problem without the columns that hold too little to be parted in folds."""
    seen = (~table.missing).sum(0)
    thin = [
        c.name
        for k, c in enumerate(table.columns)
        if c.modelled and c.name != config.outcome and c.name not in drop and seen[k] < FEWEST
    ]
    return problem(table, config.outcome, config.positive, [*drop, *thin], config.allow), thin


def _groups(table: Table, name: str) -> NDArray[Any]:
    if name in table.texts:
        return table.texts[name]
    values = table[name]
    if np.isnan(values).any():
        raise InputError(f"{table.name}: column '{name}': a row names no patient")
    return values


def _judge(config: EvaluateConfig, task: Problem, groups: NDArray[Any] | None) -> Found:
    from emulant_apps.records.contracts.folds import out_of_fold

    with Progress("evaluate", config.folds * config.repeats * len(config.classifiers)) as progress:
        risks = out_of_fold(
            lambda name, seed: classifier(name, task.nominal, seed),
            config.classifiers, task.features.values, task.y, groups, config.folds,
            config.repeats, config.seed, progress.update,
        )  # fmt: skip
    return {n: (judged(task.y, p, groups, config.seed), p) for n, p in risks.items()}


def _external(config: EvaluateConfig, task: Problem) -> tuple[Array, Array]:
    """Return features and outcome of the external table.

    Raises
    ------
    InputError
        It lacks columns, or one of the classes.
    """
    assert config.external is not None
    columns = (*task.features.columns, task.outcome)
    table = read_like(config.external, columns, "missing")
    known = np.flatnonzero(~np.isnan(table[config.outcome]))
    table = table.rows(known)
    levels = task.outcome.levels
    case = float(levels.index(task.positive)) if levels else float(task.positive)
    y = (table[config.outcome] == case).astype(float)
    if not 0 < y.sum() < len(y):
        raise InputError(f"{config.external}: column '{config.outcome}': has a single class")
    return table.take([c.name for c in task.features.columns]).values, y


def _judge_external(config: EvaluateConfig, task: Problem, x: Array, y: Array) -> Found:
    found: Found = {}
    for name in config.classifiers:
        seed = derive(config.seed, "external", name) % (1 << 31)
        model = classifier(name, task.nominal, seed).fit(task.features.values, task.y)
        risks = model.predict_proba(x)[None, :, 1]
        found[name] = (judged(y, risks, None, config.seed), risks)
    return found


def _record(found: Judged) -> dict[str, Any]:
    return {
        m: [_finite(found.value[m]), _finite(found.low[m]), _finite(found.high[m])]
        for m in MEASURES
    }


def _finite(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


def _paired(found: Found) -> dict[str, dict[str, list[float | None]]]:
    """Return differences from the first model, with paired intervals."""
    first, *others = found
    base = found[first][0]
    out = {}
    for name in others:
        other = found[name][0]
        gap = other.draws - base.draws
        low, high = np.nanquantile(gap, [0.025, 0.975], axis=0)
        out[f"{name} - {first}"] = {
            m: [
                _finite(other.value[m] - base.value[m]),
                _finite(float(low[k])),
                _finite(float(high[k])),
            ]
            for k, m in enumerate(MEASURES)
        }
    return out


def _line(name: str, found: Judged) -> str:
    v, low, high = found.value, found.low, found.high
    return (
        f"{name}: AUC {v['auc']:.4f} ({low['auc']:.4f} to {high['auc']:.4f}), "
        f"Brier {v['brier']:.4f}, slope {v['slope']:.2f}, ECE {v['ece']:.3f}"
    )


def _row(name: str, found: Judged) -> list[str]:
    return [
        name,
        *(f"{found.value[m]:.3f} ({found.low[m]:.3f} to {found.high[m]:.3f})" for m in MEASURES),
    ]


HEAD = ("model", "AUC", "average precision", "Brier", "slope", "intercept", "ECE", "accuracy")


def _data_section(
    config: EvaluateConfig, table: Table, task: Problem, thin: Sequence[str]
) -> Section:
    events = int(min(task.y.sum(), len(task.y) - task.y.sum()))
    width = len(task.features.columns)
    lead = (
        f"{table.name}: {len(table):,} rows, of which {len(task.y):,} have an outcome and are "
        f"used. Outcome: {config.outcome}; the predicted risk is that of one of its two levels, "
        f"prevalence {task.y.mean():.1%}. Predictors: {width} columns, "
        f"{task.features.missing.mean():.1%} of their cells missing. Events in the rarer class per "
        f"column: {events / width:.1f}; fewer than 10 to 20 call for few columns or more patients."
    )
    if thin:
        lead += f"\n\nLeft out, for they hold fewer than {FEWEST} cells: {', '.join(thin)}."
    return Section("Data", "Who was studied, and what was predicted?", lead=lead)


def _models_section(config: EvaluateConfig, task: Problem, found: Found) -> Section:
    rows = [_row(n, j) for n, (j, _) in found.items()]
    paired = [
        [
            name,
            *(
                f"{v[m][0]:+.4f} ({v[m][1]:+.4f} to {v[m][2]:+.4f})"
                for m in ("auc", "brier", "ece")
            ),
        ]
        for name, v in _paired(found).items()
        if None not in v["auc"]
    ]
    first = {n: p[0] for n, (_, p) in found.items()}
    best = max(found, key=lambda n: found[n][0].value["auc"])
    return Section(
        "Models",
        "Which model ranks patients best, and are its risks true?",
        None,
        f"{best}: AUC {found[best][0].value['auc']:.3f}",
        f"Out of fold: {config.folds} folds, repeats: {config.repeats}, by patient; imputers, "
        "penalties and networks are fitted inside the folds. Intervals: bootstrap over patients.",
        [calibration_figure(task.y, first), decision_figure(task.y, first)],
        (
            Rows(HEAD, rows, "Perfect: slope 1, intercept 0."),
            Rows(("difference", "AUC", "Brier", "ECE"), paired, "Paired intervals, 95 %."),
        ),
    )


def _subgroup_sections(
    config: EvaluateConfig, table: Table, task: Problem, found: Found
) -> list[Section]:
    sections = []
    for name in config.by:
        k = table.index(name)
        column, values = table.columns[k], table.values[task.rows, k]
        if column.levels:
            groups = {level: values == c for c, level in enumerate(column.levels)}
        else:
            cuts = np.nanquantile(values, [1 / 3, 2 / 3])
            code = np.searchsorted(cuts, values, side="right")
            groups = {f"third {q + 1}": (code == q) & ~np.isnan(values) for q in range(3)}
        rows = []
        for label, member in groups.items():
            cases = int(task.y[member].sum())
            if min(cases, int(member.sum()) - cases) < SMALL:
                rows.append(
                    [label, shown(int(member.sum())), "fewer than 10 of a class", "", "", ""]
                )
                continue
            for model, (_, p) in found.items():
                own = judged(task.y[member], p[:, member], None, config.seed)
                v = own.value
                rows.append(
                    [
                        label, shown(int(member.sum())), model,
                        f"{v['auc']:.3f} ({own.low['auc']:.3f} to {own.high['auc']:.3f})",
                        f"{v['slope']:.2f}", f"{v['ece']:.3f}",
                    ]
                )  # fmt: skip
        head = ("subgroup", "patients", "model", "AUC", "slope", "ECE")
        title = f"Subgroups of {name}"
        sections.append(Section(title, "Is it as good for everyone?", tables=(Rows(head, rows),)))
    return sections


def _external_section(config: EvaluateConfig, y: Array, found: Found) -> Section:
    assert config.external is not None
    return Section(
        "External validation",
        "Does it hold elsewhere?",
        lead=f"Fitted to all of {config.table.name}, judged on {config.external.name}: "
        f"{len(y):,} patients, prevalence {y.mean():.1%}.",
        figures=[calibration_figure(y, {n: p[0] for n, (_, p) in found.items()})],
        tables=(Rows(HEAD, [_row(n, j) for n, (j, _) in found.items()]),),
    )


def _methods_section(config: EvaluateConfig) -> Section:
    words: Mapping[str, str] = {
        "logistic": "ridge logistic regression on mean-imputed columns and missing indicators; "
        "penalty by log loss in three inner folds",
        "boosting": "histogram gradient boosting; holes as they are",
        "blend": "weighted logit of boosting and of logistic regression on imputed columns "
        "(hybrid; means beyond 60 columns); weight by log loss in three inner folds",
        "acgan": "class head of an auxiliary-classifier GAN after a stacked denoising autoencoder",
        "network": "the same network without the adversary",
        "lightgbm": "LightGBM with the same settings as boosting",
    }
    rows = [[name, words[name]] for name in config.classifiers]
    return Section(
        "Methods",
        "What was done, for those who want to repeat it?",
        lead="The outcome never enters an imputation. Levels of fewer than 10 patients are one "
        "level. A column that tells the outcome almost perfectly is refused unless it is allowed. "
        "Items of TRIPOD+AI that only the authors can answer (source of data, eligibility, "
        "treatments, intended use, funding) are not in this report.",
        tables=(Rows(("model", "what it is"), rows),),
    )
