"""The smooth features of training are the hard statistics of the certificate, but for a slope."""

import numpy as np
import pytest
import torch

from emulant_apps.lensing.features import SHARP, boundaries, soft_peaks
from emulant_apps.lensing.field.extrema import is_peak
from emulant_apps.lensing.field.grid import Patch
from emulant_apps.lensing.field.minkowski import minkowski
from emulant_apps.lensing.field.random import RandomSky

LEVELS = (0.0, 1.0, 2.0)


@pytest.fixture(scope="module")
def maps():
    """Smooth lognormal maps in units of their scatter, (200, 64, 64)."""
    sky = RandomSky(Patch(64, 5.0), lambda ell: np.exp(-((ell / 700) ** 2)), torus=True)
    field = np.expm1(0.6 * sky.draw(200, np.random.default_rng(0)) / 100)
    field = (field - field.mean()) / field.std()
    return torch.from_numpy(field).float()


def test_soft_peaks_count_what_is_above_its_neighbours(maps):
    soft = soft_peaks(maps, LEVELS).numpy()
    peak, inner = is_peak(maps.numpy()), maps[:, 1:-1, 1:-1].numpy()
    hard = np.stack([(peak & (inner > level)).mean((1, 2)) for level in LEVELS], 1)
    for k in range(len(LEVELS)):
        assert np.corrcoef(soft[:, k], hard[:, k])[0, 1] > 0.8
    assert soft.mean(0) == pytest.approx(hard.mean(0), rel=0.25)


def test_boundaries_are_the_minkowski_functionals_under_a_bell(maps):
    """Thin bins of the hard functionals, weighted by the bell, are what the soft ones measure."""
    patch, fine = Patch(64, 5.0), np.linspace(-3.0, 6.0, 181)
    found = boundaries(maps, LEVELS).numpy().reshape(len(maps), len(LEVELS), 2).mean(0)
    hard = minkowski(patch, maps.numpy(), 1.0, fine, width=0.05).mean(0)
    near = 1 / (1 + np.exp(-SHARP * (fine - np.array(LEVELS)[:, None])))
    bell = 0.05 * SHARP * near * (1 - near)
    length = bell @ hard[1] * 4 * patch.arcmin
    bend = bell @ hard[2] * 2 * np.pi * patch.arcmin**2
    assert found[:, 0] == pytest.approx(length, rel=0.01)
    assert found[:, 1] == pytest.approx(bend, abs=0.15 * np.abs(bend).max())


def test_slopes_are_finite_even_on_a_flat_map():
    x = torch.zeros(2, 64, 64, requires_grad=True)
    (soft_peaks(x, LEVELS).sum() + boundaries(x, LEVELS).sum()).backward()
    assert bool(torch.isfinite(x.grad).all())
