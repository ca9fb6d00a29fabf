"""Tables in: what is read is what was meant, and what cannot be read is refused in one line."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulant.errors import InputError
from emulant_apps.records.data import read_like, read_table, require_columns, write_table
from emulant_apps.records.schema import Hint, Schema, read_schema, write_schema

CANARY = "Canary-Jane-Doe-4711"
NUMBER = "70707.25"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def column(path: Path, text: str, name: str = "x", schema: Schema | None = None) -> list[float]:
    values: list[float] = read_table(write(path, text), schema)[name].tolist()
    return values


def test_kinds_are_detected(tmp_path: Path) -> None:
    rows = [
        f"{k + 5},{k / 7},{k % 3},{k % 40},{k / 100:.3f},{'mf'[k % 2]},2020-01-{k % 28 + 1:02d}"
        f",w{k}x"
        for k in range(60)
    ]
    names = "patient_id,lab,grade,visits,fraction,sex,day,note"
    table = read_table(write(tmp_path / "t.csv", "\n".join([names, *rows])))
    kinds = {c.name: (c.kind, c.role) for c in table.columns}
    assert kinds == {
        "patient_id": ("text", "identifier"),
        "lab": ("numeric", "feature"),
        "grade": ("ordinal", "feature"),
        "visits": ("count", "feature"),
        "fraction": ("bounded", "feature"),
        "sex": ("nominal", "feature"),
        "day": ("date", "feature"),
        "note": ("text", "identifier"),
    }
    assert table["day"][:2].tolist() == [18262.0, 18263.0]  # 2020-01-01 is 18262 days after 1970
    assert table.columns[5].levels == ("f", "m")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_any_encoding_and_delimiter_give_the_same_table(
    tmp_path: Path, encoding: str, mark: str
) -> None:
    lines = [mark.join(cells) for cells in (("größe", "b"), ("1.5", "2"), ("", "?"), ("3.5", "7"))]
    table = read_table(write(tmp_path / "t.csv", "\r\n".join(lines), encoding))
    assert table.names == ("größe", "b")
    assert np.array_equal(table["größe"], [1.5, np.nan, 3.5], equal_nan=True)


def test_gzip_parquet_excel_and_csv_hold_the_same(tmp_path: Path) -> None:
    text = "a,b,when\n1.5,x,2020-02-01\n,y,\n2.5,x,2021-03-04\n0.25,,2020-02-02\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    first = read_table(tmp_path / "t.csv.gz")
    for suffix in (".csv", ".tsv", ".parquet", ".xlsx"):
        write_table(tmp_path / f"u{suffix}", first)
        again = read_table(tmp_path / f"u{suffix}")
        assert [c.kind for c in again.columns] == [c.kind for c in first.columns], suffix
        assert np.array_equal(again.values, first.values, equal_nan=True), suffix


def test_decimal_commas(tmp_path: Path) -> None:
    assert column(tmp_path / "t.csv", "x;y\n1,5;1\n2;2\n-3,25;3\n") == [1.5, 2.0, -3.25]


def test_missing_codes_have_a_line_each(tmp_path: Path) -> None:
    rows = ["?", "", "NA", "-9", "999", "999", *(str(k + 0.5) for k in range(30))]
    table = read_table(write(tmp_path / "t.csv", "x,y\n" + "\n".join(f"{r},1" for r in rows)))
    assert np.isnan(table["x"]).sum() == 6
    rules = {a.rule: a.count for a in table.audit if a.column == "x"}
    assert rules == {
        "empty cells": 1,
        "missing code '?'": 1,
        "missing code 'na'": 1,
        "sentinel -9 read as missing": 1,
        "sentinel 999 read as missing": 2,
    }


def test_a_999_among_its_like_is_a_number(tmp_path: Path) -> None:
    values = column(
        tmp_path / "t.csv", "x,y\n" + "\n".join(f"{v},1" for v in [999, 999, *range(900, 1100)])
    )
    assert not np.isnan(values).any()


def test_an_impossible_zero_is_missing(tmp_path: Path) -> None:
    rows = "\n".join(f"{g},{g}" for g in [0, 80, 91, 105, 99, 120, 140, 87])
    table = read_table(write(tmp_path / "t.csv", f"glucose,score\n{rows}"))
    assert np.isnan(table["glucose"][0])
    assert table["score"][0] == 0


def test_a_schema_corrects(tmp_path: Path) -> None:
    schema = write(
        tmp_path / "s.toml",
        'missing = ["77"]\n[columns.x]\nkind = "numeric"\nunit = "mmol/l"\nlow = 0\nhigh = 50\n'
        '[columns.grade]\nkind = "ordinal"\nlevels = ["low", "middle", "high"]\n'
        '[columns.day]\nformat = "%d/%m/%Y"\nkind = "date"\n',
    )
    text = "x,grade,day\n77,low,01/02/2020\n60,high,03/02/2020\n12,middle,04/02/2020\n"
    table = read_table(write(tmp_path / "t.csv", text), read_schema(schema))
    assert np.array_equal(table["x"], [np.nan, np.nan, 12.0], equal_nan=True)
    assert table["grade"].tolist() == [0.0, 2.0, 1.0]
    assert np.diff(table["day"]).tolist() == [2.0, 1.0]
    assert table.columns[0].unit == "mmol/l"


def test_a_written_schema_reads_the_same_table(tmp_path: Path) -> None:
    text = "id,x,g,d\n" + "\n".join(
        f"p{k},{k / 3:.2f},{'ab?'[k % 3]},2020-03-{k + 1:02d}" for k in range(20)
    )
    table = read_table(write(tmp_path / "t.csv", text))
    write_schema(tmp_path / "s.toml", table.columns)
    again = read_table(tmp_path / "t.csv", read_schema(tmp_path / "s.toml"))
    assert [c.kind for c in again.columns] == [c.kind for c in table.columns]
    assert np.array_equal(again.values, table.values, equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.6g}"))),
            st.one_of(st.none(), st.sampled_from(["a b", 'q"uote', "c,d", "über"])),
        ),
        min_size=3,
        max_size=30,
    )
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | None, str | None]]
) -> None:
    from emulant_apps.records.files import write_cells

    path = tmp_path_factory.mktemp("t") / "t.csv"
    write_cells(path, ("x", "g"), list(zip(*rows, strict=True)))
    hints = Schema({"x": Hint("numeric"), "g": Hint("nominal")}, sentinels=False)
    table = read_table(path, hints)
    assert table["x"].tolist() == pytest.approx(
        [np.nan if x is None else x for x, _ in rows], nan_ok=True
    )
    levels = table.columns[1].levels
    assert [None if np.isnan(v) else levels[int(v)] for v in table["g"]] == [g for _, g in rows]


BAD = {
    "ragged": (f"a,b\n1,2\n3,4,{CANARY}\n", r"row 3: has 3 cells, the names in row 1 are 2"),
    "short": (f"a,b\n{CANARY}\n", r"row 2: has 1 cells"),
    "twice": (f"a,b,a\n1,2,{CANARY}\n", r"columns 1 and 3 have the same name 'a'"),
    "blank first row": ("\na,b\n1,2\n", r"row 1: is blank"),
    "no name": ("a,,b\n1,2,3\n", r"column 2: has no name"),
    "no names": ("1,2,3\n4,5,6\n", r"row 1: holds numbers where the names"),
    "empty": ("", r"is empty"),
    "names only": ("a,b\n", r"no rows below"),
    "word among numbers": (
        "x,y\n" + "\n".join(f"{k}.5,1" for k in range(40)) + f"\n{CANARY},1\n",
        r"row 42, column 'x': holds no number, as 98 %",
    ),
    "two decimal marks": (
        "x;y\n" + "\n".join(f"{k},5;1" for k in range(40)) + f"\n{NUMBER};1\n",
        r"row 42, column 'x': decimal comma and decimal point",
    ),
    "mixed dates": (
        "d,y\n" + "\n".join(f"2020-01-{k:02d},1" for k in range(10, 25)) + "\n13.07.1977,1\n",
        r"row 17, column 'd': is no date by the format %Y-%m-%d",
    ),
    "day or month": (
        "d,y\n01/02/2020,1\n03/04/2020,2\n05/06/2020,3\n",
        r"day and month cannot be told",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line_without_a_cell(tmp_path: Path, case: str) -> None:
    text, words = BAD[case]
    with pytest.raises(InputError, match=words) as caught:
        read_table(write(tmp_path / "t.csv", text))
    chain: list[BaseException] = [caught.value]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    said = " ".join(str(e) for e in chain)
    assert CANARY not in said
    assert NUMBER not in said
    assert "1977" not in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx", "t.csv.gz", "t.docx"])
def test_foreign_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=name):
        read_table(write(tmp_path / name, f"PK not a table {CANARY}"))
    with pytest.raises(InputError, match=r"No such file|cannot tell"):
        read_table(tmp_path / f"absent-{name}")


def test_a_new_table_needs_the_columns_and_the_levels(tmp_path: Path) -> None:
    text = "x,g\n" + "\n".join(f"{k}.5,{'ab'[k % 2]}" for k in range(30))
    columns = read_table(write(tmp_path / "t.csv", text)).columns
    with pytest.raises(InputError, match=r"row 1: lacks 1 of the model's columns: g"):
        read_like(write(tmp_path / "u.csv", "x\n1.5\n"), columns)
    new = write(tmp_path / "v.csv", f"g,x,more\na,1.5,9\n{CANARY},2.5,9\n")
    with pytest.raises(
        InputError, match=r"row 3, column 'g': holds a level that was never seen"
    ) as caught:
        read_like(new, columns)
    assert CANARY not in str(caught.value)
    table = read_like(new, columns, unseen="missing")
    assert np.isnan(table["g"][1])


@pytest.mark.parametrize(
    ("cells", "words"), [("", "all 3 cells are missing"), ("4.5", "all its values are the same")]
)
def test_columns_that_say_nothing_are_refused(tmp_path: Path, cells: str, words: str) -> None:
    table = read_table(write(tmp_path / "t.csv", f"x,y\n{cells},1.5\n{cells},2.5\n{cells},3\n"))
    with pytest.raises(InputError, match=f"column 'x': {words}"):
        require_columns(table.features())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[columns.x]\nkind = 'number'", "columns.x.kind must be one of"),
        ("[columns.x]\nlow = 3\nhigh = 1", "low must be below"),
        ("[columns.x]\nlowest = 3", "lowest is no word of a schema"),
        ("decimal = ':'", "decimal"),
        ("missing = '?'", "missing must be a list"),
        ("not toml", "is not TOML"),
        ("[columns.zz]\nkind='count'", "lacks the column 'zz'"),
    ],
)
def test_bad_schemas_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "t.csv", "x,y\n1.5,2\n2.5,3\n")
    with pytest.raises(InputError, match=words):
        read_table(path, read_schema(write(tmp_path / "s.toml", text)))
