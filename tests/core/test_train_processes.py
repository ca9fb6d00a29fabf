# ruff: noqa: ARG002 - miniature methods obey a form of which they need little
"""Two processes that average their gradients do what one does with both their batches."""

import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from emulant.latents import Normal, Pushforward
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods import Method
from emulant.methods.adversarial import R1, NonSaturating
from emulant.methods.flow_matching import FlowMatching
from emulant.methods.gan import GAN
from emulant.methods.vae import VAE
from emulant.nets.embed import TimeMLP
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng
from emulant.store.tensors import load_tensors
from emulant.train import Interrupted, Optimiser, Plan, Resampled, fit
from emulant.types import Batch, Terms

X = torch.randn(64, 3, generator=torch_rng(0, "data"))
STEPS, SIZE, WORLD = 12, 8, 2


class Fit(Method):
    """Least squares for a linear map of x to the sum of its squares."""

    turns = ("only",)

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 1)

    def players(self):
        return {"only": self.body}

    def loss(self, player, batch, rng):
        return Terms((self.body(batch.x)[:, 0] - batch.x.square().sum(1)).square().mean())


def gan():
    generator = Pushforward(MLP(2, 3, (16,)), Normal((2,)))
    return GAN(generator, MLPCritic(3, (16,)), NonSaturating(), [R1(0.1)])


def vae():
    return VAE(MLP(3, 4, (16,)), Decoder(MLP(2, 3, (16,)), Gaussian((3,), 0.5)), 2)


def flow():
    return FlowMatching(TimeMLP(3, 3, (16,)), (3,))


GAMES = {"fit": Fit, "gan": gan, "vae": vae, "flow": flow}


def game(name):
    with initial_parameters(torch_rng(0, "nets", name)):
        return GAMES[name]()


def plan(method):
    players = dict.fromkeys(method.players(), Optimiser(1e-2))
    return Plan(players, steps=STEPS, ema=0.9, checkpoint_every=5)


class Both(Resampled):
    """The batches that two processes draw, as one; it knows which turn of which step it is."""

    def batch(self, step, rng):
        self.turn = self.turn + 1 if step == getattr(self, "step", -1) else 0
        self.step = step
        return Batch(torch.cat([Resampled.batch(self, step, r).x for r in self.chances("batch")]))

    def chances(self, purpose):
        return [torch_rng(0, "train", self.step, self.turn, r, purpose) for r in range(WORLD)]


class Halves(Method):
    """Pays the mean of what each process would pay, with the chance of each."""

    def __init__(self, inner, source):
        super().__init__()
        self.inner, self.source, self.turns = inner, source, inner.turns

    def players(self):
        return self.inner.players()

    def loss(self, player, batch, rng):
        chances = self.source.chances("loss")
        bills = [
            self.inner.loss(player, Batch(x), chance).total
            for x, chance in zip(batch.x.chunk(WORLD), chances, strict=True)
        ]
        return Terms(torch.stack(bills).mean())


class Interrupting(Resampled):
    """Asks the first process, once, to stop in the middle."""

    asked = False

    def batch(self, step, rng):
        if step == 6 and not self.asked and os.environ.get("RANK", "0") == "0":
            self.asked = True
            os.kill(os.getpid(), signal.SIGTERM)
        return Resampled.batch(self, step, rng)


SCRIPT = """
    import sys
    sys.path.insert(0, {tests!r})
    from test_train_processes import *
    {body}
"""


def on_two_processes(body):
    """Run ``body`` on two processes, told of each other as torchrun tells them."""
    script = textwrap.dedent(SCRIPT).format(tests=os.path.dirname(__file__), body=body)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": WORLD,
        "LOCAL_WORLD_SIZE": WORLD,
        "GROUP_RANK": 0,
        "NODE_RANK": 0,
        "TORCHELASTIC_RUN_ID": "test",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=os.environ
            | {k: str(v) for k, v in shared.items()}
            | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(WORLD)
    ]
    errors = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * WORLD, errors


def quiet(*_):
    """Report nothing."""


@pytest.mark.slow  # two more interpreters that import torch
def test_two_processes_move_by_the_mean_of_their_gradients(tmp_path):
    body = (
        "for name in GAMES: fit(g := game(name), Resampled(X, size=SIZE), plan(g),"
        f" {str(tmp_path)!r} + '/' + name, device='cpu', progress=quiet)"
    )
    on_two_processes(body)
    for name in GAMES:
        source, inner = Both(X, size=SIZE), game(name)
        one = fit(Halves(inner, source), source, plan(inner), device="cpu", progress=quiet)
        two = load_tensors(tmp_path / name / "checkpoint.safetensors").tensors
        moved = dict(one.method.inner.named_parameters())
        assert moved
        started = dict(game(name).named_parameters())
        for key, value in moved.items():
            assert torch.allclose(two[f"method/{key}"], value, atol=1e-5), (name, key)
        assert any(not torch.equal(moved[key], started[key]) for key in moved)


@pytest.mark.slow
@pytest.mark.parametrize("first", [1, 2])
def test_what_n_processes_have_begun_m_processes_end(tmp_path, first):
    out, source = str(tmp_path / "run"), "Interrupting(X, size=SIZE)"
    begin = (
        f"try: fit(g := game('gan'), {source}, plan(g), {out!r}, device='cpu', progress=quiet)"
        "\n    except Interrupted: pass"
    )
    go_on = (
        "fit(g := game('gan'), Resampled(X, size=SIZE), plan(g), "
        f"{out!r}, resume=True, device='cpu', progress=quiet)"
    )
    if first == 2:
        on_two_processes(begin)
        fitted = fit(
            g := game("gan"), Resampled(X, size=SIZE), plan(g), out, resume=True, progress=quiet
        )
        assert fitted.step == STEPS
    else:
        with pytest.raises(Interrupted):
            fit(g := game("gan"), Interrupting(X, size=SIZE), plan(g), out, progress=quiet)
        on_two_processes(go_on)
    kept = load_tensors(tmp_path / "run" / "checkpoint.safetensors")
    assert all(bool(torch.isfinite(v.double()).all()) for v in kept.tensors.values())
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]][-1] == STEPS
    assert len(rows) == 4, "steps 5, 7 (the interruption) and 12"
