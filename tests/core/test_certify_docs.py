"""The page on certificates: its example runs, and its schema names every field."""

import dataclasses
import re
from pathlib import Path

import pytest

from emulant.certify import Bin, CaseReport, Certificate, Check, Control, Distance, Reweighted
from emulant.certify.certificate import StatisticReport

PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(PAGE), "exec"), {})
    assert (tmp_path / "report" / "index.html").exists()
    assert "winter" in capsys.readouterr().out


@pytest.mark.parametrize(
    "record",
    [Bin, CaseReport, Certificate, Check, Control, Distance, Reweighted, StatisticReport],
    ids=lambda record: record.__name__,
)
def test_the_schema_names_every_field(record):
    schema = PAGE.read_text("utf-8").split("## `certificate.json`")[1]
    named = set(re.findall(r"`([a-z_]+)`", schema))
    assert {f.name for f in dataclasses.fields(record)} <= named
