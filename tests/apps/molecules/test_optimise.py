"""Goal-directed search: budget, memory, faults of scorers, going on; and that it finds more."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from emulant.cli import main
from emulant.errors import BAD_INPUT, PASS, InputError
from emulant_apps.molecules import corpus
from emulant_apps.molecules.assess import Chain
from emulant_apps.molecules.char_sample import CharEmulator
from emulant_apps.molecules.config import OptimiseConfig
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.optimise import search, top_mean
from emulant_apps.molecules.sample import Emulator
from emulant_apps.molecules.scoring import (
    Book,
    BuiltIn,
    CommandScorer,
    FunctionScorer,
    scorer_of,
)
from emulant_apps.molecules.searches import HillClimb, LatentSearch, RandomDraws


@pytest.fixture(autouse=True)
def few_redraws(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untaught network is slow to find molecules."""
    monkeypatch.setattr("emulant_apps.molecules.decoding.REDRAWS", 3)


FEW = Chain(sets=(), hard=("valid", "duplicate"))
SOME = corpus.test_set()[:40]
FUNCTIONS = """
import time
def many(smiles): print("loud"); return [float(s.count("N")) for s in smiles]
def one(text): return len(text)
def raises(smiles):
    assert "Br" not in "".join(smiles), "no bromine please"
    return [1.0] * len(smiles)
def nan(smiles): return [float("nan") if "Br" in s else 1.0 for s in smiles]
def few(smiles): return [1.0]
def words(smiles): return ["good" for s in smiles]
def number(smiles): return 1.0
def hangs(smiles):
    while any("Br" in s for s in smiles): time.sleep(0.1)
    return [1.0] * len(smiles)
"""


class Counts:
    """A scorer that counts nitrogen and how often it is asked."""

    name = "nitrogen"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        self.calls.append(len(smiles))
        return [float(text.upper().count("N")) for text in smiles]

    def close(self) -> None:
        pass


class Fixed:
    """A search that says the same strings in every round."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings, self.told = strings, 0

    def propose(self, turn: int) -> Sequence[str]:
        return self.strings[turn * 8 : turn * 8 + 12]

    def learn(self, scores: Mapping[str, float], said: Mapping[str, str], turn: int) -> None:
        del turn
        assert set(scores) <= set(said.values())
        self.told = len(scores)


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scorers") / "mine.py"
    path.write_text(FUNCTIONS)
    return path


def test_nothing_is_scored_twice_and_the_budget_is_kept(tmp_path: Path) -> None:
    scorer = Counts()
    book = Book(scorer, tmp_path / "log.csv", budget=30, batch=7)
    mover = Fixed([*SOME, "C1CC", *SOME])
    found = search(mover, book, FEW)
    assert sum(scorer.calls) == len(book.scores) == mover.told == 30
    assert max(scorer.calls) <= 7
    assert list(book.scores) == list(dict.fromkeys(SOME))[:30]
    assert "duplicate" not in {item.rejected for item in found.judged.values()}
    again = Book(scorer, tmp_path / "log.csv", budget=35, batch=7)
    search(Fixed([*SOME, "C1CC", *SOME]), again, FEW)
    assert sum(scorer.calls) == 35  # the log answered the first thirty
    assert again.asked == 5
    assert {s: again.scores[s] for s in book.scores} == book.scores


def test_what_a_hard_check_rejects_is_never_scored(tmp_path: Path) -> None:
    scorer = Counts()
    book = Book(scorer, tmp_path / "log.csv", budget=100, batch=50)
    rhodanine = "O=C1NC(=S)SC1=Cc1ccccc1"
    search(Fixed([rhodanine, "CCO", "OCC"]), book, Chain(sets=("pains",), hard=("valid", "pains")))
    assert list(book.scores) == ["CCO"]


def test_a_search_without_anything_new_ends(tmp_path: Path) -> None:
    book = Book(Counts(), tmp_path / "log.csv", budget=100, batch=50)
    found = search(Fixed(["CCO"] * 12), book, FEW)
    assert (found.strings, len(book.scores)) == (16, 1)
    assert np.isnan(top_mean(Book(Counts(), tmp_path / "none.csv", 1, 1)))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "raised AssertionError: no bromine please, on CBr"),
        ("nan", "gave nan, on CBr"),
        ("few", "gave 1 scores for 3 molecules"),
        ("words", "gave 'good', which is no number, on CC"),
        ("number", "returned float, not a list of numbers"),
        ("hangs", "did not answer within 5 s, on CBr"),
    ],
)
def test_a_scorer_at_fault_is_named_with_the_molecule(
    tmp_path: Path, scorers: Path, name: str, words: str
) -> None:
    scorer = FunctionScorer(f"{scorers}:{name}", one=False, timeout=5.0 if name == "hangs" else 60)
    book = Book(scorer, tmp_path / "log.csv", budget=10, batch=3)
    try:
        scorer.begin()
        if name == "few":  # it is right for one molecule, and wrong for three
            book.ask(["CC", "CBr", "CO"], 0)
            with pytest.raises(Exception, match=words):
                scorer(["CC", "CBr", "CO"])
            return
        with pytest.raises(InputError) as refused:
            book.ask(["CC", "CBr", "CO"], 0)
    finally:
        scorer.close()
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    if name in ("raises", "nan", "hangs"):
        with (tmp_path / "log.csv").open(newline="") as opened:
            assert [row["smiles"] for row in csv.DictReader(opened)] == ["CC"]


def test_functions_and_commands_give_the_same(scorers: Path) -> None:
    smiles = ["CN", "CC", "NCN"]
    many = FunctionScorer(f"{scorers}:many", one=False, timeout=60)
    one = FunctionScorer(f"{scorers}:one", one=True, timeout=60)
    try:
        assert many(smiles) == [1.0, 0.0, 2.0]
        assert many(smiles[:1]) == [1.0]  # the process goes on
        assert one(smiles) == [2.0, 2.0, 3.0]
    finally:
        many.close()
        one.close()
    assert CommandScorer("awk '{print length($1)}'", 60)(smiles) == [2.0, 2.0, 3.0]
    assert BuiltIn("similarity:CN")(["NC", "CCCCO"])[0] == 1.0
    assert BuiltIn("qed")(["CCO"])[0] == pytest.approx(0.407, abs=0.01)
    assert BuiltIn("sa")(["CCO"])[0] > BuiltIn("sa")(["C1CC2CC1C1C2C1"])[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"score": "qde"}, "'qde' is none of qed, logp, sa, similarity:SMILES"),
        ({"score": "similarity:C1CC"}, "is no SMILES"),
        ({"score": "none.py:f"}, "there is no file 'none.py'"),
        ({"score_command": "'"}, "No closing quotation"),
        ({}, "--score: give a score, or --score-command"),
        ({"score": "qed", "score_command": "x"}, "one of the two"),
        ({"score": "qed", "budget": 0}, "--budget: must be at least 1"),
        ({"score": "qed", "timeout": 0}, "--timeout: must be above 0"),
    ],
)
def test_scores_that_cannot_be_used(asked: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as refused:
        scorer_of(OptimiseConfig(out=Path("o"), **asked))  # type: ignore[arg-type]  # of any kind
    assert words in str(refused.value)


def test_commands_at_fault() -> None:
    with pytest.raises(Exception, match="ended with status 1"):
        CommandScorer("false", 60)(["C"])
    with pytest.raises(InputError, match="No such file"):
        CommandScorer("no-such-command-here", 60)(["C"])


def test_a_climb_learns_what_is_asked(tmp_path: Path, char_model) -> None:
    """An untaught network comes to say more nitrogen than it would by itself."""
    mode = Mode(temperature=1.0, masked=True)
    mover = HillClimb(CharEmulator(char_model), mode, 0, 60, best=20, steps=15, rate=1e-2)
    climbed = Book(Counts(), tmp_path / "a.csv", 200, 200)
    search(mover, climbed, FEW)
    plain = Book(Counts(), tmp_path / "b.csv", 200, 200)
    search(RandomDraws(CharEmulator(char_model), mode, 1, 1), plain, FEW)
    assert len(climbed.scores) == len(plain.scores) == 200
    last = [
        climbed.scores[s]
        for s, turn in climbed.rounds.items()
        if turn == max(climbed.rounds.values())
    ]
    assert np.mean(last) > np.mean(list(plain.scores.values())) + 1
    assert top_mean(climbed) > top_mean(plain)


def test_a_latent_search_finds_more_than_random_draws(tmp_path: Path) -> None:
    emulator = Emulator.pretrained()
    chosen = Book(BuiltIn("logp"), tmp_path / "a.csv", 400, 400)
    search(LatentSearch(emulator, Mode(), 3), chosen, FEW)
    plain = Book(BuiltIn("logp"), tmp_path / "b.csv", 400, 400)
    search(RandomDraws(emulator, Mode(), 4, 1), plain, FEW)
    assert top_mean(chosen) > top_mean(plain) + 0.2


def test_the_command_is_seeded_goes_on_and_refuses(
    tmp_path: Path, capsys, scorers: Path, char_weights: Path
) -> None:
    model = ["--model", str(char_weights), "--masked", "--workers", "1", "--chain.sets", "mcf"]
    line = ["molecules", "optimise", "--score", f"{scorers}:many", *model]
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    assert main([*line, "--budget", "200", "--out", str(whole)]) == PASS
    assert main([*line, "--budget", "80", "--out", str(halved)]) == PASS
    assert main([*line, "--budget", "200", "--out", str(halved), "--resume"]) == PASS
    for name in ("candidates.csv", "scores.csv"):
        assert (whole / name).read_bytes() == (halved / name).read_bytes()
    with (whole / "candidates.csv").open(newline="") as opened:
        scores = [float(row["score"]) for row in csv.DictReader(opened)]
    assert scores == sorted(scores, reverse=True)
    assert "mean of the best 10" in capsys.readouterr().out
    wrong = (
        (["--out", str(whole)], "exists and is not empty"),
        (["--out", str(whole), "--resume", "--seed", "5"], "has another --seed: 0"),
        (["--out", str(tmp_path / "new"), "--resume"], "no search to go on with"),
        (["--out", str(tmp_path / "new"), "--start", "CCO"], "--start: is for --method latent"),
        (["--out", str(tmp_path / "new"), "--method", "latent"], "has no codes"),
    )
    for flags, words in wrong:
        assert main([*line, *flags]) == BAD_INPUT
        assert words in capsys.readouterr().err
