"""The network of the two-sample test: what it sees, what it costs, and that it repeats itself."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from emulant.certify import Case, Statistic, Tolerance, certify
from emulant.certify.classifier import ClassifierTest
from emulant.certify.distinguisher import Windows, held_out_logits
from emulant.certify.evidence import Pair
from emulant.certify.network import NetworkTest
from emulant.certify.summaries import grid_statistics
from emulant.rng import torch_rng


def spots(rng, n, side=12):
    """Bright spots with a tail to the right, and noise."""
    tail = np.fft.fft(np.exp(-np.arange(side) / 3.0))
    bright = np.fft.fft(rng.random((n, side, side)) < 0.08, axis=2)
    return np.fft.ifft(bright * tail, axis=2).real + 0.2 * rng.normal(size=(n, side, side))


def pair(x, y):
    flat = [a.reshape(len(a), -1)[:, :2] for a in (x, y)]
    return Pair.of(tuple(flat), (np.arange(len(x)), np.arange(len(y))), (x, y))


def test_it_sees_what_power_spectra_and_histograms_cannot():
    rng = np.random.default_rng(0)
    samples, truth = spots(rng, 600)[:, :, ::-1], spots(rng, 600)
    found = certify(
        [Case("mirrored", samples, truth=truth)],
        grid_statistics(truth, 0.2, "a test"),
        seed=0,
        replicates=200,
        comparisons=[ClassifierTest(), NetworkTest()],
    )
    report = found.cases[0]
    assert "fail" not in {s.verdict for s in report.statistics}
    verdicts = {d.name: d.verdict for d in report.distances}
    assert verdicts["network"] == "fail"
    assert verdicts["classifier"] != "fail"


@pytest.mark.parametrize("shape", [(3,), (90,), (8, 8), (2, 8, 8), (4, 4, 4), (1, 1, 70)])
def test_equal_laws_of_any_shape_are_not_told_apart(shape):
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=(80, *shape)).astype(np.float32) for _ in range(2))
    found = NetworkTest(steps=5, replicates=99)(pair(x, y), np.random.default_rng(0))
    assert abs(found.excess) < 4 * found.error
    assert found.p_equal > 0.001


def test_the_edges_of_the_range_of_numbers_do_no_harm():
    x, y = np.random.default_rng(2).normal(size=(2, 60, 3))
    x[0, 2], y[:, 2] = 1e300, 7.0
    found = NetworkTest(steps=5)(pair(x, y), np.random.default_rng(0))
    assert np.isfinite([found.value, found.error]).all()


def test_words_and_too_few_units_have_no_network():
    words = np.array(["CCO", "CCN"] * 20)
    x = np.random.default_rng(3).normal(size=(40, 2))
    spoken = dataclasses.replace(pair(x, x + 1), raw_x=words, raw_y=words)
    assert NetworkTest()(spoken, np.random.default_rng(0)) is None
    assert NetworkTest()(pair(x[:3], x), np.random.default_rng(0)) is None


def test_no_network_judges_what_it_was_trained_on():
    rng = np.random.default_rng(4)
    noise, fold = rng.normal(size=(2, 60, 4)), np.arange(60) % 2
    logits = held_out_logits(*noise, (fold, fold), folds=2, steps=300, seed=0)
    right = np.mean((logits > 0) == (np.arange(120) >= 60))
    assert 0.3 < right < 0.7  # 300 steps on 60 rows know those by heart


def test_large_grids_are_seen_through_a_window():
    grids = np.zeros((4, 1, 100, 100), dtype=np.int8)
    grids[:, :, 18:82, 18:82] = 1
    windows = Windows(grids, grids, size=3)
    middle = windows.seen(grids)
    assert middle.shape == (4, 1, 64, 64)
    assert len(torch.unique(middle)) == 1
    batch = windows.batch(0, torch_rng(0)).x
    assert batch.shape == (6, 1, 64, 64)
    assert len(torch.unique(batch)) == 2  # not the middle


def test_workers_and_torch_streams_change_nothing():
    rng = np.random.default_rng(5)
    cases = [Case(str(k), rng.normal(size=(60, 2)), truth=rng.normal(size=(60, 2))) for k in "abc"]
    mean = Statistic("mean", lambda x: x[:, :1], tolerance=Tolerance(9.0))
    before = torch.get_rng_state()
    texts = {
        certify(
            cases, [mean], seed=0, replicates=50, workers=workers,
            comparisons=[NetworkTest(steps=20)],
        ).to_json()
        for workers in (1, 3)
    }  # fmt: skip
    assert len(texts) == 1
    assert torch.equal(before, torch.get_rng_state())


def test_the_rooms_of_judgement_import_no_torch():
    script = (
        "import sys, emulant.certify, emulant.certify.command, emulant.certify.network\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
