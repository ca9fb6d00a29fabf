r"""Scaffolds with attachment points: read, written as the beginning of a SMILES, put together.

An *attachment point* is a dummy atom with one single bond, ``[*:1]``. A scaffold whose last sign
is the dummy,

    c1ccc(cc1)*   ->   opening ``c1ccc(cc1)``,

leaves an opening after which whatever is said is bonded to that atom and, as all ring digits and
parentheses are closed, to no other: the core is kept by construction. Each random order that ends
so gives another opening of the same scaffold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rdkit import Chem

from emulant.errors import InputError
from emulant_apps.molecules.chemistry.entries import problem_of
from emulant_apps.molecules.chemistry.parse import canonical_of, parse, quiet

__all__ = ["Scaffold", "keeps", "openings", "part_after", "read_scaffold", "tail", "zipped"]

TRIES = 60
"""Random orders that are looked at for each call."""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A core and the labels of its attachment points."""

    smiles: str
    """Canonical, with its ``[*:n]``."""
    points: tuple[int, ...]
    """Labels in rising order."""


def read_scaffold(text: str, flag: str) -> Scaffold:
    """Return the scaffold of a SMILES with attachment points.

    >>> read_scaffold("c1ccc([*:1])cc1", "--scaffold").points
    (1,)

    Raises
    ------
    InputError
        It is no molecule or several, or has no attachment point, or two with one label, or one
        that does not hang on one single bond.
    """
    shown = f"{flag}: '{text}'"
    molecule = parse(text.strip())
    if molecule is None:
        raise InputError(f"{shown} {problem_of(text.strip())}")
    if "." in text:
        raise InputError(f"{shown} holds several molecules; give each of its own")
    dummies = [atom for atom in molecule.GetAtoms() if atom.GetAtomicNum() == 0]
    if not dummies:
        raise InputError(f"{shown} has no attachment point; mark one as in 'c1ccc([*:1])cc1'")
    if len(dummies) == molecule.GetNumAtoms():
        raise InputError(f"{shown} holds nothing but attachment points")
    for atom in dummies:
        bonds = [bond.GetBondType() for bond in atom.GetBonds()]
        if bonds != [Chem.BondType.SINGLE]:
            raise InputError(f"{shown}: an attachment point must hang on one single bond")
        if atom.GetIsotope():
            atom.SetIsotope(0)
    if len(dummies) == 1 and not dummies[0].GetAtomMapNum():
        dummies[0].SetAtomMapNum(1)
    labels = Counter(atom.GetAtomMapNum() for atom in dummies)
    if 0 in labels:
        raise InputError(f"{shown}: label its attachment points [*:1], [*:2], ...")
    twice = sorted(label for label, number in labels.items() if number > 1)
    if twice:
        raise InputError(f"{shown}: the label [*:{twice[0]}] stands more than once")
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() and atom.GetAtomMapNum():
            atom.SetAtomMapNum(0)
    return Scaffold(canonical_of(molecule), tuple(sorted(labels)))


def openings(smiles: str, point: int, seed: int) -> list[str]:
    """Return beginnings of SMILES after which something may be bonded at ``point``.

    Other attachment points are hydrogens in them. In random orders, each once; never none.

    >>> "c1ccccc1" in openings("c1ccc([*:1])cc1", 1, 0)
    True
    """
    molecule = Chem.RWMol(Chem.MolFromSmiles(smiles))
    at = -1
    for atom in molecule.GetAtoms():
        if not atom.GetAtomicNum() and atom.GetAtomMapNum() == point:
            atom.SetAtomMapNum(0)
            at = atom.GetIdx()
        elif not atom.GetAtomicNum():
            atom.SetAtomMapNum(0)
            atom.SetAtomicNum(1)
    if at < 0:
        raise ValueError(f"'point' must be an attachment point of {smiles}, got {point}")
    core = Chem.RemoveHs(molecule)
    (dummy,) = (atom.GetIdx() for atom in core.GetAtoms() if not atom.GetAtomicNum())
    (beside,) = (atom.GetIdx() for atom in core.GetAtomWithIdx(dummy).GetNeighbors())
    found: dict[str, None] = {}
    first = 1 + seed % (2**31 - 2)
    for text in Chem.MolToRandomSmilesVect(core, TRIES, randomSeed=first):
        if text.endswith("*"):
            found[text.removesuffix("*")] = None
    for root in (beside, *range(core.GetNumAtoms())):
        if found:
            break
        text = Chem.MolToSmiles(core, rootedAtAtom=root, canonical=False)
        if root != dummy and text.endswith("*"):
            found[text.removesuffix("*")] = None
    if not found:
        raise InputError(f"'{smiles}': cannot be written so that [*:{point}] comes last")
    return list(found)


def tail(smiles: str) -> str:
    """Return a SMILES of a scaffold with one point that begins at the atom that bears it.

    >>> tail("c1cc([*:1])ncc1")
    'c1ccccn1'
    """
    molecule = Chem.MolFromSmiles(smiles)
    (at,) = (atom.GetIdx() for atom in molecule.GetAtoms() if not atom.GetAtomicNum())
    molecule.GetAtomWithIdx(at).SetAtomMapNum(0)
    text: str = Chem.MolToSmiles(molecule, rootedAtAtom=at)
    return text.removeprefix("*")


def part_after(text: str, heavy: int, point: int) -> str | None:
    """Return what a string says after its first ``heavy`` atoms, with ``[*:point]`` at its bond.

    None where the string is no molecule, or says nothing more, or bonds more than once to them.

    >>> part_after("c1ccccc1CCO", 6, 1)
    'OCC[*:1]'
    """
    molecule = parse(text)
    if molecule is None or molecule.GetNumAtoms() <= heavy:
        return None
    across = [
        bond
        for bond in molecule.GetBonds()
        if (bond.GetBeginAtomIdx() < heavy) != (bond.GetEndAtomIdx() < heavy)
    ]
    if len(across) != 1 or across[0].GetBondType() != Chem.BondType.SINGLE:
        return None
    ends = across[0].GetBeginAtomIdx(), across[0].GetEndAtomIdx()
    cut = Chem.FragmentOnBonds(molecule, [across[0].GetIdx()], dummyLabels=[(0, 0)])
    for indices, part in zip(
        Chem.GetMolFrags(cut), Chem.GetMolFrags(cut, asMols=True), strict=True
    ):
        if max(ends) in indices:
            for atom in part.GetAtoms():
                if not atom.GetAtomicNum():
                    atom.SetAtomMapNum(point)
            return canonical_of(part)
    return None


def zipped(scaffold: str, part: str) -> str | None:
    """Return the molecule of two that share the label of an attachment point.

    >>> zipped("c1ccc([*:1])cc1", "C(CO)[*:1]")
    'OCCc1ccccc1'
    """
    with quiet():
        joined = Chem.molzip(Chem.MolFromSmiles(scaffold), Chem.MolFromSmiles(part))
        text = Chem.MolToSmiles(joined)
        whole = Chem.MolFromSmiles(text)
    return None if whole is None else canonical_of(whole)


def keeps(smiles: str, scaffolds: Sequence[str]) -> bool:
    """Return whether a molecule holds each scaffold, with no bond but at its attachment points.

    >>> keeps("OCCc1ccccc1", ["c1ccc([*:1])cc1"]), keeps("Cc1ccc(CO)cc1", ["c1ccc([*:1])cc1"])
    (True, False)
    """
    molecule = parse(smiles)
    return molecule is not None and all(
        molecule.HasSubstructMatch(_query(scaffold), useChirality=True) for scaffold in scaffolds
    )


def _query(scaffold: str) -> Chem.Mol:
    """Return the scaffold as a pattern: the dummies any atom, the other degrees as they are."""
    molecule = Chem.MolFromSmiles(scaffold)
    for atom in molecule.GetAtoms():
        if not atom.GetAtomicNum():
            atom.SetAtomMapNum(0)
    asked: Any = Chem.AdjustQueryParameters.NoAdjustments()
    asked.adjustDegree = True
    asked.adjustDegreeFlags = Chem.ADJUST_IGNOREDUMMIES
    asked.makeDummiesQueries = True
    return Chem.AdjustQueryProperties(molecule, asked)
