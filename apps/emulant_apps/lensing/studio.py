"""The app's part of ``emulant studio``: a cosmology, and the maps that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulant.studio.panel import Choice, Panel, Slider

__all__ = ["PANEL"]


def _lines(values: Mapping[str, Any], directory: Path) -> list[list[str]]:
    del directory
    flags = {"--omega-m": "omega_m", "--sigma8": "sigma8", "--count": "count", "--seed": "seed"}
    asked = [word for flag, name in flags.items() for word in (flag, f"{values[name]:g}")]
    return [
        ["lensing", "sample", *asked, "--size", values["size"], "--out", "maps.h5"],
        ["lensing", "measure", "maps.h5", "--out", "report"],
    ]


PANEL = Panel(
    "Convergence maps of sources at z = 1, 4.7 arcmin a pixel, and their statistics beside theory.",
    (
        Slider("omega_m", "Ω_m", 0.2, 0.5, 0.3, 0.005),
        Slider("sigma8", "σ₈", 0.6, 1.0, 0.8, 0.005),
        Choice("size", "Pixels along a side", ("64", "128", "256")),
        Slider("count", "Maps", 1, 200, 50, 1),
        Slider("seed", "Seed", 0, 999, 0, 1),
    ),
    _lines,
)
