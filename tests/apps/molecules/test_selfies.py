"""SELFIES: a vocabulary that takes and gives SMILES; a network that says nothing but molecules."""

from pathlib import Path

import numpy as np
import pytest

from emulant.errors import InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.config import TrainConfig
from emulant_apps.molecules.model import load_model
from emulant_apps.molecules.sample import Emulator, Mode
from emulant_apps.molecules.selfies_words import SelfiesVocabulary
from emulant_apps.molecules.train import train

pytest.importorskip("selfies")
STRINGS = corpus.test_set()[:150]


def test_smiles_go_in_and_come_out() -> None:
    words = SelfiesVocabulary.of(STRINGS)
    encoded = words.encode(STRINGS)
    assert encoded.unknown == ()
    assert words.decode(encoded.rows[:, 1:]) == list(STRINGS)
    assert all(word.startswith("[") for word in words.words)
    (unknown,) = words.encode(["C[Si](C)(C)C"]).unknown
    assert "[Si]" in unknown[1]


def test_any_row_of_tokens_is_a_molecule() -> None:
    words = SelfiesVocabulary.of(STRINGS)
    rng = np.random.default_rng(0)
    rows = rng.integers(3, words.size, size=(100, words.length))
    said = words.decode(rows)
    assert np.mean([bool(text) for text in said]) > 0.95  # empty where it begins with a branch


def test_a_network_of_selfies_draws_molecules(tmp_path: Path) -> None:
    data, out = tmp_path / "a.smi", tmp_path / "run"
    data.write_text("\n".join(STRINGS) + "\n")
    more = {"data": data, "rare": 1, "device": "cpu", "workers": 1}
    train(TrainConfig(out=out, strings="selfies", steps=8, **more))  # type: ignore[arg-type]  # mixed
    model = load_model(out)
    assert model.sizes.strings == "selfies"
    drawn = Emulator(model).sample(60, 0, Mode(temperature=1.0))
    assert drawn.valid > 0.9
    with pytest.raises(InputError, match="--strings: is for the VAE"):
        train(TrainConfig(out=tmp_path / "b", preset="char-rnn", strings="selfies", **more))  # type: ignore[arg-type]  # mixed
