"""Networks that are too small to be taught, for laws that hold of any network."""

from pathlib import Path

import pytest

from emulant.store import Provenance
from emulant_apps.molecules import corpus
from emulant_apps.molecules.char_rnn import CharModel, CharSizes, build_char, save_char
from emulant_apps.molecules.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def char_model() -> CharModel:
    """Return a char-RNN of sixteen units that was taught nothing."""
    sizes = CharSizes(Vocabulary.wide(corpus.test_set()[:400], 120).words, 120, width=16)
    return CharModel(build_char(sizes, 1).eval(), sizes, None, "untaught")


@pytest.fixture(scope="session")
def char_weights(char_model: CharModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of its weights."""
    directory = tmp_path_factory.mktemp("char")
    save_char(directory, char_model.rnn, char_model.sizes, Provenance("test", {}, 0))
    return directory
