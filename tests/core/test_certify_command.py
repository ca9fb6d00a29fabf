"""``emulant certify`` on plain files of any generator."""

import json

import numpy as np
import pytest

from emulant.certify.command import CertifyConfig, run
from emulant.certify.summaries import grid_statistics, table_statistics
from emulant.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    for name in ("good", "truth", "training"):
        np.save(directory / f"{name}.npy", rng.normal(size=(3000, 3)))
    np.save(directory / "shifted.npy", rng.normal(0.4, 1.0, size=(3000, 3)))
    np.save(directory / "wide.npy", rng.normal(size=(50, 4)))
    np.save(directory / "empty.npy", np.zeros((0, 3)))
    np.save(directory / "holes.npy", np.array([[0.0, 1.0, 2.0], [np.nan, 0.0, 1.0]]))
    chains = rng.normal(size=(40, 1, 1)) + 0.3 * rng.normal(size=(40, 25, 2))
    for name in ("a", "b"):
        np.savez(
            directory / f"{name}.npz",
            x=chains.reshape(-1, 2) + 0.01 * rng.normal(size=(1000, 2)),
            groups=np.repeat(np.arange(40), 25),
        )
    fields = rng.normal(size=(2, 400, 16, 16))
    np.savez(directory / "fields.npz", samples=np.cumsum(fields[0], axis=1), other=np.zeros(3))
    np.savez(directory / "field_truth.npz", samples=np.cumsum(fields[1], axis=1))
    for name in ("table", "table_truth"):
        lines = ["age,weight,kind"]
        for age, weight in rng.normal(40, 10, (800, 2)):
            lines.append(f"{age:.3f},{weight:.3f},{rng.choice(['cat', 'dog'])}")
        (directory / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    (directory / "mine.py").write_text(
        "import numpy as np\n"
        "from emulant.certify import Statistic, Tolerance\n"
        "def listed():\n"
        "    return [Statistic('first', lambda x: x[:, :1], tolerance=Tolerance(0.2, by='me'))]\n"
        "def top(x):\n"
        "    return x[:, 0].max()\n"
        "def broken(x):\n"
        "    return 1 / 0\n"
        "nothing = 3\n",
        encoding="utf-8",
    )
    return directory


def certify_files(folder, tmp_path, samples, truth, **flags):
    config = CertifyConfig(
        samples=folder / samples, truth=folder / truth, out=tmp_path / "out", workers=1, **flags
    )
    return run(config), json.loads((tmp_path / "out" / "certificate.json").read_text("utf-8"))


def test_good_samples_pass_with_everything_asked(folder, tmp_path, capsys):
    code, record = certify_files(
        folder, tmp_path, "good.npy", "truth.npy", training=folder / "training.npy", tolerance=0.3
    )
    assert code in (0, 3)
    assert record["verdict"] != "fail"
    assert record["cases"][0]["training_samples"] == 3000
    assert len(record["cases"][0]["distances"]) == 14
    assert "index.html" in capsys.readouterr().out
    assert "provenance" in record


def test_shifted_samples_fail_and_can_be_corrected(folder, tmp_path):
    code, record = certify_files(
        folder, tmp_path, "shifted.npy", "truth.npy", correct=True, quick=True,
        resample=tmp_path / "kept.npz",
    )  # fmt: skip
    assert code == 1
    case = record["cases"][0]
    assert case["reweighting"] == "used"
    means = case["statistics"][0]["bins"]
    assert all(abs(b["reweighted"]["bias"]) < 0.35 * abs(b["bias"]) for b in means)
    assert case["ess"] == pytest.approx(np.exp(-3 * 0.4**2), abs=0.15)
    kept = np.load(tmp_path / "kept.npz")
    assert np.abs(kept["samples"].mean(axis=0)).max() < 0.15
    samples = np.load(folder / "shifted.npy")
    assert np.array_equal(samples[kept["index"]], kept["samples"])


def test_groups_of_a_file_are_the_independent_units(folder, tmp_path):
    _, record = certify_files(folder, tmp_path, "a.npz", "b.npz", quick=True)
    assert record["cases"][0]["units"] == 40


def test_fields_and_tables_bring_their_own_statistics(folder, tmp_path):
    _, record = certify_files(
        folder, tmp_path / "1", "fields.npz", "field_truth.npz", quick=True, array="samples"
    )
    assert "on one scale" in (tmp_path / "1" / "out" / "index.html").read_text("utf-8")
    names = [s["name"] for s in record["cases"][0]["statistics"]]
    assert names == ["mean", "variance", "power", "share below"]
    _, record = certify_files(folder, tmp_path / "2", "table.csv", "table_truth.csv", quick=True)
    labels = [b["label"] for b in record["cases"][0]["statistics"][0]["bins"]]
    assert labels == ["age", "weight", "kind = cat", "kind = dog"]


@pytest.mark.parametrize("name", ["listed", "top"])
def test_statistics_of_a_users_own_file(folder, tmp_path, name):
    where = f"{folder / 'mine.py'}:{name}"
    _, record = certify_files(
        folder, tmp_path, "good.npy", "truth.npy", quick=True, statistics=where
    )
    found = record["cases"][0]["statistics"]
    assert [s["name"] for s in found] == ["first" if name == "listed" else "top"]


BAD = {
    "missing": ("nowhere.npy", "truth.npy", {}, "nowhere.npy"),
    "shapes": ("wide.npy", "truth.npy", {}, r"wide.npy.*\(4,\).*truth.npy.*\(3,\)"),
    "empty": ("empty.npy", "truth.npy", {}, "empty.npy.*is empty"),
    "holes": ("holes.npy", "truth.npy", {}, "holes.npy.*NaN.*1 of 2.*first in sample 1"),
    "same": ("truth.npy", "truth.npy", {}, "hold the same samples"),
    "table and array": ("table.csv", "truth.npy", {}, "table and an array"),
    "no such array": ("fields.npz", "field_truth.npz", {"array": "x"}, "has no array 'x'"),
    "no such column": ("table.csv", "table_truth.csv", {"groups": "who"}, "no column 'who'"),
    "trained on": ("good.npy", "truth.npy", {"training": "truth.npy"}, "100.0 % of truth"),
    "broken": ("good.npy", "truth.npy", {"statistics": "mine.py:broken"}, "ZeroDivisionError"),
    "no statistic": ("good.npy", "truth.npy", {"statistics": "mine.py:nothing"}, "must give"),
    "no name": ("good.npy", "truth.npy", {"statistics": "mine.py:what"}, "has no 'what'"),
    "no file": ("good.npy", "truth.npy", {"statistics": "yours.py:f"}, "cannot be imported"),
}


@pytest.mark.parametrize("key", BAD)
def test_bad_files_are_one_line_that_names_them(folder, tmp_path, key):
    samples, truth, flags, message = BAD[key]
    if "training" in flags:
        flags = {"training": folder / flags["training"]}
    if "statistics" in flags:
        flags = {"statistics": f"{folder}/{flags['statistics']}"}
    with pytest.raises(InputError, match=message) as caught:
        certify_files(folder, tmp_path, samples, truth, **flags)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_out_directory_must_be_new(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        certify_files(folder, tmp_path, "good.npy", "truth.npy", quick=True)


def test_white_noise_has_flat_power_and_tables_their_tenths():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(600, 32, 32))
    power = next(s for s in grid_statistics(x, 0.1, "a test") if s.name == "power")
    assert power(x) == pytest.approx(np.ones(len(power.labels)), abs=0.06)
    table = rng.normal(size=(2000, 2))
    shares = next(s for s in table_statistics(table, 0.1, "a test") if s.name == "share below")
    assert shares(table) == pytest.approx(np.tile(np.arange(1, 10) / 10, 2), abs=0.001)
