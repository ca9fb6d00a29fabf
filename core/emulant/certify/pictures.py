"""Pictures of samples beside truth, for arrays of which nothing is known but their shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from emulant.certify.page import Figure, figure, palette, style
from emulant.certify.statistic import Samples
from emulant.certify.summaries import TABLE_WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulant.certify.case import Case

__all__ = ["pictures_of"]

SHOWN = 6
"""Samples of each side, or columns of a table."""

BINS = 40


def pictures_of(cases: Sequence[Case], names: Sequence[str] = ()) -> list[Figure]:
    """Return histograms of a table's columns, profiles of lines, or images of planes.

    Of several cases, three are shown: the first, the middle one and the last.
    """
    shown = sorted({0, len(cases) // 2, len(cases) - 1})
    return [
        drawn
        for case in (cases[k] for k in shown)
        for drawn in _case(case, f", {case.label}" if len(cases) > 1 else "", names)
    ]


def _case(case: Case, title: str, names: Sequence[str]) -> list[Figure]:
    samples, truth = case.raw
    if truth is None or truth.dtype.kind not in "biuf":
        return []
    width = int(np.prod(truth.shape[1:]))
    if truth.ndim == 1 or (truth.ndim == 2 and width <= TABLE_WIDTH):
        x, y = samples.reshape(len(samples), -1), truth.reshape(len(truth), -1)
        labels = list(names) or [f"column {k}" for k in range(x.shape[1])]
        some = range(min(SHOWN, x.shape[1]))
        return [_histogram(x[:, k], y[:, k], labels[k] + title) for k in some]
    return [_gallery(samples, truth, title)]


def _histogram(x: Samples, y: Samples, label: str) -> Figure:
    from matplotlib.figure import Figure as Drawing

    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    low, high = (float(v) for v in np.quantile(np.concatenate([x, y]), [0.002, 0.998]))
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    with style():
        drawn = Drawing(figsize=(3.5, 2.1))
        axes = drawn.add_subplot()
        axes.stairs(_density(y, edges), edges, fill=True, alpha=0.3, color=palette()["truth"])
        axes.stairs(_density(x, edges), edges, color=palette()["samples"], lw=1.6)
        axes.set(title=label, yticks=[])
        axes.spines["left"].set_visible(False)
        alt = f"Histogram of {label}: samples as a line over truth as an area"
        return figure(drawn, "Samples (line) and truth (area)", alt)


def _density(values: Samples, edges: Samples) -> Samples:
    return np.histogram(values, edges)[0] / len(values)


def _gallery(samples: Samples, truth: Samples, title: str) -> Figure:
    """Draw the first few of each side on one scale."""
    from matplotlib.figure import Figure as Drawing

    rows = [(name, _planes(a)) for name, a in (("samples", samples), ("truth", truth))]
    low, high = (float(v) for v in np.quantile(rows[1][1], [0.005, 0.995]))
    with style():
        drawn = Drawing(figsize=(7.2, 2.6), layout="compressed")
        grid = drawn.subplots(2, SHOWN, squeeze=False)
        for (name, planes), line in zip(rows, grid, strict=True):
            for k, axes in enumerate(line):
                axes.set_axis_off()
                if k < len(planes):
                    _draw(axes, planes[k], (low, high if high > low else low + 1.0))
            line[0].set_title(name, fontsize=9)
        caption = f"The first {SHOWN} samples above the first {SHOWN} of truth, on one scale{title}"
        return figure(drawn, caption, caption, wide=True)


def _planes(a: Samples) -> Samples:
    """Return the first few samples as lines (n, L) or planes (n, L, M): channel 0, mid-slice."""
    few = np.asarray(a[:SHOWN], dtype=np.float64)
    while few.ndim > 3:
        few = few[:, 0] if few.shape[1] <= 4 else few[:, few.shape[1] // 2]
    return few


def _draw(axes: Axes, plane: Samples, limits: tuple[float, float]) -> None:
    if plane.ndim == 1:
        axes.plot(plane, color=palette()["samples"], lw=0.8)
        axes.set_ylim(*limits)
    else:
        axes.imshow(plane, vmin=limits[0], vmax=limits[1], cmap="cividis", interpolation="nearest")
