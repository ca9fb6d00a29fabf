"""``emulant records synthesise``: synthetic patients, and the certificate that goes with them."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify import Certificate, Check
from emulant.errors import InputError
from emulant.memory import require_memory
from emulant.rng import derive, numpy_rng
from emulant.store import current, hash_file, new_directory, new_file, plain
from emulant_apps.records.autoencoding import Budget, Recipe, spend, synthesise_rows
from emulant_apps.records.config import SynthesiseConfig
from emulant_apps.records.data import Table, read_table, require_columns, write_table
from emulant_apps.records.encoding import fit_encoding
from emulant_apps.records.impute import tidied
from emulant_apps.records.metrics import auc
from emulant_apps.records.pipeline import imputer, nominal_of, problem, require_free, settled
from emulant_apps.records.schema import read_schema
from emulant_apps.records.synthesis import fit_copula
from emulant_apps.records.validate import NO_PRIVACY, Attack, attacks, certificate

__all__ = ["run", "synthetic"]

Array = NDArray[np.float64]

HELD_OUT = 0.3
"""Share of the patients that the generator never sees; the certificate is judged on them."""
FEWEST = 60
BYTES = 400.0
"""That a synthetic cell takes at most, with its certificate; measured (150) and rounded up."""
PRIVATE = Recipe(hidden=(), codes=4, steps=300, rate=1e-2)
"""How it is trained with privacy: few numbers to learn, for the noise grows with their number."""


def run(config: SynthesiseConfig) -> int:
    """Run ``emulant records synthesise``; the exit status is the certificate's."""
    table = read_table(config.table, read_schema(config.schema))
    for name in (*config.drop, *([config.outcome] if config.outcome else [])):
        table.index(name)
    report = config.report or config.out.with_name(f"{config.out.stem}-certificate")
    new_file(config.out, overwrite=True)
    require_free(report)
    made, found = synthetic(table, config)
    directory = new_directory(report)
    provenance = current("records synthesise", config, config.seed, hash_file(config.table))
    write_table(config.out, made)
    replace(found, provenance=plain(provenance)).write(directory)
    sys.stdout.write(found.table())
    sys.stdout.write(f"table: {config.out}\npage: {directory / 'index.html'}\n")
    return found.status


def synthetic(table: Table, config: SynthesiseConfig) -> tuple[Table, Certificate]:
    """Return synthetic patients and their certificate.

    Raises
    ------
    InputError
        There are fewer than 60 patients, or the outcome has no two levels.
    """
    features = settled(table.features(config.drop))
    if len(features) < FEWEST:
        raise InputError(f"{table.name}: has fewer than {FEWEST} rows, too few to hold some out")
    require_columns(features)
    cells = (config.count + len(features)) * len(features.columns)
    require_memory(cells * BYTES, f"--count {config.count}")
    if config.outcome:
        problem(features, config.outcome, allow=features.names)  # refuses what is no outcome
    columns, values = features.columns, features.values
    order = numpy_rng(config.seed, "records", "held out").permutation(len(values))
    few = int(HELD_OUT * len(values))
    held, train = order[:few], order[few:]
    empty = np.flatnonzero(np.isnan(values[train]).all(0))
    if len(empty):
        raise InputError(
            f"{table.name}: column '{columns[empty[0]].name}': has no cell among the training "
            f"rows; --drop {columns[empty[0]].name}"
        )
    levels = [len(c.levels) if c.kind == "nominal" else 0 for c in columns]
    drawn, without, budget = _drawn(features, train, levels, config)
    filled = _completed(features, train, np.concatenate([drawn, without]), config.seed)
    filled, without = filled[: len(values) + len(drawn)], filled[len(values) + len(drawn) :]
    encoding = fit_encoding(filled[train], levels)
    drawn_rows, true_rows, held_rows = (
        encoding.forth(filled[rows]) for rows in (np.arange(len(values), len(filled)), train, held)
    )
    notes: tuple[str, ...] = (NO_PRIVACY,)
    if budget is not None:
        beside = attacks(encoding.forth(without), true_rows, held_rows, config.seed)
        notes = _privacy_notes(budget, beside)
    names = [
        columns[j].name + (f" = level {k + 1}" if levels[j] > 2 else "")
        for j, k in ((j, k) for j in range(len(columns)) for k in range(max(levels[j] - 1, 1)))
    ]
    checks = _useful(features, filled, train, held, config) if config.outcome else []
    title = f"{config.count:,} synthetic patients like {table.name}"
    found = certificate(names, drawn_rows, true_rows, held_rows, config.seed, checks, title, notes)
    made = Table(columns, drawn, name=config.out.name)
    return made, found


def _drawn(
    features: Table, train: NDArray[np.intp], levels: list[int], config: SynthesiseConfig
) -> tuple[Array, Array, Budget | None]:
    """Return synthetic rows, those of the same generator without privacy, and what was spent."""
    columns, values = features.columns, features.values[train]
    kind, budget = config.generator, None
    without: Array = np.empty((0, len(columns)))
    if kind == "auto":
        kind = "copula" if config.epsilon is None else "vae"
    if kind == "acgan":
        drawn = _by_acgan(features, train, config)
    elif kind == "copula":
        drawn = fit_copula(values, levels).sample(config.count, config.seed)
    else:
        recipe = Recipe() if config.epsilon is None else PRIVATE
        recipe = replace(recipe, clip=config.clip, steps=config.steps or recipe.steps)
        if config.epsilon is not None:
            budget = spend(config.epsilon, config.delta, len(values), recipe)
            without = synthesise_rows(columns, values, config.count, recipe, config.seed)
        drawn = synthesise_rows(columns, values, config.count, recipe, config.seed, budget)
    drawn, without = (tidied(columns, x, np.ones(x.shape, bool)) for x in (drawn, without))
    return drawn, without, budget


def _privacy_notes(budget: Budget, beside: list[Attack]) -> tuple[str, ...]:
    """Return what the certificate says of a private run."""
    areas = ", ".join(f"{a.name} {a.auc:.3f}" for a in beside)
    return (
        f"The synthetic table is ({budget.spent:.3g}, {budget.delta:.3g})-differentially private "
        f"for each training patient, by opacus's RDP accountant: noise multipliers "
        f"{budget.margins:.3g} of the margins and {budget.training:.3g} of the training.",
        "Taken as public: how many patients there are, and the names, kinds, levels and ends of "
        "the columns; state levels and ends in --schema where they are not known from elsewhere.",
        f"Membership AUC of the same generator without privacy: {areas}.",
        "This certificate looks at true patients and is not private itself.",
    )


def _by_acgan(features: Table, train: NDArray[np.intp], config: SynthesiseConfig) -> Array:
    """Return rows, holes included, of the seed's generator."""
    from emulant_apps.records.contracts.adversarial import ACGANClassifier

    assert config.outcome is not None
    place = features.index(config.outcome)
    others = [c.name for c in features.columns if c.name != config.outcome]
    known = train[~np.isnan(features.values[train, place])]
    label = features.values[known, place]
    if len(np.unique(label)) < 2 or len(np.unique(label)) > 10:
        raise InputError(f"{features.name}: column '{config.outcome}': must have 2 to 10 levels")
    rest = features.take(others)
    model = ACGANClassifier(
        nominal=nominal_of(rest.columns), steps=config.steps or 1500, random_state=config.seed
    ).fit(rest.values[known], label)
    x, y = model.generate(config.count, config.seed)
    out: Array = np.insert(x, place, y, axis=1)
    return out


def _completed(features: Table, train: NDArray[np.intp], drawn: Array, seed: int) -> Array:
    """Return true rows, then synthetic ones, their holes filled by a draw."""
    every = np.concatenate([features.values, drawn])
    if not np.isnan(every).any():
        return every
    model = imputer("hybrid", nominal_of(features.columns), seed)
    model.set_params(network=0, boosting=0, mnar=False, bootstraps=0).fit(features.values[train])
    filled: Array = model.draw(every, 1, derive(seed, "completed") % (1 << 31))[0]
    return filled


def _useful(
    features: Table,
    filled: Array,
    train: NDArray[np.intp],
    held: NDArray[np.intp],
    config: SynthesiseConfig,
) -> list[Check]:
    """Return the check "train on synthetic, test on real"."""
    from emulant_apps.records.contracts.baselines import BoostedClassifier

    assert config.outcome is not None
    place = features.index(config.outcome)
    case = np.nanmax(features.values[:, place])
    rest = [k for k in range(len(features.columns)) if k != place]
    nominal = [i for i, k in enumerate(rest) if features.columns[k].kind == "nominal"]
    y = (filled[:, place] == case).astype(float)
    n = len(features)
    areas, risks = [], []
    for rows in (np.arange(n, len(filled)), train):
        if len(np.unique(y[rows])) < 2:
            raise InputError(f"{features.name}: too few of one class to train on; raise --count")
        model: Any = BoostedClassifier(nominal=nominal, iterations=100, random_state=config.seed)
        risk = model.fit(filled[rows][:, rest], y[rows]).predict_proba(filled[held][:, rest])[:, 1]
        areas.append(auc(y[held], risk))
        risks.append(risk)
    rng = numpy_rng(config.seed, "records", "tstr")
    gaps = []
    for _ in range(200):
        pick = rng.integers(len(held), size=len(held))
        if 0 < y[held][pick].sum() < len(pick):
            gaps.append(auc(y[held][pick], risks[0][pick]) - auc(y[held][pick], risks[1][pick]))
    note = f"AUC {areas[0]:.3f} after training on synthetic, {areas[1]:.3f} on real patients"
    return [
        Check.judged(
            "TSTR less TRTR, AUC", value=areas[0] - areas[1], expected=0.0,
            error=max(float(np.std(gaps)), 1e-4), tolerance=0.1, note=note,
        )
    ]  # fmt: skip
