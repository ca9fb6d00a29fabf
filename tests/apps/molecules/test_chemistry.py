"""Screens, alerts and properties against RDKit's own slow answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import QED

from emulant.errors import InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.alerts import SETS, alert_sets, published
from emulant_apps.molecules.chemistry.parse import (
    RefusedError,
    canonical,
    parse,
    quiet,
    standardise,
)
from emulant_apps.molecules.chemistry.properties import RULES, properties_of, qed
from emulant_apps.molecules.chemistry.screen import EVERY, classes_of
from emulant_apps.molecules.chemistry.similarity import (
    Library,
    fragments,
    ring_systems,
    scaffold,
    similarity,
)

MOLECULES = [
    Chem.MolFromSmiles(smiles)
    for smiles in (
        *corpus.test_set()[:60],
        *(drug.smiles for drug in corpus.drugs()[::20]),
        "O=C1NC(=S)SC1=Cc1ccccc1",  # rhodanine: PAINS
        "O=[N+]([O-])c1ccc(F)c([N+](=O)[O-])c1",
        "C1OC1CCCl",
    )
]


def test_the_screen_changes_no_answer() -> None:
    together = alert_sets(SETS)
    found = [together.of(molecule) for molecule in MOLECULES]
    assert found == [together.all_of(molecule) for molecule in MOLECULES]
    assert {alert.family for row in found for alert in row} == set(SETS)


def test_ring_systems_met_before_have_the_same_names() -> None:
    from emulant_apps.molecules.chemistry.similarity import UNUSUAL, ring_systems

    strings = [*corpus.test_set()[:1500], *(drug.smiles for drug in corpus.drugs())]
    molecules = [(Chem.MolFromSmiles(text), UNUSUAL.isdisjoint(text)) for text in strings]
    plain = [ring_systems(molecule) for molecule, _ in molecules]
    assert [ring_systems(*pair) for pair in molecules] == plain
    assert [ring_systems(*pair) for pair in molecules] == plain  # all of them remembered


def test_the_screen_spares_most_of_the_work() -> None:
    from emulant_apps.molecules.chemistry.screen import Look

    screen = alert_sets(("pains",)).screen
    passed = [len(screen.candidates(Look.at(molecule))) for molecule in MOLECULES[:60]]
    assert sum(passed) < 0.15 * 480 * len(passed)


def test_the_sets_are_as_large_as_their_papers_say() -> None:
    sizes = {name: len(published(name)) for name in SETS}
    assert sizes["pains"] == 480
    assert sizes["mcf"] == 22
    assert sizes["nibr"] == 444
    assert (sizes["brenk"], sizes["nih"], sizes["chembl"]) == (105, 180, 770)


def test_an_alert_names_its_pattern() -> None:
    (alert,) = [alert for alert in alert_sets(("pains",)).of(MOLECULES[-3]) if "rhod" in alert.name]
    assert MOLECULES[-3].HasSubstructMatch(Chem.MolFromSmarts(alert.smarts))
    assert alert.severity == 3


def test_custom_patterns(tmp_path) -> None:
    file = tmp_path / "mine.smarts"
    file.write_text("// mine\n[F,Cl]c1ccccc1 aryl halide\n[#6]C#N\n")
    found = alert_sets((), custom=file).of(Chem.MolFromSmiles("N#CCc1ccccc1F"))
    assert [alert.name for alert in found] == ["aryl halide", "line 3"]
    file.write_text("C(C\n")
    with pytest.raises(InputError, match=r"mine\.smarts: line 1: 'C\(C' is no SMARTS"):
        alert_sets((), custom=file)
    file.write_text("[5,CCCC!5UCCCCCCcUCCCCC7]\n")  # RDKit reads it and cannot write it
    with pytest.raises(InputError, match=r"line 1: .* is no SMARTS"):
        alert_sets((), custom=file)


@pytest.mark.parametrize("molecule", MOLECULES[::7], ids=Chem.MolToSmiles)
def test_drug_likeness_is_rdkits(molecule: Chem.Mol) -> None:
    assert qed(molecule) == pytest.approx(QED.qed(molecule), abs=1e-12)
    assert properties_of(molecule).qed == pytest.approx(QED.qed(molecule), abs=1e-12)


def test_ease_of_synthesis_is_rdkits() -> None:
    from emulant_apps.molecules.chemistry.properties import _contributed, synthesis

    theirs = _contributed("SA_Score/sascorer.py").calculateScore
    for molecule in MOLECULES:
        assert synthesis(molecule) == pytest.approx(theirs(molecule), abs=1e-9)


def test_aspirin_and_its_rules() -> None:
    aspirin = properties_of(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"), natural=True)
    assert aspirin.mass == pytest.approx(180.159, abs=1e-3)
    assert aspirin.tpsa == pytest.approx(63.60, abs=0.01)  # Ertl, 2000
    assert 1 < aspirin.sa < 2
    assert aspirin.np is not None
    assert {name for name, keeps in RULES.items() if keeps(aspirin)} >= {"lipinski", "veber"}


@pytest.mark.parametrize(
    "smarts",
    [
        "C",
        "N",
        "[C,N]",
        "[#6]",
        "[$(CO),$([N;H2])]",
        "[C;!$(C=O)]",
        "*",
        "[R1]",
        "[!#6]",
        "[-]",
        "[!H0]",
        "[C;R0;X4]",
        "[N,O;!R]",
        "[+1,+0]",
        "[!+0]",
        "[CH3]",
        "[#6;X3;!H1]",
        "[!C;!N]",
        "[H2,H3]",
        "[r6]",
        "[!r]",
        "[!R1]",
        "[c;H1]",
        "[!a]",
        "[X1]",
        "[D1]",
        "[!X4]",
        "[n;H0]",
    ],
)
def test_a_class_covers_every_atom_that_matches(smarts: str) -> None:
    """What an atom query matches must be among its classes: the screen is safe."""
    from emulant_apps.molecules.chemistry.screen import atom_class

    query = Chem.MolFromSmarts(smarts)
    allowed = classes_of(query.GetAtomWithIdx(0).GetSmarts())
    for molecule in MOLECULES[::10]:
        for (index,) in molecule.GetSubstructMatches(query):
            atom = molecule.GetAtomWithIdx(index)
            assert allowed >> atom_class(atom) & 1
    assert allowed <= EVERY


@pytest.mark.parametrize(
    ("text", "standard", "change"),
    [
        ("OCC", "CCO", ""),
        ("O=C([O-])CCCc1ccccc1.[Na+]", "O=C(O)CCCc1ccccc1", "salt or solvent removed"),
        ("C[NH3+].[Cl-]", "CN", "salt or solvent removed"),
        ("[2H]C([2H])([2H])O", "CO", "isotope label removed"),
        ("CC[N+](=O)[O-]", "CC[N+](=O)[O-]", ""),
        ("C[N+](C)(C)CC(=O)[O-]", "C[N+](C)(C)CC(=O)[O-]", ""),
    ],
)
def test_standard_forms(text: str, standard: str, change: str) -> None:
    molecule = parse(text)
    assert molecule is not None
    found = standardise(molecule)
    assert found.smiles == standard
    assert change in "; ".join(found.changes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("[*:1]CC", "R-group"),
        ("[Pt](N)(N)(Cl)Cl", "holds Pt"),
        ("C[CH2]", "radical"),
        ("C" * 5000, "5000 heavy atoms"),
        ("c1ccccc1.c1ccncc1", "mixture"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with quiet():
        molecule = Chem.MolFromSmiles(text)
    with pytest.raises(RefusedError, match=reason):
        standardise(molecule)


@given(st.text(max_size=30))
def test_no_text_crashes_the_parser(text: str) -> None:
    found = canonical(text)
    assert found is None or canonical(found) == found


def test_likeness() -> None:
    benzene = Chem.MolFromSmiles("CCc1ccccc1")
    assert similarity("CCO", "OCC") == 1
    assert 0 < similarity("c1ccccc1CC", "c1ccccc1C") < 1
    assert scaffold(benzene) == "c1ccccc1"
    assert scaffold(benzene, rings=2) is None
    assert fragments(Chem.MolFromSmiles("CCCOCC")) == ["[3*]O[3*]", "[4*]CC", "[4*]CCC"]
    assert ring_systems(Chem.MolFromSmiles("CCO")) == set()
    nearest = Library(["CCO", "CCc1ccccc1"]).nearest(benzene)
    assert nearest is not None
    assert (nearest.index, nearest.tanimoto) == (1, 1.0)


def test_filters_of_moses_are_those_of_its_own_code() -> None:
    """MOSES matches every pattern on the molecule with its hydrogens."""
    queries = [Chem.MolFromSmarts(smarts) for _, smarts in corpus.filters_of_moses()]
    ours = alert_sets(("mcf",))
    for molecule in MOLECULES:
        full = Chem.AddHs(molecule)
        theirs = sum(full.HasSubstructMatch(query) for query in queries)
        assert len(ours.of(molecule)) == theirs
