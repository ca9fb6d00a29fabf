"""The pictures of known answers: curves beside exact ones, and clouds of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify.page import Figure, figure, palette, style

__all__ = ["Array", "clouds", "curves"]

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
