"""The certificate's promises: coverage, false faults, worth, power said, weights, determinism."""

import numpy as np
import pytest
from scipy.stats import binom

from emulant.certify import (
    Case,
    Certificate,
    Check,
    FunctionOfMeans,
    Statistic,
    Tolerance,
    certify,
    correlations,
)
from emulant.errors import InputError


def column(x):
    return x.reshape(len(x), -1)[:, :1]


def mean_of(tolerance=0.1, kind="absolute"):
    return Statistic("mean", column, tolerance=Tolerance(tolerance, kind, by="a test"))


VARIANCE = Statistic(
    "variance",
    lambda x: np.stack([x, x**2], axis=1),
    FunctionOfMeans(lambda m: m[..., 1:] - m[..., :1] ** 2),
    tolerance=Tolerance(0.1),
)
MEDIAN = Statistic.from_function(
    "median", lambda x: np.atleast_1d(np.median(x)), tolerance=Tolerance(0.1)
)


def bins(certificate):
    return [b for _, _, b in certificate.rows()]


def covered(certificate, true_bias):
    return np.mean([b.low <= true_bias <= b.high for b in bins(certificate)])


@pytest.mark.parametrize(
    ("statistic", "n", "bias", "trials"),
    [
        (mean_of(), 12, 0.3, 1200),
        (mean_of(), 200, 0.3, 1200),
        (VARIANCE, 300, 0.0, 1200),
        (MEDIAN, 100, 0.3, 500),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_intervals_cover_the_true_bias(statistic, n, bias, trials):
    rng = np.random.default_rng(1)
    cases = [Case(str(k), rng.normal(0.3, 1, n), truth=rng.normal(0, 1, n)) for k in range(trials)]
    share = covered(certify(cases, [statistic], seed=0, replicates=200), bias)
    assert 0.93 <= share <= 0.97


def test_intervals_cover_with_correlated_samples_only_when_groups_are_given():
    rng = np.random.default_rng(2)

    def chains(units, length):
        return (rng.normal(size=(units, 1)) + 0.5 * rng.normal(size=(units, length))).ravel()

    groups = np.repeat(np.arange(30), 20)
    samples = [(chains(30, 20), chains(30, 20)) for _ in range(500)]
    told = [
        Case(str(k), s, truth=t, groups=groups, truth_groups=groups)
        for k, (s, t) in enumerate(samples)
    ]
    untold = [Case(str(k), s, truth=t) for k, (s, t) in enumerate(samples)]
    assert 0.93 <= covered(certify(told, [mean_of()], 0, replicates=200), 0.0) <= 0.97
    assert covered(certify(untold, [mean_of()], 0, replicates=200), 0.0) < 0.7


@pytest.mark.parametrize("shape", ["normal", "lognormal"])
def test_false_faults_are_rare_in_the_whole_family(shape):
    rng = np.random.default_rng(3)
    statistics = [
        Statistic(
            f"s{k}", lambda x, k=k: x[:, k : k + 2], labels=("a", "b"), tolerance=Tolerance(1e-3)
        )
        for k in range(0, 8, 2)
    ]
    trials, draw = 250, getattr(rng, shape)
    failed = 0
    for k in range(trials):
        cases = [Case(c, draw(size=(150, 8)), truth=draw(size=(150, 8))) for c in "pq"]
        failed += certify(cases, statistics, seed=k, replicates=100).verdict == "fail"
    assert failed <= binom.ppf(0.999, trials, 0.05)


def test_p_values_are_uniform_at_the_edge_of_the_tolerance():
    rng = np.random.default_rng(4)
    cases = [Case(str(k), rng.normal(0.5, 1, 100), exact={"mean": 0.0}) for k in range(1500)]
    certificate = certify(cases, [mean_of(0.5)], seed=0, replicates=200)
    p = np.array([b.p_value for b in bins(certificate)])
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / len(p))


def test_worth_is_recovered_within_its_interval():
    rng = np.random.default_rng(5)
    true_worth = (1.5 / 0.4) ** 2
    cases = [
        Case(str(k), rng.normal(0.4, 1.5, 400), truth=rng.normal(0, 1.5, 500)) for k in range(600)
    ]
    found = bins(certify(cases, [mean_of()], seed=0, replicates=200))
    inside = np.mean([b.worth_low <= true_worth <= b.worth_high for b in found])
    assert 0.93 <= inside <= 0.98
    assert np.median([b.worth for b in found]) == pytest.approx(true_worth, rel=0.1)


def test_worth_of_an_unresolved_bias_has_no_upper_end():
    rng = np.random.default_rng(6)
    case = Case("same", rng.normal(size=500), exact={"mean": 0.0})
    (found,) = bins(certify([case], [mean_of()], seed=0))
    assert found.worth_high == np.inf
    assert "≥" in certify([case], [mean_of()], seed=0).table()


def test_too_few_samples_are_underpowered_and_the_number_needed_is_enough():
    rng = np.random.default_rng(7)

    def verdicts(n, trials=200):
        cases = [Case(str(k), rng.normal(size=n), truth=rng.normal(size=n)) for k in range(trials)]
        return bins(certify(cases, [mean_of(0.1)], seed=0, replicates=200))

    few = verdicts(200)
    assert np.mean([b.verdict == "underpowered" for b in few]) >= 0.95
    needed = int(np.median([b.needed for b in few]))
    assert needed == pytest.approx(2 * 3.605**2 / 0.1**2, rel=0.15)
    assert np.mean([b.verdict == "pass" for b in verdicts(needed)]) == pytest.approx(0.9, abs=0.07)


def test_a_bias_beyond_its_tolerance_does_not_pass():
    rng = np.random.default_rng(8)
    cases = [Case(str(k), rng.normal(0.1, 1, 2000), exact={"mean": 0.0}) for k in range(400)]
    found = bins(certify(cases, [mean_of(0.1)], seed=0, replicates=200))
    assert np.mean([b.verdict == "pass" for b in found]) <= binom.ppf(0.999, 400, 0.025) / 400


def test_importance_weights_correct_a_known_shift():
    rng = np.random.default_rng(9)
    shift, n, trials = 0.5, 2000, 150
    cases = []
    for k in range(trials):
        x = rng.normal(size=n)
        cases.append(Case(str(k), x, exact={"mean": shift}, log_weight=shift * x))
    certificate = certify(cases, [mean_of()], seed=0, replicates=200)
    assert certificate.verdict == "fail"
    weighted = [b.reweighted for b in bins(certificate)]
    assert np.mean([w.low <= 0 <= w.high for w in weighted]) >= 0.91
    ess = np.mean([c.ess for c in certificate.cases])
    assert ess == pytest.approx(np.exp(-(shift**2)), rel=0.03)


def test_weights_below_the_floor_are_refused():
    x = np.random.default_rng(10).normal(size=3000)
    case = Case("far", x, exact={"mean": 3.0}, log_weight=3.0 * x)
    report = certify([case], [mean_of()], seed=0).cases[0]
    assert report.reweighting == "refused"
    assert report.ess < 0.10
    assert report.statistics[0].bins[0].reweighted is None


def test_same_seed_same_bytes_whatever_the_workers():
    rng = np.random.default_rng(11)
    cases = [
        Case(str(k), rng.normal(size=3000), truth=rng.normal(size=2000), context={"T": k})
        for k in range(4)
    ]
    statistics = [mean_of(), VARIANCE, MEDIAN]
    text = certify(cases, statistics, seed=5, workers=1).to_json()
    assert certify(cases, statistics, seed=5, workers=3).to_json() == text
    assert certify(cases, statistics, seed=6).to_json() != text


def test_json_gives_back_the_certificate():
    rng = np.random.default_rng(12)
    x = rng.normal(size=300)
    case = Case("a", x, truth=rng.normal(size=300), log_weight=0.1 * x, context={"T": 2.0})
    certificate = certify([case], [mean_of(), VARIANCE], seed=0, notes=["n"]).with_checks(
        Check.judged("ln Z", value=1.0, expected=1.1, error=0.01, tolerance=0.01)
    )
    again = Certificate.from_json(certificate.to_json())
    assert again == certificate
    assert again.to_json() == certificate.to_json()
    with pytest.raises(InputError, match="schema"):
        Certificate.from_json('{"schema": "other"}')
    with pytest.raises(InputError, match="not JSON"):
        Certificate.from_json("nonsense")


def test_checks_count_in_the_status_and_extrapolation_is_said():
    rng = np.random.default_rng(13)
    case = Case("T = 9", rng.normal(size=9000), exact={"mean": 0.0}, extrapolated=True)
    certificate = certify([case], [mean_of(0.2)], seed=0)
    assert (certificate.verdict, certificate.status) == ("pass", 0)
    assert certificate.headline == "PASS, EXTRAPOLATED"
    assert "T = 9" in certificate.table().splitlines()[0]
    unclear = Check.judged("b", value=1.0, expected=1.0, error=1.0, tolerance=0.5)
    wrong = Check.judged("a", value=2.0, expected=1.0, error=0.1, tolerance=0.5)
    assert certificate.with_checks(unclear).status == 3
    assert certificate.with_checks(unclear, wrong).status == 1


def test_a_statistic_without_tolerance_is_reported_and_not_judged():
    case = Case("a", np.random.default_rng(14).normal(size=50), exact={"mean": 9.0})
    certificate = certify([case], [Statistic("mean", column)], seed=0)
    assert certificate.verdict == "reported"
    assert certificate.status == 0


def test_tolerances_of_each_kind_and_the_scale_of_a_case():
    rng = np.random.default_rng(15)
    case = Case("a", rng.normal(4, 2, 5000), truth=rng.normal(4, 2, 5000), context={"T": 3.0})

    def tolerance(statistic):
        return bins(certify([case], [statistic], seed=0))[0].tolerance

    assert tolerance(mean_of(0.1, "relative")) == pytest.approx(0.4, rel=0.03)
    assert tolerance(mean_of(0.1, "scatter")) == pytest.approx(0.2, rel=0.1)
    scaled = Statistic("m", column, scale=lambda c: 10 * c["T"], tolerance=Tolerance(1.0))
    (found,) = bins(certify([case], [scaled], seed=0))
    assert found.estimate == pytest.approx(120, rel=0.03)
    assert found.error == pytest.approx(30 * 2 / np.sqrt(5000), rel=0.1)


def test_two_stages_and_a_black_box_agree():
    x = np.random.default_rng(16).normal(size=4000)
    two_stage = certify([Case("a", x, exact={"variance": 1.0})], [VARIANCE], seed=0)
    box = Statistic.from_function("variance", lambda s: np.atleast_1d(np.var(s)))
    whole = certify([Case("a", x, exact={"variance": 1.0})], [box], seed=0)
    assert bins(whole)[0].estimate == pytest.approx(bins(two_stage)[0].estimate, rel=1e-9)
    assert bins(whole)[0].error == pytest.approx(bins(two_stage)[0].error, rel=0.25)
    assert bins(two_stage)[0].error == pytest.approx(np.sqrt(2 / 4000), rel=0.12)


def test_a_black_box_is_reweighted_as_its_two_stages_are():
    rng = np.random.default_rng(19)
    n, cases = 1500, []
    for k in range(60):
        x = rng.normal(size=n)
        cases.append(Case(str(k), x, exact={"box": 1.0, "variance": 1.0}, log_weight=0.5 * x))
    box = Statistic.from_function("box", lambda s: np.atleast_1d(np.var(s)))
    found = certify(cases, [box, VARIANCE], seed=0, replicates=200)
    boxes, stages = ([c.statistics[k].bins[0].reweighted for c in found.cases] for k in (0, 1))
    apart = [(b.estimate - s.estimate) / s.error for b, s in zip(boxes, stages, strict=True)]
    assert abs(np.mean(apart)) < 0.2
    assert np.std(apart) < 0.6  # of whole counts in place of weights
    wider = np.mean([b.error / s.error for b, s in zip(boxes, stages, strict=True)])
    assert 0.95 < wider < 1.3
    assert np.mean([b.low <= 0 <= b.high for b in boxes]) >= 0.87


def test_general_reductions_know_how_few_samples_carry_them():
    x = np.zeros(2000)
    x[:6] = 1.0
    x = np.random.default_rng(20).permutation(x)
    reduced = Statistic("mean", column, lambda r, w: (w @ r)[:1] / w.sum())
    box = Statistic.from_function("box", lambda s: np.atleast_1d(s.mean()))
    exact = {"mean": 0.0, "box": 0.0}
    found = bins(certify([Case("a", x, exact=exact)], [reduced, box], seed=0))
    assert all(5 < b.dof < 30 for b in found)


def test_a_weighted_quantile_is_a_statistic_too():
    def median(rows, weights):
        order = np.argsort(rows[:, 0])
        place = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
        return rows[order[place], 0][None]

    rng = np.random.default_rng(17)
    statistic = Statistic("median", column, median, tolerance=Tolerance(0.2))
    case = Case("a", rng.normal(size=2000), truth=rng.normal(size=2000))
    (found,) = bins(certify([case], [statistic], seed=0, replicates=200))
    assert found.error == pytest.approx(np.sqrt(np.pi / 2 / 2000), rel=0.25)


def test_rare_bins_have_few_degrees_of_freedom():
    x = np.zeros(4000)
    x[:5] = 1.0
    case = Case("a", np.random.default_rng(18).permutation(x), exact={"mean": 0.001})
    (found,) = bins(certify([case], [mean_of()], seed=0))
    assert 5 < found.dof < 20


@pytest.mark.parametrize("n", [2, 3, 5, 12, 40])
def test_handfuls_of_true_samples_neither_fail_nor_pass(n):
    """Few samples are easily alike: their own scatter says nothing of their error."""
    rng = np.random.default_rng(n)
    statistics = [
        Statistic(
            "flags",
            lambda x: (x < np.array([-1.3, -0.8, 0.0, 0.8])).astype(float),
            labels=tuple("abcd"),
            tolerance=Tolerance(0.02),
        ),
        correlations(lambda x: x, tuple("abcd"), tolerance=Tolerance(0.05)),
    ]
    words = []
    for k in range(80):
        x, y = rng.normal(size=(n, 4)), rng.normal(size=(300, 4))
        words.append(certify([Case("a", x, truth=y)], statistics, k, replicates=100).verdict)
        words.append(certify([Case("b", y, truth=x)], statistics, k, replicates=100).verdict)
    assert "pass" not in words
    assert words.count("fail") <= binom.ppf(0.999, len(words), 0.05)


GOOD = np.random.default_rng(0).normal(size=40)


def raises(_samples):
    raise RuntimeError("boom")


def grows(samples):
    return np.zeros(len(np.unique(samples)) % 7 + 1)


BAD = {
    "NaN": (Case("hot", np.append(GOOD, np.nan), truth=GOOD), mean_of(), "hot.*mean.*NaN.*40"),
    "NaN truth": (Case("hot", GOOD, truth=np.append(GOOD, np.inf)), mean_of(), "mean, truth"),
    "constant": (Case("hot", np.ones(9), truth=np.ones(9)), mean_of(), "hot.*mean.*constant"),
    "one sample": (Case("hot", GOOD[:1], truth=GOOD), mean_of(), "hot, samples.*2 independent"),
    "empty": (Case("hot", GOOD, truth=GOOD[:0]), mean_of(), "hot, truth.*2 independent"),
    "one unit": (
        Case("hot", GOOD, truth=GOOD, groups=np.zeros(40)), mean_of(), "2 independent units",
    ),
    "groups": (Case("hot", GOOD, truth=GOOD, groups=np.zeros(3)), mean_of(), "groups.*shape"),
    "shapes": (Case("hot", np.ones((9, 2)), truth=np.ones((9, 3))), mean_of(), "hot.*shape"),
    "no truth": (Case("hot", GOOD), mean_of(), "hot.*mean.*neither"),
    "unknown": (
        Case("hot", GOOD, truth=GOOD, exact={"typo": 1.0}), mean_of(), "unknown statistic 'typo'",
    ),
    "exact shape": (Case("hot", GOOD, exact={"mean": [1.0, 2.0]}), mean_of(), "hot.*mean.*exact"),
    "weights shape": (
        Case("hot", GOOD, truth=GOOD, log_weight=np.zeros(2)), mean_of(), "log_weight.*shape",
    ),
    "weights NaN": (
        Case("hot", GOOD, truth=GOOD, log_weight=np.full(40, np.nan)), mean_of(), "log_weight.*NaN",
    ),
    "raises": (
        Case("hot", GOOD, truth=GOOD),
        Statistic("mine", raises, tolerance=Tolerance(1.0)),
        "hot.*mine.*RuntimeError: boom",
    ),
    "changes length": (
        Case("hot", GOOD, truth=GOOD),
        Statistic.from_function("mine", grows),
        "hot.*mine.*one number per label",
    ),
    "wrong labels": (
        Case("hot", GOOD, truth=GOOD),
        Statistic("mine", column, labels=("a", "b")),
        "hot.*mine.*2 label",
    ),
    "features": (
        Case("hot", GOOD, truth=GOOD), Statistic("mine", np.cumsum), "hot.*mine.*shape",
    ),
    "zero relative": (
        Case("hot", GOOD, exact={"mean": 0.0}), mean_of(0.1, "relative"), "absolute tolerance",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", BAD)
def test_bad_input_is_one_line_that_names_case_and_statistic(key):
    case, statistic, message = BAD[key]
    with pytest.raises(InputError, match=message) as caught:
        certify([case], [statistic], seed=0)
    assert "\n" not in str(caught.value)


def test_two_cases_of_one_name_are_refused():
    case = Case("a", GOOD, truth=GOOD)
    with pytest.raises(InputError, match="same case: a"):
        certify([case, case], [mean_of()], seed=0)
