"""Drawing: the same strings whatever the workers and the count; the knob; the latent decides."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from emulant.errors import InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.similarity import similarity
from emulant_apps.molecules.codes import CodeReport, checks_of, report_codes
from emulant_apps.molecules.model import load_model
from emulant_apps.molecules.networks import Sizes
from emulant_apps.molecules.sample import CHUNK, Drawn, Emulator, Mode, is_molecule

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@cache
def emulator() -> Emulator:
    return Emulator.pretrained()


@cache
def drawn(masked: bool = False) -> Drawn:
    return emulator().sample(CHUNK, 3, Mode(masked=masked))


def test_fewer_strings_are_the_first_of_more() -> None:
    few = emulator().sample(40, 3)
    assert few.strings == drawn().strings[:40]
    assert few.log_likelihood.tolist() == drawn().log_likelihood[:40].tolist()
    assert emulator().sample(40, 4).strings != few.strings


def test_workers_change_nothing() -> None:
    alone = emulator().sample(2 * CHUNK, 3, workers=1)
    assert alone.strings == emulator().sample(2 * CHUNK, 3, workers=2).strings
    assert alone.strings[:CHUNK] == drawn().strings
    later = emulator().sample(CHUNK, 3, start=CHUNK)
    assert later.strings == alone.strings[CHUNK:]


def test_the_shipped_weights_draw_molecules() -> None:
    assert drawn().valid > 0.5
    assert drawn(masked=True).valid >= 0.99
    assert len(set(drawn().strings)) > 0.95 * CHUNK
    assert np.all(drawn().log_likelihood <= 0)


def test_the_knob_goes_further_away() -> None:
    near, far = (emulator().analogues([ASPIRIN], 200, 0, D) for D in (1.0, 3.0))

    def likeness(drawings: Drawn) -> float:
        kept = [text for text in drawings.strings if is_molecule(text)]
        return float(np.mean([similarity(text, ASPIRIN) for text in kept]))

    assert likeness(near) > likeness(far) + 0.05
    assert len(set(far.strings)) > len(set(near.strings))
    assert len(set(emulator().analogues([ASPIRIN], 20, 0, 0.0).strings)) == 1  # no chance left


def test_tokens_that_the_model_does_not_know_are_listed() -> None:
    with pytest.raises(InputError, match=r"tokens outside the vocabulary: \[C@@H\] \[O-\]"):
        emulator().analogues(["C[C@@H](N)C(=O)[O-]"], 5, 0)
    with pytest.raises(InputError, match="has 60 tokens, the most is"):
        emulator().reconstruct(["C" * 60])


def test_the_latent_decides() -> None:
    found = report_codes(emulator(), corpus.test_set()[:200], 0, pairs=150)
    assert found.kl > 10
    assert found.active > 0.5
    assert found.exact > 0.6
    assert found.same - found.other > 2 * np.hypot(found.same_error, found.other_error)
    verdicts = [check.verdict for check in checks_of(found)]
    assert verdicts[:3] == ["pass", "pass", "pass"]


def test_a_collapsed_model_fails() -> None:
    """What a decoder that ignores its latent shows: every check says so."""
    collapsed = CodeReport(500, 0.13, 0.01, 0.0, 0.0, 0.0, 0.14, 0.01, 0.14, 0.01)
    assert {check.verdict for check in checks_of(collapsed)} == {"fail"}


def test_an_untrained_decoder_collapses() -> None:
    """The same from a real network: codes of a decoder that was never taught say nothing."""
    from emulant_apps.molecules.model import Model, build

    sizes = emulator().model.sizes
    untaught = Emulator(Model(build(sizes, 1), None, sizes, None, "untaught"))
    found = report_codes(untaught, corpus.test_set()[:60], 0, pairs=60)
    assert "fail" in {check.verdict for check in checks_of(found)}
    assert found.exact == 0


def test_weights_are_small_and_say_what_they_are() -> None:
    folder = Path(__file__).parents[3] / "apps/emulant_apps/molecules/pretrained"
    assert (folder / "weights.safetensors").stat().st_size < 4_000_000
    model = load_model(folder)
    assert isinstance(model.sizes, Sizes)
    assert model.provenance is not None
    assert model.provenance.command == "molecules train"
    assert "model card" in (folder / "README.md").read_text().lower()


def test_weights_that_are_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory of weights"):
        Emulator.load(tmp_path / "none")
    with pytest.raises(InputError, match="no weights there"):
        Emulator.load(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="truncated, damaged, or no safetensors file"):
        Emulator.load(tmp_path)
