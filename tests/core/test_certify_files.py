"""Files of every kind through the command line: conditions, units, weights, and bad ones."""

import csv
import json
import re

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emulant.certify.inputs import as_numbers, read_samples
from emulant.certify.tables import read_table, write_table
from emulant.cli import main
from emulant.errors import BAD_INPUT, InputError

MINE = """
import numpy as np
from emulant.certify import Statistic, Tolerance

def boom(x):
    raise RuntimeError("boom")

def longer(x):
    return np.zeros(len(np.unique(x)) % 5 + 1)

def nan(x):
    return np.nan

def raises():
    raise KeyError("no")

short = Statistic("short", lambda x: x[:5])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    here = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    own, true = rng.normal(size=(2, 600, 3))
    for name, x, unit in (("g", own, "Mpc"), ("t", true, "kpc")):
        np.save(here / f"{name}.npy", x)
        np.savez(here / f"{name}.npz", x=x)
        with h5py.File(here / f"{name}.h5", "w") as opened:
            opened["x"] = x
            opened["x"].attrs["units"] = unit
        columns = {"a": x[:, 0], "b": x[:, 1], "chain": np.arange(600) // 10}
        columns["site"] = np.where(np.arange(600) % 20 < 10, "east", "west")
        write_table(here / f"{name}.csv", columns)
        write_table(here / f"{name}.parquet", columns)
        field = pa.field("a", pa.float64(), metadata={"unit": unit})
        table = pa.table({"a": pa.array(x[:, 0])}, schema=pa.schema([field]))
        pq.write_table(table, here / f"{name}_unit.parquet")
    constant = own.copy()
    constant[:, 1] = 5.0
    np.save(here / "constant.npy", constant)
    np.save(here / "constant_too.npy", constant[::-1])
    holes = own.copy()
    holes[7, 2] = np.nan
    np.save(here / "holes.npy", holes)
    np.save(here / "one.npy", own[:1])
    np.save(here / "empty.npy", own[:0])
    np.save(here / "complex.npy", own + 1j)
    np.save(here / "large.npy", 1000 * own)
    np.savez(here / "one_group.npz", x=own, groups=np.zeros(600))
    np.savez(here / "weights.npz", x=own, log_weight=np.full(600, np.nan))
    np.save(here / "objects.npy", np.array([{"a": 1}, 2], dtype=object), allow_pickle=True)
    np.savez(here / "objects.npz", x=np.array([{"a": 1}, 2], dtype=object))
    for kind in ("npy", "npz", "h5", "parquet"):
        whole = (here / f"g.{kind}").read_bytes()
        (here / f"cut.{kind}").write_bytes(whole[: len(whole) * 2 // 3])
        (here / f"text.{kind}").write_text("hello", encoding="utf-8")
    (here / "bytes.csv").write_bytes(bytes(range(256)))
    (here / "ragged.csv").write_text("a,b\n1,2\n3\n", encoding="utf-8")
    (here / "head.csv").write_text("a,b\n", encoding="utf-8")
    (here / "words.txt").write_text("hello", encoding="utf-8")
    pq.write_table(pa.table({"a": [[1, 2], [3, 4]]}), here / "nested.parquet")
    (here / "mine.py").write_text(MINE, encoding="utf-8")
    return here


def certified(folder, tmp_path, monkeypatch, line):
    """Run ``emulant certify`` in the folder and return its status and certificate."""
    monkeypatch.chdir(folder)
    out = tmp_path / "out"
    status = main(["certify", *line.split(), "--out", str(out), "--quick", "--workers", "1"])
    written = out / "certificate.json"
    return status, json.loads(written.read_text("utf-8")) if written.exists() else None


BAD = {
    "g.h5 t.h5": "g.h5 and t.h5: samples in Mpc and in kpc",
    "g_unit.parquet t_unit.parquet": "column 'a' in Mpc and in kpc",
    "constant.npy constant_too.npy": "constant_too.npy: case constant, statistic mean, bin column",
    "holes.npy t.npy": "holes.npy: NaN, infinity or an empty cell in 1 of 600 samples, first in",
    "one.npy t.npy": "one.npy against t.npy: case one, samples: needs at least 2 independent",
    "g.npy one.npy": "one.npy: case g, truth: needs at least 2 independent units, got 1",
    "one_group.npz t.npz": "one_group.npz against t.npz: .* 2 independent units, got 1",
    "empty.npy t.npy": r"empty.npy: 'array' is empty, of shape \(0, 3\)",
    "head.csv head.csv": "head.csv: is empty",
    "complex.npy t.npy": "complex.npy: 'array' must be an array of numbers, got complex128",
    "weights.npz t.npz": "weights.npz against t.npz: .*log_weight holds NaN",
    "g.npy t.npy --training t.npy": "100.0 % of truth is in the training set",
    "objects.npy t.npy": "objects.npy: .*Python objects are not read",
    "objects.npz t.npz": "objects.npz: .*Python objects are not read",
    "cut.npy t.npy": "cut.npy: is truncated",
    "cut.npz t.npz": "cut.npz: is truncated",
    "cut.h5 t.h5": "cut.h5: is truncated",
    "cut.parquet t.parquet": "cut.parquet: cannot be read as a .parquet table",
    "text.npy t.npy": "text.npy: is truncated, damaged, or no .npy file",
    "text.npz t.npz": "text.npz: is truncated, damaged, or no .npz file",
    "text.h5 t.h5": "text.h5: is truncated, damaged, or no .h5 file",
    "text.parquet t.parquet": "text.parquet: cannot be read as a .parquet table",
    "nested.parquet t.parquet": "nested.parquet: column 'a' holds list",
    "bytes.csv t.csv": "bytes.csv: is not a table",
    "ragged.csv t.csv": "ragged.csv: row 3 has 1 fields, expected 2",
    "words.txt t.npy": "words.txt: unknown extension '.txt'",
    "g.npy t.npy --statistics mine.py:boom": "statistic boom, samples: raised RuntimeError: boom",
    "g.npy t.npy --statistics mine.py:longer": "statistic longer, samples: gives a vector of shape",
    "g.npy t.npy --statistics mine.py:nan": "statistic nan, samples: the statistic is NaN",
    "g.npy t.npy --statistics mine.py:raises": "--statistics mine.py:raises: raised KeyError",
    "g.npy t.npy --statistics mine.py:short": r"statistic short, samples: features must .*\(5, 3\)",
    "g.npy t.npy --statistics isng": "no application of this name; did you mean 'ising'",
    "g.npy t.npy --statistics ising": r"needs spins of \+1 and -1",
    "g.csv t.csv --groups who": "g.csv: has no column 'who'; it holds a, b, chain, site",
    "g.npz t.npz --by T": "g.npz: has no array 'T'; it holds x",
    "g.csv t.csv --by chain --groups chain": "--by and --groups: both name 'chain'",
    "g.npz t.npz --resample kept.npz": "g.npz holds no log_weight; add --correct",
    "g.npz t.npz --correct --resample kept.csv": "kept.csv: the samples of g.npz need .npz",
    "g.npz t.npz --correct --resample kept.txt": "kept.txt: unknown extension",
    "large.npy t.npy --correct --resample kept.npy": "effective 0.. % of the samples, below 10 %",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_exit_2_and_leaves_nothing(
    folder, tmp_path, monkeypatch, capsys, line
):
    before = sorted(folder.iterdir())
    status, record = certified(folder, tmp_path, monkeypatch, line)
    said = capsys.readouterr().err
    assert status == BAD_INPUT
    assert record is None
    assert said.count("\n") == 1
    assert re.search(BAD[line], said)
    assert not (tmp_path / "out").exists()
    assert [p for p in sorted(folder.iterdir()) if p.name != "__pycache__"] == [
        p for p in before if p.name != "__pycache__"
    ]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_has_groups_and_conditions(folder, tmp_path, monkeypatch, kind):
    line = f"g.{kind} t.{kind} --groups chain --by site"
    _, record = certified(folder, tmp_path, monkeypatch, line)
    assert [c["label"] for c in record["cases"]] == ["site = east", "site = west"]
    assert [c["context"] for c in record["cases"]] == [{"site": "east"}, {"site": "west"}]
    assert {c["units"] for c in record["cases"]} == {30}
    bins = record["cases"][0]["statistics"][0]["bins"]
    assert [b["label"] for b in bins] == ["a", "b"]


def test_csv_and_parquet_hold_the_same(folder):
    one, two = (read_table(folder / f"g.{kind}")[0] for kind in ("csv", "parquet"))
    assert list(one) == list(two)
    for name in one:
        assert np.array_equal(one[name], two[name])


def spins(path, rng, hot, conditions=(2.0, 3.0)):
    made = np.where(rng.random((2, 400, 8, 8)) < 0.5 + hot, 1, -1).astype(np.int8)
    np.savez(path, spins=made, temperatures=np.array(conditions))


def test_an_axis_of_conditions_makes_cases_with_an_applications_statistics(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    for name, hot in (("s", 0.05), ("t", 0.0)):
        spins(tmp_path / f"{name}.npz", rng, hot)
    line = "s.npz t.npz --by temperatures --statistics ising"
    status, record = certified(tmp_path, tmp_path, monkeypatch, line)
    assert status == 1
    assert [c["label"] for c in record["cases"]] == ["temperatures = 2", "temperatures = 3"]
    names = [s["name"] for s in record["cases"][0]["statistics"]]
    assert names == ["u", "c T²", "|m|", "χ T", "U4", "G(r)", "S(k)", "ξ"]
    assert record["cases"][0]["samples"] == 400
    verdicts = {s["name"]: s["verdict"] for s in record["cases"][0]["statistics"]}
    assert verdicts["|m|"] == "fail"
    spins(tmp_path / "other.npz", rng, 0.0, (2.0, 4.0))
    line = "s.npz other.npz --by temperatures"
    status, _ = certified(tmp_path, tmp_path / "again", monkeypatch, line)
    assert status == BAD_INPUT


def test_conditions_that_truth_lacks_are_named(tmp_path):
    from emulant.certify.cases import cases_of

    rng = np.random.default_rng(2)
    spins(tmp_path / "s.npz", rng, 0.0)
    spins(tmp_path / "t.npz", rng, 0.0, (2.0, 4.0))
    files = [read_samples(tmp_path / f"{n}.npz", by="temperatures") for n in "st"]
    with pytest.raises(InputError, match=r"s.npz: holds no sample of temperatures = 4"):
        cases_of(files, as_numbers(files)[0], "temperatures")


def test_a_training_set_goes_with_its_condition(tmp_path):
    from emulant.certify.cases import cases_of

    rng = np.random.default_rng(3)
    for name in "st":
        spins(tmp_path / f"{name}.npz", rng, 0.0)
    np.savez(tmp_path / "few.npz", spins=np.ones((1, 50, 8, 8), np.int8), temperatures=[2.0])
    files = [read_samples(tmp_path / f"{n}.npz", by="temperatures") for n in ("s", "t", "few")]
    first, second = cases_of(files, as_numbers(files)[0], "temperatures")
    assert len(first.training) == 50
    assert len(second.training) == 50  # none at this condition: all of it
    assert first.context == {"temperatures": 2.0}
    assert np.array_equal(first.truth, np.load(tmp_path / "t.npz")["spins"][0])


def test_weights_of_the_file_make_survivors_of_its_own_kind(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(4000, 1)), rng.normal(0.5, 1.0, size=(4000, 1))
    np.savez(tmp_path / "s.npz", samples=x, log_weight=0.5 * x[:, 0])
    np.savez(tmp_path / "t.npz", samples=y)
    status, record = certified(
        tmp_path, tmp_path, monkeypatch, "s.npz t.npz --resample kept/kept.h5"
    )
    assert status == 1
    assert record["cases"][0]["reweighting"] == "used"
    with h5py.File(tmp_path / "kept" / "kept.h5") as opened:
        kept, index = opened["samples"][()], opened["index"][()]
    assert np.array_equal(x[index], kept)
    accept = np.exp(0.5 * (x[:, 0] - x.max()))
    assert len(kept) == pytest.approx(accept.sum(), abs=5 * np.sqrt(accept.sum()))
    assert kept.mean() == pytest.approx(0.5, abs=4 / np.sqrt(len(kept)))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_survivors_of_a_table_keep_its_columns(tmp_path, monkeypatch, kind):
    rng = np.random.default_rng(5)
    for name, shift in (("s", 0.0), ("t", 0.4)):
        site = np.repeat(["east", "west"], 300)
        x = {"a": rng.normal(size=600) + shift, "kind": rng.choice(["cat", "dog"], 600)}
        write_table(tmp_path / f"{name}.{kind}", x | {"site": site})
    line = f"s.{kind} t.{kind} --by site --correct --resample kept.{kind}"
    certified(tmp_path, tmp_path, monkeypatch, line)
    kept, original = (read_table(tmp_path / f"{n}.{kind}")[0] for n in ("kept", "s"))
    assert list(kept) == ["a", "kind", "site"]
    assert set(kept["site"]) == {"east", "west"}
    assert np.isin(kept["a"], original["a"]).all()
    assert 50 < len(kept["a"]) < 600
    assert kept["a"].mean() > original["a"].mean() + 0.1


def test_another_unit_is_suspected_aloud(folder, tmp_path, monkeypatch, capsys):
    status, record = certified(folder, tmp_path, monkeypatch, "large.npy t.npy")
    assert status == 1
    assert "Are both in the same unit?" in record["notes"][0]
    assert "Are both in the same unit?" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_bytes_whatever_the_workers(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    pages = set()
    for workers in (1, 3):
        out = tmp_path / str(workers) / "out"
        line = f"certify g.csv t.csv --by site --out {out} --workers {workers} --tolerance 0.5"
        main(line.split())
        pages.add(tuple((out / name).read_bytes() for name in ("certificate.json", "index.html")))
    assert len(pages) == 1


TEXTS = """
import numpy as np
from emulant.certify import Statistic, Tolerance

def sizes(texts):
    return np.array([[len(t), t.count("C")] for t in texts], dtype=float)

statistics = [Statistic("size", sizes, labels=("letters", "carbons"), tolerance=Tolerance(0.5))]
"""


def test_a_column_of_texts_is_judged_by_statistics_that_read_it(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)

    def molecules(n, longest):
        return np.array(["C" * 3 + "".join(rng.choice(list("CNO"), 4 + k % longest)) + f"[{k}]"
                         for k in rng.integers(10**6, size=n)])  # fmt: skip

    texts = {name: molecules(500, 9) for name in ("own", "true", "training")}
    texts["own"][:100] = texts["training"][:100]
    for name, values in texts.items():
        write_table(tmp_path / f"{name}.csv", {"smiles": values})
    (tmp_path / "texts.py").write_text(TEXTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    line = "own.csv true.csv --training training.csv --statistics texts.py:statistics"
    main(["certify", *line.split(), "--out", "out", "--workers", "1"])
    case = json.loads((tmp_path / "out" / "certificate.json").read_text("utf-8"))["cases"][0]
    assert [b["label"] for b in case["statistics"][0]["bins"]] == ["letters", "carbons"]
    verdicts = {d["name"]: d["verdict"] for d in case["distances"]}
    assert verdicts["near copies of training"] == "fail"
    assert verdicts["classifier"] != "fail"
    assert "network" not in verdicts
    status, _ = certified(tmp_path, tmp_path / "plain", monkeypatch, "own.csv true.csv")
    assert status == BAD_INPUT  # nothing reads texts by default


def test_what_is_written_as_csv_is_read_by_others(tmp_path):
    write_table(tmp_path / "a.csv", {"x": np.array([0.1, 2.0]), "y": np.array(["a, b", 'c "d"'])})
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as opened:
        assert list(csv.reader(opened)) == [["x", "y"], ["0.1", "a, b"], ["2.0", 'c "d"']]
