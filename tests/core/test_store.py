"""Files are whole or absent, the same bytes for the same content, and never trusted blindly."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emulant import store
from emulant.errors import InputError
from emulant.store import atomic

PROVENANCE = store.Provenance("ising simulate", {"lattice": 4}, 0, versions={"numpy": "2"})
ARRAYS = {
    "spins": np.array([[1, -1], [-1, 1]], dtype=np.int8),
    "temperatures": np.array([2.0, 2.5]),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 3)),
}
SUFFIXES = [".npz", ".h5", ".hdf5"]


def partials(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if ".partial-" in path.name]


def complaint(load: Callable[[], object], good: object = None) -> str:
    """The one line with which ``load`` refuses; empty where it gives ``good``, if given."""
    try:
        given = load()
    except InputError as error:
        message = str(error)
    else:
        message = "" if good is None or given == good else "DIFFERENT"
    return "TWO LINES" if "\n" in message else message


# --- atomic ---------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    store.write_text(target, "old")

    def stumble() -> None:
        with store.atomic_path(target) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half"):
        stumble()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_temporary_lies_beside_its_target_with_the_same_suffix(tmp_path: Path) -> None:
    with store.atomic_path(tmp_path / "a.npz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".npz"
        assert temporary.exists()


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    store.write_text(tmp_path / "a.txt", "x")
    store.save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)}, {})
    assert (tmp_path / "a.txt").stat().st_mode == plain.stat().st_mode
    assert (tmp_path / "a.safetensors").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("number", [28, 122, 30, 13])  # ENOSPC, EDQUOT, EROFS, EACCES
def test_failing_disks_are_one_line_naming_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    target = tmp_path / "a.json"
    store.write_json(target, {"good": True})

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(InputError, match=r"a\.json: cannot write: ") as caught:
        store.write_json(target, {"good": False})
    assert "\n" not in str(caught.value)
    assert store.read_json(target) == {"good": True}
    assert partials(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("suffix", [".npz", ".h5", ".npy", ".safetensors"])
def test_a_full_disk_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Every temporary file is a link to /dev/full."""

    def full(target: Path) -> str:
        name = f".{target.name}.partial{target.suffix}"
        (target.parent / name).symlink_to("/dev/full")
        return name

    monkeypatch.setattr(atomic, "_temporary_name", full)
    monkeypatch.setattr(atomic.os, "O_EXCL", 0)
    target = tmp_path / f"a{suffix}"

    def save() -> None:
        if suffix == ".safetensors":
            store.save_tensors(target, {"x": torch.ones(100_000)}, {})
        else:
            store.save_arrays(target, {"x": np.random.default_rng(0).random(100_000)})

    with pytest.raises(InputError, match=f"a{suffix}: cannot write: "):
        save()
    assert list(tmp_path.iterdir()) == []


def test_two_writers_never_mix(tmp_path: Path) -> None:
    target = tmp_path / "shared.npz"
    script = textwrap.dedent(
        """
        import sys, numpy as np
        from emulant import store
        for _ in range(30):
            store.save_arrays(sys.argv[1], {"x": np.full(5000, int(sys.argv[2]))})
        """
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, target, str(k)]) for k in (1, 2)]
    while any(writer.poll() is None for writer in writers):
        if target.exists():
            x = store.load_arrays(target).arrays["x"]
            assert x.min() == x.max()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_kill_leaves_the_old_file_and_the_next_writer_sweeps(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    store.write_text(target, "old")
    script = textwrap.dedent(
        """
        import os, signal, sys
        from emulant import store
        with store.atomic_path(sys.argv[1]) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = subprocess.run([sys.executable, "-c", script, target], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    assert len(partials(tmp_path)) == 1
    store.write_text(target, "new")
    assert target.read_text() == "new"
    assert partials(tmp_path) == []


def test_a_living_writers_file_is_not_swept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with store.atomic_path(target) as mine:
        store.write_text(target, "other")
        assert mine.exists()
        mine.write_text("mine")
    assert target.read_text() == "mine"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        store.write_text(tmp_path, "x")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        store.write_text(tmp_path / "f" / "a.txt", "x")
    with pytest.raises(InputError, match="cannot write"):
        store.new_file(tmp_path / "f" / "a.txt")
    with pytest.raises(InputError, match="is a file"):
        store.new_directory(tmp_path / "f")


def test_new_directory_refuses_a_full_one_unless_told(tmp_path: Path) -> None:
    made = store.new_directory(tmp_path / "a" / "b")
    assert made.is_dir()
    assert store.new_directory(made) == made
    (made / "x").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        store.new_directory(made)
    assert store.new_directory(made, overwrite=True) == made


def test_new_file_refuses_an_old_one_unless_told(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "a.npz"
    assert store.new_file(file) == file
    assert not file.parent.exists()
    store.write_text(file, "x")
    with pytest.raises(InputError, match="exists already"):
        store.new_file(file)
    assert store.new_file(file, overwrite=True) == file


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_directories_are_named_before_any_work(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    for refuse in (store.new_file, lambda path: store.write_text(path, "x")):
        with pytest.raises(InputError, match="cannot write"):
            refuse(locked / "a.txt")
    with pytest.raises(InputError, match="cannot write"):
        store.new_directory(locked)
    locked.chmod(0o700)


# --- arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    store.save_arrays(file, ARRAYS, PROVENANCE, {"extrapolated": [2.5]})
    stored = store.load_arrays(file)
    assert list(stored.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert stored.arrays[name].dtype == array.dtype
        assert stored.arrays[name].shape == array.shape
        np.testing.assert_array_equal(stored.arrays[name], array)
    assert stored.provenance == PROVENANCE
    assert stored.attributes == {"extrapolated": [2.5]}


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".npy"])
def test_the_same_arrays_give_the_same_bytes_whenever(tmp_path: Path, suffix: str) -> None:
    arrays = {"x": ARRAYS["spins"]} if suffix == ".npy" else ARRAYS
    script = textwrap.dedent(
        """
        import sys, time
        import numpy as np
        from emulant import store
        time.time = lambda: 2e9  # another day
        source = store.load_arrays(sys.argv[1])
        store.save_arrays(sys.argv[2], source.arrays, source.provenance)
        """
    )
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    store.save_arrays(first, arrays, None if suffix == ".npy" else PROVENANCE)
    subprocess.run([sys.executable, "-c", script, first, second], check=True)
    assert first.read_bytes() == second.read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    array=hnp.arrays(
        dtype=st.sampled_from([np.int8, np.int64, np.float32, np.float64, np.bool_, np.complex64]),
        shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    suffix=st.sampled_from(SUFFIXES),
    transpose=st.booleans(),
)
def test_any_array_survives(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, suffix: str, transpose: bool
) -> None:
    file = tmp_path_factory.mktemp("any") / f"a{suffix}"
    x = array.T if transpose else array
    store.save_arrays(file, {"x": x})
    back = store.load_arrays(file).arrays["x"]
    assert back.dtype == x.dtype
    np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".npy", ".safetensors"])
def test_every_truncation_is_named(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    load = _save_small(file)
    whole = file.read_bytes()
    for length in sorted({*range(0, len(whole), max(1, len(whole) // 200)), len(whole) - 1}):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"a{suffix}"):
            load()


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".safetensors"])
def test_a_flipped_bit_is_named_or_harmless(tmp_path: Path, suffix: str) -> None:
    """Not every byte of a container carries meaning; none that does may change unseen."""
    file = tmp_path / f"a{suffix}"
    load = _save_small(file)
    whole, good = file.read_bytes(), load()
    rng = np.random.default_rng(0)
    refused = 0
    for position in np.unique(rng.integers(0, len(whole), 400)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        message = complaint(load, good)
        assert not message or f"a{suffix}" in message, f"byte {position}: {message}"
        refused += bool(message)
    assert refused > 0


def _save_small(file: Path) -> Callable[[], object]:
    if file.suffix == ".safetensors":
        store.save_tensors(file, {"w": torch.arange(6.0).reshape(2, 3)}, {"steps": 3})
    elif file.suffix == ".npy":
        store.save_arrays(file, {"x": np.arange(6.0)})
    else:
        store.save_arrays(file, {"x": np.arange(6.0), "y": np.arange(3)}, PROVENANCE)

    def load() -> list[object]:
        if file.suffix == ".safetensors":
            tensors = store.load_tensors(file)
            return [{n: t.tolist() for n, t in tensors.tensors.items()}, tensors.metadata]
        arrays = store.load_arrays(file)
        return [{n: a.tolist() for n, a in arrays.arrays.items()}, arrays.provenance]

    return load


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=300),
    head=st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x89HDF\r\n\x1a\n"]),
    suffix=st.sampled_from([*SUFFIXES, ".npy", ".safetensors", ".json", ".txt", ""]),
)
def test_foreign_bytes_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes, suffix: str
) -> None:
    file = tmp_path_factory.mktemp("foreign") / f"a{suffix}"
    file.write_bytes(head + content)
    message = complaint(lambda: store.describe(file))
    assert not message or file.name in message


def test_missing_files_and_unknown_extensions_are_named(tmp_path: Path) -> None:
    for suffix in (*SUFFIXES, ".npy"):
        with pytest.raises(InputError, match="No such file"):
            store.load_arrays(tmp_path / f"a{suffix}")
        (tmp_path / f"d{suffix}").mkdir()
        with pytest.raises(InputError, match="is a directory"):
            store.load_arrays(tmp_path / f"d{suffix}")
    with pytest.raises(InputError, match="No such file"):
        store.load_tensors(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="No such file"):
        store.read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"unknown extension '\.mat'; use \.npz"):
        store.load_arrays(tmp_path / "a.mat")
    with pytest.raises(InputError, match="unknown extension"):
        store.save_arrays(tmp_path / "a", ARRAYS)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        store.load_arrays(file)
    np.save(tmp_path / "a.npy", np.array([None], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        store.load_arrays(tmp_path / "a.npy")


def test_users_own_files_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    np.save(tmp_path / "b.npy", np.asfortranarray(np.arange(6).reshape(2, 3)))
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["x"] = np.arange(3)
    assert store.load_arrays(tmp_path / "a.npz").arrays["x"].tolist() == [0, 1, 2]
    assert store.load_arrays(tmp_path / "b.npy").arrays["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
    stored = store.load_arrays(tmp_path / "c.h5")
    assert stored.arrays["x"].tolist() == [0, 1, 2]
    assert stored.provenance is None


def test_an_array_that_claims_the_world_is_refused_before_allocating(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    bare = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "a.npy").write_bytes(bare)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", bare)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", shape=(10**15,), dtype="f8", chunks=(1000,))
    for suffix in (".npy", ".npz", ".h5"):
        with pytest.raises(InputError, match=f"a{suffix}"):
            store.load_arrays(tmp_path / f"a{suffix}")


def test_links_out_of_an_h5_file_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.arange(3)
    (tmp_path / "raw").write_bytes(bytes(80))
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("x", (10,), "f8", external=[(str(tmp_path / "raw"), 0, 80)])
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group("x")
    for name in ("link.h5", "raw.h5", "group.h5"):
        with pytest.raises(InputError, match=f"{name}.*'x' is"):
            store.load_arrays(tmp_path / name)


def test_a_foreign_provenance_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), provenance=np.array("my cluster"))
    with pytest.raises(InputError, match=r"a\.npz: provenance is not JSON"):
        store.load_arrays(tmp_path / "a.npz")


# --- tensors --------------------------------------------------------------------------------


def test_tensors_come_back_verified_and_byte_for_byte(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    tensors = {
        "a": shared,
        "b": shared[::2],
        "half": torch.ones(3, dtype=torch.bfloat16),
        "scalar": torch.tensor(2),
        "none": torch.zeros(0, 3),
    }
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    content = store.save_tensors(first, tensors, {"step": 3, "sizes": (1, 2)})
    assert content == store.save_tensors(
        second, dict(reversed(tensors.items())), {"sizes": [1, 2], "step": 3}
    )
    assert first.read_bytes() == second.read_bytes()
    stored = store.load_tensors(first)
    assert stored.metadata == {"step": 3, "sizes": [1, 2]}
    assert stored.content == content
    for name, tensor in tensors.items():
        assert stored.tensors[name].dtype == tensor.dtype
        assert torch.equal(stored.tensors[name], tensor)


def test_foreign_safetensors_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tmp_path / "a.safetensors"
    save_file({"x": torch.ones(2)}, file)
    with pytest.raises(InputError, match="no Emulant record"):
        store.load_tensors(file)
    save_file({"x": torch.ones(2)}, file, {"emulant": '{"schema": 99, "metadata": {}}'})
    with pytest.raises(InputError, match="has schema 99, this version reads 1"):
        store.load_tensors(file)
    save_file(
        {"x": torch.ones(2)}, file, {"emulant": '{"schema": 1, "metadata": {}, "content": 1}'}
    )
    with pytest.raises(InputError, match="hash mismatch"):
        store.load_tensors(file)


# --- hashes, provenance, text ---------------------------------------------------------------


def test_an_array_and_its_tensor_have_one_hash() -> None:
    for array in ARRAYS.values():
        assert store.hash_arrays({"x": array}) == store.hash_arrays({"x": torch.from_numpy(array)})
    big = np.arange(4, dtype=">i4")
    assert store.hash_arrays({"x": big}) == store.hash_arrays({"x": big.astype("<i4")})
    square = np.arange(6).reshape(2, 3)
    assert store.hash_arrays({"x": square}) == store.hash_arrays({"x": np.asfortranarray(square)})


def test_hashes_see_names_types_shapes_and_values() -> None:
    variants = [
        {"x": np.zeros(4)},
        {"y": np.zeros(4)},
        {"x": np.zeros((2, 2))},
        {"x": np.zeros(4, dtype=np.float32)},
        {"x": np.zeros(8, dtype=np.float32)},
        {"x": np.ones(4)},
        {"x": np.zeros(2), "y": np.zeros(2)},
    ]
    assert len({store.hash_arrays(variant) for variant in variants}) == len(variants)


@dataclasses.dataclass(frozen=True)
class Config:
    lattice: int = 32
    temperatures: tuple[float, ...] = (2.0,)
    data: Path = Path("/home/someone/truth.npz")
    out: Path = Path("runs")
    resume: bool = False
    workers: int | None = None


def test_provenance_knows_neither_place_nor_workers() -> None:
    here = store.current("ising train", Config(out=Path("a"), workers=1), seed=1)
    there = store.current(
        "ising train", Config(data=Path("/other/truth.npz"), resume=True, workers=7), seed=1
    )
    assert here == there
    assert here.config == {"lattice": 32, "temperatures": [2.0], "data": "truth.npz"}
    assert here.code.startswith("sha256:")
    assert {"python", "emulant", "torch"} <= set(here.versions)
    assert store.Provenance.from_json(here.to_json()) == here


def test_json_is_sorted_strict_and_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    store.write_json(file, {"b": np.float64(1.5), "a": (1, None), "β": np.arange(2)})
    assert store.read_json(file) == {"a": [1, None], "b": 1.5, "β": [0, 1]}
    assert list(json.loads(file.read_text())) == ["a", "b", "β"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(file, {"x": float("nan")})
    for text, reason in [
        ('{"a": 1', "line 1"),
        ("[NaN]", "NaN is not a JSON number"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
    ]:
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            store.read_json(file)
    file.write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        store.read_json(file)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_info_says_what_a_file_is(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    store.save_arrays(file, ARRAYS, PROVENANCE)
    store.save_tensors(tmp_path / "model.safetensors", {"w": torch.ones(2, 3)}, {"step": 7})
    record = store.describe(file)
    assert record["arrays"]["spins"] == "int8 (2, 2)"
    assert record["provenance"]["command"] == "ising simulate"
    run = store.describe(tmp_path)
    assert set(run["files"]) == {file.name, "model.safetensors"}
    assert run["files"]["model.safetensors"]["numbers"] == 6
    assert run["files"]["model.safetensors"]["metadata"] == {"step": 7}


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("a.png", b"\x89PNG\r\n and so on IEND\xaeB`\x82"),
        ("a.parquet", b"PAR1 and so on PAR1"),
        ("a.fits", b"SIMPLE  =".ljust(2880)),
    ],
)
def test_info_knows_whole_files_of_other_kinds_by_their_bytes(
    tmp_path: Path, name: str, whole: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(whole)
    store.write_json(tmp_path / f"{name}.manifest.json", {"provenance": PROVENANCE})
    assert store.describe(file)["provenance"]["command"] == "ising simulate"
    for damaged in (whole[:-1], b"?" + whole[1:]):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="is truncated, damaged, or no"):
            store.describe(file)


def test_store_starts_without_torch() -> None:
    script = (
        "import sys, emulant.store, emulant.parallel, emulant.progress\n"
        "print('torch' in sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "False"


# --- weights --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Sizes:
    words: tuple[str, ...]
    width: int = 32


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"words": ["C", "N"]}, None),
        ({"words": ["C"], "depth": 3, "bias": True}, "w.safetensors: its record holds bias, depth"),
        ({"width": 8}, "w.safetensors: its record lacks sizes of the network"),
    ],
)
def test_sizes_of_another_version_are_refused(
    tmp_path: Path, sizes: dict[str, object], said: str | None
) -> None:
    file = tmp_path / "w.safetensors"
    store.save_tensors(file, {"x": torch.zeros(1)}, {"kind": "a net", "sizes": sizes})
    stored = store.load_weights(tmp_path, "ising", "a net", file.name)
    if said is None:
        assert store.sizes_of(Sizes, stored, file) == Sizes(("C", "N"))
    else:
        assert said in complaint(lambda: store.sizes_of(Sizes, stored, file))
