"""Laws of every comparison of samples with truth as a whole, and the faults each must see."""

import dataclasses

import numpy as np
import pytest

from emulant.certify import STANDARD, Case, Statistic, Tolerance, certify
from emulant.certify.classifier import CrossFitted, area_under_curve
from emulant.certify.covariance import correlations, parameter_errors, variances
from emulant.certify.distances import frechet
from emulant.certify.evidence import Pair, permuted_sides
from emulant.certify.memory import NearRepeats, nearest, overlap, refuse_overlap
from emulant.errors import InputError

K = 4


def pair(x, y, training=None, x_unit=None, y_unit=None):
    units = (
        np.arange(len(x)) if x_unit is None else x_unit,
        np.arange(len(y)) if y_unit is None else y_unit,
    )
    return Pair.of((x, y), units, (x, y), training)


def smaller(comparison):
    """The same comparison on fewer rows and replicates, for the tests' sake."""
    fields = {f.name for f in dataclasses.fields(comparison)}
    wanted = {"replicates": 39, "most": 150, "directions": 16, "steps": 10}
    return dataclasses.replace(comparison, **{k: v for k, v in wanted.items() if k in fields})


CHEAP = [smaller(c) for c in STANDARD if c.name != "classifier"]


@pytest.mark.parametrize("comparison", CHEAP, ids=lambda c: c.name)
def test_truth_against_truth_shows_no_excess(comparison):
    rng = np.random.default_rng(0)
    evidence = []
    for _ in range(60):
        x, y, t = (rng.normal(size=(400, K)) for _ in range(3))
        evidence.append(comparison(pair(x, y, t), rng))
    z = np.array([e.excess / e.error for e in evidence])
    assert np.mean(z > 1.96) <= 0.12
    if comparison.name != "recall" and evidence[0].p_equal is not None:
        p = np.array([e.p_equal for e in evidence])
        assert np.mean(p <= 0.1) <= 0.24  # 0.1 is expected; 99.9 % of binomials stay below
        assert 0.3 < p.mean() < 0.72


@pytest.mark.parametrize("comparison", STANDARD, ids=lambda c: c.name)
def test_the_same_generator_gives_the_same_evidence(comparison):
    rng = np.random.default_rng(1)
    x, y, t = (rng.normal(size=(120, K)) for _ in range(3))
    made = [smaller(comparison)(pair(x, y, t), np.random.default_rng(5)) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("comparison", CHEAP, ids=lambda c: c.name)
def test_what_needs_a_training_set_says_nothing_without_one(comparison):
    x, y = (np.random.default_rng(2).normal(size=(100, K)) for _ in range(2))
    silent = comparison(pair(x, y), np.random.default_rng(0)) is None
    assert silent == ("training" in comparison.name)


def test_the_area_of_equal_sides_scatters_as_its_error_says():
    """Folds learn from each other: the area's variance is twice that of independent ones."""
    rng, folds, z, p = np.random.default_rng(12), 5, [], []
    for _ in range(400):
        x, y = rng.normal(size=(2, 100, 8))
        both, truth = np.concatenate([x, y]), np.arange(200) >= 100
        fold = np.tile(np.arange(100) % folds, 2)
        logits = np.zeros((200, 1))
        for k in range(folds):
            seen, out = fold != k, fold == k
            direction = both[seen & truth].mean(0) - both[seen & ~truth].mean(0)
            logits[out, 0] = both[out] @ direction
        fitted = CrossFitted.of(logits, pair(x, y), (fold[:100], fold[:100]))
        found = area_under_curve(fitted, folds, 99, rng, "")
        z.append(found.excess / found.error)
        p.append(found.p_equal)
    assert np.std(z) == pytest.approx(1.0, abs=0.12)
    assert abs(np.mean(np.array(p) <= 0.1) - 0.1) < 0.06


def test_permutations_exchange_whole_units():
    unit = np.repeat(np.arange(6), 5)
    sides = permuted_sides(unit, unit + 7, 50, np.random.default_rng(0))
    assert sides[0, :30].all()
    assert not sides[0, 30:].any()
    by_unit = sides.reshape(51, 12, 5)
    assert (by_unit == by_unit[..., :1]).all()
    assert (sides.sum(axis=1) == 30).all()


def seen(x, y, training=None):
    """Names of the comparisons that fail."""
    certificate = certify(
        [Case("a", x, truth=y, training=training)],
        [Statistic("mean", lambda s: s[:, :1], tolerance=Tolerance(9.0))],
        seed=0,
        replicates=100,
        comparisons=[c for c in STANDARD if c.tolerance is not None],
    )
    return {d.name for d in certificate.cases[0].distances if d.verdict == "fail"}


@pytest.fixture(scope="module")
def normal():
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=(1500, K)) for name in ("samples", "truth", "training")}


def test_an_honest_emulator_fails_nothing(normal):
    assert seen(normal["samples"], normal["truth"], normal["training"]) == set()


def test_duplicates_of_training_rows_are_seen(normal):
    x = normal["samples"].copy()
    x[:75] = normal["training"][:75]
    assert "near copies of training" in seen(x, normal["truth"], normal["training"])


def test_a_copier_of_the_training_set_is_seen(normal):
    copies = normal["training"] + 0.02 * normal["samples"]
    failed = seen(copies, normal["truth"], normal["training"])
    assert {"near copies of training", "closer to training than truth"} <= failed


def test_repeated_samples_are_seen(normal):
    x = normal["samples"].copy()
    x[200:400] = x[:200]
    assert "repeated samples" in seen(x, normal["truth"])


def test_near_repeats_are_counted(normal):
    rng = np.random.default_rng(11)
    x = normal["samples"].copy()
    x[200:400] = x[:200] + 1e-4 * rng.normal(size=(200, K))
    honest, faulty = (
        NearRepeats(most=1500)(pair(s, normal["truth"]), np.random.default_rng(0))
        for s in (normal["samples"], x)
    )
    assert abs(honest.excess) < 3 * honest.error
    assert faulty.value == pytest.approx(400 / 1500, abs=0.03)
    assert "repeated samples" not in seen(x, normal["truth"])  # none is exact


def test_a_missing_mode_is_seen():
    rng = np.random.default_rng(4)
    centres = 8 * np.stack([np.cos(np.arange(10)), np.sin(np.arange(10))], axis=1)

    def modes(count):
        return centres[rng.integers(count, size=1600)] + 0.3 * rng.normal(size=(1600, 2))

    assert "coverage" in seen(modes(9), modes(10))


def test_a_removed_correlation_is_seen():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=(1500, 3))
    truth[:, 1] += 1.2 * truth[:, 0]
    samples = np.stack([rng.permutation(c) for c in truth.T], axis=1)
    assert "classifier" in seen(samples, truth)


def test_training_given_as_truth_is_refused(normal):
    with pytest.raises(InputError, match=r"case a: 100.0 % of truth is in the training set"):
        refuse_overlap("a", normal["truth"], normal["truth"])
    with pytest.raises(InputError, match="held out"):
        seen(normal["samples"], normal["truth"], normal["truth"])


def test_truth_that_repeats_by_nature_is_not_refused():
    rng = np.random.default_rng(6)
    truth, training = (rng.choice([-1, 1], size=(500, 4), p=[0.05, 0.95]) for _ in range(2))
    share, chance = overlap(truth, training)
    assert share > 0.9
    assert share == pytest.approx(chance, abs=0.02)
    refuse_overlap("a", truth, training)


def test_small_sets_that_repeat_by_nature_are_rarely_refused():
    refused = 0
    for k in range(200):
        rng = np.random.default_rng(k)
        common = np.array([0.02, 0.02, *np.full(2000, 0.96 / 2000)])
        truth, training = (rng.choice(2002, size=(200, 1), p=common) for _ in range(2))
        try:
            refuse_overlap("a", truth, training)
        except InputError:
            refused += 1
    assert refused <= 1
    with pytest.raises(InputError, match="held out"):
        refuse_overlap("a", np.concatenate([truth[:140], training[:60]]), training)


def test_nearest_finds_copies_at_distance_zero():
    rows = np.random.default_rng(7).normal(1e3, 1.0, size=(200, 50))
    assert nearest(rows[:20], rows).max() == 0.0
    brute = np.sqrt(((rows[:5, None] - rows[None, 50:]) ** 2).sum(-1)).min(1)
    assert nearest(rows[:5], rows[50:]) == pytest.approx(brute, rel=1e-3)


def test_frechet_of_two_gaussians_is_the_formula():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(50_000, 2)), 3.0 * rng.normal(size=(50_000, 2)) + 1.0
    assert frechet(x, y) == pytest.approx(2 * (1.0 + (3.0 - 1.0) ** 2), rel=0.03)


def test_covariance_statistics_are_their_formulae():
    x = np.random.default_rng(9).normal(size=(5000, 3)) @ np.array(
        [[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 2.0]]
    )
    labels = ("a", "b", "c")
    C = np.cov(x.T, bias=True)
    assert variances(lambda s: s, labels)(x) == pytest.approx(np.diag(C))
    R = np.corrcoef(x.T)
    assert correlations(lambda s: s, labels)(x) == pytest.approx([R[0, 1], R[0, 2], R[1, 2]])
    D = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    expected = np.sqrt(np.diag(np.linalg.inv(D.T @ np.linalg.inv(C) @ D)))
    assert parameter_errors(lambda s: s, D, ("p", "q"))(x) == pytest.approx(expected)


def test_intervals_of_correlations_cover():
    rng = np.random.default_rng(10)
    statistic = correlations(lambda s: s, ("a", "b"), tolerance=Tolerance(0.1))

    def draw():
        x = rng.normal(size=(200, 2))
        x[:, 1] += x[:, 0]
        return x

    cases = [Case(str(k), draw(), exact={"correlation": np.sqrt(0.5)}) for k in range(600)]
    found = certify(cases, [statistic], seed=0, replicates=200)
    share = np.mean([b.low <= 0 <= b.high for _, _, b in found.rows()])
    assert 0.93 <= share <= 0.97
