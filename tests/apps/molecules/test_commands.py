"""The commands end to end, and what a user can get wrong: one clear line, exit status 2."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from emulant.cli import main
from emulant.errors import BAD_INPUT, INTERRUPTED, PASS
from emulant_apps.molecules import corpus, in_parts
from emulant_apps.molecules.data import read_strings
from emulant_apps.molecules.tables import Candidate

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
RHODANINE = "O=C1NC(=S)SC1=Cc1ccccc1"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def refused(capsys: pytest.CaptureFixture[str], *line: str) -> str:
    """Return the one line that a wrong command leaves."""
    assert main(["molecules", *line]) == BAD_INPUT
    said = [x for x in capsys.readouterr().err.splitlines() if x.startswith("emulant: error:")]
    assert len(said) == 1
    return said[0]


def test_filter_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "my.csv"
    table.write_text(f"id,smiles\na,{ASPIRIN}\nb,{RHODANINE}\nc,C1CC\nd,OC(=O)c1ccccc1OC(C)=O\n")
    out = tmp_path / "filtered.csv"
    assert main(["molecules", "filter", str(table), "--out", str(out), "--workers", "1"]) == PASS
    (kept,) = rows(out)
    assert (kept["smiles"], kept["name"], kept["known_as"]) == (ASPIRIN, "a", "ASPIRIN (1950)")
    assert kept["alerts"] == "brenk:phenol_ester"
    dropped = rows(tmp_path / "filtered.csv.dropped.csv")
    assert [row["reason"] for row in dropped] == ["is no SMILES", "duplicate of row 2"]
    manifest = json.loads((tmp_path / "filtered.csv.manifest.json").read_text())
    assert manifest["funnel"]["rejected"] == {"pains": 1}
    assert "1 pains" in capsys.readouterr().out


def test_filter_into_a_directory(tmp_path: Path) -> None:
    out = tmp_path / "judged"
    line = ["filter", f"{ASPIRIN} {RHODANINE}", "--out", str(out), "--chain.hard", "valid"]
    assert main(["molecules", *line, "--workers", "1"]) == PASS
    names = {file.name for file in out.iterdir()}
    assert names == {
        "candidates.csv", "candidates.sdf", "rejected.csv", "grid.svg", "grid.png",
        "index.html", "manifest.json",
    }  # fmt: skip
    page = (out / "index.html").read_text()
    assert "ASPIRIN (1950)" in page
    assert page.count("<svg") == 2
    assert "src=" not in page  # it fetches nothing
    assert 'href="http' not in page
    assert (out / "candidates.sdf").read_text().count("$$$$") == 2
    assert (out / "grid.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".sdf", ".smi"])
def test_sample_into_every_table(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"new{suffix}"
    line = ["sample", "--count", "5", "--out", str(out), "--chain.sets", "mcf"]
    assert main(["molecules", *line, "--chain.hard", "valid", "--workers", "1"]) == PASS
    if suffix == ".csv":
        assert len(rows(out)) == 5
        assert all(float(row["qed"]) > 0 for row in rows(out))
    elif suffix == ".parquet":
        assert len(pd.read_parquet(out)) == 5
    else:
        assert out.read_text().count("$$$$" if suffix == ".sdf" else "\n") == 5


def test_raw_strings_are_all_written(tmp_path: Path) -> None:
    out = tmp_path / "raw.csv"
    line = ["sample", "--count", "120", "--raw", "--temperature", "1", "--out", str(out)]
    assert main(["molecules", *line, "--workers", "1"]) == PASS
    found = rows(out)
    assert len(found) == 120
    assert {row["valid"] for row in found} == {"0", "1"}


def test_parts_hold_what_one_table_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["molecules", "sample", "--temperature", "1", "--chain.sets", "mcf", "--workers", "1"]
    for kind in (["--raw", "--count", "700"], ["--count", "600"]):
        name = str(len(kind))
        whole, parts = tmp_path / f"{name}.csv", tmp_path / name
        assert main([*line, *kind, "--out", str(whole)]) == PASS
        capsys.readouterr()
        assert main([*line, *kind, "--out", str(parts), "--per-file", "30"]) == PASS
        told = capsys.readouterr().out
        assert f"{kind[-1]} {'strings' if '--raw' in kind else 'candidates'} in " in told
        assert len(list(parts.glob("part-*.parquet"))) > 1
        found = [row["smiles"] for row in rows(whole)]
        # readers of Parquet take the directory as one table
        joined = pd.read_parquet(parts)["smiles"].tolist()
        assert joined == read_strings(parts)
        assert joined == found if "--raw" in kind else sorted(joined) == sorted(found)
    said = refused(capsys, *line[1:], "--count", "500", "--out", str(parts), "--per-file", "30")
    assert "holds another result" in said


def test_parts_go_on_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ["molecules", "sample", "--temperature", "1", "--chain.sets", "mcf", "--workers", "1"]
    line += ["--count", "600", "--per-file", "30", "--out"]
    assert main([*line, str(tmp_path / "whole")]) == PASS
    write, calls = in_parts.write_table, []

    def dies(path: Path, candidates: list[Candidate]) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(path, candidates)

    monkeypatch.setattr(in_parts, "write_table", dies)
    assert main([*line, str(tmp_path / "torn")]) == INTERRUPTED
    assert main([*line, str(tmp_path / "torn")]) == PASS
    names = sorted(file.name for file in (tmp_path / "whole").iterdir())
    assert sorted(file.name for file in (tmp_path / "torn").iterdir()) == names
    for name in names:
        assert (tmp_path / "torn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_analogues(tmp_path: Path) -> None:
    out = tmp_path / "near"
    line = ["analogues", ASPIRIN, "--diversity", "2", "--count", "60", "--out", str(out)]
    assert main(["molecules", *line, "--workers", "1"]) == PASS
    found = rows(out / "candidates.csv")
    assert found
    assert all(row["prototype"] == ASPIRIN and row["smiles"] != ASPIRIN for row in found)
    assert all(0 < float(row["similarity"]) < 1 for row in found)


def test_finetuning_moves_towards_the_molecules(tmp_path: Path) -> None:
    data = tmp_path / "actives.smi"
    data.write_text("\n".join(corpus.test_set()[9000:9012]) + "\n")
    out = tmp_path / "tuned"
    line = ["finetune", "--data", str(data), "--out", str(out), "--steps", "20"]
    assert main(["molecules", *line, "--device", "cpu", "--workers", "1"]) == PASS
    sample = ["sample", "--count", "20", "--raw", "--model", str(out)]
    assert main(["molecules", *sample, "--out", str(tmp_path / "s.csv"), "--workers", "1"]) == PASS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["filter", ""], "is empty"),
        (["filter", "C1CC"], "no such file, and as a SMILES it is no SMILES"),
        (["filter", "[*:1]CC"], "R-group"),
        (["filter", "[Pt](N)(N)(Cl)Cl"], "holds Pt"),
        (["filter", "C[CH2]"], "radical"),
        (["filter", "C" * 5000], "5000 heavy atoms"),
        (["filter", "none.csv"], "cannot read: No such file"),
        (["filter", "CCO", "--chain.hard", "pain"], "no check is called 'pain'; known are"),
        (["filter", "CCO", "--chain.sets", "mine"], "no set is called 'mine'; known are"),
        (["filter", "CCO", "--chain.custom", "none.smarts"], "none.smarts"),
        (["analogues", "C[C@H](N)C(=O)O"], "tokens outside the vocabulary: [C@H]"),
        (["analogues", "C" * 60], "has 60 tokens, the most is"),
        (["sample", "--count", "0"], "--count: must be at least 1, got 0"),
        (["sample", "--temperature", "-1"], "--temperature: must be at least 0, got -1"),
        (["sample", "--qed", "7"], "--qed: must lie in [0, 1], got 7"),
        (["sample", "--sa", "11"], "--sa: must be at most 10, got 11"),
        (["sample", "--model", "nowhere"], "no such directory of weights"),
        (["validate", "none.csv"], "cannot read: No such file"),
        (["train", "--data", "none.smi"], "cannot read: No such file"),
        (["finetune", "--data", "none.smi"], "cannot read: No such file"),
        (["prepare", "--moses", "none.whl"], "none.whl: is not there"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_mistakes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMULANT_WORKERS", "1")
    assert words in refused(capsys, *line, "--out", "new")
    assert not [file for file in Path("new").rglob("*") if file.is_file()]


def test_a_place_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "a.csv"
    taken.write_text("mine")
    assert "exists already" in refused(capsys, "filter", "CCO", "--out", str(taken))
    assert taken.read_text() == "mine"
    assert "exists and is not empty" in refused(capsys, "filter", "CCO", "--out", str(tmp_path))


def test_strings_without_their_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "a.csv"
    table.write_text("text\nCCO\n")
    line = ["validate", str(table), "--out", str(tmp_path / "report")]
    assert "has no column 'smiles'; the columns are text" in refused(capsys, *line)
