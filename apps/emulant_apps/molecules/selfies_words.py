r"""Strings that are always molecules: a vocabulary of SELFIES instead of SMILES.

A network reads and says SELFIES tokens, ``[C] [=C] [Branch1] [Ring1] ...``; whatever it says is a
molecule, so that *valid* is 1 and says nothing. Molecules come in and go out as SMILES.

- Krenn et al., Self-referencing embedded strings (SELFIES), 2020,
  https://doi.org/10.1088/2632-2153/aba947
- Skinnider, Invalid SMILES are beneficial rather than detrimental to chemical language models,
  2024, https://doi.org/10.1038/s42256-024-00821-x
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.errors import InputError
from emulant_apps.molecules.chemistry.parse import canonical
from emulant_apps.molecules.vocabulary import Encoded, Vocabulary

__all__ = ["SelfiesVocabulary", "selfies_of", "smiles_of"]


@functools.cache
def _package() -> Any:
    if find_spec("selfies") is None:
        raise InputError("SELFIES: needs the package selfies; run 'pip install selfies'")
    import selfies  # type: ignore[import-untyped]  # it has no types

    return selfies


@functools.lru_cache(maxsize=300_000)
def selfies_of(smiles: str) -> str:
    """Return the SELFIES of a SMILES; empty where there is none.

    >>> selfies_of("CCO")
    '[C][C][O]'
    """
    package = _package()
    try:
        text: str = package.encoder(smiles)
    except package.EncoderError:  # it breaks the valences that SELFIES know
        return ""
    return text


def smiles_of(selfies: str) -> str:
    """Return the canonical SMILES of a SELFIES; empty where nothing is said.

    >>> smiles_of("[C][C][O]"), smiles_of("")
    ('CCO', '')
    """
    text: str = _package().decoder(selfies)
    return canonical(text) or ""


class SelfiesVocabulary(Vocabulary):
    """The SELFIES tokens that a network knows; it is given, and gives back, SMILES.

    >>> words = SelfiesVocabulary(("[C]", "[O]"), length=4)
    >>> rows = words.encode(["OCC"]).rows
    >>> rows.tolist(), words.decode(rows)
    ([[1, 4, 3, 3, 2, 0]], ['CCO'])
    """

    @classmethod
    def of(cls, strings: Iterable[str], most: int = 100, rare: int = 1) -> SelfiesVocabulary:
        """Return the tokens of the SELFIES of SMILES, of at most ``most`` each."""
        found = Vocabulary.of(map(selfies_of, strings), most, rare)
        return cls(found.words, found.length)

    def encode(self, strings: Sequence[str]) -> Encoded:
        """Return SMILES as rows of SELFIES tokens; one outside the vocabulary is named."""
        return super().encode([selfies_of(text) for text in strings])

    def decode(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the canonical SMILES of each row."""
        return [smiles_of(text) for text in super().decode(rows)]
