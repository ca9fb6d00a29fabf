r"""Necessary conditions of a substructure match, cheap enough to be asked first.

Notation: query q, molecule m. A match of q in m implies

    #{atoms of m in A} ≥ #{atoms of q that can only be in A}    for every set A of atom classes
    some bond of m joins A and B with an order in O             for every bond of q
    bits(q) ⊆ bits(m)                             RDKit's pattern fingerprints, if many are left

an atom class being an element with its aromaticity, whether it is in a ring, its hydrogens, its
connections and the sign of its charge. Only the queries that pass are matched; the answer is the
same as without the screen, several times sooner.

The classes that a query atom can be in are read from its SMARTS: ``,`` unites, ``&`` and ``;``
intersect, ``!`` is understood of what is exact, ``$(...)`` is read by its first atom, and whatever
is not understood allows every class. A set of classes is the set of bits of an integer.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import rdMolDescriptors

from emulant.compiled import kernel
from emulant_apps.molecules.tanimoto import words_of

__all__ = ["EVERY", "HYDROGEN", "Look", "Screen", "atom_class", "classes_of", "orders_of"]

ELEMENTS = (6, 7, 8, 9, 15, 16, 17, 35, 53, 5, 14, 34)
"""Atomic numbers with a class of their own; the rest share one."""
REST = len(ELEMENTS)
AXES = (REST + 1, 2, 2, 4, 5, 3)
"""Element, aromatic, in a ring, hydrogens (3 and more), connections (4 and more), charge sign."""
CLASSES = int(np.prod(AXES))
EVERY = (1 << CLASSES) - 1
"""Every class: nothing is known of the atom."""
HYDROGEN = 1 << int(np.ravel_multi_index((REST, 0, 0, 0, 1, 0), AXES))
"""The class of a hydrogen that is an atom."""
ORDERS = {"-": 0b00011, "=": 0b01100, "#": 0b110000, ":": 0b11000000, "@": 0b1010101010}
"""Bonds by the signs of SMARTS: order (single, double, triple, aromatic, other), then ring."""
ANY_ORDER = (1 << 10) - 1
_ORDER = {
    Chem.BondType.SINGLE: 0, Chem.BondType.DOUBLE: 1, Chem.BondType.TRIPLE: 2,
    Chem.BondType.AROMATIC: 3,
}  # fmt: skip
SYMBOLS = {"C": 6, "N": 7, "O": 8, "F": 9, "P": 15, "S": 16, "Cl": 17, "Br": 35, "I": 53}
SYMBOLS |= {"B": 5, "Si": 14, "Se": 34}
WORDS = 32
"""64-bit words of a pattern fingerprint of 2048 bits."""
FEW = 40
"""Matches that cost no more than a fingerprint."""
_PLACE = {number: k for k, number in enumerate(ELEMENTS)}
_AROMATIC = Chem.MolFromSmarts("a")
_MET: dict[tuple[int, bool], int] = {}
"""Classes by RDKit's invariants (element, neighbours, hydrogens, charge, isotope, in a ring)."""


@functools.cache
def _having(axis: int, *values: int) -> int:
    """Return the set of classes with one of ``values`` on an axis."""
    found = 0
    for k, place in enumerate(itertools.product(*map(range, AXES))):
        if place[axis] in values:
            found |= 1 << k
    return found


def atom_class(atom: Chem.Atom) -> int:
    """Return the number of the class of an atom."""
    charge = atom.GetFormalCharge()
    k = _PLACE.get(atom.GetAtomicNum(), REST)
    k = (2 * k + atom.GetIsAromatic()) * 2 + atom.IsInRing()
    k = 4 * k + min(3, atom.GetTotalNumHs(True))
    k = 5 * k + min(4, atom.GetTotalDegree())
    return 3 * k + (charge > 0) + 2 * (charge < 0)


def _classes(molecule: Chem.Mol) -> list[int]:
    """Return the class of each atom, by what was found for atoms of the same invariant."""
    every = range(molecule.GetNumAtoms())
    if molecule.GetNumHeavyAtoms() < len(every):  # invariants know no hydrogens that are atoms
        return [atom_class(molecule.GetAtomWithIdx(k)) for k in every]
    aromatic = {k for (k,) in molecule.GetSubstructMatches(_AROMATIC, maxMatches=len(every))}
    found = []
    for k, invariant in enumerate(rdMolDescriptors.GetConnectivityInvariants(molecule)):
        key = invariant, k in aromatic
        if key not in _MET:
            _MET[key] = atom_class(molecule.GetAtomWithIdx(k))
        found.append(_MET[key])
    return found


@functools.lru_cache(maxsize=10_000)
def classes_of(smarts: str) -> int:
    """Return the set of classes, as bits, that an atom of a query may be in.

    >>> classes_of("[F,Cl]") == classes_of("[$(F),$([Cl])]")
    True
    >>> classes_of("[D3]") == classes_of("*")
    True
    """
    return _parsed(smarts[1:-1] if smarts.startswith("[") else smarts, _primitive, EVERY)


@functools.lru_cache(maxsize=1000)
def orders_of(smarts: str) -> int:
    """Return the set of orders, as bits, that a bond of a query may have.

    >>> orders_of("") == orders_of("-,:"), orders_of("!@") | orders_of("@") == orders_of("~")
    (True, True)
    """
    return _parsed(smarts or "-,:", _order, ANY_ORDER)


def _parsed(smarts: str, primitive: Callable[[str], int], every: int) -> int:
    allowed = every
    for part in _split(smarts, ";"):
        united = 0
        for choice in _split(part, ","):
            both = every
            for word in _split(choice, "&"):
                both &= primitive(word)
            united |= both
        allowed &= united
    return allowed


def _order(text: str) -> int:
    """Return the orders of one primitive of a bond; every order where it is not understood."""
    if text.startswith("!"):
        return ANY_ORDER & ~ORDERS[text[1:]] if text[1:] in ORDERS else ANY_ORDER
    return ORDERS.get(text, ANY_ORDER)


def _primitive(text: str) -> int:
    """Return the classes of one primitive; every class where it is not understood."""
    if text.startswith("$("):
        return classes_of(_first_atom(text[2:-1]))
    if text.startswith("!"):
        found, exact = _plain(text[1:])
        return EVERY & ~found if exact else EVERY
    return _plain(text)[0]


@functools.cache
def _plain(text: str) -> tuple[int, bool]:
    """Return the classes of a primitive without ``!``, and whether it is all that they say."""
    if text in ("a", "A"):
        return _having(1, int(text == "a")), True
    if text in ("R", "r"):
        return _having(2, 1), True
    numbered = re.fullmatch(r"(#|[RrHX+-])(\d+)", text)
    if numbered:
        return _numbered(numbered[1], int(numbered[2]))
    if text in ("+", "-", "++", "--"):
        return _having(5, 1 if text[0] == "+" else 2), False
    if text in ("H", "X"):
        return _numbered(text, 1)
    if text in SYMBOLS:
        return _having(0, _PLACE[SYMBOLS[text]]) & _having(1, 0), True
    if text.capitalize() in SYMBOLS and text.islower() and text not in ("f", "cl", "br", "i"):
        return _having(0, _PLACE[SYMBOLS[text.capitalize()]]) & _having(1, 1), True
    return EVERY, False


def _numbered(sign: str, n: int) -> tuple[int, bool]:
    """Return the classes of a primitive that is a sign and a number, and whether it is exact."""
    if sign == "#":
        return (_having(0, _PLACE.get(n, REST)), n in _PLACE) if n > 1 else (EVERY, False)
    if sign in "Rr":
        return _having(2, int(n > 0)), n == 0
    if sign in "+-":
        return _having(5, 0 if not n else 1 if sign == "+" else 2), n == 0
    axis, most = (3, 3) if sign == "H" else (4, 4)
    return _having(axis, min(n, most)), n < most


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


@dataclass(frozen=True, eq=False)
class Look:
    """What every screen asks of a molecule, computed once."""

    molecule: Chem.Mol
    classes: NDArray[np.int64]
    """Classes that its atoms are in, (K,)."""
    counts: NDArray[np.int64]
    """Atoms of each, (K,)."""
    bonds: NDArray[np.int64]
    """The kinds of bond: places of two classes among the K, and 2 order + ring; (number, 3)."""

    @classmethod
    def at(cls, molecule: Chem.Mol) -> Look:
        """Return what is seen of ``molecule``."""
        place: dict[int, int] = {}
        every = map(molecule.GetBondWithIdx, range(molecule.GetNumBonds()))  # RDKit's own is slow
        atoms = [place.setdefault(kind, len(place)) for kind in _classes(molecule)]
        bonds = {
            (
                atoms[bond.GetBeginAtomIdx()],
                atoms[bond.GetEndAtomIdx()],
                2 * _ORDER.get(bond.GetBondType(), 4) + bond.IsInRing(),
            )
            for bond in every
        }
        return cls(
            molecule,
            np.array(list(place), dtype=np.int64),
            np.bincount(atoms, minlength=len(place)),
            np.array(list(bonds), dtype=np.int64).reshape(-1, 3),
        )

    @functools.cached_property
    def bits(self) -> NDArray[np.uint64]:
        """Pattern fingerprint, 2048 bits in 32 words; it costs as much as forty matches."""
        return _fingerprint(self.molecule)


class Screen:
    """The necessary conditions of many queries, asked of a molecule at once.

    ``bits`` says of which queries the fingerprint is asked: not of those that name hydrogens. It is
    asked where the other conditions leave more than FEW of them.

    >>> screen = Screen([Chem.MolFromSmarts("[F,Cl]C=O"), Chem.MolFromSmarts("c1ccccc1")])
    >>> screen.candidates(Look.at(Chem.MolFromSmiles("CC(=O)Cl"))).tolist()
    [0]
    """

    def __init__(self, queries: Sequence[Chem.Mol], bits: NDArray[np.bool_] | None = None) -> None:
        self.needed = np.stack([_fingerprint(query) for query in queries])
        if bits is not None:
            self.needed[~bits] = 0
        sets: dict[int, int] = {}
        kinds: dict[tuple[int, int, int], int] = {}
        atoms: list[tuple[int, int, int]] = []
        pairs: set[tuple[int, int]] = set()
        for index, query in enumerate(queries):
            unseen = 0 if bits is None or bits[index] else HYDROGEN  # no atom of what is looked at
            masks = [classes_of(atom.GetSmarts()) for atom in query.GetAtoms()]
            known = [mask != EVERY and not mask & unseen for mask in masks]
            for mask in {mask for mask, is_known in zip(masks, known, strict=True) if is_known}:
                least = sum(mask | other == mask for other in masks)
                atoms.append((index, sets.setdefault(mask, len(sets)), least))
            joined: list[Any] = list(query.GetBonds())  # the stub of their SMARTS misleads
            for bond in joined:
                ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
                if not any(masks[end] & unseen for end in ends):
                    one, two = sorted(sets.setdefault(masks[end], len(sets)) for end in ends)
                    kind = (one, two, orders_of(bond.GetSmarts()))
                    pairs.add((index, kinds.setdefault(kind, len(kinds))))
        self.member = np.zeros((CLASSES, len(sets)), dtype=np.bool_)
        for column, mask in enumerate(sets):
            packed = np.frombuffer(mask.to_bytes(-(-CLASSES // 8), "little"), dtype=np.uint8)
            self.member[:, column] = np.unpackbits(packed, bitorder="little")[:CLASSES]
        most = max((least for _, _, least in atoms), default=0)
        enough = np.ones((len(sets), most + 1, len(queries)), dtype=np.bool_)
        for index, column, least in atoms:
            enough[column, :least, index] = False
        asking = np.zeros((len(kinds), len(queries)), dtype=np.bool_)
        for index, k in pairs:
            asking[k, index] = True
        ends_of = np.array(list(kinds), dtype=np.int64).reshape(-1, 3)
        orders = (ends_of[:, 2] >> np.arange(10)[:, None] & 1).astype(np.bool_)
        self.enough, self.asking, self.orders = words(enough), words(asking), words(orders)
        self.first, self.second = (words(self.member[:, ends_of[:, k]]) for k in (0, 1))

    def candidates(self, seen: Look) -> NDArray[np.int64]:
        """Return the indices of the queries that may match."""
        kept = np.full(self.enough.shape[2], ~np.uint64(0))
        _screened(
            self.member, self.enough, self.first, self.second, self.orders, self.asking,
            seen.classes, seen.counts, seen.bonds, kept,
        )  # fmt: skip
        flags = np.unpackbits(kept.view(np.uint8), bitorder="little", count=len(self.needed))
        found = np.flatnonzero(flags)
        if len(found) > FEW:
            found = found[~np.any(self.needed[found] & ~seen.bits, axis=1)]
        return found


def words(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return flags (..., n) packed into words (..., n / 64), the first in the lowest bit.

    >>> words(np.array([True, False, True])).tolist()
    [5]
    """
    packed = np.packbits(flags, axis=-1, bitorder="little")
    rows = words_of(packed.reshape(int(np.prod(packed.shape[:-1])), packed.shape[-1]))
    return rows.reshape(*packed.shape[:-1], rows.shape[1])


@kernel
def _screened(
    member: NDArray[np.bool_],
    enough: NDArray[np.uint64],
    first: NDArray[np.uint64],
    second: NDArray[np.uint64],
    orders: NDArray[np.uint64],
    asking: NDArray[np.uint64],
    classes: NDArray[np.int64],
    counts: NDArray[np.int64],
    bonds: NDArray[np.int64],
    kept: NDArray[np.uint64],
) -> None:
    """Clear the bits, in ``kept``, of the queries whose atoms or bonds are not there.

    Bits are those of queries in ``enough`` (sets, atoms that there are, .), for which these are
    enough, and ``asking`` (kinds of bond, .); of kinds of bond in ``first`` and ``second``
    (classes, .), whose one and other end may be of a class, and ``orders`` (orders, .).
    """
    for s in range(member.shape[1]):
        present = 0
        for k in range(len(classes)):
            present += counts[k] * member[classes[k], s]
        row = enough[s, min(present, enough.shape[1] - 1)]
        for w in range(len(kept)):
            kept[w] &= row[w]
    for v in range(orders.shape[1]):
        found = np.uint64(0)
        for b in range(len(bonds)):
            begin, end = classes[bonds[b, 0]], classes[bonds[b, 1]]
            both = first[begin, v] & second[end, v] | first[end, v] & second[begin, v]
            found |= both & orders[bonds[b, 2], v]
        for bit in range(min(64, len(asking) - 64 * v)):
            if not (found >> np.uint64(bit)) & np.uint64(1):
                for w in range(len(kept)):
                    kept[w] &= ~asking[64 * v + bit, w]


def _fingerprint(molecule: Chem.Mol) -> NDArray[np.uint64]:
    text = DataStructs.BitVectToBinaryText(Chem.PatternFingerprint(molecule))
    return np.frombuffer(text, dtype=np.uint64, count=WORDS)
