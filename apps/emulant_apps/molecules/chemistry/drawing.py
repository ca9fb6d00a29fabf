"""Pictures of molecules, and SD files: the same bytes for the same molecules."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from emulant_apps.molecules.chemistry.parse import parse

__all__ = ["grid_png", "grid_svg", "sd_text", "structure_svg"]

WIDTH, HEIGHT = 220, 170


def structure_svg(smiles: str, alerts: Sequence[str] = (), width: int = 180) -> str:
    """Return one structure as an SVG element; atoms of the ``alerts`` (SMARTS) are marked."""
    molecule = _flat(smiles)
    drawer = rdMolDraw2D.MolDraw2DSVG(width, round(0.75 * width))
    options: Any = drawer.drawOptions()  # its stub misleads
    options.clearBackground = False
    marked: set[int] = set()
    for smarts in alerts:
        query = Chem.MolFromSmarts(smarts)
        match = molecule.GetSubstructMatch(query) if query is not None else ()
        marked |= {atom for atom in match if atom < molecule.GetNumAtoms()}
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule, highlightAtoms=sorted(marked))
    drawer.FinishDrawing()
    return _element(drawer.GetDrawingText())


def grid_svg(smiles: Sequence[str], legends: Sequence[str], columns: int = 5) -> str:
    """Return a grid of structures with a line of text under each, as an SVG document."""
    rows = -(-len(smiles) // columns)
    drawer = rdMolDraw2D.MolDraw2DSVG(columns * WIDTH, rows * HEIGHT, WIDTH, HEIGHT)
    drawer.DrawMolecules([_flat(text) for text in smiles], legends=list(legends))
    drawer.FinishDrawing()
    text: str = drawer.GetDrawingText()
    return text


def grid_png(smiles: Sequence[str], legends: Sequence[str], columns: int = 5) -> bytes:
    """Return the same as a PNG file."""
    rows = -(-len(smiles) // columns)
    drawer = rdMolDraw2D.MolDraw2DCairo(columns * WIDTH, rows * HEIGHT, WIDTH, HEIGHT)
    options: Any = drawer.drawOptions()  # its stub misleads
    options.includeMetadata = False  # else the picture carries more than it shows
    drawer.DrawMolecules([_flat(text) for text in smiles], legends=list(legends))
    drawer.FinishDrawing()
    data: bytes = drawer.GetDrawingText()
    return data


def sd_text(rows: Sequence[tuple[str, str, Mapping[str, object]]]) -> str:
    """Return an SD file of (SMILES, name, properties) with coordinates in the plane."""
    text = io.StringIO()
    writer = Chem.SDWriter(text)
    for smiles, name, values in rows:
        molecule = _flat(smiles)
        molecule.SetProp("_Name", name)
        molecule.SetProp("SMILES", smiles)
        for key, value in values.items():
            molecule.SetProp(key, "" if value is None else str(value))
        writer.write(molecule)
    writer.close()
    return text.getvalue()


def _flat(smiles: str) -> Chem.Mol:
    molecule = parse(smiles)
    if molecule is None:
        raise ValueError(f"'smiles' must be a molecule, got {smiles!r}")
    rdDepictor.Compute2DCoords(molecule)
    return molecule


def _element(document: str) -> str:
    """Return an SVG document as an element for a page."""
    element = document[document.index("<svg") :].strip()
    return re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
