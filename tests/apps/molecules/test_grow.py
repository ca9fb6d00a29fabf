"""Growing and linking: the core is kept whatever the network says; bad scaffolds are named."""

from pathlib import Path

import pytest
from rdkit import Chem

from emulant.cli import main
from emulant.errors import BAD_INPUT, PASS, InputError
from emulant_apps.molecules.chemistry.parse import canonical
from emulant_apps.molecules.chemistry.scaffolds import (
    keeps,
    openings,
    part_after,
    read_scaffold,
    tail,
    zipped,
)
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.grow import cuts, grow, link

CORES = [
    "c1ccc([*:1])cc1",
    "O=C(N[*:1])c1ccc([*:2])cc1",
    "C[C@H](N[*:1])c1ccc([*:3])cn1",
    "n1cc([*:1])c2cccnc21",
    "O=C1CN([*:1])CCN1[*:2]",
    "c1cn([*:1])nc1[*:2]",
]
SPOKEN = Mode(temperature=1.0, masked=True)


@pytest.fixture(autouse=True)
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of sixty strings are enough for laws, and an untaught network is slow."""
    for room in ("grow", "generate"):
        monkeypatch.setattr(f"emulant_apps.molecules.{room}.CHUNK", 60)
    monkeypatch.setattr("emulant_apps.molecules.decoding.REDRAWS", 4)


def attached(core: str, part: str) -> str:
    """What chemistry says that a core with a part at its first point is: by reaction."""
    whole = Chem.molzip(Chem.MolFromSmiles(core), Chem.MolFromSmiles(part))
    return Chem.MolToSmiles(whole)


@pytest.mark.parametrize("core", [core for core in CORES if "c21" not in core])
def test_every_opening_leads_to_the_core(core: str) -> None:
    scaffold = read_scaffold(core, "--scaffold")
    for point in scaffold.points:
        found = openings(scaffold.smiles, point, 5)
        assert found
        bare = Chem.MolFromSmiles(scaffold.smiles)
        heavy = sum(atom.GetAtomicNum() > 1 for atom in bare.GetAtoms())
        for opening in found:
            part = part_after(f"{opening}CO", heavy, point)
            assert part == f"OC[*:{point}]"
            whole = zipped(scaffold.smiles, part)
            assert whole == canonical(attached(scaffold.smiles, part))
            others = [p for p in scaffold.points if p != point]
            assert all(f"[*:{p}]" in str(whole) for p in others)


def test_a_part_with_two_bonds_to_the_core_or_none_is_no_part() -> None:
    assert part_after("c1cccc2c1CC2", 6, 1) is None
    assert part_after("c1ccccc1", 6, 1) is None
    assert part_after("c1ccccc1=C", 6, 1) is None
    assert part_after("C1CCCCC1=C", 6, 1) is None  # a double bond is no single one


@pytest.mark.parametrize("core", CORES[:3])
def test_the_core_is_kept_whatever_the_network_says(char_model, core: str) -> None:
    scaffold = read_scaffold(core, "--scaffold")
    found = grow(scaffold, char_model, SPOKEN, 0, 0)
    good = [text for text in found.strings if canonical(text)]
    assert len(good) > 10
    assert all(keeps(text, [scaffold.smiles]) for text in good)
    bare = Chem.MolFromSmiles(scaffold.smiles)
    pattern = Chem.DeleteSubstructs(bare, Chem.MolFromSmarts("[#0]"))
    query = Chem.MolFromSmarts(Chem.MolToSmarts(pattern))
    for text in good:  # the plain question, without our own pattern
        assert Chem.MolFromSmiles(text).HasSubstructMatch(query)
    assert len(found.log_likelihood) == len(found.strings)
    assert all("*" not in text for text in good)
    assert len(found.strings) + found.lost.total() == 60


def test_growing_is_seeded(char_model) -> None:
    scaffold = read_scaffold(CORES[1], "--scaffold")
    first = grow(scaffold, char_model, SPOKEN, 3, 1)
    assert first.strings == grow(scaffold, char_model, SPOKEN, 3, 1).strings
    assert first.strings != grow(scaffold, char_model, SPOKEN, 3, 2).strings


def test_fragments_are_linked_and_kept(char_model) -> None:
    pair = tuple(read_scaffold(s, "--fragments") for s in ("c1ccncc1[*:1]", "O=C1CCN1[*:4]"))
    found = link((pair[0], pair[1]), 6, char_model, SPOKEN, 0, 0)
    assert len(found.strings) > 10
    assert all(keeps(text, [s.smiles for s in pair]) for text in found.strings)
    sizes = {Chem.MolFromSmiles(text).GetNumAtoms() - 6 - 5 for text in found.strings}
    assert min(sizes) >= 1
    assert max(sizes) <= 6
    assert all("." not in text for text in found.strings)


def test_a_linker_ends_only_where_nothing_is_open() -> None:
    said = "c1ccccc1C(C)C1CC1=O"
    rests = [text.removeprefix("c1ccccc1") for text in cuts(said, 8, 12)]
    assert rests == ["C", "C(C)", "C(C)C", "C(C)C1CC1", "C(C)C1CC1=O"]
    assert cuts(said, 8, 1) == ["c1ccccc1C"]
    assert cuts("c1ccccc1", 8, 5) == []


def test_a_tail_begins_at_its_point() -> None:
    for core in ("c1ccncc1[*:1]", "O=C1CCN1[*:1]", "C[C@H](F)[*:1]"):
        molecule = Chem.MolFromSmiles(core.replace("[*:1]", "C"))
        assert canonical("C" + tail(core)) == Chem.MolToSmiles(molecule)


def test_degrees_are_part_of_the_core() -> None:
    assert keeps("Cc1ccccc1", ["c1ccc([*:1])cc1"])
    assert not keeps("Cc1ccccc1C", ["c1ccc([*:1])cc1"])
    assert keeps("Cc1ccccc1C", ["c1ccc([*:1])c([*:2])c1"])
    assert not keeps("CC[C@@H](C)F", ["CC[C@H]([*:1])F"]) or not keeps(
        "CC[C@H](C)F", ["CC[C@H]([*:1])F"]
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c1ccccc1", "has no attachment point"),
        ("c1ccc([*:1])c", "is no SMILES"),
        ("[*:1]CC[*:1]", "the label [*:1] stands more than once"),
        ("*CC*", "label its attachment points"),
        ("[*:1]=CC", "must hang on one single bond"),
        ("[*:1]", "holds nothing but attachment points"),
        ("C[*:1].C", "holds several molecules"),
        ("CN(C)(C)(C)[*:1]", "breaks valence"),
        ("", "is empty"),
    ],
)
def test_scaffolds_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        read_scaffold(text, "--scaffold")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_commands(tmp_path: Path, capsys, char_weights: Path) -> None:
    model = ["--model", str(char_weights), "--workers", "1", "--chain.sets", "mcf", "--masked"]
    out = tmp_path / "grown.csv"
    line = ["molecules", "grow", "--scaffold", CORES[0], "--count", "10", "--out", str(out)]
    assert main([*line, *model, "--chain.hard", "valid"]) == PASS
    assert "kept the core" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 11
    out = tmp_path / "linked"
    line = ["molecules", "link", "--fragments", "c1ccncc1[*:1]", "O=C1CCN1[*:1]", "--count", "5"]
    assert main([*line, "--out", str(out), *model, "--chain.hard", "valid"]) == PASS
    assert (out / "index.html").exists()
    wrong = (
        (["grow", "--scaffold", "[Te]CC[*:1]"], "outside the model's vocabulary: [Te]"),
        (["grow", "--scaffold", "C" * 130 + "[*:1]"], "too few are left"),
        (["grow", "--scaffold", "C[*:1]", "--temperature", "0"], "must be above 0 to grow"),
        (["link", "--fragments", "C[*:1]", "[*:1]CC[*:2]"], "has 2 attachment points"),
    )
    for flags, words in wrong:
        assert main(["molecules", *flags, "--out", str(tmp_path / "new"), *model]) == BAD_INPUT
        assert words in capsys.readouterr().err
