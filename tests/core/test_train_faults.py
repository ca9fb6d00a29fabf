"""What may befall the directory of a run: damage, a second process, a clock that goes back."""

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from emulant.errors import InputError
from emulant.methods import Method
from emulant.rng import numpy_rng, torch_rng
from emulant.store.tensors import load_tensors
from emulant.train import Optimiser, Plan, Resampled, alone, fit
from emulant.types import Terms

X = torch.randn(64, 3, generator=torch_rng(0, "data"))
PLAN = Plan({"only": Optimiser(1e-2)}, steps=6, ema=0.9, checkpoint_every=3)


class Fit(Method):
    """Least squares for a linear map of x to the sum of its squares."""

    turns = ("only",)

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 1)
        for parameter in self.body.parameters():
            nn.init.zeros_(parameter)

    def players(self):
        return {"only": self.body}

    def loss(self, player, batch, rng):
        del player, rng
        return Terms((self.body(batch.x)[:, 0] - batch.x.square().sum(1)).square().mean())


def quiet(*_):
    """Report nothing."""


@dataclass(frozen=True)
class Config:
    out: Path
    resume: bool = False


@alone
def trained(config):
    return fit(Fit(), Resampled(X), PLAN, config.out, config.resume, progress=quiet)


def places(size):
    """Bytes of every section of a safetensors file: length, header, tensors, end."""
    rng = numpy_rng(0, "places")
    return [0, 3, 7, 8, 9, 20, size - 1, *rng.integers(8, size, size=60).tolist()]


def test_a_bit_flipped_anywhere_in_a_checkpoint_is_named_or_harmless(tmp_path):
    run = Config(tmp_path / "run")
    whole = trained(run)
    file = run.out / "checkpoint.safetensors"
    good = file.read_bytes()
    refused = harmless = 0
    for place in places(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << (place % 8)
        file.write_bytes(bad)
        try:
            again = trained(Config(run.out, resume=True))
        except InputError as error:
            refused += "checkpoint.safetensors" in str(error)
        else:  # a space of the header, say: what is loaded is what was saved
            assert torch.equal(again.method.body.weight, whole.method.body.weight)
            harmless += 1
    assert refused + harmless == len(places(len(good))), "refused without the name of the file"
    assert refused > 50
    file.write_bytes(good)
    assert trained(Config(run.out, resume=True)).step == PLAN.steps


def test_a_checkpoint_cut_anywhere_is_named(tmp_path):
    run = Config(tmp_path / "run")
    trained(run)
    file = run.out / "checkpoint.safetensors"
    good = file.read_bytes()
    for place in places(len(good)):
        file.write_bytes(good[:place])
        with pytest.raises(InputError, match=r"checkpoint\.safetensors"):
            trained(Config(run.out, resume=True))


HOLDING = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from test_train_faults import *

    @alone
    def holding(config):
        print("here", flush=True)
        time.sleep(600)

    holding(Config(Path(sys.argv[1])))
"""


def test_a_second_process_is_refused_until_the_first_has_ended_however(tmp_path):
    script = textwrap.dedent(HOLDING.format(tests=os.path.dirname(__file__)))
    out = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(out)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
        for resume in (False, True):
            with pytest.raises(InputError, match="another process is at work there"):
                trained(Config(out, resume))
        first.kill()
    trained(Config(out))
    assert load_tensors(out / "checkpoint.safetensors").metadata["step"] == PLAN.steps


def test_a_run_that_is_there_needs_the_word(tmp_path):
    trained(Config(tmp_path / "run"))
    with pytest.raises(InputError, match=r"run: holds files already; .* --resume"):
        trained(Config(tmp_path / "run"))


def test_a_refusal_leaves_no_directory(tmp_path):
    @alone
    def refusing(_):
        raise InputError("no such data")

    with pytest.raises(InputError, match="no such data"):
        refusing(Config(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_clock_that_goes_back_changes_nothing(tmp_path, monkeypatch):
    calm = trained(Config(tmp_path / "calm"))
    ticks = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(ticks)))
    wild = trained(Config(tmp_path / "wild"))
    assert torch.equal(wild.method.body.weight, calm.method.body.weight)
    names = sorted(path.name for path in (tmp_path / "calm").iterdir())
    assert sorted(path.name for path in (tmp_path / "wild").iterdir()) == names
    assert ".lock" not in names
