"""The chain of checks: what is hard rejects, what is soft is noted, each molecule once."""

import pytest

from emulant.errors import InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.assess import Chain, assess, funnel

ASPIRIN, RHODANINE = "CC(=O)Oc1ccccc1C(=O)O", "O=C1NC(=S)SC1=Cc1ccccc1"


def test_a_drug_is_known_by_name_and_year() -> None:
    (found,) = assess([ASPIRIN], Chain(sets=()))
    assert found.drug is not None
    assert (found.drug.name, found.drug_tanimoto) == ("ASPIRIN", 1.0)
    assert found.nearest_drug == "ASPIRIN (1950)"
    assert found.kept
    assert "drug" in found.failed


def test_hard_and_soft() -> None:
    (hard,) = assess([RHODANINE], Chain())
    (soft,) = assess([RHODANINE], Chain(hard=("valid",)))
    assert hard.rejected == "pains"
    assert hard.properties is None  # the cheap check spared the dear ones
    assert soft.kept
    assert "pains" in soft.failed
    assert soft.properties is not None


def test_what_is_no_molecule_says_why() -> None:
    (found,) = assess(["C1CC"], Chain())
    assert (found.rejected, found.problem, found.smiles) == ("valid", "is no SMILES", "")


def test_what_cannot_be_written_is_no_molecule(monkeypatch) -> None:
    """RDKit read one string of 30,000 whose canonical form, below, has no Kekulé structure."""
    written = "CCn1c(=O)[nH]c2c(c1=O)NC(=O)C(c1ccccc1)=CC=2"
    monkeypatch.setattr("emulant_apps.molecules.assess.canonical_of", lambda _: written)
    exocyclic, other = assess(["N=c1cccc[nH]1", "CCO"], Chain(sets=()))
    assert (exocyclic.smiles, exocyclic.rejected) == ("", "valid")
    assert exocyclic.problem == "has aromatic rings that no SMILES describes"
    assert other.smiles == written  # not asked: it has no such atom


def test_novelty_knows_the_corpus_and_the_library() -> None:
    known = corpus.training_set()[1234]
    chain = Chain(sets=(), hard=("corpus",), library=("CCOc1ccccc1", "CCN"))
    inside, own = assess([known, "CCOc1ccccc1"], chain)
    assert inside.rejected == "corpus"
    assert own.failed[0] == "library"
    assert (own.nearest_library, own.library_tanimoto) == ("CCOc1ccccc1", 1.0)


def test_rings_never_seen() -> None:
    odd, common = assess(["C1=CC2=CC1C1CC12", "c1ccc2[nH]ccc2c1"], Chain(sets=()))
    assert odd.odd_rings
    assert not common.odd_rings


def test_the_funnel_adds_up() -> None:
    strings = [ASPIRIN, RHODANINE, "C1CC", "OC(=O)c1ccccc1OC(C)=O", *corpus.test_set()[:20]]
    found = assess(strings, Chain())
    counts = funnel(found)
    assert counts.rejected == {"valid": 1, "duplicate": 1, "pains": 1}
    assert counts.kept == sum(item.kept for item in found) == len(strings) - 3
    assert sum(counts.rejected.values()) + counts.kept == counts.total


def test_thresholds() -> None:
    chain = Chain(sets=(), least_qed=0.6, most_sa=1.2, hard=("qed",))
    (found,) = assess([ASPIRIN], chain)
    assert found.rejected == "qed"
    assert {"qed", "sa"} <= set(found.failed)


def test_workers_change_nothing() -> None:
    strings = corpus.test_set()[:600]
    assert assess(strings, Chain(sets=()), workers=1) == assess(strings, Chain(sets=()), workers=2)


@pytest.mark.parametrize("chain", [{"hard": ("pain",)}, {"sets": ("mine",)}])
def test_unknown_names_are_refused(chain) -> None:
    with pytest.raises(InputError, match="known are"):
        Chain(**chain)
