"""The benchmark: its arithmetic, and that it runs."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from emulant.store import read_json
from emulant_apps.ising.bench import ASKED, HEAD, Row, bench, lower_worth, replace_between
from emulant_apps.ising.config import BenchConfig
from emulant_apps.ising.data import simulate
from emulant_apps.ising.exact import magnetisation_law
from emulant_apps.ising.observables import measure
from emulant_apps.ising.sample import Emulator, FreeSpins
from emulant_apps.ising.weights import Estimate

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_effective_rate_is_that_of_the_mean_squared_error():
    # σ²/n + b² = σ²/n_eff: with n* = n the error doubles in square, half the states count
    row = Row(32, 2.0, "biased", independent=100.0, worth=float(ASKED))
    assert row.effective == pytest.approx(50.0)
    assert Row(32, 2.0, "exact", independent=100.0).effective == 100.0


def test_shown_worth_is_never_more_than_the_test_could_see():
    n, sigma = 400, 0.3
    assert lower_worth(Estimate(0.0, sigma / np.sqrt(n)), sigma) == pytest.approx(n / 4)
    assert lower_worth(Estimate(sigma, 0.0), sigma) == pytest.approx(1.0)


def test_table_goes_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    replace_between(page, "bench", "| new |\n")
    replace_between(page, "bench", "| newer \\1 |\n")
    assert page.read_text() == "before\n<!-- bench -->\n| newer \\1 |\n<!-- /bench -->\nafter\n"
    replace_between(tmp_path / "fresh.md", "bench", "| new |\n")
    assert (tmp_path / "fresh.md").read_text() == "| new |\n"


def test_every_sampler_is_measured(monkeypatch):
    monkeypatch.setattr(Emulator, "pretrained", classmethod(lambda cls: cls(FreeSpins())))
    config = BenchConfig(lattice=(8,), temperatures=(5.0,), seconds=0.02, count=2000)
    rows = {row.sampler: row for row in bench(config)}
    assert {"Wolff", "Swendsen-Wang", "emulator, raw", "emulator, 4 sweeps"} <= set(rows)
    assert any("heat bath" in name for name in rows)
    assert all(row.independent > 0 and len(row.cells()) == len(HEAD) for row in rows.values())
    assert rows["Wolff"].bias is None
    # the bias of free spins, known from the exact energies of both
    raw = rows["emulator, raw"]
    assert raw.bias.value > 10 * raw.bias.error
    assert raw.worth < 2000
    assert rows["emulator, 4 sweeps"].worth > raw.worth


def test_accuracy_table_is_made_and_resumed(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    accuracy = importlib.import_module("ising_accuracy")
    monkeypatch.setattr(Emulator, "pretrained", classmethod(lambda cls: cls(FreeSpins())))
    page = tmp_path / "page.md"
    page.write_text("<!-- accuracy -->\n<!-- /accuracy -->\n")
    config = accuracy.Config(
        work=tmp_path / "work",
        lattices=(8,),
        count=300,
        reference_count=2000,
        bank_count=300,
        temperatures=(3.0, 5.0),
        workers=1,
        markdown=page,
    )
    accuracy.main(config)
    first = page.read_text()
    said = capsys.readouterr()
    for row in ("emulator, raw", "nearest other bank", "reweighted", "cold start", "true states"):
        assert row in said.out
        assert row in first
    made = sorted(file.name for file in (tmp_path / "work").iterdir())
    accuracy.main(config)
    assert page.read_text() == first
    assert "true states" not in capsys.readouterr().err  # kept, not made again
    assert sorted(file.name for file in (tmp_path / "work").iterdir()) == made
    records = [read_json(tmp_path / "work" / name) for name in made if name.startswith("row")]
    floor = next(r for r in records if "true states" in r["key"]["row"])
    for result in floor["results"]:
        for name in ("energy", "magnetisation", "heat_capacity", "susceptibility"):
            assert abs(result[name]["value"]) < 5 * result[name]["error"]


def test_control_variates_leave_the_truth_and_take_away_error(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    truth = importlib.import_module("ising_truth")
    states = simulate(lattice=8, temperatures=[2.3], count=4000, seed=3)
    found = truth._truth(truth.Draws.of(states.spins[0]), 8, 2.3)
    law = magnetisation_law(8, 2.3)
    plain = measure(states.spins[0], 2.3, tau=0.5)
    assert abs(found.magnetisation.value - law.moment(1)) < 4 * found.magnetisation.error
    assert found.magnetisation.error < 0.7 * plain.magnetisation.error
