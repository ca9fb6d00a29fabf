"""The pictures of known answers: curves beside exact ones, and clouds of points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.page import Figure, figure, palette, style

__all__ = ["Array", "bars", "clouds", "curves", "histograms", "tiles"]

Array = NDArray[np.floating[Any]]

ROLES = ("truth", "samples", "other", "muted")
"""Colours in the order of what is drawn: the known answer first."""


def curves(
    x: Array,
    lines: Mapping[str, Array],
    labels: tuple[str, str],
    title: str = "",
    dots: Sequence[str] = (),
) -> Figure:
    """Return lines over ``x``, the known answer first; those named in ``dots`` are points."""
    from matplotlib.figure import Figure as Drawing

    with style():
        drawn = Drawing(figsize=(3.5, 2.6))
        axes = drawn.add_subplot()
        for role, (name, y) in zip(ROLES, lines.items(), strict=False):
            how: dict[str, Any] = (
                {"ls": "none", "marker": ".", "ms": 3} if name in dots else {"ls": "-"}
            )
            axes.plot(x, y, color=palette()[role], label=name, **how)
        axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
        axes.legend(fontsize=8)
        return figure(drawn, alt=f"{title}: {', '.join(lines)} over {labels[0]}")


def clouds(
    points: Mapping[str, Array], labels: tuple[str, str], title: str = "", most: int = 1500
) -> Figure:
    """Return points in the plane, shape (N, 2) each, at most ``most`` of them, truth first."""
    from matplotlib.figure import Figure as Drawing

    with style():
        drawn = Drawing(figsize=(3.5, 3.2))
        axes = drawn.add_subplot()
        for role, (name, xy) in zip(ROLES, points.items(), strict=False):
            shown = xy[:most]
            axes.scatter(
                shown[:, 0], shown[:, 1], s=3, color=palette()[role], label=name, alpha=0.6, lw=0
            )
        axes.set(xlabel=labels[0], ylabel=labels[1], title=title)
        axes.legend(fontsize=8, markerscale=3)
        return figure(drawn, alt=f"{title}: {', '.join(points)}", format="png")


def histograms(
    samples: Mapping[str, Array],
    label: str,
    title: str = "",
    exact: Callable[[Array], Array] | None = None,
) -> Figure:
    """Return densities of samples, shape (N,) each, over the exact density where it is known."""
    from matplotlib.figure import Figure as Drawing

    rows = list(samples.values())
    edges = np.linspace(min(r.min() for r in rows), max(r.max() for r in rows), 61)
    with style():
        drawn = Drawing(figsize=(3.5, 2.6))
        axes = drawn.add_subplot()
        if exact is not None:
            axes.plot(edges, exact(edges), color=palette()[ROLES[0]], label="exact")
        for role, (name, row) in zip(ROLES[1:], samples.items(), strict=False):
            axes.hist(
                row,
                edges.tolist(),
                density=True,
                histtype="step",
                color=palette()[role],
                label=name,
            )
        axes.set(xlabel=label, ylabel="density", title=title)
        axes.legend(fontsize=8)
        return figure(drawn, alt=f"{title}: {', '.join(samples)} over {label}")


def bars(values: Mapping[str, float], label: str, title: str = "") -> Figure:
    """Return one bar a name."""
    from matplotlib.figure import Figure as Drawing

    with style():
        drawn = Drawing(figsize=(3.5, 2.6))
        axes = drawn.add_subplot()
        names = list(values)[::-1]
        axes.barh(names, [values[name] for name in names], color=palette()[ROLES[1]])
        axes.set(xlabel=label, title=title)
        return figure(drawn, alt=f"{title}: {label} of {', '.join(values)}")


def tiles(images: Array, title: str = "") -> Figure:
    """Return images, shape (rows, columns, height, width), side by side."""
    from matplotlib.figure import Figure as Drawing

    rows, columns, height, width = images.shape
    whole = images.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    with style():
        drawn = Drawing(figsize=(3.5, 3.5 * rows * height / (columns * width) + 0.3))
        axes = drawn.add_subplot()
        axes.imshow(whole, cmap="gray")
        axes.set_axis_off()
        axes.set_title(title)
        return figure(drawn, alt=f"{title}: {rows} rows of {columns} images", format="png")
