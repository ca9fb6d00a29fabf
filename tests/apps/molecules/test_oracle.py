"""The metrics against MOSES's own package, frozen by ``benchmarks/molecules_oracle.py``."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from emulant_apps.molecules import corpus
from emulant_apps.molecules.metrics import (
    Described,
    _readable,
    chemnet_distance,
    describe,
    measure,
)

ORACLE: dict[str, Any] = json.loads(Path(__file__).with_name("moses_metrics.json").read_text())
TRAINING = frozenset([*corpus.test_set()[:500], *corpus.training_set()[:1000]])
HELD_OUT, TRUTH = corpus.test_set()[:2000], corpus.test_set()[2000:4000]


def strings_of(name: str) -> tuple[str, ...]:
    return HELD_OUT if name == "held out" else tuple(ORACLE["strings"][name])


@pytest.fixture(scope="module")
def truth() -> Described:
    return describe(TRUTH)


@pytest.mark.parametrize("name", ["held out", "flawed", "drugs alone"])
def test_our_metrics_are_those_of_moses(name: str, truth: Described) -> None:
    found = measure(describe(strings_of(name)), truth, TRAINING, fcd=False)
    assert found.wasserstein is not None
    for metric, theirs in ORACLE["metrics"][name].items():
        if metric != "fcd":
            ours = found.wasserstein.get(metric, getattr(found, metric, None))
            assert ours == pytest.approx(theirs, abs=1e-3), metric


@pytest.mark.slow  # the network reads 3,100 molecules
@pytest.mark.skipif(find_spec("fcd_torch") is None, reason="needs fcd_torch")
def test_our_chemnet_distance_is_that_of_moses() -> None:
    drawn = strings_of("drugs alone")
    theirs = ORACLE["metrics"]["drugs alone"]["fcd"]
    assert chemnet_distance(drawn, TRUTH) == pytest.approx(theirs, rel=1e-3)


def test_a_canonical_smiles_that_cannot_be_read_gives_way_to_what_was_drawn() -> None:
    """RDKit writes some molecules in a form that has no Kekulé structure when it is read again."""
    found = describe(["OCC", "C1CC", "CCN"])
    odd = dataclasses.replace(
        found.features[0], smiles="CCn1c(=O)[nH]c2c(c1=O)NC(=O)C(c1ccccc1)=CC=2"
    )
    described = Described(found.strings, found.valid, (odd, *found.features[1:]))
    assert _readable(described) == ["OCC", "CCN"]
