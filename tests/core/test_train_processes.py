# ruff: noqa: ARG002 - miniature methods obey a form of which they need little
"""Two processes that average their gradients do what one does with both their batches."""

import os
import socket
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from emulant.methods import Method
from emulant.rng import torch_rng
from emulant.store.tensors import load_tensors
from emulant.train import Optimiser, Plan, Resampled, fit
from emulant.types import Batch, Terms

X = torch.randn(64, 3, generator=torch_rng(0, "data"))
PLAN = Plan({"only": Optimiser(1e-2)}, steps=12, ema=0.9, checkpoint_every=5)


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
        return Terms((self.body(batch.x)[:, 0] - batch.x.square().sum(1)).square().mean())


class Both(Resampled):
    """The batches that two processes draw, as one."""

    def batch(self, step, rng):
        ours = [torch_rng(PLAN.seed, "train", step, 0, rank, "batch") for rank in range(2)]
        return Batch(torch.cat([Resampled.batch(self, step, r).x for r in ours]))


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    from test_train_processes import *
    fit(Fit(), Resampled(X, size=8), PLAN, sys.argv[1], device="cpu")
"""


@pytest.mark.slow  # two more interpreters that import torch
def test_two_processes_move_by_the_mean_of_their_gradients(tmp_path):
    script = textwrap.dedent(SCRIPT.format(tests=os.path.dirname(__file__)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # what torchrun sets, without its own second of start
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": 2,
        "LOCAL_WORLD_SIZE": 2,
        "GROUP_RANK": 0,
        "NODE_RANK": 0,
        "TORCHELASTIC_RUN_ID": "test",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "two")],
            env=os.environ
            | {k: str(v) for k, v in shared.items()}
            | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    fit(Fit(), Both(X, size=8), PLAN, tmp_path / "one", progress=lambda *_: None)
    two, one = (
        load_tensors(tmp_path / name / "checkpoint.safetensors").tensors for name in ("two", "one")
    )
    assert two.keys() == one.keys()
    for name, value in one.items():
        assert torch.allclose(two[name], value, atol=1e-5), name
