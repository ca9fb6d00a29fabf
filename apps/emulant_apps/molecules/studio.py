"""The app's part of ``emulant studio``: a molecule of yours, and a knob of diversity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulant.errors import InputError
from emulant.studio.panel import Panel, Slider, Upload, Words

__all__ = ["PANEL"]


def _lines(values: Mapping[str, Any], directory: Path) -> list[list[str]]:
    file = values["file"]
    if file is None:
        if not values["smiles"]:
            raise InputError("Prototype: paste a SMILES, or give a file of them")
        file = directory / "prototypes.smi"
        file.write_text(values["smiles"].replace(" ", "\n") + "\n", encoding="utf-8")
    numbers = {"--diversity": "diversity", "--count": "count", "--seed": "seed"}
    asked = [word for flag, name in numbers.items() for word in (flag, f"{values[name]:g}")]
    return [["molecules", "analogues", file.name, *asked, "--masked", "--out", "analogues"]]


PANEL = Panel(
    "New molecules around yours, each with its nearest drug, its properties, and what a chemist "
    "would object to.",
    (
        Words("smiles", "Prototype, as SMILES", "CC(=O)Oc1ccccc1C(=O)O"),
        Upload("file", "or a file of prototypes", (".smi", ".csv", ".tsv", ".sdf")),
        Slider("diversity", "Diversity", 0.0, 6.0, 1.5, 0.1),
        Slider("count", "Strings around each", 20, 1000, 200, 10),
        Slider("seed", "Seed", 0, 999, 0, 1),
    ),
    _lines,
    page="analogues/index.html",
)
