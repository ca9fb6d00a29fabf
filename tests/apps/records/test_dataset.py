"""The sample is what its card and its checksum say; the page's commands can be typed."""

import hashlib
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from emulant.app import load
from emulant.cli import parse
from emulant_apps.records.data import read_table
from emulant_apps.records.walk import example

ROOT = Path(__file__).parents[3]
HOME = ROOT / "datasets" / "records_wisconsin"


def test_the_sample_is_intact_and_can_be_made_again() -> None:
    card = tomllib.loads((HOME / "card.toml").read_text())
    (file,) = card["files"]
    data = (HOME / file["path"]).read_bytes()
    assert len(data) == file["bytes"]
    assert (
        f"{hashlib.sha256(data).hexdigest()}  {file['path']}" in (HOME / "SHA256SUMS").read_text()
    )
    table, made = read_table(HOME / file["path"]), example(0)
    assert table.names == made.names
    assert np.allclose(table.values, made.values, equal_nan=True)


@pytest.mark.parametrize(
    "page", [ROOT / "docs" / "records.md", HOME / "README.md"], ids=["docs", "data"]
)
def test_commands_on_the_page_can_be_typed(page: Path) -> None:
    lines = re.findall(r"^emulant records .*$", page.read_text(), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        verb, *rest = shlex.split(line, comments=True)[2:]
        parse(load("records").command(verb), f"emulant records {verb}", rest)
