"""The scatter of band powers: an exact case of its algebra, and fields whose scatter is known."""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from emulant.store import current
from emulant_apps.lensing.config import SimulateConfig
from emulant_apps.lensing.data import simulate
from emulant_apps.lensing.field.grid import Floats, Patch, default_bands
from emulant_apps.lensing.maps import Maps
from emulant_apps.lensing.model import Filter, Model, Sizes, build, load_model, save_model
from emulant_apps.lensing.sample import Emulator
from emulant_apps.lensing.scatter import (
    LEAST_BOXES,
    Scatter,
    _covariance,
    _transport,
    calibrated_scatter,
)
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.train import _drawing

SIZES = Sizes(width=8, blocks=1)
HERE = (0.3, 0.8)


def lognormal() -> Model:
    """Return an emulator that draws lognormal fields: its network was taught nothing."""
    return Model(build(SIZES, 0), SIZES, Filter.none(), 1.2, (HERE,), None, "x")


@cache
def gaussian(count: int, seed: int) -> Maps:
    """Return Gaussian maps, whose band powers scatter less and know nothing of each other."""
    config = SimulateConfig(
        out=Path("a.h5"), source="gaussian", omega_m=HERE[0], sigma8=HERE[1], boxes=1,
        maps=count, seed=seed, workers=1,
    )  # fmt: skip
    return simulate(config)


@cache
def calibrated() -> Scatter:
    found = calibrated_scatter(partial(_drawing, lognormal()), gaussian(2000, 0), 0)
    assert found is not None
    return found


def powers(maps: np.ndarray) -> Floats:
    patch = Patch(maps.shape[1], 5.0 * maps.shape[1] / 64)
    bands = default_bands(Patch(64, 5.0))
    if maps.shape[1] != 64:
        bands = type(bands)(patch, bands.edges)
    return bands.mean(patch.power(maps))


def test_the_transport_of_normal_laws_is_exact() -> None:
    rng = np.random.default_rng(0)
    ours, true = (np.cov(rng.normal(size=(4, 30)) * s) for s in (1.0, 3.0))
    found = _transport(ours, true)
    assert np.allclose(found, found.T)
    assert np.allclose(found @ ours @ found, true)
    assert np.allclose(_transport(true, true), np.eye(4))


def test_few_boxes_at_many_cosmologies_know_the_scatter_of_boxes() -> None:
    """Two boxes at each of 300 cosmologies: a mean of each would hide half of their variance."""
    rng = np.random.default_rng(1)
    boxes = rng.normal(scale=0.2, size=(300, 2, 1, 2)) + rng.normal(scale=0.1, size=(300, 2, 9, 2))
    found = _covariance(list(np.exp(boxes.reshape(300, 18, 2))))
    assert np.diag(found) == pytest.approx([0.05, 0.05], rel=0.15)


def test_lognormal_fields_get_the_scatter_of_gaussian_ones() -> None:
    plain, after = (
        powers(Emulator(replace(lognormal(), scatter=s)).sample(*HERE, 1600, seed=9).kappa)
        for s in (None, calibrated())
    )
    true = powers(gaussian(2000, 5).kappa)
    before, then, aim = (np.cov((p / p.mean(0)).T) for p in (plain, after, true))
    assert np.diag(before)[-1] > 3 * np.diag(aim)[-1]
    assert np.allclose(np.diag(then), np.diag(aim), rtol=0.25)  # the tail is not of a normal law
    tied, loose = (np.corrcoef(p.T)[-1, -3] for p in (plain, after))
    assert tied > 0.4
    assert abs(loose) < 0.1
    assert np.allclose(after.mean(0), plain.mean(0), rtol=0.01)


def test_a_larger_map_keeps_its_power_and_scatters_less() -> None:
    """Gains of a map of four times the area are half as large, and touch no large scale."""
    model = lognormal()
    both = [
        Emulator(replace(model, scatter=s)).sample(*HERE, 150, 128, seed=2).kappa
        for s in (None, calibrated())
    ]
    plain, after = map(powers, both)
    assert np.allclose(after.mean(0), plain.mean(0), rtol=0.01)
    assert np.var(np.log(after[:, -1])) < 0.6 * np.var(np.log(plain[:, -1]))
    assert float(np.std(both[0] - both[1]) / np.std(both[0])) < 0.05


@pytest.mark.parametrize(("size", "more"), [(32, {}), (65, {}), (64, {"periodic": True})])
def test_other_patches(size: int, more: dict[str, bool]) -> None:
    emulator = Emulator(replace(lognormal(), scatter=calibrated()))
    maps = emulator.sample(*HERE, 3, size, seed=1, **more).kappa  # type: ignore[arg-type]  # flags
    assert np.isfinite(maps).all()
    assert np.array_equal(
        maps[:2],
        emulator.sample(*HERE, 3, size, seed=1, **more).kappa[:2],  # type: ignore[arg-type]
    )


def test_gains_are_those_of_the_definition() -> None:
    patch, cosmology = Patch(64, 5.0), Cosmology(*HERE)
    maps = gaussian(5, 3).kappa.astype(np.float64)
    scatter = calibrated()
    gains = scatter.on(patch, cosmology)
    d = np.log(default_bands(patch).mean(patch.power(maps)) / gains.expected) - scatter.mean
    change = scatter.matrix - np.eye(len(scatter.mean))
    found = gains.of(np.fft.rfft2(maps))
    assert np.allclose(found, 0.5 * d @ change.T + scatter.shift)


def test_too_few_boxes_do_not_know_the_scatter() -> None:
    few = gaussian(2000, 0).pick(np.arange(LEAST_BOXES - 1))
    assert calibrated_scatter(partial(_drawing, lognormal()), few, 0) is None


def test_the_file_keeps_it(tmp_path: Path) -> None:
    model, scatter = lognormal(), calibrated()
    made = current("test", SIZES, 0)
    save_model(
        tmp_path, SIZES, model.network.state_dict(), model.filter, 1.2, (HERE,), made, scatter
    )
    again = load_model(tmp_path).scatter
    assert again is not None
    assert again.degrees == 5.0
    for name in ("edges", "centres", "mean", "matrix", "shift"):
        assert np.array_equal(getattr(again, name), getattr(scatter, name))
    save_model(tmp_path / "none", SIZES, model.network.state_dict(), model.filter, 1.2, (HERE,),
               made)  # fmt: skip
    assert load_model(tmp_path / "none").scatter is None
