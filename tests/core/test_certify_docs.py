"""The page on certificates: its example runs, and its schema names every field."""

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from emulant.certify import (
    STANDARD,
    Bin,
    CaseReport,
    Certificate,
    Check,
    Control,
    Distance,
    Reweighted,
    StatisticReport,
)
from emulant.certify.command import CertifyConfig
from emulant.cli import COMMANDS, parse

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


def shown_commands():
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("emulant ")]


def test_the_commands_parse():
    assert len(shown_commands()) >= 4
    command = next(c for c in COMMANDS if c.name == "certify")
    for line in shown_commands():
        config = parse(command, "emulant certify", shlex.split(line)[2:])
        assert config.out == Path("report")


def test_every_flag_is_one():
    flags = set(re.findall(r"`(?:[^`]*\s)?--([a-z-]+)", PAGE.read_text("utf-8")))
    own = {f.name.replace("_", "-") for f in dataclasses.fields(CertifyConfig)}
    of_benchmarks = {"only", "docs"}
    assert {"by", "resample", "correct", "statistics", "groups", "training"} <= flags
    assert flags <= own | of_benchmarks


def test_every_comparison_is_named_with_its_tolerance():
    text = PAGE.read_text("utf-8").split("## Samples and truth as a whole")[1].split("##")[0]
    for comparison in STANDARD:
        assert comparison.name in text
    network = next(c for c in STANDARD if c.name == "network")
    assert f"| .{round(100 * network.tolerance.value):02d} |" in text
    assert f"{network.steps}\nsteps" in text


def test_every_table_says_its_command():
    text = PAGE.read_text("utf-8")
    places = re.findall(r"<!-- (certificates:[a-z-]+) -->\n(.*?)<!-- /\1 -->", text, re.DOTALL)
    assert len(places) >= 7
    for name, table in places:
        assert "`python benchmarks/certificates_" in table, name
        assert table.count("\n|") >= 3, name
        script = re.findall(r"benchmarks/(certificates_[a-z]+\.py)", table)[0]
        assert (PAGE.parents[1] / "benchmarks" / script).is_file()
