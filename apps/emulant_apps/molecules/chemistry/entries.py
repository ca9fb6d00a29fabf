"""From one row of a file to a standard molecule, or to the reason why there is none."""

from __future__ import annotations

from rdkit import Chem

from emulant_apps.molecules.chemistry.parse import (
    RefusedError,
    Standard,
    parse,
    quiet,
    standardise,
)

__all__ = [
    "RefusedError",
    "Standard",
    "looks_like_molecule",
    "problem_of",
    "standard_of_block",
    "standard_of_text",
]

LONGEST = 20_000
"""Signs of the longest SMILES that is parsed."""


def looks_like_molecule(text: str) -> bool:
    """Return whether a cell is a SMILES of at least two atoms.

    >>> looks_like_molecule("CCO"), looks_like_molecule("12.5"), looks_like_molecule("name")
    (True, False, False)
    """
    molecule = parse(text.strip()[:LONGEST])
    return molecule is not None and molecule.GetNumAtoms() > 1


def problem_of(text: str) -> str:
    """Return why a text is no molecule, in a few words.

    >>> problem_of("C1CC"), problem_of("CN(C)(C)(C)C")[:14]
    ('is no SMILES', 'breaks valence')
    """
    if not text.strip():
        return "is empty"
    if not text.isascii():
        return "is no SMILES: holds signs beyond ASCII"
    with quiet():
        loose = Chem.MolFromSmiles(text, sanitize=False)
        problems = () if loose is None else Chem.DetectChemistryProblems(loose)
    if not problems:
        return "is no SMILES"
    kind = "breaks valence" if "alence" in problems[0].GetType() else "breaks aromaticity"
    return f"{kind}: {problems[0].Message().strip()}"


def standard_of_text(text: str, keep_stereo: bool = True) -> Standard:
    """Return the standard form of a SMILES.

    Raises
    ------
    RefusedError
        It is no molecule, or none that can be used.
    """
    if len(text) > LONGEST:
        raise RefusedError(f"is too long: {len(text)} signs")
    molecule = parse(text)
    if molecule is None:
        raise RefusedError(problem_of(text))
    return standardise(molecule, keep_stereo)


def standard_of_block(block: str, keep_stereo: bool = True) -> Standard:
    """Return the standard form of a record of an SD file, V2000 or V3000.

    Raises
    ------
    RefusedError
        It is cut short, no molecule, or none that can be used.
    """
    if "M  END" not in block:
        raise RefusedError("is cut short: no 'M  END' in this record")
    end = block.index("M  END") + len("M  END\n")
    with quiet():
        molecule = Chem.MolFromMolBlock(block[:end], sanitize=True, removeHs=True)
    if molecule is None:
        raise RefusedError("is no mol block that RDKit can read")
    return standardise(molecule, keep_stereo)
