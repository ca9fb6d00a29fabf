"""The app's part of ``emulant demo``: the shipped emulator's states beside true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from emulant.certify.page import Section, Table, style
from emulant.certify.words import plain_verdict
from emulant.rng import derive
from emulant_apps.ising import exact
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.data import States, simulate
from emulant_apps.ising.observables import measure
from emulant_apps.ising.report import (
    curves,
    energy_histogram,
    magnetisation_histogram,
    measured,
    pictures,
)
from emulant_apps.ising.tables import with_error
from emulant_apps.ising.weights import effective_sample_size, ln_mean_weight

if TYPE_CHECKING:
    from emulant.certify import Certificate

__all__ = ["demo", "section"]

TEMPERATURES = (2.0, CRITICAL, 2.6)
COUNT = 4000
LATTICE = 32


def demo(seed: int) -> Section:
    """Return the app's part of ``emulant demo``: the shipped emulator's states beside true ones."""
    from emulant_apps.ising.sample import Emulator  # here: torch is slow to import
    from emulant_apps.ising.validate import certificate

    states = Emulator.pretrained().sample(
        TEMPERATURES, COUNT, LATTICE, seed, sweeps=0, workers=None
    )
    truth = simulate(LATTICE, TEMPERATURES, COUNT, seed=derive(seed, "ising demo truth"))
    return section(states, truth, certificate(states, truth, "quick", seed))


def section(states: States, truth: States, found: Certificate) -> Section:
    """Return the section of weighted ``states`` and their certificate."""
    rows, gaps, sizes = [], [], []
    for k, t in enumerate(states.temperatures.tolist()):
        own, true = measured(states, k), measure(truth.at(t), t, tau=0.5)
        known = exact.kaufman(states.lattice, t)
        gaps.append(abs(own.energy.value - known.energy))
        row = [
            f"{t:.5g}",
            with_error(own.energy.value, own.energy.error),
            f"{known.energy:.4f}",
            with_error(own.magnetisation.value, own.magnetisation.error),
            with_error(true.magnetisation.value, true.magnetisation.error),
        ]
        if states.log_weight is not None:
            ln_z = ln_mean_weight(states.log_weight[k])
            sizes.append(float(effective_sample_size(states.log_weight[k])))
            row += [with_error(ln_z.value, ln_z.error), f"{known.log_z:.3f}", f"{sizes[k]:.2f}"]
        rows.append(row)
    with style():
        middle = int(np.argmin(np.abs(states.temperatures - CRITICAL)))
        drawn = [
            pictures(states, truth),
            *curves(states, truth),
            energy_histogram(states, truth, middle),
            magnetisation_histogram(states, truth, middle),
        ]
    headline = f"energy within {max(gaps):.4f} J per spin of exact"
    head = ["T", "u, drawn", "u, exact", "|m|, drawn", "|m|, true"]
    if sizes:
        headline += f"; {min(sizes):.0%} or more of the states count as true ones"
        head += ["ln Z, from weights", "ln Z, exact", "ESS / n"]
    return Section(
        "Ising: spin states at a temperature of your choice",
        "Are these states of the two-dimensional Ising model, or only pictures of some?",
        found.verdict,
        headline,
        f"{states.count:,} new {states.lattice} × {states.lattice} states at each of "
        f"{len(rows)} temperatures, drawn one by one by the network that came with the package, "
        f"with no Monte Carlo step after it. {_unseen(states)}\n\n"
        f"{plain_verdict(found)} The tolerances are those that {states.count:,} states can decide, "
        "0.01 J for u and 0.02 for |m|; 'emulant ising validate' judges finer, and more.\n\n"
        "The network knows the probability that it gave to each state, so that the partition "
        "function follows from the states alone; Kaufman's exact solution checks it. ESS / n is "
        "the fraction of the states that count as independent true ones when they are reweighted.",
        drawn,
        (Table(tuple(head), rows, "Standard errors in brackets, of the last digits."),),
        "emulant ising sample --lattice 32 --temperatures 2.35 --count 2000 --out states.npz",
    )


def _unseen(states: States) -> str:
    """Say which temperatures the emulator was never trained at, if it says so itself."""
    trained = states.notes.get("trained", ())
    fresh = [t for t in states.temperatures.tolist() if not np.isclose(trained, t).any()]
    if not trained or not fresh:
        return ""
    return f"It was never trained at T = {' and '.join(f'{t:.4g}' for t in fresh)}."
