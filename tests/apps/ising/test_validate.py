"""Certificates: true states are not called false, false ones are, and units are honest."""

import json
from dataclasses import replace

import numpy as np
import pytest

from emulant.certify import STANDARD
from emulant.errors import InputError
from emulant.rng import numpy_rng
from emulant_apps.ising import exact
from emulant_apps.ising.config import CRITICAL, ValidateConfig
from emulant_apps.ising.criteria import (
    LEVELS,
    Law,
    Rows,
    distances,
    exact_laws,
    statistics,
)
from emulant_apps.ising.data import States, simulate, write_states
from emulant_apps.ising.sample import Emulator, FreeSpins
from emulant_apps.ising.sides import checks_of, sides_table
from emulant_apps.ising.simulators import simulate as chain
from emulant_apps.ising.validate import certificate, reference_states, run, side_by_side


@pytest.fixture(scope="module")
def truth():
    return simulate(lattice=8, temperatures=[2.0, 2.6], count=3000, seed=11)


@pytest.mark.parametrize("t", [1.6, CRITICAL, 3.4])
def test_exact_laws_are_laws_and_agree_with_each_other(t):
    laws = exact_laws(8, t, 0.0)
    for law in laws.values():
        assert law.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
        assert (np.diff(law.values) > 0).all()
    mean = laws["magnetisation"].values @ laws["magnetisation"].probabilities / 64
    assert mean == pytest.approx(exact.magnetisation_law(8, t).moment(1), abs=1e-12)


@pytest.mark.parametrize("values", [[0], [0, 1], [-4, 0, 0, 0, 4, 8]])
def test_randomised_transform_of_its_own_law_is_uniform(values):
    law = Law.of(np.array(values))
    rng = np.random.default_rng(0)
    n = 200_000
    drawn = rng.choice(law.values, size=n, p=law.probabilities)
    counts = np.bincount(law.tenths(drawn, rng), minlength=10)
    assert np.abs(counts / n - 0.1).max() < 5 * np.sqrt(0.09 / n)


def test_values_that_the_law_has_not_go_to_the_nearest_tenth():
    law = Law(np.array([0, 4]), np.array([0.5, 0.5]))
    assert law.tenths(np.array([-8, 2, 8]), np.random.default_rng(0)).tolist() == [0, 5, 9]


def test_statistics_are_the_observables_of_the_rows(truth):
    rows = Rows.layout(8)
    t = 2.6
    spins = truth.at(t)
    table = rows.of(spins, exact_laws(8, t, 0.0), numpy_rng(0, "test"), 0.0)
    found = {s.name: s(table, {"N": 64, "T": t}) for s in statistics(rows, LEVELS["raw"])}
    u = -(spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2))).sum((1, 2)) / 64
    m = np.abs(spins.mean((1, 2)))
    assert found["u"][0] == pytest.approx(u.mean())
    assert found["c"][0] == pytest.approx(64 / t**2 * u.var(), rel=1e-9)
    assert found["χ"][0] == pytest.approx(64 / t * m.var(), rel=1e-9)
    assert found["U4"][0] == pytest.approx(1 - (m**4).mean() / 3 / (m**2).mean() ** 2)
    assert found["S(k)"][0] == pytest.approx(64 * (m**2).mean())
    assert len(found["G(r)"]) == len(distances(8))
    for name in ("energy tenths", "|m| tenths"):
        assert found[name].sum() == pytest.approx(1.0)
        assert np.abs(found[name] - 0.1).max() < 5 * np.sqrt(0.09 / len(spins))


@pytest.mark.parametrize("seed", range(5))
def test_true_states_are_never_called_false(seed):
    states = simulate(lattice=4, temperatures=[2.0, 3.0], count=2000, seed=seed)
    found = certificate(states, None, "finished", seed)
    assert found.verdict in ("pass", "underpowered")
    assert {s.name for s in found.cases[0].statistics} >= {"u", "c", "|m|", "χ", "energy tenths"}


def test_enough_true_states_pass_the_loosest_tolerances():
    states = simulate(lattice=8, temperatures=[3.4], count=16_000, seed=0)
    found = certificate(states, None, "quick")
    assert found.verdict == "pass", found.table()
    assert found.status == 0


def test_states_of_another_temperature_fail(truth):
    wrong = replace(truth, temperatures=np.array([2.1, 2.7]))
    found = certificate(wrong, None, "quick")
    assert found.verdict == "fail"
    assert found.status == 1
    failed = {s.name for c in found.cases for s in c.statistics if s.verdict == "fail"}
    assert "u" in failed
    assert any(check.verdict == "fail" and "Callen" in check.name for check in found.checks)


def test_given_truth_is_the_reference_where_nothing_is_exact(truth):
    states = simulate(lattice=8, temperatures=[2.6], count=500, seed=5)
    found = certificate(states, truth)
    kinds = {s.name: s.bins[0].control.kind for s in found.cases[0].statistics}
    assert kinds["u"] == "truth against exact"
    assert kinds["G(r)"] == "truth against truth"


def test_correlated_states_count_as_fewer():
    spins = np.stack(
        [chain(8, t, 3000, "metropolis", spacing=1, burn_in=200, seed=2).spins for t in (2.2, 2.4)]
    )
    found = certificate(States(spins, np.array([2.2, 2.4])))
    for case in found.cases:
        assert case.samples == 3000
        assert case.units < 300
    assert any("correlated" in note for note in found.notes)


def test_independent_states_count_one_by_one(truth):
    assert all(case.units == 3000 for case in certificate(truth).cases)


def test_weights_are_checked_against_the_exact_partition_function():
    states = Emulator(FreeSpins()).sample([4.0, 6.0], 8000, 4, sweeps=0)
    found = certificate(states)
    checks = {check.name: check for check in found.checks}
    for t in (4.0, 6.0):
        ln_z = checks[f"ln Z, T = {t:g}"]
        assert ln_z.expected == pytest.approx(exact.kaufman(4, t).log_z)
        assert abs(ln_z.value - ln_z.expected) < 5 * ln_z.error
    assert checks["ESS / n, T = 6"].value > checks["ESS / n, T = 4"].value
    wrong = replace(states, log_weight=states.log_weight + 1.0)
    assert {c.verdict for c in certificate(wrong).checks if c.name.startswith("ln Z")} == {"fail"}


def test_hopeless_states_fail_without_breaking_the_histograms():
    states = Emulator(FreeSpins()).sample([1.6], 300, 16, sweeps=0)
    assert certificate(states).verdict == "fail"


def test_what_was_extrapolated_says_so(truth):
    marked = replace(truth, notes={"extrapolated": [2.6]})
    found = certificate(marked)
    assert found.extrapolated == ("T = 2.6",)
    assert "EXTRAPOLATED" in found.headline


def test_certificate_is_the_same_whatever_the_workers(truth):
    assert certificate(truth, workers=1).to_json() == certificate(truth, workers=2).to_json()


def test_reference_is_not_the_same_stream_as_the_states():
    states = simulate(lattice=4, temperatures=[2.0], count=100, seed=0)
    reference = reference_states(states, 100, seed=0)
    assert not np.array_equal(reference.spins, states.spins)


def test_states_in_a_field_need_a_reference():
    ask = {"lattice": 4, "temperatures": [2.0], "algorithm": "heat-bath", "field": 0.2}
    states = simulate(**ask, count=2000, seed=1)
    with pytest.raises(InputError, match="field"):
        certificate(states)
    reference = reference_states(states, 2000, seed=1)
    assert reference.field == 0.2
    truth = exact.enumerate_states(4, 2.0, 0.2)
    found = certificate(states, reference)
    assert found.verdict != "fail"
    u = found.cases[0].statistics[0].bins[0]
    assert abs(u.reference - truth.mean(truth.energies)) < 5 * u.reference_error


def test_states_without_a_density_are_corrected_by_a_ratio(truth):
    # states of T = 2.65 sold as T = 2.6
    wrong = simulate(lattice=8, temperatures=[2.65], count=3000, seed=7)
    wrong = replace(wrong, temperatures=np.array([2.6]))
    (case,) = certificate(wrong, truth, correct=True).cases
    assert case.reweighting == "used"
    assert 0.5 < case.ess < 1.0
    assert case.truth_samples == 1500  # the other half was used for the fit
    u = case.statistics[0].bins[0]
    assert abs(u.reweighted.bias) < abs(u.bias)
    with pytest.raises(InputError, match="--correct"):
        certificate(wrong, None, correct=True)


def test_every_treatment_stands_beside_the_others():
    states = Emulator(FreeSpins()).sample([4.0], 3000, 8, sweeps=0)
    truth = simulate(lattice=8, temperatures=[4.0], count=6000, seed=21)
    found = side_by_side(states, truth)
    known = {(s.treatment, s.statistic): s for s in found}
    assert {t for t, _ in known} == {"as given", "4 sweeps", "own weights", "density ratio"}
    raw = known["as given", "u"]
    assert abs(raw.bias) > 10 * raw.error  # independent spins know no energy
    for treatment in ("4 sweeps", "own weights", "density ratio"):
        for name in ("u", "c", "|m|"):
            side = known[treatment, name]
            assert abs(side.bias) < 5 * side.error, (treatment, name)
    assert 0.1 < known["own weights", "u"].ess < known["density ratio", "u"].ess + 0.4
    table = sides_table(found)
    assert [row[1] for row in table] == [
        "states", "as given", "own weights", "4 sweeps", "density ratio",
    ]  # fmt: skip
    checks = checks_of(found)
    assert {c.verdict for c in checks} == {"reported"}
    assert len(checks) == 16


def test_the_standard_comparisons_and_the_memory_look_at_spins(truth):
    rng = np.random.default_rng(0)
    training = simulate(lattice=8, temperatures=[2.6], count=1500, seed=31)
    copies = training.spins[:, rng.permutation(1500)[:800]]
    copier = replace(training, spins=copies)
    honest = simulate(lattice=8, temperatures=[2.6], count=800, seed=32)
    few = [c for c in STANDARD if c.name in ("near copies of training", "repeated samples")]
    found = {}
    for name, states in (("copier", copier), ("honest", honest)):
        made = certificate(states, truth, "quick", comparisons=few, training=training)
        (case,) = made.cases
        assert case.training_samples == 1500
        found[name] = {d.name: d for d in case.distances}
    assert found["copier"]["near copies of training"].verdict == "fail"
    assert found["copier"]["near copies of training"].note == "800 of 800 equal a training row"
    assert {d.verdict for d in found["honest"].values()} <= {"pass", "underpowered"}


def test_the_command_shows_all_of_it(tmp_path, capsys):
    states = Emulator(FreeSpins()).sample([4.0], 200, 4, sweeps=0)
    write_states(tmp_path / "states.npz", states)
    for name, seed in (("truth", 1), ("training", 2)):
        made = simulate(lattice=4, temperatures=[4.0], count=200, seed=seed)
        write_states(tmp_path / f"{name}.npz", made)
    config = ValidateConfig(
        states=tmp_path / "states.npz", truth=tmp_path / "truth.npz",
        training=tmp_path / "training.npz", out=tmp_path / "out", correct=True, workers=1,
    )  # fmt: skip
    assert run(config) in (0, 1, 3)
    said = capsys.readouterr().out
    assert "density ratio" in said
    assert "own weights" in said
    record = json.loads((tmp_path / "out" / "certificate.json").read_text("utf-8"))
    names = {d["name"] for d in record["cases"][0]["distances"]}
    assert {"classifier", "network", "coverage", "near copies of training"} <= names
    assert "u, T = 4, 4 sweeps" in {c["name"] for c in record["checks"]}
    other = simulate(lattice=6, temperatures=[4.0], count=50, seed=3)
    write_states(tmp_path / "other.npz", other)
    with pytest.raises(InputError, match=r"other.npz: field 'spins' has side 6"):
        run(replace(config, training=tmp_path / "other.npz", out=tmp_path / "more"))
    assert not (tmp_path / "more").exists()


def test_states_beyond_correction_are_refused(truth):
    hot = simulate(lattice=8, temperatures=[6.0], count=3000, seed=7)
    (case,) = certificate(replace(hot, temperatures=np.array([2.0])), truth, correct=True).cases
    assert case.reweighting == "refused"
    assert case.ess < 0.1
