"""Checks of spin states that need no true state: the Hamiltonian and Z are enough.

- Callen's identities, in units of the largest |F|, so that the tolerance is half that of u;
- drift of ⟨u⟩, ⟨|m|⟩ and ⟨m²⟩ under Swendsen-Wang and heat bath;
- of weighted states, ln Z against Kaufman's and the effective sample size against n.

The first two say *fail* when they resolve a fault, and otherwise leave the verdict to u and |m|.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from emulant.certify import Check
from emulant.rng import derive
from emulant_apps.ising.criteria import Level
from emulant_apps.ising.data import States
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.hamiltonian import Floats, Spins
from emulant_apps.ising.reference_free import CALLEN_FUNCTIONS, Discrepancies, callen, drift
from emulant_apps.ising.weights import effective_sample_size, ln_mean_weight

__all__ = ["ALPHA", "checks"]

ALPHA = 0.01
"""Chance of any false *fail* among all checks of true states."""
CHECKS = len(CALLEN_FUNCTIONS) + 3 + 2
"""Of one temperature: Callen's identities, drifts, and those of the weights."""


def checks(states: States, level: Level, seed: int) -> list[Check]:
    """Return the checks of every temperature."""
    found = []
    family = len(states.temperatures) * CHECKS
    for index, t in enumerate(states.temperatures.tolist()):
        spins = states.spins[index]
        if len(spins) > 1:
            found.append(_callen(spins, t, states.field, level, family))
            moved = drift(spins, t, states.field, seed=derive(seed, "ising drift", index))
            allowed = np.array([level.energy, level.magnetisation, 2 * level.magnetisation])
            found.append(_worst("drift of", t, moved, allowed, family))
        if states.log_weight is not None and not states.field:
            found += _weight_checks(states.log_weight[index], states.lattice, t, level, family)
    return found


def _callen(spins: Spins, t: float, external: float, level: Level, family: int) -> Check:
    found = callen(spins, t, external)
    up = np.ones((1, *spins.shape[1:]), dtype=np.int16)
    largest = np.array([float(F(up).max()) for F in CALLEN_FUNCTIONS.values()])
    scaled = Discrepancies(found.names, found.differences / largest, found.errors / largest)
    return _worst("Callen,", t, scaled, np.full(len(largest), level.energy / 2), family)


def _worst(what: str, t: float, found: Discrepancies, allowed: Floats, family: int) -> Check:
    """Return the check of the discrepancy that is the largest share of what is allowed."""
    reach = (np.abs(found.differences) + 2 * found.errors) / allowed
    k = int(np.argmax(reach))
    check = Check.judged(
        f"{what} {found.names[k]}, T = {t:.6g}",
        value=float(found.differences[k]),
        expected=0.0,
        error=max(float(found.errors[k]), 1e-12),
        tolerance=float(allowed[k]),
        family=family,
        alpha=ALPHA,
        note=f"The worst of {', '.join(found.names)}.",
    )
    if check.verdict != "underpowered":
        return check
    note = f"{check.note} Not resolved; the verdict is left to u and |m|."
    return replace(check, verdict="reported", note=note)


def _weight_checks(
    log_weight: Floats, lattice: int, t: float, level: Level, family: int
) -> Iterator[Check]:
    """Yield ln Z against Kaufman's and ESS / n against one."""
    ln_z = ln_mean_weight(log_weight)
    size = float(effective_sample_size(log_weight))
    blocks = np.array_split(log_weight, min(20, len(log_weight)))
    spread = np.std([float(effective_sample_size(block)) for block in blocks])
    for name, value, expected, error, allowed in (
        ("ln Z", ln_z.value, kaufman(lattice, t).log_z, ln_z.error, level.ln_z),
        ("ESS / n", size, 1.0, float(spread) / math.sqrt(max(1, len(blocks) - 1)), level.lost_size),
    ):
        label = f"{name}, T = {t:.6g}"
        if allowed is None or not error > 0:
            yield Check(label, value, expected, error, math.inf, "reported")
        else:
            yield Check.judged(
                label,
                value=value,
                expected=expected,
                error=error,
                tolerance=allowed,
                family=family,
                alpha=ALPHA,
                note="From the weights e^(-E/T) / q." if name == "ln Z" else "Kong's, of n draws.",
            )
