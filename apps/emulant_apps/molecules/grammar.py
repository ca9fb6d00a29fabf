r"""What may be said next, so that a string of tokens stays a SMILES: many strings at once.

Notation: n strings, V numbers of the vocabulary; of each string are known the free valence of the
atom that is spoken of, the order of the bond that waits, the atoms at which parentheses are open,
and the ring digits that are open. A token is allowed where

- parentheses and ring digits that it opens can still be closed before the string is full,
- the free valence of both atoms bears the bond between them,
- a ring digit is not closed on its own atom or on a neighbour,
- the chain does not end at an atom without a free valence while a ring waits for its digit.

Aromatic atoms count connections (c, n: 3; o, s, [nH]: 2). Whether a system of aromatic rings has
a Kekulé form is not asked: that stays with the parser, and with those who draw again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant_apps.molecules.vocabulary import END, PAD, SPECIAL, Vocabulary

__all__ = ["Grammar", "capacity"]

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

ORDERS = {"-": 1, "=": 2, "#": 3, ":": 1, "/": 1, "\\": 1}
VALENCE = {"B": 3, "C": 4, "N": 3, "O": 2, "P": 5, "S": 6, "F": 1, "Cl": 1, "Br": 1, "I": 1}
AROMATIC = {"b": 3, "c": 3, "n": 3, "o": 2, "p": 3, "s": 2}
DEEPEST = 16
"""Parentheses that may be open at a time."""
SAID_ATOM, SAID_BOND, SAID_OPEN, SAID_CLOSE, SAID_DIGIT, SAID_NOTHING = range(6)


def capacity(token: str) -> int:
    """Return the bonds that an atom's token can have: orders, or connections of an aromatic one.

    >>> [capacity(token) for token in ("C", "n", "[nH]", "[N+]", "[O-]", "[C@@H]", "(")]
    [4, 3, 2, 4, 1, 3, 0]
    """
    if token in VALENCE or token in AROMATIC:
        return VALENCE.get(token) or AROMATIC[token]
    found = re.fullmatch(r"\[\d*([A-Za-z][a-z]?)(@*)(H?)(\d*)([+-]*)(\d*)\]", token)
    if not found:
        return 0
    symbol, _, hydrogen, number, sign, much = found.groups()
    if symbol not in VALENCE and symbol not in AROMATIC:
        symbol = symbol[0] if symbol[0] in VALENCE or symbol[0] in AROMATIC else symbol
    held = (int(number) if number else 1) if hydrogen else 0
    charge = (int(much) if much else len(sign)) * (-1 if sign.startswith("-") else 1)
    shift = charge if symbol.upper() in ("N", "O", "P", "S") else -abs(charge)
    if symbol in AROMATIC:
        return max(1, AROMATIC[symbol] - held + (1 if symbol in "os" and charge > 0 else 0))
    return max(0, VALENCE.get(symbol, 6) + shift - held)


@dataclass(frozen=True)
class _Words:
    """What each number of the vocabulary means, (V,) each."""

    capacity: Ints
    aromatic: Flags
    atom: Flags
    order: Ints
    digit: Ints
    open: int
    close: int
    digits: int

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> _Words:
        words = ["", "", "", *vocabulary.words]
        names = [w for w in words if re.fullmatch(r"\d|%\d\d", w)]
        held = np.array([capacity(w) for w in words], dtype=np.int64)
        bare = [w.strip("[]").lstrip("0123456789") for w in words]
        return cls(
            held,
            np.array([c > 0 and b[:1].islower() for c, b in zip(held, bare, strict=True)]),
            held > 0,
            np.array([ORDERS.get(w, 0) for w in words], dtype=np.int64),
            np.array([names.index(w) if w in names else -1 for w in words], dtype=np.int64),
            words.index("(") if "(" in words else -1,
            words.index(")") if ")" in words else -1,
            max(1, len(names)),
        )


class Grammar:
    """The state of n strings; ask :meth:`allowed`, say :meth:`said`, token by token.

    >>> grammar = Grammar(Vocabulary(("(", ")", "1", "=", "C", "O"), 5), 1)
    >>> def may(): return [w for w, ok in zip(("END", "(", ")", "1", "=", "C", "O"),
    ...                    grammar.allowed()[0][2:].tolist()) if ok]
    >>> may()
    ['C', 'O']
    >>> grammar.said(np.array([8])); may()  # after an O
    ['END', '(', '=', 'C', 'O']
    """

    def __init__(self, vocabulary: Vocabulary, n: int) -> None:
        self.words = _Words.of(vocabulary)
        self.left = np.full(n, vocabulary.length)  # tokens that may still be said, END aside
        self.rows = np.arange(n)
        self.last = np.full(n, SAID_NOTHING)
        self.free = np.zeros(n, dtype=np.int64)
        self.aromatic = np.zeros(n, dtype=np.bool_)
        self.order = np.ones(n, dtype=np.int64)
        self.atom = np.full(n, -1)  # index of the atom that is spoken of
        self.atoms = np.zeros(n, dtype=np.int64)
        most = vocabulary.length + 1
        self.bonded = np.zeros((n, most, most), dtype=np.bool_)  # with itself, too
        self.depth = np.zeros(n, dtype=np.int64)
        self.stack = np.zeros((n, DEEPEST + 1, 3), dtype=np.int64)  # free, aromatic, atom
        self.ring = np.full((n, self.words.digits), -1)  # atom that opened it, or -1
        self.ended = np.zeros(n, dtype=np.bool_)

    def allowed(self) -> Flags:
        """Return which numbers may be said next, (n, V); a string in a dead end may END."""
        w, said = self.words, self.last
        waits = said == SAID_BOND
        rings = (self.ring >= 0).sum(1)
        near = np.stack([self._near(k) for k in range(w.digits)], 1)
        # a ")" and the atom after it, a digit, and two atoms more for a ring too small to close
        owed = 2 * self.depth + rings + 2 * near.any(1) + (said == SAID_CLOSE)
        free = self.free - (said == SAID_OPEN)  # after the branch the chain goes on
        able = np.where(self.aromatic, np.where(free > 0, 2, 0), free)  # c(=O) is one connection
        must_go_on = (rings > 0) & (self.depth == 0)
        after_atom = np.isin(said, (SAID_ATOM, SAID_DIGIT))
        after_part = after_atom | (said == SAID_CLOSE)
        may = np.zeros((len(self.rows), len(w.atom)), dtype=np.bool_)
        room = self.left - owed
        begins = (said == SAID_NOTHING) | (said == SAID_OPEN) | after_part | waits
        starts = said == SAID_NOTHING
        bears = np.where(w.aromatic, np.minimum(w.capacity, 2), w.capacity)
        fits = (bears >= self.order[:, None]) & (able >= self.order)[:, None]
        ends_here = w.capacity - np.where(w.aromatic, 1, self.order[:, None]) < 1
        fits &= ~(ends_here & must_go_on[:, None])
        pays = np.where(said == SAID_CLOSE, room >= 0, room > 0)
        may |= w.atom & (fits | starts[:, None]) & (begins & pays)[:, None]
        part_or_open = after_part | (said == SAID_OPEN)
        bond = (w.order > 0) & (able[:, None] >= np.maximum(w.order, 1))
        may |= bond & (part_or_open & (room > 1))[:, None]
        for k in range(w.digits):
            may[:, w.digit == k] |= self._digit(
                k, after_atom | waits, able, room, must_go_on & (rings > 1)
            )[:, None]
        if w.open >= 0:
            may[:, w.open] = (
                after_part & (able > 0) & (room > 3) & (self.depth < DEEPEST) & (self.free > 1)
            )
            may[:, w.close] = after_atom & (self.depth > 0)
        may[:, END] = after_atom & (self.depth == 0) & (rings == 0)
        stuck = ~may.any(1)
        may[stuck, END] = True
        may[self.ended] = False
        may[self.ended, PAD] = True
        return may

    def _near(self, k: int) -> Flags:
        """Return where ring digit ``k`` is open at this atom or at a neighbour."""
        opened, mine = self.ring[:, k], np.maximum(self.atom, 0)
        flags: Flags = self.bonded[self.rows, mine, np.maximum(opened, 0)] & (opened >= 0)
        return flags

    def _digit(self, k: int, after: Flags, able: Ints, room: Ints, goes_on: Flags) -> Flags:
        """Return which strings may say ring digit ``k``."""
        opened = self.ring[:, k]
        closes = (opened >= 0) & ~self._near(k) & (able >= self.order) & (self.order == 1)
        closes &= ~goes_on | (self.free > self.order)
        opens = (opened < 0) & (self.order == 1) & (able >= 1) & (room > 4)
        # after its digit an atom must go on: a digit that opens needs a second free valence
        opens &= self.free > self.order
        result: Flags = after & (closes | opens)
        return result

    def said(self, numbers: Ints) -> None:
        """Take in what was said, (n,)."""
        w, rows = self.words, self.rows
        going = ~self.ended & (numbers >= SPECIAL)
        self.ended |= numbers == END
        self.left = self.left - going
        digit = w.digit[numbers]
        for at in np.flatnonzero(going & (digit >= 0)):
            self._say_digit(int(at), int(digit[at]))
        opens, closes = going & (numbers == w.open), going & (numbers == w.close)
        at = rows[opens]
        self.stack[at, self.depth[at]] = np.stack(
            [self.free[at], self.aromatic[at], self.atom[at]], 1
        )
        self.depth[at] += 1
        at = rows[closes]
        self.depth[at] -= 1
        self.free[at], aromatic, self.atom[at] = self.stack[at, self.depth[at]].T
        self.aromatic[at] = aromatic.astype(np.bool_)
        self._say_atoms(rows[going & w.atom[numbers]], numbers)
        bonds = going & (w.order[numbers] > 0)
        self.order = np.where(bonds, w.order[numbers], np.where(going, 1, self.order))
        kinds = (
            (w.atom[numbers], SAID_ATOM),
            (bonds, SAID_BOND),
            (opens, SAID_OPEN),
            (closes, SAID_CLOSE),
            (digit >= 0, SAID_DIGIT),
        )
        for flag, kind in kinds:
            self.last = np.where(going & flag, kind, self.last)

    def _say_atoms(self, at: Ints, numbers: Ints) -> None:
        w = self.words
        first = self.atom[at] < 0
        order = np.where(first, 0, self.order[at])
        before = self.atom[at]
        # the free valence of the atom before is spent where a parenthesis will come back to it
        top = self.depth[at] - 1
        comes_back = (top >= 0) & (self.stack[at, np.maximum(top, 0), 2] == before) & ~first
        spent = np.where(self.aromatic[at], 1, order)
        back = at[comes_back]
        self.stack[back, top[comes_back], 0] -= spent[comes_back]
        self.atom[at] = self.atoms[at]
        self.bonded[at, self.atom[at], self.atom[at]] = True
        bound, other = at[~first], before[~first]
        self.bonded[bound, self.atom[bound], other] = True
        self.bonded[bound, other, self.atom[bound]] = True
        self.atoms[at] += 1
        held, aromatic = w.capacity[numbers[at]], w.aromatic[numbers[at]]
        self.free[at] = held - np.where(first, 0, np.where(aromatic, 1, order))
        self.aromatic[at] = aromatic

    def _say_digit(self, row: int, digit: int) -> None:
        order = int(self.order[row])
        if self.ring[row, digit] < 0:
            self.ring[row, digit] = self.atom[row]
        else:
            mine, other = self.atom[row], self.ring[row, digit]
            self.bonded[row, mine, other] = self.bonded[row, other, mine] = True
            self.ring[row, digit] = -1
        self.free[row] -= 1 if self.aromatic[row] else order
