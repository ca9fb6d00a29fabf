"""Fingerprints: keys against RDKit's, the table's floor, training, retrieval from a library."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import MACCSkeys

from emulant.errors import InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.similarity import KEYS, keys_of
from emulant_apps.molecules.config import RetrieveConfig, TrainConfig
from emulant_apps.molecules.key_aae import KeyEmulator, KeySizes, build_keys
from emulant_apps.molecules.keys import compare, keys_of_all
from emulant_apps.molecules.retrieve import nearest_molecules, run
from emulant_apps.molecules.tanimoto import Index
from emulant_apps.molecules.train import train

SMILES = corpus.test_set()[:400]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    data = folder / "a.smi"
    data.write_text("\n".join(SMILES) + "\n")
    out = folder / "run"
    train(TrainConfig(out=out, data=data, preset="fingerprints", steps=150, device="cpu"))
    return out


def test_keys_are_rdkits() -> None:
    for text, row in zip(SMILES[:30], keys_of(SMILES[:30]), strict=True):
        theirs = MACCSkeys.GenMACCSKeys(Chem.MolFromSmiles(text))
        assert (np.flatnonzero(row) + 1).tolist() == list(theirs.GetOnBits())
    assert keys_of(["C1CC"]).sum() == 0


def test_the_table_knows_true_from_shuffled() -> None:
    bits = keys_of_all(SMILES)
    one, two = bits[:200], bits[200:]
    floor = compare(one, two)
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(column) for column in one.T], axis=1)
    apart = compare(shuffled, two)
    assert apart.frequencies == pytest.approx(floor.frequencies)
    assert apart.pairs > 1.5 * floor.pairs
    assert apart.nearest < floor.nearest
    same = compare(one, one)
    assert (same.frequencies, same.pairs, same.bits, same.nearest) == (0, 0, 0, 1)


def test_draws_become_like_the_data(trained: Path) -> None:
    truth = keys_of_all(SMILES)
    emulator = KeyEmulator.load(trained)
    untaught = KeyEmulator(build_keys(KeySizes(), 1), KeySizes(), "untaught")
    assert emulator.draw(5, 0).shape == (5, KEYS)
    assert np.array_equal(emulator.draw(5, 0), emulator.draw(5, 0))
    taught, not_taught = (compare(e.draw(400, 0), truth) for e in (emulator, untaught))
    assert taught.frequencies < 0.7 * not_taught.frequencies
    assert taught.nearest > not_taught.nearest


def test_codes_near_a_molecule_say_what_is_like_it(trained: Path) -> None:
    emulator = KeyEmulator.load(trained)
    query = keys_of_all(SMILES[:1])
    index = Index(np.packbits(query, axis=1))
    near, far = (
        index.nearest(np.packbits(emulator.draw(300, 0, query[0], spread), axis=1))[1].mean()
        for spread in (0.1, 1.0)
    )
    assert near > far


def test_what_is_retrieved_is_the_nearest(trained: Path, tmp_path: Path) -> None:
    emulator = KeyEmulator.load(trained)
    config = RetrieveConfig(out=tmp_path / "r.csv", count=20, workers=1)
    found = nearest_molecules(emulator, SMILES, config, None)
    assert len({place for place, _ in found}) == len(found) == 20
    drawn, bits = emulator.draw(20 * 20, 0).astype(float), keys_of_all(SMILES).astype(float)
    both = drawn[:1] @ bits.T
    alike = both / (drawn[:1].sum() + bits.sum(1) - both)
    assert found[0][0] == alike.argmax()


def test_the_command(trained: Path, tmp_path: Path) -> None:
    library, out = tmp_path / "mine.smi", tmp_path / "r.csv"
    library.write_text("".join(f"{text} m{k}\n" for k, text in enumerate(SMILES[:60])))
    config = RetrieveConfig(
        out=out, library=library, count=15, like=SMILES[0], model=trained, workers=1
    )
    assert run(config) == 0
    table = pd.read_csv(out)
    assert 0 < len(table) <= 15
    assert SMILES[0] not in set(table["smiles"])  # what is like it is another one
    assert table["match"].between(0, 1).all()
    assert set(table["name"]) <= {f"m{k}" for k in range(60)}
    assert (table["prototype"] == SMILES[0]).all()


def test_bad_input(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--spread: must lie in"):
        RetrieveConfig(out=tmp_path / "a.csv", spread=2.0)
    with pytest.raises(InputError, match="--like 'C1CC': is no molecule"):
        run(RetrieveConfig(out=tmp_path / "a.csv", like="C1CC", model=trained))
    with pytest.raises(InputError, match="draws no fingerprints"):
        KeyEmulator.load(Path(__file__).parents[3] / "apps/emulant_apps/molecules/pretrained")
