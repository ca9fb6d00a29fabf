"""Files of states: what is written is read back, and what is wrong is said in one line."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulant.errors import InputError
from emulant.store.provenance import current
from emulant_apps.ising.config import SimulateConfig
from emulant_apps.ising.data import (
    States,
    checked_states,
    read_states,
    simulate,
    simulate_states,
    write_states,
)


def some_states(seed=0, temperatures=(2.0, 2.5), count=3, lattice=4, weighted=False):
    rng = np.random.default_rng(seed)
    shape = (len(temperatures), count, lattice, lattice)
    return States(
        (2 * rng.integers(0, 2, shape) - 1).astype(np.int8),
        np.array(temperatures),
        rng.normal(size=shape[:2]) if weighted else None,
        current("test", {"field": 0.0}, seed),
        {"measured": [1.5, 2.5]},
    )


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32),
    temperatures=st.lists(st.floats(0.01, 1e3), min_size=1, max_size=4, unique=True),
    count=st.integers(1, 5),
    lattice=st.sampled_from([4, 6, 8]),
    weighted=st.booleans(),
)
def test_written_states_are_read_back(
    tmp_path, suffix, seed, temperatures, count, lattice, weighted
):
    states = some_states(seed, temperatures, count, lattice, weighted)
    file = tmp_path / f"states{suffix}"
    write_states(file, states, overwrite=True)
    found = read_states(file)
    np.testing.assert_array_equal(found.spins, states.spins)
    np.testing.assert_array_equal(found.temperatures, states.temperatures)
    assert found.spins.dtype == np.int8
    assert found.provenance == states.provenance
    assert found.notes == states.notes
    assert found.fingerprint == states.fingerprint
    if weighted:
        np.testing.assert_array_equal(found.log_weight, states.log_weight)
    else:
        assert found.log_weight is None


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_same_states_are_same_bytes(tmp_path, suffix):
    for name in ("a", "b"):
        write_states(tmp_path / f"{name}{suffix}", some_states(weighted=True))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_bare_array_takes_its_temperatures_from_beside(tmp_path):
    states = some_states(temperatures=(2.0,))
    np.save(tmp_path / "bare.npy", states.spins[0].astype(np.float32))
    found = read_states(tmp_path / "bare.npy", [2.0])
    np.testing.assert_array_equal(found.spins, states.spins)
    with pytest.raises(InputError, match=r"bare\.npy.*give --temperatures, 1"):
        read_states(tmp_path / "bare.npy")


def test_existing_file_and_foreign_suffix_are_refused(tmp_path):
    write_states(tmp_path / "states.npz", some_states())
    before = (tmp_path / "states.npz").read_bytes()
    with pytest.raises(InputError, match=r"states\.npz"):
        write_states(tmp_path / "states.npz", some_states(1))
    assert (tmp_path / "states.npz").read_bytes() == before
    with pytest.raises(InputError, match=r"states\.csv.*\.npz or \.h5"):
        write_states(tmp_path / "states.csv", some_states())
    assert [file.name for file in tmp_path.iterdir()] == ["states.npz"]


def spins(*shape, value=1):
    return np.full(shape, value, dtype=np.int8)


FAULTS = {
    "spins missing": ({"temperatures": [2.0]}, "field 'spins' is missing.*temperatures"),
    "temperatures missing": ({"spins": spins(1, 2, 4, 4), "T": [2.0]}, "'temperatures'.*T, spins"),
    "wrong rank": ({"spins": spins(4, 4), "temperatures": [2.0]}, r"'spins'.*\(T, n, L, L\)"),
    "rank 3, two T": ({"spins": spins(2, 4, 4), "temperatures": [2.0, 3.0]}, r"\(T, n, L, L\)"),
    "not square": ({"spins": spins(1, 2, 4, 6), "temperatures": [2.0]}, r"\(T, n, L, L\)"),
    "odd": ({"spins": spins(1, 2, 5, 5), "temperatures": [2.0]}, "'spins'.*even.*got 5"),
    "empty": ({"spins": spins(1, 0, 4, 4), "temperatures": [2.0]}, "'spins' holds no states"),
    "0/1": ({"spins": np.eye(4, dtype=int)[None], "temperatures": [2.0]}, "0/1.*2\\*s - 1"),
    "bool": ({"spins": np.eye(4, dtype=bool)[None], "temperatures": [2.0]}, "true/false"),
    "value": ({"spins": spins(1, 2, 4, 4, value=3), "temperatures": [2.0]}, "±1, got 3 at"),
    "nan": ({"spins": np.full((1, 1, 4, 4), np.nan), "temperatures": [2.0]}, "±1, got nan"),
    "text": ({"spins": np.full((1, 1, 4, 4), "+"), "temperatures": [2.0]}, "must be numbers"),
    "T is 0": ({"spins": spins(1, 2, 4, 4), "temperatures": [0.0]}, "'temperatures'.*above 0"),
    "T is nan": ({"spins": spins(1, 2, 4, 4), "temperatures": [np.nan]}, "'temperatures'.*finite"),
    "T twice": ({"spins": spins(2, 2, 4, 4), "temperatures": [2.0, 2.0]}, "more than once"),
    "T rows": ({"spins": spins(2, 2, 4, 4), "temperatures": [2.0]}, "2 rows and 'temperatures' 1"),
    "weight shape": (
        {"spins": spins(1, 2, 4, 4), "temperatures": [2.0], "log_weight": [[0.0]]},
        r"'log_weight' must have shape \(1, 2\)",
    ),
    "weight inf": (
        {"spins": spins(1, 1, 4, 4), "temperatures": [2.0], "log_weight": [[np.inf]]},
        "'log_weight' must be finite",
    ),
    "provenance": (
        {"spins": spins(1, 1, 4, 4), "temperatures": [2.0], "provenance": "nothing"},
        "provenance is not JSON",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_npz_fault_names_file_and_field(tmp_path, fault):
    fields, message = FAULTS[fault]
    np.savez(tmp_path / "given.npz", **fields)
    with pytest.raises(InputError, match=message) as caught:
        read_states(tmp_path / "given.npz")
    assert str(tmp_path / "given.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "text"])
def test_h5_fault_names_file_and_field(tmp_path, fault):
    fields, message = FAULTS[fault]
    with h5py.File(tmp_path / "given.h5", "w") as file:
        for name, values in fields.items():
            file[name] = values
    with pytest.raises(InputError, match=message) as caught:
        read_states(tmp_path / "given.h5")
    assert str(tmp_path / "given.h5") in str(caught.value)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".npy"])
@pytest.mark.parametrize("kind", ["missing", "foreign", "empty", "truncated", "directory"])
def test_unreadable_file_is_one_line(tmp_path, suffix, kind):
    file = tmp_path / f"given{suffix}"
    if kind == "foreign":
        file.write_bytes(b"temperature,energy\n2.0,-1.7\n" * 20)
    elif kind == "empty":
        file.touch()
    elif kind == "truncated":
        write = np.save if suffix == ".npy" else write_states
        write(file, some_states().spins if suffix == ".npy" else some_states())
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif kind == "directory":
        file.mkdir()
    with pytest.raises(InputError, match="given") as caught:
        read_states(file, [2.0, 2.5] if suffix == ".npy" else None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", range(5, 100, 10))
def test_archive_cut_anywhere_is_refused(tmp_path, cut):
    write_states(tmp_path / "given.npz", some_states(lattice=16, weighted=True))
    whole = (tmp_path / "given.npz").read_bytes()
    (tmp_path / "given.npz").write_bytes(whole[: len(whole) * cut // 100])
    with pytest.raises(InputError, match=r"given\.npz"):
        read_states(tmp_path / "given.npz")


def test_object_array_is_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "given.npz", spins=np.array([Path()], dtype=object), temperatures=[2.0])
    np.save(tmp_path / "given.npy", np.array([Path()], dtype=object), allow_pickle=True)
    for name in ("given.npz", "given.npy"):
        with pytest.raises(InputError, match=name):
            read_states(tmp_path / name, [2.0])


def test_temperatures_beside_a_file_that_has_them(tmp_path):
    write_states(tmp_path / "given.npz", some_states())
    assert read_states(tmp_path / "given.npz", [2.0, 2.5]).count == 3
    with pytest.raises(InputError, match="temperatures of its own"):
        read_states(tmp_path / "given.npz", [2.0, 2.6])


def test_one_temperature_may_leave_out_its_axis():
    found = checked_states("given", spins(3, 4, 4), 2.0)
    assert found.spins.shape == (1, 3, 4, 4)
    assert found.at(2.0).shape == (3, 4, 4)
    with pytest.raises(KeyError):
        found.at(2.1)


def test_the_field_is_what_the_provenance_says():
    made = checked_states("given", spins(1, 4, 4), 2.0, None, current("test", {"field": 0.5}, 0))
    assert made.field == 0.5
    assert checked_states("given", spins(1, 4, 4), 2.0).field == 0.0


def test_simulation_is_reproducible_and_each_temperature_stands_alone():
    both = simulate(lattice=4, temperatures=[2.0, 3.0], count=6, seed=5)
    again = simulate(lattice=4, temperatures=[3.0], count=6, seed=5)
    np.testing.assert_array_equal(both.at(3.0), again.at(3.0))
    assert not np.array_equal(both.at(2.0), both.at(3.0))
    other = simulate(lattice=4, temperatures=[3.0], count=6, seed=6)
    assert not np.array_equal(again.spins, other.spins)


def test_simulation_does_not_depend_on_the_workers():
    ask = {"out": Path("a.npz"), "lattice": 4, "temperatures": (2.0, 3.0), "count": 3}
    alone = simulate_states(SimulateConfig(**ask, workers=1))
    together = simulate_states(SimulateConfig(**ask, workers=2))
    np.testing.assert_array_equal(alone.spins, together.spins)
    assert alone.provenance == together.provenance
    assert alone.notes == together.notes
    assert all(tau > 0 for tau in alone.notes["tau_energy"])


@pytest.mark.parametrize("algorithm", ["wolff", "swendsen-wang", "heat-bath", "metropolis"])
def test_simulated_states_have_the_enumerated_energy(algorithm):
    # 4×4 at T = 2.6: u = -1.298807589477 by enumeration (and Kaufman), c = 0.7907797813837
    states = simulate(lattice=4, temperatures=[2.6], count=4000, algorithm=algorithm, seed=1)
    bonds = states.spins[0] * (np.roll(states.spins[0], 1, 1) + np.roll(states.spins[0], 1, 2))
    u = -bonds.sum(axis=(1, 2)) / 16
    error = np.sqrt(0.7907797813837 * 2.6**2 / 16 / len(u))
    assert abs(u.mean() - -1.298807589477) < 4.5 * error
