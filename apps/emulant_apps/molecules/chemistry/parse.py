"""From text to a molecule and back: parsing that never crashes, canonical and standard forms.

The standard form is ChEMBL's (Bento et al., An open source chemical structure curation pipeline
using RDKit, 2020, https://doi.org/10.1186/s13321-020-00456-1): normalised groups, then the
*parent*, without salts, solvents, isotopes and, where the charge can be neutralised, charges.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rdkit import Chem, rdBase

__all__ = [
    "MOST_ATOMS",
    "ORGANIC",
    "RefusedError",
    "Standard",
    "canonical",
    "canonical_of",
    "flat",
    "parse",
    "parse_all",
    "quiet",
    "readable",
    "shuffled",
    "standardise",
]

MOST_ATOMS = 400
"""Heavy atoms of the largest molecule that is read; beyond lie polymers and proteins."""
ORGANIC = frozenset({1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53})
"""Elements H B C N O F Si P S Cl Se Br I; the rest are called metals or exotic."""


_EXOCYCLIC = Chem.MolFromSmarts("[a]=[!#8;!#16]")
"""Of what was written and could not be read; one molecule of several hundred has such an atom."""


class RefusedError(ValueError):
    """A molecule that is left out; the message is the reason, in a few words."""


@dataclass(frozen=True, slots=True)
class Standard:
    """A molecule in its standard form, and what was done to it on the way."""

    smiles: str
    """Canonical SMILES of the parent."""
    changes: tuple[str, ...] = ()
    """What was changed, in a few words each."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep RDKit from writing its complaints to stderr inside the ``with`` block."""
    block = rdBase.BlockLogs()
    try:
        yield
    finally:
        del block


def parse(smiles: str) -> Chem.Mol | None:
    """Return the molecule of a SMILES, sanitised, or None where there is none.

    >>> parse("c1ccccc1").GetNumAtoms(), parse("c1cccc1"), parse("")
    (6, None, None)
    """
    return parse_all([smiles])[0]


def parse_all(smiles: Iterable[str]) -> list[Chem.Mol | None]:
    """Return the molecule of each SMILES, sanitised, or None; quicker than one by one."""
    with quiet():
        return [Chem.MolFromSmiles(text) if text and text.isascii() else None for text in smiles]


def canonical(smiles: str) -> str | None:
    """Return the canonical SMILES, or None where the text is no molecule.

    >>> canonical("OCC"), canonical("C(C")
    ('CCO', None)
    """
    molecule = parse(smiles)
    return None if molecule is None else Chem.MolToSmiles(molecule)


def canonical_of(molecule: Chem.Mol) -> str:
    """Return the canonical SMILES of a molecule."""
    return str(Chem.MolToSmiles(molecule))


def readable(molecule: Chem.Mol, smiles: str) -> bool:
    """Return whether RDKit reads ``smiles``, which it wrote of ``molecule``.

    Of some strings it makes rings whose aromatic atoms have no Kekulé form: none is a molecule.

    >>> molecule = Chem.MolFromSmiles("N=c1cccc[nH]1")
    >>> readable(molecule, "N=c1cccc[nH]1"), readable(molecule, "N=c1ccccn1")
    (True, False)
    """
    return not molecule.HasSubstructMatch(_EXOCYCLIC) or parse(smiles) is not None


def shuffled(smiles: str, seed: int) -> str:
    """Return the molecule written from an atom, and with turns, that ``seed`` chooses.

    >>> shuffled("CCO", 0) in ("CCO", "OCC", "C(O)C", "C(C)O")
    True
    """
    molecule = parse(smiles)
    if molecule is None:
        raise ValueError(f"'smiles' must be a molecule, got {smiles!r}")
    (text,) = Chem.MolToRandomSmilesVect(molecule, 1, randomSeed=1 + seed % (2**31 - 2))
    return str(text)


def flat(smiles: str) -> str:
    """Return the canonical SMILES without stereochemistry.

    >>> flat("C[C@H](N)C(=O)O")
    'CC(N)C(=O)O'
    """
    if not set(smiles) & set("@/\\"):
        return smiles
    molecule = parse(smiles)
    return smiles if molecule is None else Chem.MolToSmiles(molecule, isomericSmiles=False)


def standardise(molecule: Chem.Mol, keep_stereo: bool = True) -> Standard:
    """Return the standard form of ``molecule``.

    Raises
    ------
    RefusedError
        It is empty, too large, an R-group or query, a radical, a metal or exotic element, a
        mixture without a main part, or ChEMBL's pipeline cannot handle it.
    """
    from chembl_structure_pipeline import standardizer

    _refuse_size(molecule)
    _refuse_atoms(molecule, ions=True)
    changes = []
    with quiet():
        try:
            normal = standardizer.standardize_mol(molecule, check_exclusion=False)
        except (ValueError, RuntimeError) as error:  # RDKit's sanitisation and kekulisation
            raise RefusedError(f"cannot be standardised: {_first_line(error)}") from error
        before = Chem.MolToSmiles(normal, isomericSmiles=keep_stereo)
        if "." in before or "[" in before:
            try:
                parent, _ = standardizer.get_parent_mol(normal, check_exclusion=False)
            except (ValueError, RuntimeError) as error:
                raise RefusedError(f"has no parent: {_first_line(error)}") from error
            after = Chem.MolToSmiles(parent, isomericSmiles=keep_stereo)
        else:
            after = before
        if "." in after:
            raise RefusedError("is a mixture of several molecules")
        if before.count(".") > after.count("."):
            changes.append("salt or solvent removed")
        if any(a.GetIsotope() for a in normal.GetAtoms()):
            changes.append("isotope label removed")
        if after.count("+") + after.count("-]") < before.count("+") + before.count("-]"):
            changes.append("neutralised")
        kept = Chem.MolFromSmiles(after)
    if kept is None or not kept.GetNumAtoms():
        raise RefusedError("is empty once salts and solvents are removed")
    _refuse_atoms(kept)
    return Standard(Chem.MolToSmiles(kept), tuple(changes))


def _refuse_size(molecule: Chem.Mol) -> None:
    heavy = molecule.GetNumHeavyAtoms()
    if not heavy:
        raise RefusedError("is empty")
    if heavy > MOST_ATOMS:
        raise RefusedError(f"has {heavy} heavy atoms; at most {MOST_ATOMS} are read")


def _refuse_atoms(molecule: Chem.Mol, ions: bool = False) -> None:
    """Refuse what is no organic molecule; ``ions``: lone metal ions may yet be removed."""
    for atom in molecule.GetAtoms():
        number = atom.GetAtomicNum()
        if number == 0 or atom.HasQuery():
            raise RefusedError("holds an R-group, attachment point or query atom")
        if number not in ORGANIC and (atom.GetDegree() or not ions):
            raise RefusedError(f"holds {atom.GetSymbol()}, a metal or exotic element")
        if atom.GetNumRadicalElectrons() and number in ORGANIC:
            raise RefusedError(f"is a radical (at {atom.GetSymbol()})")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
