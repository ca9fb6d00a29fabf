"""The nearest of many against looking at all of them; means against their definition."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs

from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.similarity import Library, bits_of, fingerprint, packed_bits
from emulant_apps.molecules.tanimoto import Index, mean_similarities

SMILES = (*corpus.test_set()[:150], *(drug.smiles for drug in corpus.drugs()[::30]))


def all_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    one, two = (np.unpackbits(x, axis=1).astype(float) for x in (a, b))
    both = one @ two.T
    either = one.sum(1)[:, None] + two.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


@settings(deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.sampled_from([8, 40, 130, 1024]), st.floats(0.0, 0.9))
def test_the_nearest_is_that_of_looking_at_all(seed: int, bits: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    rows, asked = (np.packbits(rng.random((n, bits)) < share, axis=1) for n in (40, 7))
    asked[0] = rows[3]
    alike = all_pairs(asked, rows)
    index, best = Index(rows).nearest(asked)
    assert np.array_equal(best, alike.max(1))
    assert np.array_equal(index, alike.argmax(1))  # the first of equals
    assert mean_similarities(rows)[1] == pytest.approx((all_pairs(rows, rows) ** 2).mean(1))


def test_similarities_are_rdkits() -> None:
    library = Library(SMILES[20:])
    prints = [fingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    for k in range(20):
        alike = DataStructs.BulkTanimotoSimilarity(prints[k], prints[20:])
        found = library.nearest(Chem.MolFromSmiles(SMILES[k]))
        assert found is not None
        assert (found.index, found.tanimoto) == (alike.index(max(alike)), max(alike))


def test_fingerprints_without_sanitisation_are_the_same() -> None:
    """Canonical SMILES of molecules and drugs: charges, stereochemistry and all."""
    slow = np.stack([np.packbits(bits_of(Chem.MolFromSmiles(text))) for text in SMILES])
    assert np.array_equal(packed_bits(SMILES), slow)


def test_nothing_is_near_in_an_empty_library() -> None:
    assert Library(()).nearest(Chem.MolFromSmiles("CCO")) is None
    with pytest.raises(ValueError, match="'packed' must have"):
        Index(np.zeros((0, 8), dtype=np.uint8)).nearest(np.zeros((1, 8), dtype=np.uint8))


def test_the_nearest_training_molecule(monkeypatch: pytest.MonkeyPatch) -> None:
    room = import_module("emulant_apps.molecules.assess")  # the package has a function so named
    few = corpus.training_set()[:3000]
    monkeypatch.setattr(room, "corpus_index", lambda _: Index(packed_bits(few)))
    chain = room.Chain(sets=(), nearest=True)
    own, none, known = room.assess([few[7], "C1CC", "CCO"], chain)
    assert (own.nearest_corpus, own.corpus_tanimoto) == (few[7], 1.0)
    assert none.nearest_corpus == ""
    assert 0 < known.corpus_tanimoto < 1
