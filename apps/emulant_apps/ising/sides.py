r"""States as given, finished, and corrected, side by side against one truth.

    as given       the states of the file, every one of weight one
    k sweeps       the same states after k sweeps, Swendsen-Wang and heat bath in turn
    own weights    the states with the weights that they carry, exp(-E/T) / q, where they do
    density ratio  the states with weights by a density ratio p/q of u, m², |m|, G(r) and S(k),
                   estimated on one half of the true states

All are judged on the exact answer where there is one (u, c), else on true states: those of the
density ratio on the half that its estimate has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from emulant.certify import Case, Check, Statistic, certify
from emulant.certify.correction import corrected
from emulant.errors import InputError
from emulant.rng import derive, numpy_rng
from emulant_apps.ising.criteria import Rows
from emulant_apps.ising.data import States
from emulant_apps.ising.reference_free import cluster_and_local

__all__ = ["MEASURED", "Side", "by_density_ratio", "checks_of", "sides", "sides_table", "swept"]

MEASURED = ("u", "c", "|m|", "χ")


@dataclass(frozen=True, slots=True)
class Side:
    """One number of one treatment at one temperature."""

    case: str
    treatment: str
    statistic: str
    bias: float
    error: float
    reference: float
    tolerance: float | None
    ess: float | None
    """Effective share of the samples, where they are weighted."""
    refused: bool = False
    """Whether the weights leave too few effective samples."""


def by_density_ratio(case: Case, rows: Rows, seed: int) -> Case:
    """Return the case with weights by a density ratio, and with half of its truth."""
    if case.truth is None:
        raise InputError(f"--correct: there are no true states at {case.label}")
    seen = slice(0, rows.at["S"].stop)
    rng = numpy_rng(seed, "ising correction", case.label)
    return corrected(case, (case.samples[:, seen], case.truth[:, seen]), rng)


def swept(states: States, rounds: int, seed: int) -> States:
    """Return the states after 2 ``rounds`` sweeps, without weights."""
    spins = states.spins.copy()
    for index, t in enumerate(states.temperatures.tolist()):
        own = derive(seed, "ising sides", index)
        spins[index] = cluster_and_local(spins[index], t, own, states.field, rounds)
    return replace(states, spins=spins, log_weight=None)


def sides(
    given: Sequence[Case],
    finished: Sequence[Case],
    statistics: Sequence[Statistic],
    rows: Rows,
    sweeps: int,
    seed: int,
) -> tuple[Side, ...]:
    """Return u, c, |m| and χ of every treatment, case by case.

    Parameters
    ----------
    given, finished
        The cases of the states as given and of the same states after ``sweeps``.
    """
    kept = [s for s in statistics if s.name in MEASURED]
    names = {s.name for s in kept}
    ratio = [by_density_ratio(replace(case, log_weight=None), rows, seed) for case in given]
    found: list[Side] = []
    for cases, plain, weighted in (
        (given, "as given", "own weights"),
        (finished, f"{sweeps} sweeps", None),
        (ratio, None, "density ratio"),
    ):
        few = [
            replace(c, exact={k: v for k, v in c.exact.items() if k in names}, events=None)
            for c in cases
        ]
        certificate = certify(few, kept, derive(seed, "ising sides"), replicates=400)
        for case, statistic, item in certificate.rows():
            shared: dict[str, Any] = {
                "case": case.label, "statistic": statistic.name, "reference": item.reference,
                "tolerance": item.tolerance,
            }  # fmt: skip
            if plain is not None:
                found.append(
                    Side(treatment=plain, bias=item.bias, error=item.bias_error, ess=None, **shared)
                )
            if weighted is None or case.reweighting == "none":
                continue
            own = item.reweighted
            error = 0.0 if own is None else float(np.hypot(own.error, item.reference_error))
            found.append(
                Side(
                    treatment=weighted, ess=case.ess, refused=own is None,
                    bias=0.0 if own is None else own.bias,
                    error=error, **shared,
                )
            )  # fmt: skip
    order = {label: k for k, label in enumerate(case.label for case in given)}
    return tuple(sorted(found, key=lambda side: order[side.case]))


def checks_of(found: Sequence[Side]) -> list[Check]:
    """Return the numbers as entries of a certificate that are reported and not judged."""
    return [
        Check(
            f"{s.statistic}, {s.case}, {s.treatment}", s.reference + s.bias, s.reference, s.error,
            s.tolerance or 0.0, "reported",
            "" if s.ess is None else f"effective {100 * s.ess:.1f} % of the states",
        )
        for s in found
        if not s.refused
    ]  # fmt: skip


def sides_table(found: Sequence[Side]) -> list[tuple[str, ...]]:
    """Return a header and one row a case and treatment: bias ± error of each statistic, ESS / n."""
    table: list[tuple[str, ...]] = [("case", "states", *MEASURED, "ESS / n")]
    for case in dict.fromkeys(s.case for s in found):
        for treatment in dict.fromkeys(s.treatment for s in found if s.case == case):
            own = {s.statistic: s for s in found if (s.case, s.treatment) == (case, treatment)}
            cells = [_cell(own[name]) if name in own else "" for name in MEASURED]
            ess = next(iter(own.values())).ess
            table.append((case, treatment, *cells, "" if ess is None else f"{ess:.3f}"))
    return table


def _cell(side: Side) -> str:
    """Return bias ± error; of c and χ in percent of the truth."""
    if side.refused:
        return "refused"
    if side.statistic in ("c", "χ"):
        scale = 100 / side.reference
        return f"{scale * side.bias:+.1f} ± {abs(scale) * side.error:.1f} %"
    return f"{side.bias:+.5f} ± {side.error:.5f}"
