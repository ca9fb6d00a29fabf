"""The reference sets in the package are those that their cards describe."""

import hashlib
import tomllib
from pathlib import Path

import pytest

from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.parse import canonical, flat

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["molecules_moses", "molecules_drugs"])
def test_the_files_are_those_on_the_card(name: str) -> None:
    folder = ROOT / "datasets" / name
    card = tomllib.loads((folder / "card.toml").read_text())
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == sorted(listed["path"] for listed in card["files"])
    for listed in card["files"]:
        data = (ROOT / card["folder"] / listed["path"]).read_bytes()
        assert len(data) == listed["bytes"]
        assert hashlib.sha256(data).hexdigest() == sums[listed["path"]]


def test_sets_are_disjoint_and_hold_no_drug() -> None:
    training, test = set(corpus.training_set()), set(corpus.test_set())
    scaffolds = set(corpus.scaffold_test_set())
    assert (len(training), len(test), len(scaffolds)) == (251_994, 29_995, 10_000)
    known = {drug.flat for drug in corpus.drugs()}
    for one, other in ((training, test), (training, scaffolds), (test, scaffolds)):
        assert not one & other
    assert not (training | test | scaffolds) & known


def test_they_are_canonical() -> None:
    for smiles in corpus.training_set()[::5000]:
        assert canonical(smiles) == smiles
    for drug in corpus.drugs()[::50]:
        assert canonical(drug.smiles) == drug.smiles
        assert flat(drug.smiles) == drug.flat


def test_a_drug_has_its_name_and_year() -> None:
    found = {drug.name: drug for drug in corpus.drugs()}
    assert (found["PRAZOSIN"].year, found["PRAZOSIN"].chembl) == (1976, "CHEMBL2")
    assert len(corpus.filters_of_moses()) == 22
