"""The commands, in process: what they leave behind, what they say, and how they refuse."""

import json

import numpy as np
import pytest

from emulant.cli import main
from emulant.store import current
from emulant_apps.ising.data import read_states
from emulant_apps.ising.model import Sizes, build, save_model

T = ["--temperatures", "2.0", "3.0"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The directory of an untrained emulator of 8×8."""
    directory = tmp_path_factory.mktemp("model")
    sizes = Sizes("hierarchical", (8,), width=4, seed_width=4, embedded=4)
    made = current("test", {}, 0)
    save_model(directory, sizes, build(sizes).state_dict(), (1.5, 2.5), made)
    return str(directory)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    file = tmp_path_factory.mktemp("truth") / "truth.npz"
    flags = ["--lattice", "8", *T, "--count", "300", "--out", str(file), "--workers", "1"]
    assert main(["ising", "simulate", *flags]) == 0
    return str(file)


def refused(capsys, *argv):
    """Run a command that must be refused; return its one line."""
    assert main(["ising", *argv]) == 2
    said = capsys.readouterr()
    line = said.err.strip().splitlines()[-1]
    assert said.out == ""
    assert line.startswith("emulant: error: ")
    return line


def test_simulate_writes_what_it_prints(truth, capsys):
    states = read_states(truth)
    assert states.spins.shape == (2, 300, 8, 8)
    assert states.provenance.command == "ising simulate"
    assert states.provenance.config["temperatures"] == [2.0, 3.0]
    assert main(["info", truth]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["seed"] == 0


def test_raw_states_carry_weights_and_finished_ones_do_not(tmp_path, model, capsys):
    ask = ["--lattice", "8", *T, "--count", "50", "--model", model, "--workers", "1"]
    for sweeps in ("0", "3"):
        out = str(tmp_path / f"{sweeps}.h5")
        assert main(["ising", "sample", *ask, "--sweeps", sweeps, "--out", out]) == 0
    said = capsys.readouterr()
    assert "ln Z" in said.out
    assert "warning" in said.err
    assert "extrapolated to T = 3" in said.err
    raw, finished = read_states(tmp_path / "0.h5"), read_states(tmp_path / "3.h5")
    assert raw.log_weight.shape == (2, 50)
    assert finished.log_weight is None
    assert raw.notes["extrapolated"] == [3.0]
    assert raw.provenance.weights.startswith("sha256:")


def test_same_seed_same_bytes(tmp_path, model):
    ask = ["--lattice", "8", *T, "--count", "20", "--model", model, "--seed", "4"]
    for name in ("a", "b"):
        main(["ising", "sample", *ask, "--out", str(tmp_path / f"{name}.npz")])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_validate_writes_a_certificate_and_a_page(tmp_path, truth, model, capsys):
    states = str(tmp_path / "states.npz")
    ask = ["--lattice", "8", *T, "--count", "200", "--model", model, "--sweeps", "0"]
    main(["ising", "sample", *ask, "--out", states])
    report = tmp_path / "report"
    status = main(["ising", "validate", states, "--truth", truth, "--out", str(report)])
    assert status == 1  # untrained
    assert "FAIL, EXTRAPOLATED" in capsys.readouterr().out
    found = json.loads((report / "certificate.json").read_text())
    assert found["verdict"] == "fail"
    assert found["cases"][1]["extrapolated"] is True
    page = (report / "index.html").read_text()
    assert page.count("<svg") > 8
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_bare_spins_of_a_person_are_validated(tmp_path, truth):
    np.save(tmp_path / "mine.npy", read_states(truth).spins.astype(float))
    flags = [str(tmp_path / "mine.npy"), *T, "--reference", "0", "--out", str(tmp_path / "report")]
    status = main(["ising", "validate", *flags])
    verdict = json.loads((tmp_path / "report" / "certificate.json").read_text())["verdict"]
    assert status == {"pass": 0, "fail": 1, "underpowered": 3}[verdict]


def test_exact_prints_kaufman(capsys, tmp_path):
    out = str(tmp_path / "exact.json")
    assert main(["ising", "exact", "--temperatures", "2.0", "2.269185314213022", "--out", out]) == 0
    said = capsys.readouterr().out
    assert "-1.74556452703" in said
    assert "-1.43365846615" in said
    record = json.loads((tmp_path / "exact.json").read_text())
    assert record["results"][1]["infinite"]["heat_capacity"] is None


def test_bench_writes_its_table(tmp_path, model, capsys):
    page = str(tmp_path / "page.md")
    flags = ["--lattice", "8", "--temperatures", "2.4", "--seconds", "0.01", "--count", "200"]
    assert main(["ising", "bench", *flags, "--model", model, "--markdown", page]) == 0
    assert "emulator, raw" in capsys.readouterr().out
    assert (tmp_path / "page.md").read_text().startswith("| L | T | sampler |")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["simulate", "--lattice", "7"], "--lattice"),
        (["simulate", "--temperatures", "0"], "--temperatures"),
        (["simulate", "--temperatures", "2.0", "-1"], "--temperatures"),
        (["simulate", "--temperatures", "two"], "two"),
        (["simulate", "--count", "0"], "--count"),
        (["simulate", "--algorithm", "wolf"], "wolf"),
        (["simulate", "--field", "0.5"], "--field"),
        (["sample", "--lattice", "10"], "this model draws 8"),
        (["sample", "--temperatures", "-2"], "--temperatures"),
        (["sample", "--sweeps", "-1"], "--sweeps"),
        (["sample", "--lattice", "8", "--sweeps", "0", "--field", "1"], "--field"),
        (["sample", "--model", "nowhere"], "nowhere"),
        (["sample", "--colour", "red"], "--colour"),
    ],
)
def test_impossible_request_leaves_nothing(tmp_path, capsys, model, flags, word):
    out = tmp_path / "made.npz"
    weights = ["--model", model] if flags[0] == "sample" and "--model" not in flags else []
    assert word in refused(capsys, *flags, *weights, "--out", str(out))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["simulate", "sample"])
def test_existing_file_and_foreign_suffix_are_refused_before_any_work(tmp_path, capsys, verb):
    (tmp_path / "made.npz").write_text("mine")
    assert "made.npz: exists already" in refused(
        capsys, verb, "--count", "100000000", "--out", str(tmp_path / "made.npz")
    )
    assert (tmp_path / "made.npz").read_text() == "mine"
    assert "made.csv" in refused(capsys, verb, "--out", str(tmp_path / "made.csv"))


def test_missing_weights_are_named(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    said = refused(
        capsys, "sample", "--model", str(tmp_path / "empty"), "--out", str(tmp_path / "a.npz")
    )
    assert "weights.safetensors" in said


def test_validate_refuses_what_does_not_belong_together(tmp_path, capsys, truth):
    report = tmp_path / "report"
    out = ["--out", str(report)]
    for flags, word in (
        (["--lattice", "6", *T], "has side 6"),
        (["--lattice", "8", "--temperatures", "2.0"], "lacks 3"),
    ):
        other = str(tmp_path / "other.npz")
        main(["ising", "simulate", *flags, "--count", "10", "--out", other, "--workers", "1"])
        capsys.readouterr()
        assert word in refused(capsys, "validate", truth, "--truth", other, *out)
        (tmp_path / "other.npz").unlink()
    assert "other.npz" in refused(capsys, "validate", truth, "--truth", other, *out)
    cut = tmp_path / "cut.npz"
    with open(truth, "rb") as file:
        cut.write_bytes(file.read(2000))
    assert "cut.npz" in refused(capsys, "validate", str(cut), *out)
    assert not report.exists()
    report.mkdir()
    (report / "mine.txt").write_text("mine")
    assert "report" in refused(capsys, "validate", truth, "--truth", truth, *out)
    assert [file.name for file in report.iterdir()] == ["mine.txt"]


def test_help_names_every_flag_with_its_unit(capsys):
    for verb in ("simulate", "train", "sample", "validate", "exact", "bench"):
        assert main(["ising", verb, "--help"]) == 0
        said = capsys.readouterr().out
        assert "emulant ising " + verb in said
        assert "J/k_B" in said
