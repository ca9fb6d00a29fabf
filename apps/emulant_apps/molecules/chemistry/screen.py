r"""Necessary conditions of a substructure match, cheap enough to be asked first.

Notation: query q, molecule m. A match of q in m implies

    bits(q) ⊆ bits(m)                             RDKit's pattern fingerprints
    #{atoms of m in A} ≥ #{atoms of q that can only be in A}    for every set A of atom classes,

an atom class being an element with its aromaticity. Only the queries that pass are matched; the
answer is the same as without the screen, several times sooner.

The classes that a query atom can be in are read from its SMARTS: ``,`` unites, ``&`` and ``;``
intersect, ``$(...)`` is read by its first atom, and whatever is not understood allows every class.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs

__all__ = ["EVERY", "Look", "Screen", "atom_classes", "classes_of"]

ELEMENTS = (6, 7, 8, 9, 15, 16, 17, 35, 53, 5, 14, 34)
"""Atomic numbers with a class of their own, twice: aliphatic, then aromatic; the rest share one."""
KINDS = len(ELEMENTS) + 1
ALIPHATIC, AROMATIC = (1 << KINDS) - 1, ((1 << KINDS) - 1) << KINDS
EVERY = ALIPHATIC | AROMATIC
"""Every class: nothing is known of the element."""
SYMBOLS = {"C": 6, "N": 7, "O": 8, "F": 9, "P": 15, "S": 16, "Cl": 17, "Br": 35, "I": 53}
SYMBOLS |= {"B": 5, "Si": 14, "Se": 34}
WORDS = 32
"""64-bit words of a pattern fingerprint of 2048 bits."""


def _kind(number: int) -> int:
    return ELEMENTS.index(number) if number in ELEMENTS else KINDS - 1


def atom_classes(molecule: Chem.Mol) -> NDArray[np.int64]:
    """Return how many atoms of each class a molecule has, shape (2 KINDS,)."""
    counts = [0] * (2 * KINDS)
    for atom in molecule.GetAtoms():
        counts[_kind(atom.GetAtomicNum()) + KINDS * atom.GetIsAromatic()] += 1
    return np.array(counts, dtype=np.int64)


@functools.lru_cache(maxsize=10_000)
def classes_of(smarts: str) -> int:
    """Return the set of classes, as bits, that an atom of a query may be in.

    >>> classes_of("[F,Cl]") == classes_of("[$(F),$([Cl])]")
    True
    >>> classes_of("[!#6]") == classes_of("*")
    True
    """
    inside = smarts[1:-1] if smarts.startswith("[") else smarts
    allowed = EVERY
    for part in _split(inside, ";"):
        united = 0
        for choice in _split(part, ","):
            both = EVERY
            for primitive in _split(choice, "&"):
                both &= _primitive(primitive)
            united |= both
        allowed &= united
    return allowed


def _primitive(text: str) -> int:
    """Return the classes of one primitive; every class where it says nothing of the element."""
    if text.startswith("$("):
        return classes_of(_first_atom(text[2:-1]))
    if text in ("a", "A"):
        return AROMATIC if text == "a" else ALIPHATIC
    numbered = re.fullmatch(r"#(\d+)", text)
    if numbered:
        k = _kind(int(numbered[1]))
        return 1 << k | 1 << k + KINDS if int(numbered[1]) > 1 else EVERY
    if text in SYMBOLS:
        return 1 << _kind(SYMBOLS[text])
    if text.capitalize() in SYMBOLS and text.islower() and text not in ("f", "cl", "br", "i"):
        return 1 << _kind(SYMBOLS[text.capitalize()]) + KINDS
    return EVERY


def _first_atom(smarts: str) -> str:
    if not smarts.startswith("["):
        found = re.match(r"Cl|Br|.", smarts)
        return found[0] if found else "*"
    depth = 0
    for k, sign in enumerate(smarts):
        depth += (sign == "[") - (sign == "]")
        if not depth:
            return smarts[: k + 1]
    return "*"


def _split(text: str, at: str) -> list[str]:
    """Split at a sign outside brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == at and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What every screen asks of a molecule, computed once."""

    bits: NDArray[np.uint64]
    """Pattern fingerprint, 2048 bits in 32 words."""
    counts: NDArray[np.int64]
    """Atoms of each class, (2 KINDS,)."""

    @classmethod
    def at(cls, molecule: Chem.Mol) -> Look:
        """Return what is seen of ``molecule``."""
        return cls(_fingerprint(molecule), atom_classes(molecule))


class Screen:
    """The necessary conditions of many queries, asked of a molecule at once.

    ``bits`` says of which queries the fingerprint is asked: not of those that name hydrogens.

    >>> screen = Screen([Chem.MolFromSmarts("[F,Cl]C=O"), Chem.MolFromSmarts("c1ccccc1")])
    >>> screen.candidates(Look.at(Chem.MolFromSmiles("CC(=O)Cl"))).tolist()
    [0]
    """

    def __init__(self, queries: Sequence[Chem.Mol], bits: NDArray[np.bool_] | None = None) -> None:
        self.needed = np.stack([_fingerprint(query) for query in queries])
        if bits is not None:
            self.needed[~bits] = 0
        sets: dict[int, int] = {}
        rows: list[tuple[int, int, int]] = []
        for index, query in enumerate(queries):
            masks = [classes_of(atom.GetSmarts()) for atom in query.GetAtoms()]
            for mask in set(masks) - {EVERY}:
                least = sum(mask | other == mask for other in masks)
                rows.append((index, sets.setdefault(mask, len(sets)), least))
        self.member = np.array(
            [[mask >> k & 1 for k in range(2 * KINDS)] for mask in sets], dtype=np.int64
        ).reshape(len(sets), 2 * KINDS)
        self.query, self.mask, self.least = np.array(rows, dtype=np.int64).reshape(-1, 3).T

    def candidates(self, seen: Look) -> NDArray[np.int64]:
        """Return the indices of the queries that may match."""
        kept: NDArray[np.bool_] = ~np.any(self.needed & ~seen.bits, axis=1)
        present = self.member @ seen.counts
        kept[self.query[present[self.mask] < self.least]] = False
        return np.flatnonzero(kept)


def _fingerprint(molecule: Chem.Mol) -> NDArray[np.uint64]:
    text = DataStructs.BitVectToBinaryText(Chem.PatternFingerprint(molecule))
    return np.frombuffer(text, dtype=np.uint64, count=WORDS)
