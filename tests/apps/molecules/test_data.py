"""Readers: every format, every trouble a file brings, and a reason for every row left out."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem

from emulant.errors import InputError
from emulant_apps.molecules.data import read_molecules, standardised, write_dropped
from emulant_apps.molecules.formats import Entry

ASPIRIN, CAFFEINE = "CC(=O)Oc1ccccc1C(=O)O", "Cn1c(=O)c2c(ncn2C)n(C)c1=O"


def written(tmp_path: Path, name: str, data: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def block(smiles: str, v3000: bool = False) -> str:
    molecule = Chem.MolFromSmiles(smiles)
    AllChem.Compute2DCoords(molecule)
    return Chem.MolToMolBlock(molecule, forceV3000=v3000)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.smi", f"{ASPIRIN} aspirin\n{CAFFEINE} caffeine\n"),
        ("a.smi", f"SMILES name\r\n{ASPIRIN}\taspirin\r\n{CAFFEINE} caffeine\r\n"),
        ("a.csv", f"name,smiles,mass\naspirin,{ASPIRIN},180\ncaffeine,{CAFFEINE},194\n"),
        ("a.csv", f"Name;SMILES\naspirin;{ASPIRIN}\ncaffeine;{CAFFEINE}\n"),
        ("a.tsv", f"ID\tCanonical_SMILES\naspirin\t{ASPIRIN}\ncaffeine\t{CAFFEINE}\n"),
        ("a.csv", f"name,formula\naspirin,{ASPIRIN}\ncaffeine,{CAFFEINE}\n"),
        ("a.sdf", f"aspirin{block(ASPIRIN)}$$$$\ncaffeine{block(CAFFEINE, v3000=True)}$$$$\n"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_every_format(tmp_path, name: str, text: str, packed: bool, encoding: str) -> None:
    data = text.encode(encoding)
    path = written(
        tmp_path, f"{name}.gz" if packed else name, gzip.compress(data) if packed else data
    )
    found = read_molecules(path, workers=1)
    assert found.smiles == (ASPIRIN, CAFFEINE)
    assert found.names == ("aspirin", "caffeine")
    assert found.dropped == ()


def test_a_table_without_a_heading(tmp_path) -> None:
    found = read_molecules(written(tmp_path, "a.csv", f"1,{ASPIRIN}\n2,{CAFFEINE}\n"), workers=1)
    assert found.smiles == (ASPIRIN, CAFFEINE)


def test_rows_left_out_are_named(tmp_path) -> None:
    rows = [
        "OCC ethanol",
        "CCO again",
        "C1CC broken",
        "CN(C)(C)(C)C valence",
        "c1cccc1 aromatic",
        "[*:1]CC group",
        "[Fe] iron",
        "C[CH2] radical",
        "C" * 5000 + " long",
        "[13CH4] isotope",
        "CCc1ccccc1.c1ccc2ncccc2c1 mixture",
        "Ünicode odd",
    ]
    found = read_molecules(written(tmp_path, "a.smi", "\n".join(rows)), workers=1)
    reasons = {item.name: item.reason for item in found.dropped}
    assert found.smiles == ("CCO", "C")
    assert found.changes[1] == "isotope label removed"
    assert reasons["again"] == "duplicate of row 1"
    assert reasons["broken"] == "is no SMILES"
    assert reasons["valence"].startswith("breaks valence")
    assert reasons["aromatic"].startswith("breaks aromaticity")
    assert "R-group" in reasons["group"]
    assert "Fe" in reasons["iron"] or "empty" in reasons["iron"]
    assert "radical" in reasons["radical"]
    assert "5000 heavy atoms" in reasons["long"]
    assert "beyond ASCII" in reasons["odd"]
    assert len(found.smiles) + len(found.dropped) == len(rows)
    assert "1 duplicate" in found.summary()
    table = tmp_path / "dropped.csv"
    write_dropped(table, found.dropped)
    lines = table.read_text().splitlines()
    assert lines[0] == "row,text,name,reason"
    assert lines[1] == "2,CCO,again,duplicate of row 1"
    assert len(lines) == 1 + len(found.dropped)


def test_a_missing_column_names_those_that_are_there(tmp_path) -> None:
    path = written(tmp_path, "a.csv", f"name,smiles\naspirin,{ASPIRIN}\n")
    with pytest.raises(InputError, match="no column 'structure'; the columns are name, smiles"):
        read_molecules(path, "structure", workers=1)
    path = written(tmp_path, "b.csv", "name,mass\naspirin,180\ncaffeine,194\n")
    with pytest.raises(InputError, match="no column holds SMILES; the columns are name, mass"):
        read_molecules(path, workers=1)
    path = written(tmp_path, "c.csv", 'id,"mi\n\n1,s\n')  # a quote that is never closed
    with pytest.raises(InputError, match="the columns are id, mi  1,s; name one"):
        read_molecules(path, workers=1)


def test_a_truncated_sd_file_keeps_what_was_read(tmp_path) -> None:
    whole = f"aspirin{block(ASPIRIN)}$$$$\ncaffeine{block(CAFFEINE)}$$$$\n"
    path = written(tmp_path, "a.sdf", whole[: len(whole) - 200])
    found = read_molecules(path, workers=1)
    assert found.smiles == (ASPIRIN,)
    (lost,) = found.dropped
    assert (lost.row, lost.name) == (2, "caffeine")
    assert "is cut short" in lost.reason


def test_records_of_an_sd_file_need_no_title(tmp_path) -> None:
    whole = f"{block(ASPIRIN)}$$$$\n{block(CAFFEINE)}$$$$\n"
    assert block(ASPIRIN).startswith("\n"), "the title line is empty"
    path = written(tmp_path, "a.sdf", whole)
    found = read_molecules(path, workers=1)
    assert found.smiles == (ASPIRIN, CAFFEINE)
    assert (found.names, found.dropped) == (("", ""), ())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.smi", "", "is empty"),
        ("a.csv", "\n\n", "is empty"),
        ("a.smi", "xyz\nC1CC\n", "none of 2 rows is a molecule .* row 1: is no SMILES"),
        ("a.xyz", "C", "unknown extension '.xyz'; use"),
        ("a.smi", b"\x00\x01\x02\x03", "is no text"),
        ("a.smi.gz", b"not gzip", "cannot be unpacked"),
        ("a.sdf", "nothing here", "none of 1 rows .* is cut short"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name: str, data: str | bytes, message: str) -> None:
    path = written(tmp_path, name, data)
    with pytest.raises(InputError, match=message) as caught:
        read_molecules(path, workers=1)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(InputError, match="cannot read: No such file"):
        read_molecules(tmp_path / "none.smi")


def test_workers_change_nothing() -> None:
    entries = [
        Entry(k, smiles) for k, smiles in enumerate([ASPIRIN, "C1CC", CAFFEINE, "OCC"] * 100)
    ]
    assert standardised(entries, "x", workers=1) == standardised(entries, "x", workers=2)


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_no_line_crashes_a_reading(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.smi"
    path.write_text(f"CCO\n{text}\nCCN\n", encoding="utf-8")
    found = read_molecules(path, workers=1)
    assert {"CCO", "CCN"} <= set(found.smiles)
