"""Certify spin states: against exact results, true states, and the Hamiltonian itself.

Every temperature is a case. Its statistics and tolerances are those of
:mod:`emulant_apps.ising.criteria`; the truth is exact where a formula exists, else true states,
given or simulated here with a stream of their own. The checks of
:mod:`emulant_apps.ising.checks` need no true state.

States in chain order that are correlated, as a person's own may be, are judged in blocks of
many autocorrelation times, which are the independent units.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from emulant.certify import STANDARD, Case, Certificate, Statistic, TwoSample, certify
from emulant.errors import InputError
from emulant.progress import Progress
from emulant.rng import derive, numpy_rng
from emulant.store import current, new_directory, plain
from emulant.tables import aligned
from emulant_apps.ising.autocorrelation import integrated_autocorrelation_time
from emulant_apps.ising.checks import checks
from emulant_apps.ising.config import SimulateConfig, ValidateConfig
from emulant_apps.ising.criteria import (
    LEVELS,
    Law,
    Level,
    Name,
    Rows,
    exact_answers,
    exact_laws,
    integers,
    statistics,
)
from emulant_apps.ising.data import States, read_states, simulate_states
from emulant_apps.ising.hamiltonian import Floats, Ints
from emulant_apps.ising.sides import (
    Side,
    by_density_ratio,
    checks_of,
    sides,
    sides_table,
    swept,
)

__all__ = ["certificate", "reference_states", "run", "side_by_side"]

ALPHA = 0.04
"""Chance of any false *fail* among the statistics; with that of the checks 5 %."""
CORRELATED = 0.75
"""Blocks are formed when τ, in states, is above this by two errors; 0.5 is independent."""


def run(config: ValidateConfig) -> int:
    """Run ``emulant ising validate``."""
    states = read_states(config.states, config.temperatures)
    if config.field is not None:
        states = _in_field(states, config.field)
    truth = None if config.truth is None else read_states(config.truth)
    _require_match(states, truth, config)
    with _fresh(config.out) as directory:
        if truth is None and config.reference:
            with Progress("reference", len(states.temperatures)) as progress:
                truth = reference_states(
                    states, config.reference, config.seed, config.workers, progress.update
                )
        trained = None if config.training is None else _training(config.training, states)
        found = certificate(
            states, truth, config.tolerance, config.seed, config.workers, config.correct,
            () if config.quick else STANDARD, trained,
        )  # fmt: skip
        found = replace(found, provenance=_provenance(config, states, truth))
        compared = None
        if config.correct:
            assert truth is not None
            compared = side_by_side(states, truth, config.tolerance, config.seed)
            found = found.with_checks(*checks_of(compared))
        from emulant_apps.ising.report import figures  # here: matplotlib is slow to import

        found.write(directory, figures(states, truth))
    sys.stdout.write(found.table())
    if compared is not None:
        head, *rest = sides_table(compared)
        sys.stdout.write("\nbias and standard error, side by side:\n" + aligned(head, rest))
    if found.verdict == "underpowered":
        sys.stdout.write(
            "Too few states for these tolerances: draw more, or ask less with --tolerance quick.\n"
        )
    return found.status


def certificate(
    states: States,
    truth: States | None = None,
    tolerance: Name | None = None,
    seed: int = 0,
    workers: int | None = 1,
    correct: bool = False,
    comparisons: Sequence[TwoSample] = (),
    training: States | None = None,
) -> Certificate:
    """Return the certificate of ``states``.

    Parameters
    ----------
    truth
        True states at the same temperatures; None: exact answers only.
    tolerance
        See :data:`emulant_apps.ising.criteria.LEVELS`; default: raw for states that carry
        weights, else finished.
    correct
        Show, beside the states, what they give when weighted by an estimated density ratio.
    comparisons
        Of states and true states as a whole, such as :data:`emulant.certify.STANDARD`; the
        classifier sees u, m², |m|, G(r) and S(k), the network and the memory see the spins.
    training
        What the emulator was trained on; copies of it are looked for where temperatures agree.

    Raises
    ------
    InputError
        If truth lacks a temperature, or there is neither truth nor an exact answer.
    """
    if tolerance is None:
        tolerance = "finished" if states.log_weight is None else "raw"
    level, rows = LEVELS[tolerance], Rows.layout(states.lattice)
    prepared = [
        _case(states, truth, index, rows, seed, training)
        for index in range(len(states.temperatures))
    ]
    cases = [item.case for item in prepared]
    measured = statistics(rows, level)
    if correct and states.log_weight is None:
        cases = [by_density_ratio(case, rows, seed) for case in cases]
    measured, cases = _answerable(measured, cases, rows)
    if not measured:
        raise InputError("--reference: in a field there are no exact results; ask for true states")
    return certify(
        cases,
        measured,
        seed,
        alpha=ALPHA,
        workers=workers,
        comparisons=comparisons,
        features=lambda x: x[:, : rows.at["S"].stop],
        checks=checks(states, level, seed),
        title=f"Ising states, {states.lattice} × {states.lattice}",
        notes=[note for item in prepared for note in item.notes] + _notes(states, truth, level),
    )


def side_by_side(
    states: States, truth: States, tolerance: Name | None = None, seed: int = 0, rounds: int = 2
) -> tuple[Side, ...]:
    """Return the states as given, after 2 ``rounds`` sweeps, and weighted, against one truth."""
    if tolerance is None:
        tolerance = "finished" if states.log_weight is None else "raw"
    level, rows = LEVELS[tolerance], Rows.layout(states.lattice)
    cases = [
        [_case(s, truth, k, rows, seed, None).case for k in range(len(s.temperatures))]
        for s in (states, swept(states, rounds, seed))
    ]
    return sides(cases[0], cases[1], statistics(rows, level), rows, 2 * rounds, seed)


def _answerable(
    measured: Sequence[Statistic], cases: Sequence[Case], rows: Rows
) -> tuple[tuple[Statistic, ...], list[Case]]:
    """Return the statistics that have a truth in every case, and cases with answers to those.

    An empty tenth has no standard error of its own: its truth is then the reference, which has.
    """
    empty = {
        f"{sign} tenths"
        for sign, column in (("energy", "energy"), ("|m|", "magnetisation"))
        if any((case.samples[:, rows.at[column]].sum(axis=0) == 0).any() for case in cases)
    }
    known = [{k: v for k, v in case.exact.items() if k not in empty} for case in cases]
    kept = tuple(
        s
        for s in measured
        if all(
            case.truth is not None or s.name in exact
            for case, exact in zip(cases, known, strict=True)
        )
    )
    names = {s.name for s in kept}
    return kept, [
        replace(case, exact={k: v for k, v in exact.items() if k in names})
        for case, exact in zip(cases, known, strict=True)
    ]


def reference_states(
    states: States,
    count: int,
    seed: int,
    workers: int | None = 1,
    progress: Callable[[int, int], None] | None = None,
) -> States:
    """Return ``count`` true states at each temperature, from streams that made no other states."""
    config = SimulateConfig(
        out=Path("reference.npz"),
        lattice=states.lattice,
        temperatures=tuple(states.temperatures.tolist()),
        count=count,
        algorithm="swendsen-wang" if states.field else "wolff",
        field=states.field,
        seed=derive(seed, "ising reference"),
        workers=workers,
    )
    return simulate_states(config, progress)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A case whose samples are rows of features, and what must be said about it."""

    case: Case
    notes: tuple[str, ...]


def _case(
    states: States,
    truth: States | None,
    index: int,
    rows: Rows,
    seed: int,
    training: States | None,
) -> _Prepared:
    t = float(states.temperatures[index])
    label, external = f"T = {t:.6g}", states.field
    spins, true = states.spins[index], None if truth is None else truth.at(t)
    known = exact_laws(states.lattice, t, external)
    base = spins if true is None else true
    laws = {name: known.get(name, Law.of(values)) for name, values in integers(base).items()}
    rng = numpy_rng(seed, "ising histogram", label)
    own = rows.of(spins, laws, rng, external)
    groups, notes = None, []
    if states.log_weight is None:
        groups = _blocks(own)
        if groups is not None:
            notes.append(
                f"{label}: the states are correlated; they count as {groups[-1] + 1} independent "
                "blocks."
            )
    true_rows = None if true is None else rows.of(true, laws, rng, external)
    case = Case(
        label,
        own,
        true_rows,
        exact_answers(states.lattice, t, known, external),
        groups,
        None if true_rows is None else _blocks(true_rows),
        None if states.log_weight is None else states.log_weight[index],
        {"T": t, "N": states.lattice**2, "L": states.lattice, "h": external},
        extrapolated=t in states.notes.get("extrapolated", ()),
        training=None if training is None or _absent([t], training) else training.at(t),
        events=None if true is None else (spins, true),
    )
    return _Prepared(case, tuple(notes))


def _training(path: Path, states: States) -> States:
    """Return the training states, refusing those of another lattice or of other temperatures."""
    found = read_states(path)
    if found.lattice != states.lattice:
        raise InputError(
            f"{path}: field 'spins' has side {found.lattice}, the states {states.lattice}; copies "
            "are looked for among training states of one side"
        )
    if len(_absent(states.temperatures.tolist(), found)) == len(states.temperatures):
        raise InputError(f"{path}: field 'temperatures' has none of those of the states")
    return found


def _blocks(rows: Floats) -> Ints | None:
    """Return the independent unit of each row, or None if each is one; u and |m| decide."""
    found = [integrated_autocorrelation_time(rows[:, k]) for k in (0, 2)]
    slowest = max(found, key=lambda x: x.tau - 2 * x.error)
    if slowest.tau - 2 * slowest.error < CORRELATED:
        return None
    length = math.ceil(20 * slowest.tau)
    return np.asarray(np.arange(len(rows)) // length, dtype=np.int64)


def _notes(states: States, truth: States | None, level: Level) -> list[str]:
    notes = [f"Tolerances: {level.by}."]
    if truth is None:
        notes.append("Truth: exact results only; what they do not know is not shown.")
    elif "algorithm" in truth.notes:
        notes.append(
            f"Truth: {truth.count} states a temperature by {truth.notes['algorithm']}, "
            "4 autocorrelation times apart, and exact results where they exist."
        )
    if isinstance(finished := states.notes.get("finished"), list):
        notes.append(f"The states were finished by {len(finished)} sweeps: {', '.join(finished)}.")
    return notes


def _require_match(states: States, truth: States | None, config: ValidateConfig) -> None:
    """Refuse, before any work, a truth that does not belong to the states."""
    if truth is None:
        if states.field and not config.reference:
            raise InputError("--reference 0: in a field there are no exact results; give --truth")
        return
    if truth.lattice != states.lattice:
        raise InputError(
            f"{config.truth}: field 'spins' has side {truth.lattice}, {config.states} has "
            f"{states.lattice}; they must match"
        )
    if truth.field != states.field:
        raise InputError(
            f"{config.truth}: made in the field h = {truth.field:g}, {config.states} in "
            f"{states.field:g}; they must match"
        )
    missing = _absent(states.temperatures.tolist(), truth)
    if missing:
        listed = ", ".join(f"{t:.10g}" for t in missing)
        raise InputError(f"{config.truth}: field 'temperatures' lacks {listed}")
    if min(truth.count, states.count) < 2:
        raise InputError(f"{config.states}: at least 2 states a temperature are needed")


def _absent(temperatures: Sequence[float], truth: States) -> list[float]:
    return [t for t in temperatures if not np.isclose(truth.temperatures, t, rtol=1e-9).any()]


def _in_field(states: States, external: float) -> States:
    """Return the states with ``external`` recorded as their field."""
    found = states.provenance or current("a person's own file", {}, None)
    return replace(states, provenance=replace(found, config={**found.config, "field": external}))


def _provenance(config: ValidateConfig, states: States, truth: States | None) -> Mapping[str, Any]:
    record: dict[str, Any] = plain(
        current("ising validate", config, config.seed, data=states.fingerprint)
    )
    record["states"] = "a person's own" if states.provenance is None else plain(states.provenance)
    record["truth"] = None if truth is None else truth.fingerprint
    return record


@contextlib.contextmanager
def _fresh(path: Path) -> Iterator[Path]:
    """Yield a new directory, and remove it again if nothing came to lie in it."""
    existed = path.exists()
    directory = new_directory(path)
    try:
        yield directory
    finally:
        if not existed and not any(directory.iterdir()):
            directory.rmdir()
