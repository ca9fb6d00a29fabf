"""The metrics against their definitions; the certificate against the known cheats."""

from collections import Counter

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import AllChem

from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.parse import canonical, parse
from emulant_apps.molecules.metrics import (
    Described,
    cosine,
    describe,
    frechet_chemnet,
    measure,
    nearest_similarity,
)
from emulant_apps.molecules.validate import certificate, metrics_table

COUNT = 300
TRAINING = frozenset(corpus.training_set())


@pytest.fixture(scope="module")
def truth() -> Described:
    return describe(corpus.test_set()[:1000])


@pytest.fixture(scope="module")
def others() -> Described:
    return describe(corpus.test_set()[5000 : 5000 + COUNT])


def add_carbon(smiles: str, rng: np.random.Generator) -> str:
    """Renz et al., On Failure Modes in Molecule Generation and Optimization, 2019."""
    for place in rng.permutation(len(smiles)).tolist():
        text = f"{smiles[:place]}C{smiles[place:]}"
        found = canonical(text)
        if found is not None and found not in TRAINING:
            return found
    return smiles


def failing(strings: list[str], truth: Described) -> set[str]:
    found = certificate(describe(strings), truth, TRAINING, seed=0)
    assert found.verdict == "fail"
    assert found.status == 1
    wrong = {s.name for case in found.cases for s in case.statistics if s.verdict == "fail"}
    return wrong | {check.name for check in found.checks if check.verdict == "fail"}


def test_other_true_molecules_do_not_fail(truth: Described, others: Described) -> None:
    found = certificate(others, truth, TRAINING, seed=0)
    assert found.verdict in ("pass", "underpowered")


def test_a_copier_of_the_training_set_fails(truth: Described) -> None:
    rows = numpy_rng(0, "copier").choice(corpus.training_set(), COUNT, replace=False)
    assert failing([str(row) for row in rows], truth) == {"new among the molecules"}


def test_add_carbon_fails(truth: Described) -> None:
    rng = numpy_rng(0, "add carbon")
    rows = rng.choice(corpus.training_set(), COUNT, replace=False)
    strings = [add_carbon(str(row), rng) for row in rows]
    assert np.mean([s not in TRAINING for s in strings]) > 0.99  # which is what it is made for
    assert {"mean of a property"} <= failing(strings, truth)


def test_a_generator_of_alkanes_fails(truth: Described) -> None:
    rng = numpy_rng(0, "alkanes")
    strings = []
    for _ in range(COUNT):
        chain = ["C"] * int(rng.integers(15, 30))
        for place in rng.integers(2, len(chain) - 2, 4).tolist():
            chain[place] = "C(C)"
        strings.append("".join(chain))
    wrong = failing(strings, truth)
    assert {"mean of a property", "scatter of a property"} <= wrong


def test_a_repeating_generator_fails(truth: Described) -> None:
    """What a collapsed decoder says greedily: valid, new, and always the same."""
    assert "different among the molecules" in failing(
        ["CC(C)C(=O)NC(C)C(=O)NCc1ccccc1"] * COUNT, truth
    )


def test_broken_strings_fail(truth: Described) -> None:
    strings = list(corpus.test_set()[5000 : 5000 + COUNT])
    strings[::5] = [text[:-3] + "((" for text in strings[::5]]
    assert failing(strings, truth) == {"molecules among the strings"}


def test_too_few_molecules_are_refused(truth: Described) -> None:
    with pytest.raises(InputError, match="only 0 of 3 strings are molecules"):
        certificate(describe(["C1", "", "xx"]), truth, TRAINING, seed=0)


def test_truth_that_was_trained_on_is_refused(others: Described) -> None:
    known = frozenset(f.smiles for f in others.features)
    with pytest.raises(InputError, match="held out"):
        certificate(others, others, known, seed=0)


def test_metrics_of_truth_against_itself(truth: Described) -> None:
    found = measure(truth, truth, TRAINING, fcd=False)
    assert (found.valid, found.novelty, found.unique_1k) == (1.0, 1.0, 1.0)
    assert found.unique_10k is None  # there are not so many
    assert found.snn == pytest.approx(1.0)
    assert found.frag == pytest.approx(1.0)
    assert found.scaf == pytest.approx(1.0)
    assert found.filters == pytest.approx(1.0, abs=0.002)  # MOSES was made by these filters
    assert found.wasserstein == dict.fromkeys(("logP", "SA", "QED", "weight"), 0.0)
    assert "unique@10k               -" in metrics_table(found)


def test_similarities_are_rdkits(others: Described, truth: Described) -> None:
    def prints(described: Described) -> list:
        molecules = [parse(f.smiles) for f in described.features[:50]]
        return [AllChem.GetMorganFingerprintAsBitVect(m, 2, nBits=1024) for m in molecules]

    mine, theirs = prints(others), prints(truth)
    expected = [max(DataStructs.BulkTanimotoSimilarity(p, theirs)) for p in mine]
    assert nearest_similarity(others.bits[:50], truth.bits[:50]) == pytest.approx(expected)
    some = Described(others.strings[:50], others.valid[:50], others.features[:50])
    pairs = [DataStructs.BulkTanimotoSimilarity(p, mine) for p in mine]
    found = measure(some, truth, fcd=False)
    assert found.int_div == pytest.approx(1 - np.mean(pairs), abs=1e-6)
    roots = np.sqrt(np.mean(np.square(pairs), 1))  # of each molecule, as the code of MOSES has it
    assert found.int_div_2 == pytest.approx(1 - np.mean(roots), abs=1e-6)


def test_a_cosine() -> None:
    assert cosine(Counter("aab"), Counter("ab")) == pytest.approx(3 / np.sqrt(10))
    assert cosine(Counter(), Counter("a")) is None


def test_the_chemnet_distance_is_refused_below_ten_thousand() -> None:
    with pytest.raises(InputError, match="needs 10,000 molecules on each side, got 2"):
        frechet_chemnet(["C", "CC"], ["C"] * 20_000)


def test_filters_of_moses() -> None:
    clean, charged, ring, iodine = describe(
        ["CCOc1ccccc1", "C[N+](C)(C)C", "C1CCCCCCCC1", "CI"]
    ).features
    assert [f.clean for f in (clean, charged, ring, iodine)] == [True, False, False, False]
    assert Chem.MolFromSmiles(clean.smiles) is not None
