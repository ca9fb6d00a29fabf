"""Likeness of molecules: Morgan fingerprints, Tanimoto, scaffolds, fragments, ring systems.

- Rogers and Hahn, Extended-Connectivity Fingerprints, 2010, https://doi.org/10.1021/ci100050t
- Bemis and Murcko, The Properties of Known Drugs, 1996, https://doi.org/10.1021/jm9602928
- Degen et al., On the Art of Compiling and Using 'Drug-Like' Chemical Fragment Spaces (BRICS),
  2008, https://doi.org/10.1002/cmdc.200800178
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.Scaffolds import MurckoScaffold

from emulant_apps.molecules.chemistry.parse import parse, quiet
from emulant_apps.molecules.tanimoto import Index

__all__ = [
    "KEYS",
    "UNUSUAL",
    "Library",
    "Nearest",
    "bits_of",
    "fingerprint",
    "fragments",
    "keys_of",
    "packed_bits",
    "ring_systems",
    "scaffold",
    "scaffolds",
    "similarity",
]


KEYS = 166
"""MACCS keys of a molecule."""
UNUSUAL = frozenset("@/\\:<>")
"""Signs in a SMILES of what ring systems are not remembered with: stereochemistry, labels, dative
bonds."""
REMEMBERED = 50_000
_MET: dict[tuple[object, ...], str] = {}
"""Names of ring systems by their atoms and bonds, in the order in which RDKit goes round them."""


@functools.cache
def _morgan(size: int) -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=size)


def fingerprint(molecule: Chem.Mol, size: int = 1024) -> Any:
    """Return the Morgan fingerprint of radius 2, of MOSES's 1024 bits."""
    return _morgan(size).GetFingerprint(molecule)


def bits_of(molecule: Chem.Mol, size: int = 1024) -> NDArray[np.uint8]:
    """Return the same as 0 and 1, shape (size,); 1024 bits are MOSES's."""
    bits: NDArray[np.uint8] = _morgan(size).GetFingerprintAsNumPy(molecule)
    return bits


def keys_of(smiles: Sequence[str]) -> NDArray[np.uint8]:
    """Return the MACCS keys of SMILES, shape (n, 166); no bits where one is no molecule."""
    rows = np.zeros((len(smiles), KEYS), dtype=np.uint8)
    for row, text in zip(rows, smiles, strict=True):
        molecule = parse(text)
        if molecule is not None:
            on = rdMolDescriptors.GetMACCSKeysFingerprint(molecule).GetOnBits()
            row[np.fromiter(on, dtype=np.int64) - 1] = 1  # RDKit counts the keys from 1
    return rows


def similarity(first: str, second: str) -> float:
    """Return the Tanimoto similarity of two SMILES, 0 to 1; NaN where one is no molecule."""
    a, b = parse(first), parse(second)
    if a is None or b is None:
        return float("nan")
    return float(DataStructs.TanimotoSimilarity(fingerprint(a), fingerprint(b)))


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest molecule of a library."""

    index: int
    tanimoto: float


class Library:
    """Molecules of which the nearest is asked."""

    def __init__(self, smiles: Sequence[str]) -> None:
        self.smiles = tuple(smiles)
        self.index = Index(packed_bits(self.smiles))

    def nearest(self, molecule: Chem.Mol) -> Nearest | None:
        """Return the nearest molecule, the first of equals; None in an empty library."""
        found = self.nearest_of([np.packbits(bits_of(molecule))])
        return found[0] if found else None

    def nearest_of(self, bits: Sequence[NDArray[np.uint8]]) -> list[Nearest]:
        """Return the nearest to each of some packed fingerprints; none in an empty library."""
        if not self.smiles or not len(bits):
            return []
        index, alike = self.index.nearest(np.stack(bits))
        return [Nearest(*pair) for pair in zip(index.tolist(), alike.tolist(), strict=True)]


def packed_bits(smiles: Sequence[str], size: int = 1024) -> NDArray[np.uint8]:
    """Return the Morgan fingerprints of SMILES, packed, (n, size / 8); no bits where there is none.

    Canonical SMILES say what a fingerprint asks: nothing is perceived anew but rings.
    """
    rows = np.zeros((len(smiles), size // 8), dtype=np.uint8)
    with quiet():
        for row, text in zip(rows, smiles, strict=True):
            molecule = Chem.MolFromSmiles(text, sanitize=False) if text else None
            if molecule is not None:
                molecule.UpdatePropertyCache(strict=False)
                Chem.FastFindRings(molecule)
                row[:] = np.packbits(bits_of(molecule, size))
    return rows


def scaffold(molecule: Chem.Mol, rings: int = 0) -> str | None:
    """Return the Murcko scaffold as SMILES; None below ``rings`` rings, "" without any.

    >>> scaffold(Chem.MolFromSmiles("CCc1ccccc1"))
    'c1ccccc1'
    """
    return scaffolds([molecule], rings)[0]


def scaffolds(molecules: Sequence[Chem.Mol], rings: int = 0) -> list[str | None]:
    """Return the Murcko scaffold of each molecule, quicker than one by one."""
    with quiet():
        return [_scaffold(molecule, rings) for molecule in molecules]


def _scaffold(molecule: Chem.Mol, rings: int) -> str | None:
    try:
        found = MurckoScaffold.GetScaffoldForMol(molecule)  # type: ignore[no-untyped-call]  # RDKit
    except (ValueError, RuntimeError):  # RDKit's sanitisation of odd aromatic remains
        return None
    if found.GetRingInfo().NumRings() < rings:
        return None
    smiles: str = Chem.MolToSmiles(found)
    return smiles


def fragments(molecule: Chem.Mol) -> list[str]:
    """Return the BRICS fragments of a molecule as SMILES."""
    return str(Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(molecule))).split(".")


def ring_systems(molecule: Chem.Mol, plain: bool = False) -> set[str]:
    """Return the ring systems (rings that share atoms) as SMILES, without their substituents.

    ``plain``: no sign of :data:`UNUSUAL` is in the molecule's SMILES, so that a system whose atoms,
    with their hydrogens and numbers of neighbours, and bonds were met before has the same name.

    >>> sorted(ring_systems(Chem.MolFromSmiles("c1ccc2[nH]ccc2c1CC1CC1")))
    ['C1CC1', 'c1ccc2[nH]ccc2c1']
    """
    systems: list[list[tuple[int, ...]]] = []
    for ring in molecule.GetRingInfo().AtomRings():
        joined, apart = [ring], []
        for system in systems:
            if any(not {*ring}.isdisjoint(other) for other in system):
                joined = system + joined
            else:
                apart.append(system)
        systems = [*apart, joined]
    if not plain or not systems:
        return {_ring_name(molecule, system) for system in systems}
    atoms = rdMolDescriptors.GetConnectivityInvariants(molecule)
    orders = Chem.GetAdjacencyMatrix(molecule, useBO=True).tolist()
    found = set()
    for system in systems:
        place: dict[int, int] = {}
        walk = [(place.setdefault(a, len(place)), atoms[a]) for ring in system for a in ring]
        bonds = [orders[ring[k - 1]][ring[k]] for ring in system for k in range(len(ring))]
        key = (*map(len, system), *walk, *bonds)
        name = _MET.get(key)
        if name is None:
            if len(_MET) >= REMEMBERED:
                _MET.clear()
            name = _MET[key] = _ring_name(molecule, system)
        found.add(name)
    return found


def _ring_name(molecule: Chem.Mol, system: Sequence[Sequence[int]]) -> str:
    atoms = sorted({atom for ring in system for atom in ring})
    return str(Chem.MolFragmentToSmiles(molecule, atoms))
