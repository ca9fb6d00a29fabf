"""The order of drawing: every spin once, and nothing looked at before it is drawn."""

import numpy as np
import pytest

from emulant_apps.ising.decimation import decimation
from emulant_apps.ising.hamiltonian import neighbours

SIDES = (8, 16, 32)


@pytest.mark.parametrize("lattice", SIDES)
def test_every_spin_is_drawn_once(lattice: int) -> None:
    order = decimation(lattice, 3)
    parts = [order.seed, *(s.sites for s in order.stages), order.screened, order.odd]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(lattice**2))


@pytest.mark.parametrize("lattice", SIDES)
def test_windows_hold_spins_that_are_known(lattice: int) -> None:
    order = decimation(lattice, 3)
    known = np.zeros(lattice**2, bool)
    known[order.seed] = True
    for stage in order.stages:
        assert known[stage.window].all(), stage.name
        assert stage.window.shape[1] == len(stage.sites)
        known[stage.sites] = True
    assert known[order.screening].all()
    known[order.screened] = True
    assert known[order.bath].all()


@pytest.mark.parametrize("lattice", SIDES)
def test_screened_spins_have_three_other_even_neighbours_at_each_of_four_odd_sites(
    lattice: int,
) -> None:
    order = decimation(lattice, 3)
    around = neighbours(lattice)
    for k, site in enumerate(order.screened):
        for odd, others in zip(around[site], order.screening[:, :, k], strict=True):
            assert {site, *others} == set(around[odd])


def test_a_stage_looks_at_the_same_pattern_at_every_side_and_site() -> None:
    def pattern(lattice: int) -> dict[str, np.ndarray]:
        found = {}
        for stage in decimation(lattice, 3).stages:
            shift = [
                (w // lattice - s // lattice) % lattice * lattice + (w - s) % lattice
                for s, w in zip(stage.sites, stage.window.T, strict=True)
            ]
            assert (np.array(shift) == shift[0]).all()
            down, right = np.divmod(stage.window[:, 0], lattice)
            row, column = divmod(stage.sites[0], lattice)
            half = lattice // 2
            wrapped = [(d + half) % lattice - half for d in (down - row, right - column)]
            found[stage.name] = np.stack(wrapped)
        return found

    large = pattern(64)
    for name, offsets in pattern(32).items():
        if int(name[:-2]) * 3 < 32:  # windows that do not wrap around the smaller lattice
            assert np.array_equal(offsets, large[name]), name


@pytest.mark.parametrize("lattice", [0, 4, 12, 20])
def test_other_sides_are_refused(lattice: int) -> None:
    with pytest.raises(ValueError, match="'lattice'"):
        decimation(lattice, 3)
