"""Data sets: which cosmologies, who sees which box, and no box computed twice."""

from pathlib import Path

import numpy as np
import pytest

from emulant.errors import InputError
from emulant_apps.lensing.config import SimulateConfig
from emulant_apps.lensing.data import RANGE, design, part_of, simulate, split
from emulant_apps.lensing.maps import Maps


def config(**changes):
    settings = {"out": Path("x.h5"), "resolution": "tiny", "cosmologies": 2, "boxes": 2, "maps": 2,
                "size": 16, "workers": 1}  # fmt: skip
    return SimulateConfig(**{**settings, **changes})


def test_the_design_is_nested_and_fills_its_range():
    many = design(32)
    assert many[:5] == design(5)
    assert len({(c.omega_m, c.sigma8) for c in many}) == 32
    for name, (low, high) in zip(("omega_m", "s8"), RANGE, strict=True):
        values = np.sort([getattr(c, name) for c in many])
        assert low < values[0]
        assert values[-1] < high
        assert np.diff(values).max() < 0.1 * (high - low)


def test_the_split_is_by_cosmology_and_by_box():
    maps = simulate(config(source="lognormal", cosmologies=7, boxes=3, maps=1))
    parts = {name: split(maps, name) for name in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == len(maps)
    units = [set(part.box.tolist()) for part in parts.values()]
    assert sum(map(len, units)) == len(set.union(*units))
    trained = set(parts["train"].cosmology.tolist())
    assert not trained & set(parts["test"].cosmology.tolist())
    assert {part_of(3, b) for b in range(9)} == {"test"}
    with pytest.raises(InputError, match="simulate"):
        split(Maps(maps.kappa, 5.0), "train")


def test_every_map_knows_its_box_and_cosmology():
    maps = simulate(config())
    assert maps.box.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert maps.cosmology.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    first, second = design(2)
    assert maps.omega_m[[0, 2]].tolist() == [first.omega_m, second.omega_m]
    assert not np.array_equal(maps.kappa[0], maps.kappa[4])


def test_more_of_anything_keeps_what_was_there():
    small, large = simulate(config(boxes=1)), simulate(config(boxes=2))
    assert np.array_equal(small.kappa, large.kappa[:4])
    own = simulate(config(cosmologies=1, boxes=1))
    assert np.array_equal(own.kappa, small.kappa[:2])


def test_finished_boxes_are_not_computed_again(tmp_path):
    first = simulate(config(), tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    files[1].unlink()
    stamps = {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    again = simulate(config(), tmp_path)
    assert np.array_equal(first.kappa, again.kappa)
    assert {f: f.stat().st_mtime_ns for f in stamps} == stamps
    other = simulate(config(seed=1), tmp_path)
    assert not np.array_equal(first.kappa, other.kappa)


def test_the_number_of_workers_does_not_matter():
    one, two = (simulate(config(workers=k)) for k in (1, 2))
    assert np.array_equal(one.kappa, two.kappa)
