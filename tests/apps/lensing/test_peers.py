"""Power, peaks and Minkowski functionals against LensTools 1.2 and powerbox 1.0.

``peers.json`` holds what these codes say of three maps; ``benchmarks/lensing_peers.py`` makes both.
"""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from emulant_apps.lensing.field.extrema import is_peak
from emulant_apps.lensing.field.grid import Bands, Patch
from emulant_apps.lensing.field.minkowski import minkowski

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "benchmarks" / "lensing_peers.py"
PEERS = json.loads((HERE / "peers.json").read_text(encoding="utf-8"))


def _script():
    spec = importlib.util.spec_from_file_location("lensing_peers", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECIPE = _script()
MAPS = RECIPE.maps()
PATCH = Patch(RECIPE.PIXELS, RECIPE.DEGREES)
NU = np.array(PEERS["lenstools"][0]["thresholds"])


def wrapped(k):
    """A rim of one pixel from the other side: LensTools takes maps to be periodic."""
    return np.pad(MAPS[k : k + 1], ((0, 0), (1, 1), (1, 1)), "wrap")


@pytest.mark.parametrize("k", range(3))
def test_band_powers_are_those_of_powerbox(k):
    bands, theirs = Bands(PATCH, tuple(RECIPE.EDGES)), PEERS["powerbox"][k]
    assert np.allclose(bands.mean(PATCH.power(MAPS[k])), theirs["power"], rtol=1e-9)
    assert np.allclose(bands.centres, theirs["ell"], rtol=1e-9)


@pytest.mark.parametrize("k", range(3))
def test_powers_are_those_of_lenstools_which_counts_the_modes_of_half_a_plane(k):
    half = slice(0, PATCH.n // 2 + 1)
    power, ell = PATCH.power(MAPS[k])[:, half], PATCH.ell[:, half]
    edges = RECIPE.EDGES
    means = [power[(ell > a) & (ell <= b)].mean() for a, b in itertools.pairwise(edges)]
    assert np.allclose(means, PEERS["lenstools"][k]["power"], rtol=1e-6)


@pytest.mark.parametrize("k", range(3))
def test_peaks_are_those_of_lenstools(k):
    heights = MAPS[k][is_peak(wrapped(k))[0]] / RECIPE.SIGMA
    found = np.histogram(heights, RECIPE.PEAKS)[0]
    density = np.array(PEERS["lenstools"][k]["peaks"])  # per unit of κ
    assert found.sum() > 80
    assert found.tolist() == np.round(density * np.diff(RECIPE.PEAKS) * RECIPE.SIGMA).tolist()


@pytest.mark.parametrize("k", range(3))
def test_minkowski_functionals_are_those_of_lenstools(k):
    """V₂ but for second differences, which LensTools takes over twice the step: smaller ones."""
    around = Patch(PATCH.n + 2, PATCH.degrees * (PATCH.n + 2) / PATCH.n)
    width = float(np.diff(RECIPE.THRESHOLDS)[0])
    own = minkowski(around, wrapped(k), RECIPE.SIGMA, NU, width)[0]
    own *= PATCH.arcmin ** np.arange(3)[:, None]  # theirs are per pixel
    theirs = np.array(PEERS["lenstools"][k]["minkowski"])
    assert np.allclose(own[:2], theirs[:2], rtol=1e-6)
    assert np.corrcoef(own[2], theirs[2])[0, 1] > 0.99
    large = np.abs(theirs[2]) > 0.3 * np.abs(theirs[2]).max()
    ratio = own[2][large] / theirs[2][large]
    assert np.all((ratio > 1.0) & (ratio < 1.5))
