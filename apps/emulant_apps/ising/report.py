"""Pictures that a physicist expects: curves, histograms, states.

Orange are the samples that are judged, blue is the truth: dots for true states, lines for exact
results of the finite lattice; dashed grey lines are the infinite lattice (Onsager, Yang).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from emulant.certify.page import Figure, figure, palette, style
from emulant_apps.ising import exact
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.criteria import LARGEST_BEALE
from emulant_apps.ising.data import States
from emulant_apps.ising.hamiltonian import Floats, magnetisations
from emulant_apps.ising.observables import (
    Histogram,
    Observables,
    correlation_function,
    energy_counts,
    measure,
)
from emulant_apps.ising.weights import Estimate

__all__ = [
    "curves",
    "energy_histogram",
    "figures",
    "magnetisation_histogram",
    "measured",
    "pictures",
]

FEW = 8
"""Fewer states than this at a temperature have no error bars and no curves."""
SHOWN = 3
"""Temperatures that have histograms and pictures of their own."""
WIDTH = 3.5
"""Inches; two such figures stand side by side."""


def figures(states: States, truth: States | None = None) -> list[Figure]:
    """Return the pictures of ``states`` beside ``truth``, the same bytes for the same input."""
    with style():
        drawn = [pictures(states, truth)]
        if states.count >= FEW:
            drawn += curves(states, truth)
            for index in _chosen(states):
                drawn += [
                    energy_histogram(states, truth, index),
                    magnetisation_histogram(states, truth, index),
                ]
            drawn.append(_two_point(states, truth))
    return drawn


def _chosen(states: States) -> list[int]:
    """Return the temperature nearest T_c, the coldest and the hottest, by temperature."""
    t = states.temperatures
    picked = {int(np.argmin(np.abs(t - CRITICAL))), int(t.argmin()), int(t.argmax())}
    return sorted(picked, key=lambda index: float(t[index]))[:SHOWN]


def _axes(height: float = 2.4) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(WIDTH, height), layout="constrained")
    return drawing, drawing.add_subplot()


def curves(states: States, truth: States | None) -> list[Figure]:
    """Return u, c, |m| and χ against T."""
    own = [measured(states, k) for k in range(len(states.temperatures))]
    true = None
    if truth is not None and truth.count >= FEW:
        true = [measure(truth.at(t), t, states.field, tau=0.5) for t in states.temperatures]
    span = np.linspace(states.temperatures.min(), states.temperatures.max(), 120)
    if len(states.temperatures) == 1:
        span = np.linspace(0.9, 1.1, 120) * states.temperatures[0]
    finite = [exact.kaufman(states.lattice, t) for t in span] if not states.field else []
    infinite = [exact.infinite_lattice(t) for t in span] if not states.field else []
    panels: tuple[tuple[str, Callable[[Observables], Estimate], list[float], list[float]], ...] = (
        (
            "energy per spin u, J",
            lambda o: o.energy,
            [x.energy for x in finite],
            [x.energy for x in infinite],
        ),
        (
            "specific heat c, k_B",
            lambda o: o.heat_capacity,
            [x.heat_capacity for x in finite],
            [min(x.heat_capacity, 4.0) for x in infinite],
        ),
        (
            "magnetisation ⟨|m|⟩ per spin",
            lambda o: o.magnetisation,
            [],
            [x.magnetisation for x in infinite],
        ),
        ("susceptibility χ", lambda o: o.susceptibility, [], []),
    )
    drawn = []
    for name, pick, line, limit in panels:
        drawing, axes = _axes()
        if limit:
            axes.plot(span, limit, "--", color=palette()["muted"], lw=1, label="infinite lattice")
        if line:
            axes.plot(span, line, color=palette()["truth"], label=f"exact, L = {states.lattice}")
        for found, colour, mark, label in (
            (true, "truth", "o", "true states"),
            (own, "samples", "D", "samples"),
        ):
            if found is not None:
                _bars(axes, states.temperatures, [pick(o) for o in found], colour, mark, label)
        if name.startswith("susceptibility"):
            axes.set_yscale("log")
        axes.set(xlabel="temperature, J/k_B", title=name)
        axes.legend(fontsize=7.5)
        drawn.append(figure(drawing, alt=f"{name} against temperature"))
    return drawn


def _bars(
    axes: Axes, at: Floats, found: Sequence[Estimate], colour: str, mark: str, label: str
) -> None:
    axes.errorbar(
        at,
        [x.value for x in found],
        [x.error for x in found],
        fmt=mark,
        ms=5 if colour == "truth" else 3.2,
        color=palette()[colour],
        capsize=2,
        label=label,
    )


def measured(states: States, index: int) -> Observables:
    """Return the observables of independent states at temperature number ``index``."""
    return measure(states.spins[index], float(states.temperatures[index]), states.field, tau=0.5)


def energy_histogram(states: States, truth: States | None, index: int) -> Figure:
    """Return P(E) of the samples over the exact one or, where that is not known, the truth's."""
    t, sites = float(states.temperatures[index]), states.lattice**2
    own = energy_counts(states.spins[index])
    drawing, axes = _axes()
    width = _bin(own, sites)
    if not states.field and states.lattice <= LARGEST_BEALE:
        law = exact.energy_histogram(states.lattice, t)
        line = Histogram(law.energies, law.probabilities, np.zeros(len(law.energies)))
        _steps(axes, line, width, sites, "truth", "exact (Beale)", filled=True)
    elif truth is not None:
        _steps(axes, energy_counts(truth.at(t)), width, sites, "truth", "true states", filled=True)
    _steps(axes, own, width, sites, "samples", "samples", filled=False)
    axes.set(xlabel="energy per spin, J", yticks=[], title=f"energy, T = {t:.5g}")
    axes.legend(fontsize=7.5)
    return figure(drawing, alt=f"Histogram of the energy at T = {t:.5g}")


def _bin(histogram: Histogram, sites: int) -> float:
    """Return a width, in units of u, of about a third of the standard deviation."""
    u = histogram.values / sites
    mean = float(u @ histogram.probabilities)
    spread = float(np.sqrt(histogram.probabilities @ np.square(u - mean)))
    return 4 / sites * max(1, round(spread / 3 / (4 / sites)))


def _steps(
    axes: Axes, found: Histogram, width: float, sites: int, colour: str, label: str, filled: bool
) -> None:
    u = found.values / sites
    edges = np.arange(-2 - width / 2, 2 + width, width)
    density, _ = np.histogram(u, edges, weights=found.probabilities / width)
    kept = np.flatnonzero(density > 1e-4 * density.max())
    part = slice(int(kept[0]), int(kept[-1]) + 1)
    axes.stairs(
        density[part],
        edges[part.start : part.stop + 1],
        fill=filled,
        color=palette()[colour],
        alpha=0.45 if filled else 1.0,
        label=label,
    )


def magnetisation_histogram(states: States, truth: States | None, index: int) -> Figure:
    """Return P(m) of the samples over that of the true states."""
    t = float(states.temperatures[index])
    drawing, axes = _axes()
    edges = np.linspace(-1, 1, 42).tolist()
    if truth is not None:
        m = magnetisations(truth.at(t))
        axes.hist(m, edges, density=True, color=palette()["truth"], alpha=0.45, label="true states")
    axes.hist(
        magnetisations(states.spins[index]),
        edges,
        density=True,
        histtype="step",
        color=palette()["samples"],
        label="samples",
    )
    axes.set(xticks=[-1, -0.5, 0, 0.5, 1])
    axes.set(xlabel="magnetisation per spin", yticks=[], title=f"magnetisation, T = {t:.5g}")
    axes.legend(fontsize=7.5)
    return figure(drawing, alt=f"Histogram of the magnetisation at T = {t:.5g}")


def _two_point(states: States, truth: States | None) -> Figure:
    drawing, axes = _axes()
    for index in _chosen(states):
        t = float(states.temperatures[index])
        found = correlation_function(states.spins[index], tau=0.5)
        if truth is not None and truth.count >= FEW:
            true = correlation_function(truth.at(t), tau=0.5)
            axes.plot(true.at, true.values, color=palette()["truth"])
        axes.errorbar(
            found.at, found.values, found.errors, fmt="D", ms=3, color=palette()["samples"]
        )
        axes.annotate(
            f"T = {t:.4g}",
            (float(found.at[-1]), float(found.values[-1])),
            fontsize=7.5,
            ha="right",
            va="bottom",
        )
    axes.set(xlabel="distance r, sites", title="two-point function G(r)")
    return figure(drawing, alt="Two-point function against distance; lines are true states")


def pictures(states: States, truth: States | None, columns: int = 6) -> Figure:
    """Return states side by side: samples on the left, true on the right."""
    chosen = _chosen(states)
    own, true = min(columns, states.count), 0 if truth is None else min(columns, truth.count)
    drawing = Drawing(figsize=(2 * WIDTH, 0.35 + 0.66 * len(chosen)))
    total = own + true
    grid = drawing.add_gridspec(
        len(chosen), total + 1, width_ratios=[1] * own + [0.35] + [1] * true, wspace=0.06,
        hspace=0.06, left=0.09, right=0.995, top=1 - 0.3 / (0.35 + 0.66 * len(chosen)), bottom=0.02,
    )  # fmt: skip
    for row, index in enumerate(chosen):
        t = float(states.temperatures[index])
        for column in range(total):
            mine = column < own
            spins = states.spins[index, column] if mine else truth.at(t)[column - own]  # type: ignore[union-attr]  # true > 0 only with a truth
            axes = drawing.add_subplot(grid[row, column if mine else column + 1])
            axes.imshow(spins, cmap="gray", vmin=-1.6, vmax=1.6, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            colour = palette()["samples" if mine else "truth"]
            for spine in axes.spines.values():
                spine.set(visible=True, color=colour)
            if column == 0:
                axes.set_ylabel(f"T = {t:.4g}", fontsize=7.5, color=palette()["muted"])
            if row == 0 and column in (0, own):
                axes.set_title("samples" if mine else "true", fontsize=9, color=colour)
    return figure(
        drawing,
        "States drawn at random, not chosen: the first of each file.",
        "Spin states as black and white squares",
        wide=True,
        format="png",
    )
