"""Pictures of tables: missing cells, densities, calibration, decision curves.

No picture shows a single patient: rows are drawn in bands of at least ten, and bins of fewer than
ten are left empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emulant.certify.page import Figure, figure, palette, style
from emulant_apps.records.metrics import calibration_curve, decision_curve
from emulant_apps.records.schema import SMALL, Column

__all__ = [
    "calibration_figure", "decision_figure", "densities", "missing_map", "pattern_figure",
]  # fmt: skip

Array = NDArray[np.float64]

BANDS = 60
GRID = np.linspace(0.0, 1.0, 201)
MOST_COLUMNS = 60


def missing_map(names: Sequence[str], missing: NDArray[np.bool_]) -> Figure:
    """Return the map of missing cells: rows sorted by pattern and averaged in bands of >= 10."""
    from matplotlib.figure import Figure as Drawing

    order = np.argsort(-missing.mean(0), kind="stable")[:MOST_COLUMNS]
    shown = missing[:, order]
    rows = np.lexsort(tuple(shown.T[::-1]))
    bands = max(1, min(BANDS, len(shown) // SMALL))
    picture = np.array([shown[part].mean(0) for part in np.array_split(rows, bands)])
    with style():
        drawn = Drawing(figsize=(7.2, 3.4))
        axes = drawn.add_subplot()
        axes.imshow(picture, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xticks(range(len(order)), [names[k][:18] for k in order], rotation=90, fontsize=6)
        axes.set_yticks([])
        axes.set_ylabel(f"patients, in {bands} bands")
        title = "share of missing cells (dark: all missing)"
        axes.set_title(title)
        alt = f"Missingness map of {len(order)} columns; {missing.mean():.1%} of all cells missing"
        return figure(
            drawn,
            "Columns with most holes first; rows sorted by pattern.",
            alt,
            wide=True,
        )


def pattern_figure(names: Sequence[str], counts: Sequence[tuple[Sequence[str], int]]) -> Figure:
    """Return the matrix of the commonest patterns; patterns of fewer than ten rows are left out."""
    from matplotlib.figure import Figure as Drawing

    shown = [(set(lacking), n) for lacking, n in counts if n >= SMALL]
    columns = [n for n in names if any(n in lacking for lacking, _ in shown)][:MOST_COLUMNS]
    with style():
        drawn = Drawing(figsize=(7.2, 0.8 + 0.17 * max(len(shown), 1)))
        axes = drawn.add_subplot()
        matrix = np.array([[name in lacking for name in columns] for lacking, _ in shown])
        if matrix.size:
            axes.imshow(
                matrix, aspect="auto", cmap="Blues", vmin=0, vmax=1.3, interpolation="nearest"
            )
        axes.set_xticks(range(len(columns)), [c[:18] for c in columns], rotation=90, fontsize=6)
        axes.set_yticks(range(len(shown)), [f"{n:,}" for _, n in shown], fontsize=7)
        axes.set_ylabel("patients")
        axes.set_title("commonest patterns (dark: missing)")
        return figure(drawn, "", f"{len(shown)} commonest patterns of missing columns", wide=True)


def densities(
    columns: Sequence[Column],
    observed: Array,
    imputed: Array,
    missing: NDArray[np.bool_],
    most: int = 8,
) -> list[Figure]:
    """Return, for the columns with most holes, observed values against imputed ones."""
    from matplotlib.figure import Figure as Drawing

    colour = palette()
    chosen = [
        j
        for j in np.argsort(-missing.sum(0), kind="stable")
        if missing[:, j].sum() >= SMALL and (~missing[:, j]).sum() >= SMALL
    ][:most]
    figures = []
    for j in chosen:
        column = columns[j]
        true, guess = observed[~missing[:, j], j], imputed[missing[:, j], j]
        if column.levels:
            edges = np.arange(len(column.levels) + 1) - 0.5
        else:
            bins = int(np.clip(min(len(true), len(guess)) // 15, 3, 24))  # some 15 patients each
            both = np.r_[np.quantile(true, GRID), np.quantile(guess, GRID)]
            edges = np.unique(np.quantile(both, np.linspace(0.005, 0.995, bins + 1)))
            if len(edges) < 2:
                continue
        with style():
            drawn = Drawing(figsize=(3.5, 2.0))
            axes = drawn.add_subplot()
            for values, key, label in ((true, "truth", "observed"), (guess, "samples", "imputed")):
                counts, _ = np.histogram(values, edges)
                share = np.where(counts >= SMALL, counts, 0) / len(values) / np.diff(edges)
                axes.stairs(share, edges, color=colour[key], label=label, lw=1.5)
            axes.set_title(column.name[:34])
            axes.set_xlabel(column.unit if not column.levels else "level")
            axes.set_yticks([])
            axes.legend(fontsize=7)
            figures.append(figure(drawn, alt=f"{column.name}: observed against imputed density"))
    return figures


def calibration_figure(y: Array, risks: Mapping[str, Array]) -> Figure:
    """Return observed against predicted risk, in bins of equal number; small bins left out."""
    from matplotlib.figure import Figure as Drawing

    colours = ["#2f7fc1", "#d9730d", "#2e9e6b", "#8f6fc9", "#d1495b", "#c78a00"]
    with style():
        drawn = Drawing(figsize=(3.5, 3.2))
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=palette()["muted"], lw=0.9)
        for (name, p), shade in zip(risks.items(), colours * 3, strict=False):
            curve = calibration_curve(y, p)
            kept = curve.count >= SMALL
            axes.plot(
                curve.predicted[kept],
                curve.observed[kept],
                marker="o",
                ms=3,
                lw=1.1,
                color=shade,
                label=name,
            )
        axes.set(xlabel="predicted risk", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
        axes.set_title("calibration")
        axes.legend(fontsize=7)
        return figure(drawn, "Ten bins of equal number, out of fold.", "Calibration curves")


def decision_figure(y: Array, risks: Mapping[str, Array]) -> Figure:
    """Return net benefit over thresholds, beside treating all and none."""
    from matplotlib.figure import Figure as Drawing

    colours = ["#2f7fc1", "#d9730d", "#2e9e6b", "#8f6fc9", "#d1495b", "#c78a00"]
    t = np.linspace(0.01, min(0.95, max(0.3, 3 * float(y.mean()))), 80)
    with style():
        drawn = Drawing(figsize=(3.5, 3.2))
        axes = drawn.add_subplot()
        everyone = decision_curve(y, np.ones(len(y)), t)
        axes.plot(t, everyone, color=palette()["muted"], lw=0.9, ls="--", label="treat all")
        axes.axhline(0, color=palette()["muted"], lw=0.9)
        for (name, p), shade in zip(risks.items(), colours * 3, strict=False):
            axes.plot(t, decision_curve(y, p, t), lw=1.1, color=shade, label=name)
        axes.set(xlabel="threshold", ylabel="net benefit", ylim=(-0.05, float(y.mean()) * 1.05))
        axes.set_title("decision curve")
        axes.legend(fontsize=7)
        return figure(drawn, "Out of fold.", "Decision curves")
