"""Results in parts: whole or to be gone on with, read one at a time, and never another's."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emulant.errors import InputError
from emulant.store import Parts, Provenance, current, describe, each_part, is_parts, load_arrays
from emulant.store.arrays import save_arrays


def made(count: int = 3, seed: int = 0) -> Provenance:
    return current("some command", {"count": count}, seed)


def write(place: Path, value: int) -> None:
    save_arrays(place, {"x": np.full(2, value)})


def written(out: Path, stop: int | None = None) -> None:
    """Write three parts; with ``stop``, die before that one."""
    with Parts(out, ".npz", made()) as parts:
        for k in range(len(parts.listed), 3):
            if k == stop:
                raise KeyboardInterrupt
            last = int(parts.state["last"]) if parts.listed else -1
            assert last == k - 1  # the state is that of the part before
            parts.add(partial(write, value=k), 2, {"last": np.array(k)}, note=k)
        parts.finish(total="said")


def test_an_interrupted_work_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    written(whole)
    for stop in (0, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            written(torn, stop)
    (torn / "part-00002.npz").write_bytes(b"left by a kill between a part and its note")
    written(torn)
    names = sorted(file.name for file in whole.iterdir())
    assert names == ["_parts.json", *(f"part-0000{k}.npz" for k in range(3))]
    assert sorted(file.name for file in torn.iterdir()) == names
    for name in names:
        assert (torn / name).read_bytes() == (whole / name).read_bytes()
    values = [load_arrays(part).arrays["x"].tolist() for part in each_part(whole)]
    assert values == [[0, 0], [1, 1], [2, 2]]
    assert describe(whole)["count"] == 6
    assert is_parts(whole)
    assert not is_parts(tmp_path)


def test_a_kill_at_the_very_start_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "_begun.lock").touch()
    (out / "._begun.npz.partial-here-1-ab.npz").touch()
    written(out)
    assert describe(out)["count"] == 6


def test_what_is_not_one_s_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "begun", 1)
    with pytest.raises(InputError, match="holds another result, or the beginning of one"):
        Parts(tmp_path / "begun", ".npz", made(seed=1)).__enter__()
    with pytest.raises(InputError, match="is not complete; repeat the command"):
        list(each_part(tmp_path / "begun"))
    written(tmp_path / "done")
    before = {file.name: file.read_bytes() for file in (tmp_path / "done").iterdir()}
    written(tmp_path / "done")  # has nothing to do
    assert {file.name: file.read_bytes() for file in (tmp_path / "done").iterdir()} == before
    with pytest.raises(InputError, match="holds another result"):
        Parts(tmp_path / "done", ".npz", made(seed=1)).__enter__()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not empty"):
        Parts(tmp_path / "full", ".npz", made()).__enter__()
    with pytest.raises(InputError, match="is no directory of parts"):
        list(each_part(tmp_path / "full"))


def test_a_directory_named_as_a_file_is_a_slip(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"name one without '\.H5'"),
        Parts(tmp_path / "maps.H5", ".h5", made()),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_two_processes_do_not_write_one_directory(tmp_path: Path) -> None:
    with Parts(tmp_path / "out", ".npz", made()) as parts:
        parts.add(partial(write, value=0), 2)
        with pytest.raises(InputError, match="another process is at work"):
            Parts(tmp_path / "out", ".npz", made()).__enter__()


def test_a_changed_part_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    written(tmp_path / "out")
    spoilt = tmp_path / "out" / "part-00001.npz"
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
    each = each_part(tmp_path / "out")
    assert next(each).name == "part-00000.npz"
    with pytest.raises(InputError, match=r"part-00001\.npz: is damaged"):
        next(each)
    spoilt.unlink()
    with pytest.raises(InputError, match=r"part-00001\.npz: cannot read"):
        list(each_part(tmp_path / "out"))


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"parts": 3}', '{"parts": [{"name": "../x", "hash": "", "count": 1}]}']
)
def test_a_foreign_list_opens_no_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "_parts.json").write_text(text)
    with pytest.raises(InputError, match="is damaged, or no list of parts"):
        list(each_part(tmp_path))
