"""Structural alerts: named patterns of published sets, each with its severity.

- PAINS: Baell and Holloway, 2010, https://doi.org/10.1021/jm901137j
- BRENK: Brenk et al., 2008, https://doi.org/10.1002/cmdc.200700139
- NIH: Jadhav et al., 2010, https://doi.org/10.1021/jm901070c; Doveston et al., 2015,
  https://doi.org/10.1039/C4OB02287D
- NIBR: Schuffenhauer et al., 2020, https://doi.org/10.1021/acs.jmedchem.0c01332
- ChEMBL: seven sets of pharmaceutical companies, from the ChEMBL database
- MCF: medicinal chemistry filters of MOSES, https://doi.org/10.3389/fphar.2020.565644
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem, RDConfig
from rdkit.Chem import FilterCatalog as Catalogues

from emulant.errors import InputError
from emulant_apps.molecules.chemistry.parse import quiet
from emulant_apps.molecules.chemistry.screen import HYDROGEN, Look, Screen, classes_of
from emulant_apps.molecules.corpus import filters_of_moses

__all__ = [
    "CHEMBL_SETS",
    "SETS",
    "Alert",
    "AlertSet",
    "Pattern",
    "alert_sets",
    "custom_patterns",
    "published",
]

CHEMBL_SETS = ("BMS", "Dundee", "Glaxo", "Inpharmatica", "LINT", "MLSMR", "SureChEMBL")
SETS = ("pains", "mcf", "brenk", "nih", "nibr", "chembl")
"""Names of the published sets."""

SEVERE = {"pains": 3, "mcf": 2, "brenk": 2, "nih": 2, "chembl": 1}
"""Severity of a set: 1 a note, 2 a warning, 3 a reason to discard. NIBR says its own."""

_PICKLE = re.compile(rb" (\d+) (?=\xef\xbe\xad\xde)")


@dataclass(frozen=True, slots=True)
class Alert:
    """One pattern that a molecule holds."""

    family: str
    """Set: ``"pains"``."""
    name: str
    severity: int
    """1 a note, 2 a warning, 3 a reason to discard."""
    smarts: str
    """The offending pattern."""

    def __str__(self) -> str:
        return f"{self.family}:{self.name}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One alert before a molecule is looked at."""

    family: str
    """Set: ``"pains"``."""
    name: str
    severity: int
    query: Chem.Mol
    least: int = 1
    """Number of matches from which on it counts."""
    entry: Catalogues.FilterCatalogEntry | None = None
    """RDKit's own matcher, where the pattern is from its catalogue."""
    hydrogens: bool = False
    """Whether hydrogens are atoms when it is matched."""

    def matches(self, molecule: Chem.Mol) -> bool:
        """Return whether ``molecule`` holds the pattern often enough."""
        if self.entry is not None:
            found: bool = self.entry.HasFilterMatch(molecule)
            return found
        if self.least == 1:
            return bool(molecule.HasSubstructMatch(self.query))
        return len(molecule.GetSubstructMatches(self.query, maxMatches=self.least)) >= self.least


class AlertSet:
    """Patterns of one or of several sets, screened together before they are matched."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = tuple(patterns)
        self.screen = Screen(
            [p.query for p in patterns], np.array([not p.hydrogens for p in patterns])
        )
        self.smarts = [Chem.MolToSmarts(p.query) for p in patterns]

    def of(self, molecule: Chem.Mol, seen: Look | None = None) -> tuple[Alert, ...]:
        """Return every alert of ``molecule``; ``seen`` spares looking at it again."""
        look = Look.at(molecule) if seen is None else seen
        return self._matched(molecule, self.screen.candidates(look).tolist())

    def all_of(self, molecule: Chem.Mol) -> tuple[Alert, ...]:
        """Return the same without the screen, slowly: what the screen must reproduce."""
        return self._matched(molecule, range(len(self.patterns)))

    def _matched(self, molecule: Chem.Mol, indices: Iterable[int]) -> tuple[Alert, ...]:
        found: list[Alert] = []
        full: Chem.Mol | None = None
        for k in indices:
            pattern, asked = self.patterns[k], molecule
            if pattern.hydrogens:
                full = asked = Chem.AddHs(molecule) if full is None else full
            if pattern.matches(asked):
                found.append(Alert(pattern.family, pattern.name, pattern.severity, self.smarts[k]))
        return tuple(found)


def alert_sets(families: Sequence[str], custom: Path | None = None) -> AlertSet:
    """Return published sets, by their names, and a user's own as one."""
    own = () if custom is None else custom_patterns(custom)
    return AlertSet([*(p for name in families for p in published(name)), *own])


@functools.cache
def published(family: str) -> tuple[Pattern, ...]:
    """Return the patterns of a published set by its name.

    Raises
    ------
    InputError
        There is no set of that name.
    """
    if family == "nibr":
        return tuple(_nibr())
    if family == "mcf":
        return tuple(_smarts(family, filters_of_moses(), SEVERE[family], hydrogens=True))
    if family not in SETS:
        raise InputError(f"no set of alerts is called '{family}'; known are {', '.join(SETS)}")
    names = [f"CHEMBL_{name}" for name in CHEMBL_SETS] if family == "chembl" else [family.upper()]
    return tuple(p for name in names for p in _catalogue(family, name, SEVERE[family]))


def custom_patterns(path: Path) -> tuple[Pattern, ...]:
    """Return the patterns of a user's file: one SMARTS a line, then, where there is one, its name.

    Raises
    ------
    InputError
        The file cannot be read, or a line is no SMARTS; the message names the line.
    """
    from emulant.store import read_text

    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split(maxsplit=1)
        if not words or words[0].startswith("//"):
            continue
        with quiet():
            query = Chem.MolFromSmarts(words[0])
        if query is None or not query.GetNumAtoms() or not _is_written(query):
            raise InputError(f"{path}: line {number}: '{words[0]}' is no SMARTS")
        rows.append((words[1].strip() if len(words) > 1 else f"line {number}", words[0]))
    if not rows:
        raise InputError(f"{path}: holds no SMARTS; write one a line, then its name")
    return tuple(_smarts("custom", rows, 3))


def _is_written(query: Chem.Mol) -> bool:
    """Return whether RDKit can write what it has read; some nests of OR and AND it cannot."""
    try:
        return all(atom.GetSmarts() for atom in query.GetAtoms())
    except ValueError:
        return False


def _smarts(
    family: str, rows: Iterable[tuple[str, str]], severity: int, hydrogens: bool = False
) -> Iterable[Pattern]:
    for name, smarts in rows:
        query = Chem.MolFromSmarts(smarts)
        if hydrogens:  # those with a neighbour become its count of hydrogens
            query = Chem.MergeQueryHs(query)
        meets = any(classes_of(atom.GetSmarts()) & HYDROGEN for atom in query.GetAtoms())
        yield Pattern(family, name, severity, query, hydrogens=hydrogens and meets)


def _catalogue(family: str, name: str, severity: int) -> list[Pattern]:
    """Return the patterns of one of RDKit's catalogues."""
    parameters = Catalogues.FilterCatalogParams()
    parameters.AddCatalog(getattr(Catalogues.FilterCatalogParams.FilterCatalogs, name))
    catalogue = Catalogues.FilterCatalog(parameters)
    entries = [catalogue.GetEntry(k) for k in range(catalogue.GetNumEntries())]
    return [
        Pattern(family, entry.GetDescription(), severity, _query(entry), entry=entry)
        for entry in entries
    ]


def _query(entry: Catalogues.FilterCatalogEntry) -> Chem.Mol:
    """Return the pattern of an entry, which RDKit shows in its serialised form only.

    An entry of several patterns is shown as the empty one, which no screen holds back.
    """
    data, at = bytes(entry.Serialize()), 0
    found: list[Chem.Mol] = []
    revive: Any = Chem.Mol  # its stub knows text only
    while (head := _PICKLE.search(data, at)) is not None:
        at = head.end() + int(head[1])
        found.append(revive(data[head.end() : at]))
    return found[0] if len(found) == 1 else Chem.Mol()


def _nibr() -> list[Pattern]:
    """Return Novartis's filters: FLAG and EXCLUDE become severities 2 and 3, ANNOTATION 1."""
    file = Path(RDConfig.RDContribDir) / "NIBRSubstructureFilters"
    name = "SubstructureFilter_HitTriaging_wPubChemExamples.csv"
    with (file / name).open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    return [
        Pattern(
            "nibr",
            row["PATTERN_NAME"],
            int(row["SEVERITY_SCORE"]) + 1,
            Chem.MolFromSmarts(row["SMARTS"]),
            max(1, int(np.float64(row["MIN_COUNT"]))),
        )
        for row in rows
    ]
