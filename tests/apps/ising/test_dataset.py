"""The data set in the repository is the one its card describes, and is true."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np

from emulant_apps.ising.data import read_states
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.observables import measure

FOLDER = Path(__file__).parents[3] / "datasets" / "ising_wolff"


def test_the_sample_is_the_one_on_the_card() -> None:
    card = tomllib.loads((FOLDER / "card.toml").read_text())
    (listed,) = card["files"]
    data = (FOLDER / listed["path"]).read_bytes()
    assert len(data) == listed["bytes"]
    digest, name = (FOLDER / "SHA256SUMS").read_text().split()
    assert (hashlib.sha256(data).hexdigest(), listed["path"]) == (digest, name)


def test_the_sample_is_true() -> None:
    states = read_states(FOLDER / "sample.npz")
    assert states.spins.shape == (7, 200, 16, 16)
    for T, spins in zip(states.temperatures, states.spins, strict=True):
        u = measure(spins, T, tau=0.5).energy
        assert abs(u.value - kaufman(16, T).energy) < 5 * u.error
        assert np.unique(spins).tolist() == [-1, 1]
