"""The pictures of a certificate: values beside truth, and biases in units of the tolerance.

With one bin, a figure is a statistic and a row a case; with many bins a panel is a case and a row
a bin, so that a scan over temperatures and a power spectrum both read naturally. The band of
±1 is the tolerance; the grey band is the floor, what a perfect emulator with as many samples would
show; crosses are truth against itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emulant.certify.page import Figure, figure, palette, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulant.certify.certificate import Bin, Certificate

__all__ = ["effect_figures"]

FAR = 4.0
"""Effects beyond so many tolerances are drawn as arrows at the edge."""

MARKERS = {"pass": "o", "fail": "s", "underpowered": "D", "reported": "."}

MOST_ROWS = 26
"""Labels on the vertical axis."""

MOST_PANELS = 3
"""Panels of one statistic; the table has all numbers."""


def effect_figures(certificate: Certificate) -> list[Figure]:
    """Return one horizontal interval plot per statistic, its cases or its bins as rows.

    A statistic of several bins has a panel for each of its :data:`MOST_PANELS` worst cases.
    """
    single, several = [], []
    for name in dict.fromkeys(s.name for c in certificate.cases for s in c.statistics):
        found = [(c, s) for c in certificate.cases for s in c.statistics if s.name == name]
        if max(len(s.bins) for _, s in found) == 1:
            single.append(_plot(name, [(c.label, s.bins[0]) for c, s in found]))
            continue
        shown = sorted(found, key=lambda pair: abs(pair[1].worst_bin.effect or 0.0))[-MOST_PANELS:]
        for case, statistic in found:
            if (case, statistic) in shown:
                title = f"{name}, {case.label}" if len(found) > 1 else name
                several.append(_plot(title, [(b.label, b) for b in statistic.bins]))
    return single + several


def _plot(title: str, rows: Sequence[tuple[str, Bin]]) -> Figure:
    """Draw effects (or biases in units of their error when nothing is judged) as rows."""
    from matplotlib.figure import Figure as Drawing

    judged = rows[0][1].tolerance is not None
    scales = [item.tolerance or item.bias_error for _, item in rows]
    reach = max(
        (abs(x) for (_, i), s in zip(rows, scales, strict=True) for x in (i.low / s, i.high / s))
    )
    edge = min(FAR, max(1.35, 1.08 * reach)) if judged else max(3.0, min(2 * FAR, reach))
    labels = [label for label, _ in rows]
    with style():
        height = 0.75 + 0.2 * min(len(rows), 2 * MOST_ROWS)
        drawn = Drawing(figsize=(3.5, height))
        axes = drawn.add_subplot()
        y = np.arange(len(rows))
        _bands(axes, rows, scales, judged)
        for position, ((_, item), scale) in enumerate(zip(rows, scales, strict=True)):
            _interval(axes, position, item, scale, edge)
        axes.set(xlim=(-edge, edge), ylim=(len(rows) - 0.4, -0.6), title=title)
        step = math.ceil(len(rows) / MOST_ROWS)
        axes.set_yticks(y[::step], labels[::step])
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("bias / tolerance" if judged else "bias / standard error")
        worst = max(rows, key=lambda row: abs(row[1].effect or 0.0))
        largest = f"{worst[1].effect or 0:.2g} at {worst[0]}"
        alt = f"{title}: bias in units of the tolerance; largest {largest}"
        return figure(drawn, alt=alt)


def _bands(
    axes: Axes, rows: Sequence[tuple[str, Bin]], scales: Sequence[float], judged: bool
) -> None:
    """Draw the tolerance, the floor of each row, and the zero line."""
    colour = palette()
    if judged:
        axes.axvspan(-1, 1, color=colour["pass"], alpha=0.13, lw=0)
        for x in (-1, 1):
            axes.axvline(x, color=colour["pass"], lw=0.9, ls=(0, (4, 3)))
    floor = np.array([i.control.floor / s for (_, i), s in zip(rows, scales, strict=True)])
    edges = np.repeat(np.arange(len(rows) + 1) - 0.5, 2)[1:-1]
    axes.fill_betweenx(
        edges, -np.repeat(floor, 2), np.repeat(floor, 2), color=colour["muted"], alpha=0.3, lw=0
    )
    axes.axvline(0, color=colour["muted"], lw=0.8)


def _interval(axes: Axes, y: float, item: Bin, scale: float, edge: float) -> None:
    """Draw one bias with its interval, the control, and an arrow when it is out of sight."""
    colour = palette()
    shade = colour[item.verdict]
    low, high, middle = item.low / scale, item.high / scale, item.bias / scale
    line: dict[str, Any] = {"color": shade, "solid_capstyle": "butt"}
    axes.plot([max(low, -edge), min(high, edge)], [y, y], lw=2.0, **line)
    if item.control.kind != "spread of exact samples":
        control = float(np.clip(item.control.difference / scale, -edge, edge))
        axes.plot([control], [y], marker="x", ms=4.5, mew=1.2, color=colour["truth"], ls="none")
    if abs(middle) <= edge:
        axes.plot(
            [middle], [y], marker=MARKERS[item.verdict], ms=5, color=shade, ls="none", zorder=3
        )
        return
    side = math.copysign(1.0, middle)
    axes.plot(
        [0.965 * side * edge], [y], marker=">" if side > 0 else "<", ms=6, color=shade, ls="none",
        zorder=3,
    )  # fmt: skip
    axes.annotate(
        f"{middle:+.3g}", (0.93 * side * edge, y), ha="right" if side > 0 else "left", va="center",
        fontsize=7.5, color=shade, xytext=(-3 * side, 0), textcoords="offset points",
    )  # fmt: skip
