"""Pictures that a lensing person expects: maps, C_ℓ, pixels, peaks, correlations.

Orange are the maps that are judged, blue is the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from emulant.certify.page import Figure, figure, palette, style
from emulant_apps.lensing.criteria import Layout
from emulant_apps.lensing.field.extrema import PEAK_EDGES
from emulant_apps.lensing.field.grid import Floats
from emulant_apps.lensing.field.minkowski import THRESHOLDS
from emulant_apps.lensing.field.onepoint import PDF_EDGES
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.validate import Rows

__all__ = ["figures", "map_figure"]

WIDTH = 3.5


def figures(maps: Maps, truth: Maps, own: Rows, true: Rows) -> list[Figure]:
    """Return the pictures of ``maps`` beside ``truth``; ``own`` and ``true`` are their rows."""
    layout = Layout(maps.patch)
    with style():
        return [
            map_figure(maps, truth),
            _power(layout, own, true),
            _pixels(layout, own, true),
            _peaks(layout, own, true),
            _functional(layout, own, true),
            _correlation(layout, own, true),
        ]


def map_figure(maps: Maps, truth: Maps | None, columns: int = 3, beside: str = "true") -> Figure:
    """Return maps side by side, on one scale: samples left, those ``beside`` them right."""
    shown = [(m, "samples") for m in maps.kappa[:columns]]
    shown += [] if truth is None else [(m, "truth") for m in truth.kappa[:columns]]
    drawing = Drawing(figsize=(1.25 * len(shown), 1.5), layout="constrained")
    scale = float(np.nanstd((truth or maps).kappa))
    for k, (values, kind) in enumerate(shown):
        axes = drawing.add_subplot(1, len(shown), k + 1)
        axes.imshow(values, cmap="magma", vmin=-2 * scale, vmax=5 * scale, origin="lower")
        axes.set(xticks=[], yticks=[])
        if k in (0, columns):
            word = "samples" if kind == "samples" else beside
            axes.set_title(word, fontsize=9, color=palette()[kind])
    return figure(
        drawing,
        "The first maps of each file, not chosen; colours from -2 to 5 standard deviations.",
        "Convergence maps",
        wide=True,
        format="png",
    )


def _axes(title: str, **labels: str) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(WIDTH, 2.4), layout="constrained")
    axes = drawing.add_subplot()
    axes.set(title=title, **labels)
    return drawing, axes


def _mean(rows: Rows, columns: slice) -> tuple[Floats, Floats]:
    """Return the mean over maps and its error over units."""
    values = rows.values[:, columns]
    units = np.unique(rows.units)
    if len(units) == len(values):
        return values.mean(0), values.std(0) / np.sqrt(max(1, len(values)))
    means = np.array([values[rows.units == u].mean(0) for u in units])
    return values.mean(0), means.std(0, ddof=1) / np.sqrt(len(units))


def _both(axes: Axes, at: Sequence[float] | Floats, columns: slice, own: Rows, true: Rows) -> None:
    for rows, colour, mark, label in (
        (true, "truth", "o", "true"),
        (own, "samples", "D", "samples"),
    ):
        mean, error = _mean(rows, columns)
        axes.errorbar(
            at, mean, error, fmt=mark, ms=3, color=palette()[colour], label=label, capsize=2
        )
    axes.legend(fontsize=7.5)


def _power(layout: Layout, own: Rows, true: Rows) -> Figure:
    drawing, axes = _axes("mean C_ℓ over effective theory", xlabel="ℓ, rad⁻¹")
    axes.axhline(1, color=palette()["muted"], lw=1)
    _both(axes, layout.bands.centres, layout.slices["power"], own, true)
    axes.set_xscale("log")
    return figure(drawing, alt="Mean band power over theory against multipole")


def _pixels(layout: Layout, own: Rows, true: Rows) -> Figure:
    drawing, axes = _axes("pixels", xlabel="κ / σ", ylabel="density")
    for rows, colour, label in ((true, "truth", "true"), (own, "samples", "samples")):
        share = rows.values[:, layout.slices["pdf"]].mean(0).reshape(-1, 4).sum(1)
        edges = PDF_EDGES[::4]
        axes.stairs(share / np.diff(edges), edges, color=palette()[colour], label=label)
    axes.set(yscale="log", ylim=(1e-5, 1), xlim=(-4, 12))
    axes.legend(fontsize=7.5)
    return figure(drawing, alt="Distribution of pixels")


def _peaks(layout: Layout, own: Rows, true: Rows) -> Figure:
    drawing, axes = _axes("peaks", xlabel="height κ / σ", ylabel="per deg²")
    middle = 0.5 * (np.array(PEAK_EDGES[1:]) + np.array(PEAK_EDGES[:-1]))
    _both(axes, middle, layout.slices["peaks"], own, true)
    axes.set_yscale("log")
    return figure(drawing, alt="Peaks per square degree against height")


def _functional(layout: Layout, own: Rows, true: Rows) -> Figure:
    drawing, axes = _axes("Minkowski V₁", xlabel="ν = κ / σ", ylabel="arcmin⁻¹")
    start = layout.slices["minkowski"].start + len(THRESHOLDS)
    _both(axes, THRESHOLDS, slice(start, start + len(THRESHOLDS)), own, true)
    return figure(drawing, alt="Length of the boundary against threshold")


def _correlation(layout: Layout, own: Rows, true: Rows) -> Figure:
    drawing = Drawing(figsize=(WIDTH, 2.2), layout="constrained")
    for k, (rows, label) in enumerate(((own, "samples"), (true, "true"))):
        axes = drawing.add_subplot(1, 2, k + 1)
        matrix = np.corrcoef(rows.values[:, layout.slices["power"]], rowvar=False)
        axes.imshow(matrix, vmin=-0.2, vmax=1, cmap="viridis", origin="lower")
        axes.set(xticks=[], yticks=[])
        colour = palette()["samples" if k == 0 else "truth"]
        axes.set_title(f"correlation of C_ℓ, {label}", fontsize=7.5, color=colour)
    return figure(drawing, alt="Correlation matrices of band powers", format="png")
