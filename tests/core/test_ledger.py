"""The ledger itself, and the worst of five seeds of its fast checks; slow ones: -m slow."""

import importlib
import json
import math
import sys
from functools import partial

import pytest

from emulant import cli
from emulant.certify.page import Figure
from emulant.errors import BAD_INPUT, FAIL, PASS
from emulant.ledger import Check, Measure, Outcome, discover
from emulant.ledger import fingerprint as fingerprints
from emulant.ledger.budget import Budget
from emulant.ledger.check import error
from emulant.ledger.record import Record, Trial, examine
from emulant.train import DivergenceError

CHECKS = discover()


def toy(run, name="toy"):
    return Check(name, "toy-method", run, "A claim.", "A reason.")


def off_by(distance, seed):
    return Outcome((Measure("mean", 1.0, 1.0 + distance * seed, 0.5), Measure("beside", 0.0, 9.0)))


@pytest.fixture
def toys(monkeypatch):
    """A ledger of two checks, of which the second fails at seed 2."""
    checks = (toy(partial(off_by, 0.0), "exact"), toy(partial(off_by, 0.3), "drifting"))
    monkeypatch.setattr("emulant.ledger.check.discover", lambda: checks)


@pytest.mark.parametrize(
    ("measure", "strain"),
    [
        (Measure("q", 1.0, 1.5, 1.0), 0.5),
        (Measure("q", 1.0, 0.0, 0.5), 2.0),
        (Measure("q", 1.0, 0.0, 0.5, "<="), 0.0),
        (Measure("q", 1.0, 0.0, 0.5, ">="), 2.0),
        (Measure("q", 8, 7, 0), math.inf),
        (Measure("q", 8, 8, 0), 0.0),
        (Measure("q", 1.0, math.nan, 0.5), math.inf),
        (Measure("q", math.nan, 3.0), 0.0),
        (error("q", -1.0, 0.1), 0.0),
    ],
)
def test_the_strain_is_the_excess_in_units_of_the_tolerance(measure, strain):
    assert measure.strain == strain
    assert measure.passed == (strain <= 1)


def test_the_worst_seed_speaks_for_all():
    record = examine(toy(partial(off_by, 0.3)), range(3))
    assert [trial.passed for trial in record.trials] == [True, True, False]
    assert not record.passed
    assert record.worst.seed == 2
    (mean, held), (beside, _) = record.worst_measures()
    assert (mean.got, held) == (pytest.approx(1.6), 2)
    assert beside.passed


def test_a_training_that_diverges_fails_and_is_named():
    def diverge(seed):
        if seed == 1:
            raise DivergenceError("step 3: player 'critic' pays nan")
        return off_by(0.0, seed)

    record = examine(toy(diverge), range(2))
    assert [trial.passed for trial in record.trials] == [True, False]
    assert "step 3" in record.to_json()["trials"][1]["trouble"]
    assert record.worst.seed == 1


@pytest.mark.usefixtures("toys")
def test_the_command_prints_the_table_writes_the_page_and_fails_where_a_seed_fails(
    capsys, tmp_path
):
    assert cli.main(["check", "--seeds", "3", "--out", str(tmp_path / "out")]) == FAIL
    shown = capsys.readouterr().out
    assert "1 of 2 checks pass on every seed; failed: drifting" in shown
    rows = [row.split()[:6] for row in shown.splitlines()]
    assert ["drifting", "mean", "1", "1.6", "±", "0.5"] in rows
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [check["passed"] for check in results["checks"]] == [True, False]
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.index("drifting") < page.index("exact")  # what fails comes first
    assert cli.main(["check", "exact", "--seeds", "3"]) == PASS


class Counted:
    """A check's run that counts how often it is run, and can break."""

    def __init__(self, distance=0.0, breaks_at=None):
        self.distance, self.seeds, self.breaks_at = distance, [], breaks_at

    def __call__(self, seed):
        if seed == self.breaks_at:
            raise KeyboardInterrupt
        self.seeds.append(seed)
        drawn = [Figure(f"<svg>seed {seed}</svg>", alt="a picture")]
        return Outcome((Measure("mean", 1.0, 1.0 + self.distance * seed, 0.5),), lambda: drawn)


def ledger_of(monkeypatch, *checks, code=lambda check: f"code of {check.name}"):
    monkeypatch.setattr("emulant.ledger.check.discover", lambda: checks)
    for room in ("fingerprint", "kept"):
        monkeypatch.setattr(f"emulant.ledger.{room}.fingerprint", code)


def test_an_interrupted_run_keeps_its_trials_and_goes_on_where_it_was(
    monkeypatch, tmp_path, capsys
):
    out = tmp_path / "out"
    first, second = Counted(0.3), Counted(0.1, breaks_at=1)
    ledger_of(monkeypatch, toy(first, "first"), toy(second, "second"))
    command = ["check", "--seeds", "3", "--out", str(out)]
    assert cli.main(command) not in (PASS, FAIL)
    kept = json.loads((out / "results.json").read_text())["checks"]
    assert [len(check["trials"]) for check in kept] == [3, 1]
    second.breaks_at = None
    assert cli.main(command) == BAD_INPUT  # without --resume nothing is overwritten
    assert cli.main([*command, "--resume"]) == FAIL
    assert (first.seeds, second.seeds) == ([0, 1, 2], [0, 1, 2])
    page = (out / "index.html").read_text()
    assert "seed 2</svg>" in page  # the picture of a trial that was not run again
    whole = json.loads((out / "results.json").read_text())["checks"]
    straight = tmp_path / "straight"
    assert cli.main(["check", "--seeds", "3", "--out", str(straight)]) == FAIL
    again = json.loads((straight / "results.json").read_text())["checks"]
    for check in [*whole, *again]:
        for trial in check["trials"]:
            trial.pop("cpu_seconds")
    assert whole == again
    capsys.readouterr()


def test_a_resumed_run_repeats_what_other_code_made_and_keeps_other_checks(
    monkeypatch, tmp_path, capsys
):
    out = tmp_path / "out"
    one, two = Counted(), Counted()
    checks = toy(one, "one"), toy(two, "two")
    ledger_of(monkeypatch, *checks)
    assert cli.main(["check", "--seeds", "2", "--out", str(out)]) == PASS
    ledger_of(
        monkeypatch, *checks, code=lambda check: "new" if check.name == "one" else "code of two"
    )
    command = ["check", "one", "--seeds", "3", "--out", str(out), "--resume"]
    assert cli.main(command) == PASS
    assert (one.seeds, two.seeds) == ([0, 1, 0, 1, 2], [0, 1])
    kept = json.loads((out / "results.json").read_text())["checks"]
    assert {check["check"]: len(check["trials"]) for check in kept} == {"one": 3, "two": 2}
    assert cli.main(["check", "--resume"]) == BAD_INPUT
    (out / "results.json").write_text("[]")
    assert cli.main(command) == BAD_INPUT
    capsys.readouterr()


MODULE = """
from half import HALF, unused
WIDTH = 2
def other(x):
    return x + 1
def inner(x):
    "Words."
    return WIDTH * x
def run(seed):
    return inner(seed) * HALF  # a comment
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("whole.py", "# a comment", "# another", True),
        ("whole.py", "Words.", "Other words.", True),
        ("whole.py", "def inner(x)", "def inner(x: int) -> int", True),
        ("whole.py", "x + 1", "x + 2", True),
        ("half.py", "unused = 0", "unused = 1", True),
        ("whole.py", "WIDTH = 2", "WIDTH = 3", False),
        ("whole.py", "WIDTH * x", "WIDTH + x", False),
        ("half.py", "HALF = 0.5", "HALF = 0.6", False),
    ],
)
def test_the_fingerprint_changes_with_what_decides_and_with_nothing_else(
    file, old, new, same, monkeypatch, tmp_path
):
    # a package, for the suite's own imports are followed and other libraries' are not
    package = tmp_path / "ledgerpack"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "whole.py").write_text(MODULE.replace("from half", "from ledgerpack.half"))
    (package / "half.py").write_text("HALF = 0.5\nunused = 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def now():
        for name in [name for name in sys.modules if name.startswith("ledgerpack")]:
            monkeypatch.delitem(sys.modules, name)
        for cached in (fingerprints._tops, fingerprints._definition):
            cached.cache_clear()
        importlib.invalidate_caches()
        run = importlib.import_module("ledgerpack.whole").run
        return fingerprints.fingerprint(toy(partial(run, 1)))

    before = now()
    changed = (package / file).read_text().replace(old, new)
    assert changed != (package / file).read_text()
    (package / file).write_text(changed)
    assert (now() == before) == same


def test_the_fingerprint_tells_numbers_and_checks_apart():
    hashes = {fingerprints.fingerprint(check) for check in CHECKS}
    assert len(hashes) == len(CHECKS)
    a, b = (toy(partial(off_by, distance)) for distance in (0.1, 0.2))
    assert fingerprints.fingerprint(a) != fingerprints.fingerprint(b)


def test_the_time_left_follows_what_each_check_costs():
    slow = Check("slow", "m", off_by, "C.", "R.", fast=False)
    quick = toy(off_by, "quick")
    trial = Trial(0, Outcome(()), 2.0)
    budget = Budget([quick, slow], range(3), {"quick": {0: trial}})
    assert budget.total == pytest.approx(2 * 2.0 + 3 * 20.0)
    budget.pay(Record(slow, (Trial(0, Outcome(()), 50.0),)))
    assert (budget.paid, budget.total) == (50.0, pytest.approx(2 * 2.0 + 3 * 50.0))


@pytest.mark.usefixtures("toys")
def test_what_is_not_there_is_refused(capsys):
    for line in (["check", "exat"], ["check", "--seeds", "0"], ["check", "--seed", "-1"]):
        assert cli.main(line) == BAD_INPUT
        assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_package_is_named_before_any_work(monkeypatch, capsys):
    needy = Check("needy", "m", partial(off_by, 0.0), "C.", "R.", needs=("no_such_package",))
    monkeypatch.setattr("emulant.ledger.check.discover", lambda: (needy,))
    assert cli.main(["check"]) == BAD_INPUT
    assert "needs no_such_package" in capsys.readouterr().err


def test_every_check_can_be_named_and_says_what_it_claims_and_why():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    for check in CHECKS:
        assert check.claim.endswith(".")
        assert len(check.why_tolerance) > 20


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=() if check.fast else pytest.mark.slow, id=check.name)
        for check in CHECKS
    ],
)
def test_the_known_answer_is_found_on_the_worst_of_five_seeds(check):
    for package in check.needs:
        pytest.importorskip(package)
    record = examine(check, range(5))
    failed = {t.seed: [m for m in t.outcome.measures if not m.passed] for t in record.trials}
    assert record.passed, {seed: measures for seed, measures in failed.items() if measures}
    assert any(measure.tolerance is not None for measure, _ in record.worst_measures())
    assert all(figure.alt for figure in record.worst.outcome.pictures())
