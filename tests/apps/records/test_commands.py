"""The commands end to end, what they refuse, and that no cell of a patient leaks."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from emulant.cli import main
from emulant.errors import BAD_INPUT, PASS
from emulant.rng import numpy_rng

CANARY = "Canary-Jane-Doe-4711"
NUMBER = "70707.25"
ROWS = 90


def rows(seed: int = 0) -> list[list[str]]:
    """Return patients with a name, two labs, a sex, a rare level and an outcome."""
    rng = numpy_rng(seed, "commands")
    out = []
    for k in range(ROWS):
        ill = rng.random() < 0.4
        lab, other = rng.normal() + ill, rng.normal() + 2 * ill
        cells = [
            f"patient {k}",
            f"{lab:.3f}",
            f"{other:.3f}",
            "mf"[k % 2],
            "ab"[k % 3 % 2],
            ["no", "yes"][ill],
        ]
        out.append([c if j in (0, 5) or rng.random() > 0.15 else "" for j, c in enumerate(cells)])
    out[3][0], out[3][4], out[3][2] = CANARY, CANARY, NUMBER
    return out


def write(path: Path, table: list[list[str]], names: str = "name,lab,other,sex,ward,death") -> Path:
    path.write_text("\n".join([names, *(",".join(r) for r in table)]) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    table = write(home / "t.csv", rows())
    assert (
        main(["records", "train", str(table), "--outcome", "death", "--out", str(home / "m")])
        == PASS
    )
    return home


def test_describe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "t.csv", rows())
    out = tmp_path / "d"
    line = [
        "records",
        "describe",
        str(table),
        "--outcome",
        "death",
        "--by",
        "sex",
        "--out",
        str(out),
    ]
    assert main(line) == PASS
    record = json.loads((out / "report.json").read_text())
    assert record["facts"]["rows"] == ROWS
    assert {c["name"]: c["kind"] for c in record["columns"]}["lab"] == "numeric"
    assert set(record["subgroups"]) == {"sex", "death"}
    page = (out / "index.html").read_text()
    assert "Who is missing" in page
    said = capsys.readouterr()
    everything = (
        page
        + (out / "report.json").read_text()
        + (out / "schema.toml").read_text()
        + said.out
        + said.err
    )
    assert CANARY not in everything
    assert NUMBER not in everything


def test_impute_and_its_files(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", rows())
    out = tmp_path / "i"
    assert main(["records", "impute", str(table), "--m", "2", "--out", str(out)]) == PASS
    before = list(csv.DictReader(table.open()))
    after = list(csv.DictReader((out / "imputed.csv").open()))
    mask = list(csv.DictReader((out / "mask.csv").open()))
    drawn = [list(csv.DictReader((out / f"imputed_{k}.csv").open())) for k in (1, 2)]
    for was, now, hole, *draws in zip(before, after, mask, *drawn, strict=True):
        for name in ("lab", "other", "sex"):
            assert (hole[name] == "1") == (was[name] == "")
            for new in (now, *draws):
                if was[name] and name == "sex":
                    assert new[name] == was[name]
                elif was[name]:
                    assert float(new[name]) == float(was[name])
                assert new[name] != ""
    long = list(csv.DictReader((out / "long.csv").open()))
    assert [r[".imp"] for r in long].count("0") == ROWS
    assert {r[".imp"] for r in long} == {"0", "1", "2"}
    assert long[0][".id"] == long[ROWS][".id"] == "1"
    intervals = list(csv.DictReader((out / "intervals.csv").open()))
    assert len(intervals) == sum(c == "1" for r in mask for c in r.values())
    assert all(float(r["low"]) <= float(r["high"]) for r in intervals if r["low"])
    # a model imputes one new patient as it did in company
    new = write(
        tmp_path / "new.csv",
        [["someone", "", *(before[7][n] for n in ("other", "sex", "ward", "death"))]],
    )
    again = tmp_path / "again"
    line = [
        "records",
        "impute",
        str(new),
        "--model",
        str(out / "model"),
        "--m",
        "1",
        "--out",
        str(again),
    ]
    assert main(line) == PASS
    (one,) = csv.DictReader((again / "imputed.csv").open())
    assert one["lab"] != ""


def test_the_outcome_is_in_the_imputation_for_inference_and_not_for_prediction(
    tmp_path: Path,
) -> None:
    table = write(tmp_path / "t.csv", rows())
    for purpose, inside in (("inference", True), ("prediction", False)):
        out = tmp_path / purpose
        line = [
            "records",
            "impute",
            str(table),
            "--outcome",
            "death",
            "--purpose",
            purpose,
            "--m",
            "0",
        ]
        assert main([*line, "--method", "mean", "--out", str(out)]) == PASS
        from emulant_apps.records.pipeline import load_model

        saved = load_model(out / "model")
        assert ("death" in [c.name for c in saved.columns]) is inside
        assert saved.record["outcome in the imputation model"] is inside


def test_train_and_predict(trained: Path) -> None:
    scores = trained / "scores.csv"
    line = [
        "records",
        "predict",
        str(trained / "t.csv"),
        "--model",
        str(trained / "m"),
        "--out",
        str(scores),
    ]
    assert main(line) == PASS
    found = list(csv.DictReader(scores.open()))
    risk = np.array([float(r["risk"]) for r in found])
    ill = np.array([r[5] == "yes" for r in rows()])
    assert [r["name"] for r in found[:2]] == ["patient 0", "patient 1"]
    assert len(found) == ROWS
    assert risk[ill].mean() > risk[~ill].mean() + 0.1


def test_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "t.csv", rows())
    other = write(tmp_path / "u.csv", rows(1))
    out = tmp_path / "e"
    line = ["records", "evaluate", str(table), "--outcome", "death", "--folds", "3", "--by", "sex"]
    line += ["--classifiers", "logistic", "boosting", "--external", str(other), "--out", str(out)]
    assert main(line) == PASS
    record = json.loads((out / "report.json").read_text())
    assert set(record["models"]) == {"logistic", "boosting"}
    value, low, high = record["models"]["logistic"]["auc"]
    assert low < value < high
    assert value > 0.6
    assert "boosting - logistic" in record["paired"]
    assert set(record["external"]) == {"logistic", "boosting"}
    everything = (out / "index.html").read_text() + json.dumps(record) + str(capsys.readouterr())
    assert CANARY not in everything
    assert NUMBER not in everything


def test_synthesise(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", rows())
    out = tmp_path / "s.csv"
    line = [
        "records",
        "synthesise",
        str(table),
        "--count",
        "100",
        "--outcome",
        "death",
        "--out",
        str(out),
    ]
    assert main(line) in (0, 1, 3)
    made = list(csv.DictReader(out.open()))
    assert len(made) == 100
    assert set(made[0]) == {"lab", "other", "sex", "ward", "death"}
    certificate = json.loads((tmp_path / "s-certificate" / "certificate.json").read_text())
    names = [c["name"] for c in certificate["checks"]]
    assert any("membership by density ratio" in n for n in names)
    assert any("TSTR" in n for n in names)
    assert CANARY not in out.read_text()
    assert NUMBER not in out.read_text()


def test_no_model_holds_a_cell_of_a_patient(trained: Path, tmp_path: Path) -> None:
    """The canary is a name, a rare level and an extreme number; no file of a model holds it."""
    out = tmp_path / "i"
    assert (
        main(["records", "impute", str(trained / "t.csv"), "--m", "0", "--out", str(out)]) == PASS
    )
    files = [trained / "m" / "model.safetensors", trained / "m" / "card.json"]
    files += [out / "model" / "model.safetensors", out / "provenance.json", out / "index.html"]
    number = np.float64(NUMBER).tobytes()
    for file in files:
        data = file.read_bytes()
        assert CANARY.encode() not in data, file.name
        assert NUMBER.encode() not in data, file.name
        assert number not in data, file.name


def changed(**cells: str) -> list[list[str]]:
    """Return the table with cells of row 12 replaced."""
    names = ["name", "lab", "other", "sex", "ward", "death"]
    out = rows()
    for name, text in cells.items():
        out[10][names.index(name)] = text
    return out


REFUSED = {
    "no such file": (
        "describe absent.csv --out o",
        "absent.csv",
    ),
    "word in a lab": (
        "describe word.csv --out o",
        "word.csv: row 12, column 'lab': holds no number",
    ),
    "ragged": (
        "impute ragged.csv --out o",
        "ragged.csv: row 92: has 7 cells",
    ),
    "all missing": (
        "impute empty.csv --out o",
        "column 'lab': all 90 cells are missing",
    ),
    "constant": (
        "impute constant.csv --out o",
        "column 'lab': all its values are the same",
    ),
    "unknown column": (
        "describe t.csv --by size --out o",
        "has no column 'size'",
    ),
    "unknown outcome": (
        "train t.csv --outcome dead --out o",
        "has no column 'dead'",
    ),
    "single class": (
        "train single.csv --outcome death --out o",
        "single class",
    ),
    "outcome inside": (
        "train inside.csv --outcome death --out o",
        "column 'copy': tells the outcome",
    ),
    "too many folds": (
        "evaluate t.csv --outcome death --folds 60 --out o",
        "--folds: 60 need as many",
    ),
    "no model": (
        "predict t.csv --model t --out o.csv",
        "holds no model.safetensors",
    ),
    "wrong model": (
        "impute t.csv --model m --out o",
        "holds a classifier",
    ),
    "lacks columns": (
        "predict lacking.csv --model m --out o.csv",
        "row 1: lacks 1 of the model's columns: lab",
    ),
    "unseen level": (
        "predict unseen.csv --model m --out o.csv",
        "row 12, column 'sex': holds a level that was never seen",
    ),
    "no draws": (
        "impute t.csv --method mean --out o",
        "--m: the mean has no draws",
    ),
    "bad coverage": (
        "impute t.csv --coverage 2 --out o",
        "--coverage: must lie between 0 and 1",
    ),
    "mixed dates": (
        "describe dates.csv --out o",
        "row 12, column 'day': is no date",
    ),
    "few rows": (
        "describe few.csv --out o",
        "fewer than 10 rows",
    ),
    "format": (
        "predict t.csv --model m --out o.doc",
        "write a .csv, .tsv, .parquet or .xlsx",
    ),
    "no class": (
        "synthesise t.csv --generator acgan --out o.csv",
        "--generator acgan: needs an --outcome",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.csv", rows())
    write(tmp_path / "word.csv", changed(lab=CANARY))
    write(tmp_path / "ragged.csv", [*rows(), [CANARY] * 7])
    write(tmp_path / "empty.csv", [[r[0], "", *r[2:]] for r in rows()])
    write(tmp_path / "constant.csv", [[r[0], NUMBER, *r[2:]] for r in rows()])
    write(tmp_path / "single.csv", [[*r[:5], "no"] for r in rows()])
    write(
        tmp_path / "inside.csv",
        [[*r, f"{len(r[5])}"] for r in rows()],
        "name,lab,other,sex,ward,death,copy",
    )
    write(tmp_path / "lacking.csv", [[r[0], *r[2:]] for r in rows()], "name,other,sex,ward,death")
    write(tmp_path / "unseen.csv", changed(sex=CANARY))
    days = [[f"2020-01-{k % 28 + 1:02d}", *r] for k, r in enumerate(rows())]
    days[10][0] = "13.07.1977"
    write(tmp_path / "dates.csv", days, "day,name,lab,other,sex,ward,death")
    write(tmp_path / "few.csv", rows()[:5])
    (tmp_path / "t").mkdir()
    (tmp_path / "m").symlink_to(trained / "m")
    before = {p.name for p in tmp_path.iterdir()}
    line, words = REFUSED[case]
    assert main(["records", *line.split()]) == BAD_INPUT
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.strip().count("\n") == 0
    assert CANARY not in said.err + said.out
    assert NUMBER not in said.err + said.out
    assert "1977" not in said.err
    assert {p.name for p in tmp_path.iterdir()} == before
