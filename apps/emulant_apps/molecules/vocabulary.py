r"""Atom-level tokens of SMILES, and the numbers that a network reads.

A string is cut into bracket atoms, two-letter halogens, two-digit ring closures and single
characters; the pieces joined again are the string. Numbers: 0 fills a row (PAD), 1 starts it
(START), 2 ends it (END), 3 ... are the tokens of the vocabulary in order.

- Weininger, SMILES, a chemical language and information system, 1988,
  https://doi.org/10.1021/ci00057a005
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError

__all__ = ["DRUG_LIKE", "END", "PAD", "SPECIAL", "START", "Encoded", "Vocabulary", "tokens"]

PAD, START, END = 0, 1, 2
SPECIAL = 3
"""Number of the first token."""
_DRUG_LIKE = (
    "# ( ) - / = \\ 1 2 3 4 5 6 7 8 9 %10 %11 %12 "
    "B C N O F P S Cl Br I b c n o p s "
    "[nH] [n+] [n-] [nH+] [o+] [s+] [c-] [cH-] [se] "
    "[C@] [C@@] [C@H] [C@@H] [C-] [CH-] [CH2-] [C+] "
    "[N+] [N-] [NH+] [NH-] [NH2+] [NH3+] [N@+] [N@@+] [N@H+] [N@@H+] "
    "[O-] [O+] [OH+] [S-] [S+] [S@] [S@@] [S@+] [S@@+] "
    "[P+] [P@] [P@@] [PH] [B-] [Se] [Si] [I+]"
)
DRUG_LIKE = tuple(_DRUG_LIKE.split())
"""Tokens of drug-like molecules beyond those of any one training set: charges, stereochemistry,
the rarer elements and ring digits. A network that has numbers for them can be taught them later."""

_TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d|.", re.DOTALL)


def tokens(smiles: str) -> tuple[str, ...]:
    """Return the tokens of a SMILES.

    >>> tokens("C[C@H](Cl)Br%12")
    ('C', '[C@H]', '(', 'Cl', ')', 'Br', '%12')
    """
    return tuple(_TOKEN.findall(smiles))


@dataclass(frozen=True, slots=True)
class Encoded:
    """Strings as rows of numbers, and those that could not be written so."""

    rows: NDArray[np.uint8]
    """START, tokens, END, PAD ...: shape (n, length + 2)."""
    kept: NDArray[np.int64]
    """Index of each row among the strings that were given, (n,)."""
    unknown: tuple[tuple[int, str], ...]
    """Index of each string that was left out, and why: its tokens outside the vocabulary, or
    its length."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a network knows, and the most it can read.

    >>> words = Vocabulary(("(", ")", "C", "O"), length=8)
    >>> words.encode(["C(O)C", "CN"]).rows.tolist()
    [[1, 5, 3, 6, 4, 5, 2, 0, 0, 0]]
    >>> words.encode(["CN"]).unknown
    ((0, 'tokens outside the vocabulary: N'),)
    """

    words: tuple[str, ...]
    """Tokens, sorted."""
    length: int
    """Most tokens of a string."""

    def __post_init__(self) -> None:
        if len(self.words) > 255 - SPECIAL:
            raise InputError(
                f"the molecules use {len(self.words)} different tokens, the most is "
                f"{255 - SPECIAL}; standardise them, or leave the rare ones out"
            )

    @classmethod
    def of(cls, strings: Iterable[str], most: int = 100, rare: int = 1) -> Vocabulary:
        """Return the vocabulary of ``strings``, of at most ``most`` tokens each.

        Tokens that fewer than ``rare`` strings use are left out.
        """
        used: Counter[str] = Counter()
        longest = 1
        for string in strings:
            found = tokens(string)
            if len(found) <= most:
                used.update(set(found))
                longest = max(longest, len(found))
        return cls(tuple(sorted(word for word, n in used.items() if n >= rare)), longest)

    @classmethod
    def wide(cls, strings: Iterable[str], length: int, rare: int = 1) -> Vocabulary:
        """Return the tokens of ``strings``, of at most ``length`` each, and the drug-like ones."""
        found = cls.of(strings, length, rare)
        return cls(tuple(sorted({*found.words, *DRUG_LIKE})), length)

    @cached_property
    def number(self) -> dict[str, int]:
        """The number of each token."""
        return {word: SPECIAL + k for k, word in enumerate(self.words)}

    @property
    def size(self) -> int:
        """Numbers that a network reads and answers."""
        return SPECIAL + len(self.words)

    def encode(self, strings: Sequence[str]) -> Encoded:
        """Return ``strings`` as rows; a string outside the vocabulary is named, never an error."""
        number = self.number
        rows = np.zeros((len(strings), self.length + 2), dtype=np.uint8)
        kept: list[int] = []
        unknown: list[tuple[int, str]] = []
        for k, string in enumerate(strings):
            found = tokens(string)
            if not found:
                unknown.append((k, "is empty"))
            elif not number.keys() >= set(found):
                outside = sorted(set(found) - number.keys())
                unknown.append((k, f"tokens outside the vocabulary: {' '.join(outside)}"))
            elif len(found) > self.length:
                unknown.append((k, f"has {len(found)} tokens, the most is {self.length}"))
            else:
                rows[len(kept), : len(found) + 2] = [START, *(number[t] for t in found), END]
                kept.append(k)
        return Encoded(rows[: len(kept)], np.array(kept, dtype=np.int64), tuple(unknown))

    def decode(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the string of each row of numbers, up to END; (n, T), with or without START."""
        text = ["", "", "", *self.words]
        strings = []
        for row in np.asarray(rows).tolist():
            end = row.index(END) if END in row else len(row)
            strings.append("".join(text[n] for n in row[:end]))
        return strings
