"""The data set in the repository is the one its card describes, and is convergence."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np

from emulant_apps.lensing.data import design, split
from emulant_apps.lensing.field.grid import default_bands
from emulant_apps.lensing.field.pixels import patch_power
from emulant_apps.lensing.files import read_maps
from emulant_apps.lensing.theory.convergence import Convergence

FOLDER = Path(__file__).parents[3] / "datasets" / "lensing_pm"


def test_the_sample_is_the_one_on_the_card() -> None:
    card = tomllib.loads((FOLDER / "card.toml").read_text())
    (listed,) = card["files"]
    data = (FOLDER / listed["path"]).read_bytes()
    assert len(data) == listed["bytes"]
    digest, name = (FOLDER / "SHA256SUMS").read_text().split()
    assert (hashlib.sha256(data).hexdigest(), listed["path"]) == (digest, name)


def test_the_sample_has_the_power_of_theory() -> None:
    """Mean over sixteen boxes, each at its own cosmology, within five errors and 3 %."""
    maps = read_maps(FOLDER / "sample.h5")
    bands = default_bands(maps.patch)
    ratios = []
    for number, cosmology in enumerate(design(16)):
        own = maps.kappa[maps.cosmology == number]
        assert len(own) == 6
        expected = bands.mean(patch_power(maps.patch, Convergence(cosmology).spectrum))
        ratios.append(bands.mean(maps.patch.power(own)).mean(0) / expected)
    mean, error = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1) / 4
    assert np.all(np.abs(mean - 1) < 5 * error + 0.03)
    assert np.all(error[4:] < 0.04)


def test_its_split_holds_cosmologies_out() -> None:
    maps = read_maps(FOLDER / "sample.h5")
    assert sorted(set(split(maps, "test").cosmology.tolist())) == [3, 6, 10, 13]
    assert len(split(maps, "train")) == 72
