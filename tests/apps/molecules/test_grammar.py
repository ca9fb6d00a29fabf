"""Masked decoding: true SMILES are allowed, and what is allowed parses."""

import numpy as np
import pytest

from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.entries import problem_of
from emulant_apps.molecules.chemistry.parse import parse
from emulant_apps.molecules.grammar import Grammar
from emulant_apps.molecules.vocabulary import END, SPECIAL, Vocabulary, tokens

STRINGS = corpus.test_set()[:3000]
VOCABULARY = Vocabulary.of(STRINGS)


def test_true_molecules_are_allowed() -> None:
    rows = VOCABULARY.encode(STRINGS).rows.astype(np.int64)
    grammar = Grammar(VOCABULARY, len(rows))
    refused = np.zeros(len(rows), dtype=bool)
    for t in range(1, rows.shape[1]):
        may = grammar.allowed()
        refused |= ~may[np.arange(len(rows)), rows[:, t]]
        grammar.said(rows[:, t])
    lost = [STRINGS[k] for k in np.flatnonzero(refused)]
    assert len(lost) <= 0.001 * len(STRINGS)  # some that need every token of the length
    assert all(len(tokens(string)) > VOCABULARY.length - 3 for string in lost)


@pytest.mark.parametrize("seed", range(5))
def test_blind_talk_is_grammatical(seed: int) -> None:
    """Tokens drawn by a coin, as long as they are allowed: no valence breaks, few rings stay open.

    Without the mask hardly a string of this length parses.
    """
    rng = np.random.default_rng(seed)
    n = 400
    grammar = Grammar(VOCABULARY, n)
    aliphatic = ~grammar.words.aromatic
    said = []
    for _ in range(VOCABULARY.length + 1):
        may = grammar.allowed() & aliphatic
        may[~may.any(1), END] = True
        weight = may * np.where(np.arange(may.shape[1]) == END, 0.2, 1.0)
        weight /= weight.sum(1, keepdims=True)
        numbers = (weight.cumsum(1) > rng.random((n, 1))).argmax(1)
        grammar.said(numbers)
        said.append(numbers)
    strings = VOCABULARY.decode(np.stack(said, 1))
    assert max(map(len, strings)) > 20
    bad = [problem_of(text) for text in strings if parse(text) is None]
    assert set(bad) <= {"is no SMILES"}
    assert len(bad) <= 0.2 * n


def test_a_string_never_outgrows_its_length() -> None:
    grammar = Grammar(VOCABULARY, 1)
    open_, carbon = (SPECIAL + VOCABULARY.words.index(word) for word in "(C")
    for _ in range(VOCABULARY.length):
        may = grammar.allowed()[0]
        numbers = open_ if may[open_] else carbon if may[carbon] else int(np.flatnonzero(may)[0])
        grammar.said(np.array([numbers]))
    assert grammar.allowed()[0].nonzero()[0].tolist() == [END]
    assert grammar.depth[0] == 0
