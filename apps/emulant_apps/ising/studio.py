"""The app's part of ``emulant studio``: a temperature, a lattice, and what the states say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulant.studio.panel import Choice, Panel, Slider

__all__ = ["PANEL"]

JUDGED = ("--quick", "--reference", "4000", "--tolerance", "quick")
"""What a few thousand states can decide, against as many true ones."""


def _lines(values: Mapping[str, Any], directory: Path) -> list[list[str]]:
    del directory
    t, count, seed = (f"{values[name]:g}" for name in ("temperature", "count", "seed"))
    drawn = ["--lattice", values["lattice"], "--temperatures", t, "--count", count]
    sweeps = [] if values["finish"] == "four sweeps of Monte Carlo" else ["--sweeps", "0"]
    return [
        ["ising", "sample", *drawn, *sweeps, "--seed", seed, "--out", "states.npz"],
        ["ising", "validate", "states.npz", *JUDGED, "--out", "report"],
    ]


PANEL = Panel(
    "States of the shipped emulator at a temperature, beside the exact solution and Monte Carlo. "
    "The phase transition is at T = 2.269.",
    (
        Slider("temperature", "Temperature, J/k_B", 1.8, 3.2, 2.27, 0.01),
        Choice("lattice", "Spins along a side", ("32", "16", "64")),
        Choice("finish", "After the network", ("nothing", "four sweeps of Monte Carlo")),
        Slider("count", "States", 500, 20_000, 4000, 500),
        Slider("seed", "Seed", 0, 999, 0, 1),
    ),
    _lines,
)
