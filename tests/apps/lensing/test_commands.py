"""The commands as a person types them: what they make, and what they refuse in one line."""

import json

import numpy as np
import pytest

from emulant.cli import main
from emulant_apps.lensing.files import each_maps, read_maps

TINY = ["--resolution", "tiny", "--cosmologies", "1", "--boxes", "1", "--maps", "1", "--size", "16"]


def refused(capsys, *words):
    """Return the one line with which the command says no."""
    assert main(["lensing", *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def test_measure_reads_cuts_and_writes(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "map.npy", rng.normal(0, 0.02, (96, 96)))
    out = tmp_path / "stats"
    flags = ["--fov-deg", "2.0", "--cut", "32", "--smoothing", "2"]
    assert main(["lensing", "measure", str(tmp_path / "map.npy"), *flags, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "l(l+1)C/2pi" in said
    found = json.loads((out / "statistics.json").read_text())
    assert found["maps"] == 9
    assert found["degrees"] == pytest.approx(2 / 3)
    assert {"power", "pdf", "peaks", "minkowski", "bispectrum", "scattering"} <= set(found)
    assert "http" not in (out / "index.html").read_text().replace("http://www.w3.org", "")


def test_measure_of_white_noise_is_flat(tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "map.npy", rng.normal(0, 0.02, (40, 64, 64)))
    out = tmp_path / "stats"
    main(["lensing", "measure", str(tmp_path / "map.npy"), "--fov-deg", "5", "--out", str(out)])
    power = json.loads((out / "statistics.json").read_text())["power"]
    expected = 0.02**2 * np.radians(5 / 64) ** 2
    assert np.all(np.abs(np.array(power["C_ell"][1:]) / expected - 1) < 0.1)


def test_holes_are_measured_by_the_masked_estimator(tmp_path):
    rng = np.random.default_rng(1)
    maps = rng.normal(0, 0.02, (20, 64, 64))
    maps[:, 20:30, 40:52] = np.nan
    np.save(tmp_path / "map.npy", maps)
    out = tmp_path / "stats"
    assert main(["lensing", "measure", str(tmp_path / "map.npy"), "--fov-deg", "5",
                 "--out", str(out)]) == 0  # fmt: skip
    found = json.loads((out / "statistics.json").read_text())
    expected = 0.02**2 * np.radians(5 / 64) ** 2
    assert np.all(np.abs(np.array(found["power"]["C_ell"][2:]) / expected - 1) < 0.1)
    assert found["missing"] == pytest.approx(120 / 4096)
    assert "minkowski" not in found


def test_simulate_writes_one_cosmology_of_your_own(tmp_path, capsys):
    out = tmp_path / "maps.fits"
    flags = ["--source", "gaussian", "--omega-m", "0.31", "--sigma8", "0.79", "--boxes", "1"]
    assert main(["lensing", "simulate", *flags, "--maps", "3", "--out", str(out)]) == 0
    assert "0.31" in capsys.readouterr().out
    maps = read_maps(out)
    assert maps.omega_m.tolist() == [0.31] * 3
    assert maps.notes["source"] == "gaussian"


def test_light_cones_leave_nothing_but_the_maps(tmp_path):
    assert main(["lensing", "simulate", *TINY, "--out", str(tmp_path / "a.h5")]) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]
    assert read_maps(tmp_path / "a.h5").notes["resolution"] == "tiny"


def test_parts_hold_what_one_file_would(tmp_path, capsys):
    truth = tmp_path / "truth.h5"
    boxes = ["--maps", "12", "--boxes", "3", "--cosmologies", "2"]
    main(["lensing", "simulate", "--source", "lognormal", *boxes, "--out", str(truth)])
    flags = ["sample", "--like", str(truth), "--count", "40", "--workers", "1", "--out"]
    assert main(["lensing", *flags, str(tmp_path / "whole.h5")]) == 0
    parts = tmp_path / "parts"
    assert main(["lensing", *flags, str(parts), "--per-file", "20"]) == 0
    whole = read_maps(tmp_path / "whole.h5")
    each = list(each_maps(parts))
    assert [len(part) for part in each] == [32, 8] * (len(whole) // 40)
    np.testing.assert_array_equal(np.concatenate([part.kappa for part in each]), whole.kappa)
    assert each[0].provenance.command == "lensing sample"
    for maps in ("whole.h5", "parts"):
        main(["lensing", "validate", str(tmp_path / maps), "--truth", str(truth),
              "--out", str(tmp_path / f"report {maps}")])  # fmt: skip
    one, other = (
        [bins["bias"] for statistic in case["statistics"] for bins in statistic["bins"]]
        for maps in ("whole.h5", "parts")
        for case in json.loads((tmp_path / f"report {maps}" / "certificate.json").read_text())[
            "cases"
        ]
    )
    assert len(one) > 50
    np.testing.assert_allclose(one, other, rtol=1e-6)
    capsys.readouterr()
    said = refused(capsys, *flags, str(parts), "--per-file", "20", "--seed", "1")
    assert "holds another result" in said


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["simulate", "--cosmologies", "0"], "--cosmologies"),
        (["simulate", "--size", "8"], "--size"),
        (["simulate", "--degrees", "-5"], "--degrees"),
        (["simulate", "--degrees", "60"], "--degrees"),
        (["simulate", "--z-source", "9"], "--z-source"),
        (["simulate", "--omega-m", "0.3"], "--sigma8"),
        (["simulate", "--omega-m", "3", "--sigma8", "0.8"], "--omega-m"),
        (["simulate", "--omega-m", "0.3", "--sigma8", "nan"], "--sigma8"),
        (["simulate", "--source", "hydro"], "hydro"),
        (["simulate", "--resolution", "huge"], "huge"),
        (["simulate", "--device", "cuda"], "GPU"),
        (["simulate", "--source", "gaussian", "--size", "200000"], "needs about"),
        (["simulate", "--source", "gaussian", "--pairs"], "--pairs"),
        (["sample", "--count", "0"], "--count"),
        (["sample", "--per-file", "0"], "--per-file"),
        (["sample", "--device", "cuda"], "GPU"),
        (["sample", "--degrees", "0"], "--degrees"),
        (["sample", "--size", "100", "--degrees", "5"], "100 pixels"),
        (["train", "--data", "nowhere.h5", "--pixels", "32"], "32"),
        (["sample", "--noise", "-1"], "--noise"),
        (["sample", "--model", "nowhere"], "nowhere"),
        (["train", "--data", "nowhere.h5"], "nowhere.h5"),
        (["measure", "nowhere.fits"], "nowhere.fits"),
        (["measure", "nowhere.fits", "--degrade", "0"], "--degrade"),
        (["validate", "nowhere.h5", "--truth", "nothing.h5"], "nowhere.h5"),
    ],
)
def test_impossible_request_leaves_nothing(tmp_path, capsys, flags, word, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = "made.h5" if flags[0] in ("simulate", "sample") else "made"
    assert word in refused(capsys, *flags, "--out", str(tmp_path / out))
    assert list(tmp_path.iterdir()) == []


def test_training_without_the_gpu_that_was_asked_for_is_refused(tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    main(["lensing", "simulate", "--source", "lognormal", "--cosmologies", "1", "--boxes", "1",
          "--maps", "8", "--out", str(tmp_path / "a.h5")])  # fmt: skip
    capsys.readouterr()
    said = refused(capsys, "train", "--data", str(tmp_path / "a.h5"), "--device", "cuda", "--out",
                   str(tmp_path / "run"))  # fmt: skip
    assert "cuda" in said
    assert not (tmp_path / "run").exists()


def test_existing_files_and_foreign_suffixes_are_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "a.h5").write_text("mine")
    assert "exists already" in refused(capsys, "simulate", "--out", str(tmp_path / "a.h5"))
    assert "a.txt" in refused(capsys, "simulate", "--out", str(tmp_path / "a.txt"))
    assert (tmp_path / "a.h5").read_text() == "mine"


def test_maps_that_do_not_belong_together_are_refused(tmp_path, capsys):
    other = ["--size", "32", "--omega-m", "0.25", "--sigma8", "0.9"]
    for name, flags in (("a", ["--size", "32"]), ("b", ["--size", "16"]), ("c", other)):
        main(["lensing", "simulate", "--source", "gaussian", "--cosmologies", "1", "--boxes", "1",
              "--maps", "4", *flags, "--out", str(tmp_path / f"{name}.h5")])  # fmt: skip
    capsys.readouterr()
    a, b, c = (str(tmp_path / f"{name}.h5") for name in "abc")
    out = ["--out", str(tmp_path / "report")]
    assert "cut or degrade" in refused(capsys, "validate", a, "--truth", b, *out)
    assert "--like" in refused(capsys, "validate", a, "--truth", c, *out)
    np.save(tmp_path / "bare.npy", read_maps(a).kappa)
    said = refused(capsys, "validate", str(tmp_path / "bare.npy"), "--truth", a, "--fov-deg", "5",
                   *out)  # fmt: skip
    assert "omega_m" in said
    assert not (tmp_path / "report").exists()
