"""The benchmark: its arithmetic, and that it runs."""

import numpy as np
import pytest

from emulant_apps.ising.bench import ASKED, HEAD, Row, bench, lower_worth, replace_between
from emulant_apps.ising.config import BenchConfig
from emulant_apps.ising.sample import Emulator, FreeSpins
from emulant_apps.ising.weights import Estimate


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
