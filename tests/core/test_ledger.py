"""The ledger itself, and its fast checks on two seeds; the slow ones wait for -m slow."""

import json
import math
from functools import partial

import pytest

from emulant import cli
from emulant.errors import BAD_INPUT, FAIL, PASS
from emulant.ledger import Check, Measure, Outcome, discover
from emulant.ledger.check import error
from emulant.ledger.record import examine
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


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=() if check.fast else pytest.mark.slow, id=check.name)
        for check in CHECKS
    ],
)
def test_the_known_answer_is_found(check, seed):
    for package in check.needs:
        pytest.importorskip(package)
    outcome = check.run(seed)
    failed = [measure for measure in outcome.measures if not measure.passed]
    assert not failed
    assert any(measure.tolerance is not None for measure in outcome.measures)
