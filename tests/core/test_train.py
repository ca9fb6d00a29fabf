# ruff: noqa: ARG002 - miniature methods obey a form of which they need little
import csv
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

from emulant.errors import InputError
from emulant.latents import Normal, Pushforward
from emulant.methods import GAN, R1, Method
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import numpy_rng, torch_rng
from emulant.store.tensors import load_tensors
from emulant.store.text import read_json
from emulant.train import DivergenceError, Interrupted, Optimiser, Plan, Resampled, fit
from emulant.types import Terms


def quiet(*_):
    pass


class Slope(Method):
    """One parameter w that pays w: its gradient is 1, whatever the batch."""

    turns = ("only",)

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.body.weight)

    def players(self):
        return {"only": self.body}

    def loss(self, player, batch, rng):
        return Terms(self.body.weight.sum() * batch.x.new_ones(()))


class Two(Method):
    """Players a and b, who pay the square of their own and of the other's parameter."""

    turns = ("a", "b")

    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Linear(1, 1, bias=False) for _ in range(2))
        for net in (self.a, self.b):
            nn.init.ones_(net.weight)

    def players(self):
        return {"a": self.a, "b": self.b}

    def loss(self, player, batch, rng):
        return Terms((self.a.weight.square() + self.b.weight.square()).sum())


class Signals(Resampled):
    """A source that sends this process a signal at one step."""

    def __init__(self, *args, step, number=signal.SIGINT):
        super().__init__(*args, size=8)
        self.at, self.number = step, number

    def batch(self, step, rng):
        if step == self.at:
            self.at = None
            os.kill(os.getpid(), self.number)
        return super().batch(step, rng)


X = torch.linspace(-1, 1, 32)[:, None]


def small_gan():
    with initial_parameters(torch_rng(0, "nets")):
        generator = Pushforward(MLP(1, 1, (8,)), Normal((1,)))
        return GAN(generator, MLPCritic(1, (8,)), regularisers=(R1(0.1, every=4),), critic_turns=2)


def gan_plan(**options):
    players = {"critic": Optimiser(1e-2, warmup=5, clip=1.0), "generator": Optimiser(1e-2)}
    defaults = {"steps": 30, "schedule": "cosine", "ema": 0.9, "checkpoint_every": 7}
    return Plan(players, **(defaults | {"log_every": 5} | options))


def one(**options):
    return Plan({"only": Optimiser(0.5)}, **({"steps": 20} | options))


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_an_interrupted_run_resumes_bit_for_bit(tmp_path):
    whole = fit(small_gan(), Resampled(X, size=8), gan_plan(), tmp_path / "whole", progress=quiet)
    expected = load_tensors(tmp_path / "whole" / "checkpoint.safetensors")
    for trial, step in enumerate(numpy_rng(0, "interrupt").integers(1, 29, size=3)):
        out = tmp_path / str(trial)
        number = (signal.SIGINT, signal.SIGTERM)[trial % 2]
        source = Signals(X, step=int(step), number=number)
        with pytest.raises(Interrupted, match=f"after step {step + 1}") as caught:
            fit(small_gan(), source, gan_plan(), out, progress=quiet)
        assert caught.value.checkpoint == out / "checkpoint.safetensors"
        again = fit(small_gan(), source, gan_plan(), out, resume=True, progress=quiet)
        got = load_tensors(out / "checkpoint.safetensors")
        assert got.tensors.keys() == expected.tensors.keys()
        for name, value in expected.tensors.items():
            assert torch.equal(got.tensors[name], value), name
        assert all(torch.equal(v, again.ema_state[k]) for k, v in whole.ema_state.items())
        steps = [float(row["step"]) for row in rows_of(out / "log.csv")]
        assert steps == sorted(set(steps))


def test_handlers_of_signals_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    fit(Slope(), Resampled(X), one(), progress=quiet)
    assert signal.getsignal(signal.SIGTERM) is before


KILLED = """
    import os, signal, sys, torch
    from emulant.train import *
    sys.path.insert(0, {tests!r})
    from test_train import X, small_gan, gan_plan, quiet
    sent = [signal.{number}]  # once, though a step has three turns
    class Deadly(Resampled):
        def batch(self, step, rng):
            if step == 17 and sent:
                os.kill(os.getpid(), sent.pop())
            return super().batch(step, rng)
    fit(small_gan(), Deadly(X, size=8), gan_plan(), sys.argv[1], progress=quiet)
"""


@pytest.mark.parametrize(("number", "kept"), [("SIGTERM", 18), ("SIGKILL", 14)])
def test_a_killed_process_leaves_a_run_that_resumes(tmp_path, number, kept):
    script = textwrap.dedent(KILLED.format(tests=os.path.dirname(__file__), number=number))
    out = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", script, str(out)], capture_output=True, text=True)
    assert done.returncode != 0
    assert ("Interrupted" in done.stderr) == (number == "SIGTERM"), done.stderr
    stored = load_tensors(out / "checkpoint.safetensors")
    assert stored.metadata["step"] == kept
    assert not list(out.glob("*.partial*"))
    source = Resampled(X, size=8)
    again = fit(small_gan(), source, gan_plan(), out, resume=True, progress=quiet)
    whole = fit(small_gan(), source, gan_plan(), progress=quiet)
    assert all(torch.equal(v, again.ema_state[k]) for k, v in whole.ema_state.items())


def test_a_finished_run_resumes_to_itself(tmp_path):
    first = fit(Slope(), Resampled(X), one(), tmp_path, progress=quiet)
    again = fit(Slope(), Resampled(X), one(), tmp_path, resume=True, progress=quiet)
    assert (again.step, again.log) == (first.step, first.log)
    assert torch.equal(again.method.body.weight, first.method.body.weight)


def test_the_running_mean_of_a_straight_line_follows_its_recursion():
    # The gradient is 1 at every step, so that Adam moves w by exactly lr (up to its epsilon).
    fitted = fit(Slope(), Resampled(X), one(ema=0.8), progress=quiet)
    mean = 0.0
    for t in range(1, 21):
        k = min(0.8, 1 - 1 / (t / 10 + 1))
        mean = k * mean + (1 - k) * (-0.5 * t)
    assert fitted.method.body.weight.item() == pytest.approx(-10, rel=1e-5)
    assert float(fitted.ema_state["body.weight"]) == pytest.approx(mean, rel=1e-5)
    assert fitted.averaged().body.weight.item() == pytest.approx(mean, rel=1e-5)


def test_without_averaging_the_last_parameters_are_returned():
    fitted = fit(Slope(), Resampled(X), one(), progress=quiet)
    assert torch.equal(fitted.ema_state["body.weight"], fitted.method.body.weight)


def test_a_player_sits_out_its_first_steps_and_moves_only_its_own():
    players = {"a": Optimiser(0.01), "b": Optimiser(0.01, start_after=10)}
    fitted = fit(Two(), Resampled(X), Plan(players, steps=10), progress=quiet)
    assert fitted.method.a.weight.item() < 0.95
    assert fitted.method.b.weight.item() == 1
    assert all(p.requires_grad for p in fitted.method.parameters())
    fitted = fit(Two(), Resampled(X), Plan(players, steps=11, log_every=1), progress=quiet)
    assert fitted.method.b.weight.item() == pytest.approx(0.99)
    assert [("b.total" in row) for row in fitted.log] == [False] * 10 + [True]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_learning_rates_rise_and_fall_with_the_budget(schedule):
    optimiser = Optimiser(2.0, warmup=4, start_after=10)
    plan = Plan({"p": optimiser}, steps=100, schedule=schedule, floor=0.1)
    assert plan.learning_rate("p", 10, 0.0) == pytest.approx(0.5)
    assert plan.learning_rate("p", 13, 0.0) == pytest.approx(2.0)
    end = 2.0 if schedule == "constant" else 0.2
    assert plan.learning_rate("p", 99, 1.0) == pytest.approx(end)
    middle = 2.0 if schedule == "constant" else 1.1
    assert plan.learning_rate("p", 50, 0.5) == pytest.approx(middle)


def test_the_budget_is_the_first_of_steps_and_minutes():
    plan = Plan({"p": Optimiser()}, steps=100, minutes=2)
    assert plan.spent(50, 30) == pytest.approx(0.5)
    assert plan.spent(10, 90) == pytest.approx(0.75)
    assert Plan({"p": Optimiser()}, minutes=2).spent(10**6, 60) == pytest.approx(0.5)


def test_a_budget_in_minutes_ends():
    fitted = fit(Slope(), Resampled(X), one(steps=None, minutes=0.002), progress=quiet)
    assert fitted.step > 0
    assert fitted.log[-1]["seconds"] >= 0.12


def test_a_gradient_is_clipped_to_its_norm_and_logged_unclipped():
    plan = Plan({"only": Optimiser(0.5, clip=0.25)}, steps=1)
    fitted = fit(Slope(), Resampled(X), plan, progress=quiet)
    assert fitted.log[-1]["only.gradient"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("poison", "error", "said"),
    [
        (float("nan"), ValueError, r"'batch.x' must be finite.* step 9"),
        (1e30, DivergenceError, "step 9: player 'critic'"),
    ],
)
def test_what_is_not_finite_stops_at_the_last_good_checkpoint(tmp_path, poison, error, said):
    class Poisoned(Resampled):
        def batch(self, step, rng):
            batch = super().batch(step, rng)
            return batch if step != 9 else type(batch)(batch.x * poison)

    with pytest.raises(error, match=rf"{said}.*safetensors \(step 7\)"):
        fit(small_gan(), Poisoned(X, size=8), gan_plan(), tmp_path, progress=quiet)
    stored = load_tensors(tmp_path / "checkpoint.safetensors")
    assert stored.metadata["step"] == 7
    assert all(bool(torch.isfinite(v).all()) for v in stored.tensors.values())
    with pytest.raises(error, match="no checkpoint was kept"):
        fit(small_gan(), Poisoned(X, size=8), gan_plan(), progress=quiet)


def test_the_log_holds_means_over_its_interval(tmp_path):
    fitted = fit(Slope(), Resampled(X), one(log_every=5), tmp_path, progress=quiet)
    rows = rows_of(tmp_path / "log.csv")
    assert [float(row["step"]) for row in rows] == [5, 10, 15, 20]
    # the bill at step t is w = -lr t
    assert float(rows[1]["only.total"]) == pytest.approx(-0.5 * np.mean(range(5, 10)), rel=1e-5)
    assert [row["only.total"] for row in fitted.log] == [float(r["only.total"]) for r in rows]


def test_a_lazy_column_joins_the_log_and_a_later_row_is_dropped_on_resuming(tmp_path):
    plan = gan_plan(log_every=1, steps=6, checkpoint_every=3)
    fit(small_gan(), Resampled(X, size=8), plan, tmp_path, progress=quiet)
    rows = rows_of(tmp_path / "log.csv")
    assert [bool(row["critic.r1"]) for row in rows] == [True, False] * 3
    with (tmp_path / "log.csv").open("a") as file:
        file.write("7,1.0\n8,1")  # as a kill would leave it
    again = fit(small_gan(), Resampled(X, size=8), plan, tmp_path, resume=True, progress=quiet)
    assert [row["step"] for row in again.log] == [1, 2, 3, 4, 5, 6]
    assert rows_of(tmp_path / "log.csv") == rows


def test_validation_sees_the_averaged_method_and_goes_into_the_log(tmp_path):
    seen = []

    def validate(method):
        assert not method.training
        seen.append(method.body.weight.item())
        return {"w": seen[-1]}

    plan = one(ema=0.5, checkpoint_every=10)
    fitted = fit(Slope(), Resampled(X), plan, tmp_path, validate=validate, progress=quiet)
    assert len(seen) == 2
    assert seen[-1] == pytest.approx(float(fitted.ema_state["body.weight"]))
    assert seen[-1] != pytest.approx(fitted.method.body.weight.item())
    assert [float(row["validate.w"]) for row in rows_of(tmp_path / "log.csv")] == seen
    assert fitted.method.training


def test_half_precision_trains():
    fitted = fit(
        small_gan(), Resampled(X, size=8), gan_plan(precision="bf16-mixed"), progress=quiet
    )
    assert all(bool(torch.isfinite(v).all()) for v in fitted.ema_state.values())
    assert all(p.dtype == torch.float32 for p in fitted.method.parameters())


def test_progress_is_told_the_share_spent_and_the_losses():
    told = []
    fit(Slope(), Resampled(X), one(log_every=10), progress=lambda *args: told.append(args))
    assert [done for done, _, _ in told] == pytest.approx([t / 20 for t in range(1, 21)])
    assert told[-1][2].startswith("step 20, only ")


def test_progress_goes_to_stderr_and_nothing_to_stdout(capsys):
    fit(Slope(), Resampled(X), one())
    out, err = capsys.readouterr()
    assert out == ""
    assert "train" in err


def test_a_run_directory_says_what_the_run_is(tmp_path):
    fit(Slope(), Resampled(X), one(), tmp_path / "deep" / "run", progress=quiet)
    config = read_json(tmp_path / "deep" / "run" / "config.json")
    assert config["plan"]["steps"] == 20
    assert config["data"] == Resampled(X).fingerprint
    assert {p.name for p in (tmp_path / "deep" / "run").iterdir()} == {
        "config.json",
        "checkpoint.safetensors",
        "log.csv",
    }


def test_another_run_is_not_resumed(tmp_path):
    source = Resampled(X, size=8)
    fit(small_gan(), source, gan_plan(), tmp_path, progress=quiet)
    with pytest.raises(InputError, match=r"'plan\.ema' was 0\.9 and is now 0\.5"):
        fit(small_gan(), source, gan_plan(ema=0.5), tmp_path, resume=True)
    other = Plan({"critic": Optimiser(1e-2), "generator": Optimiser(2.0)}, steps=30)
    with pytest.raises(InputError, match=r"plan\."):
        fit(small_gan(), source, other, tmp_path, resume=True)
    with pytest.raises(InputError, match="'data'"):
        fit(small_gan(), Resampled(X + 1, size=8), gan_plan(), tmp_path, resume=True)
    with initial_parameters(torch_rng(0)):
        wide = GAN(Pushforward(MLP(1, 1, (9,)), Normal((1,))), MLPCritic(1, (8,)))
    with pytest.raises(InputError, match=r"'method\.tensors\.generator"):
        fit(wide, source, gan_plan(), tmp_path, resume=True)


def test_directories_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        fit(Slope(), Resampled(X), one(), tmp_path / "new", resume=True)
    fit(Slope(), Resampled(X), one(), tmp_path / "run", progress=quiet)
    with pytest.raises(InputError, match="holds a run already"):
        fit(Slope(), Resampled(X), one(), tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-8])
    with pytest.raises(InputError, match=str(checkpoint)):
        fit(Slope(), Resampled(X), one(), tmp_path / "run", resume=True)


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "xla"])
def test_devices_that_are_not_there_are_refused(device):
    with pytest.raises(InputError, match=device):
        fit(Slope(), Resampled(X), one(), device=device)


def test_players_must_own_disjoint_parameters_and_all_of_them():
    class Shared(Two):
        def players(self):
            return {"a": self.a, "b": self.a}

    class Orphan(Two):
        turns = ("a",)

        def players(self):
            return {"a": self.a}

    optimisers = {"a": Optimiser(), "b": Optimiser()}
    with pytest.raises(ValueError, match="share a parameter"):
        fit(Shared(), Resampled(X), Plan(optimisers, steps=1))
    with pytest.raises(ValueError, match=r"none owns 'b\.weight'"):
        fit(Orphan(), Resampled(X), Plan({"a": Optimiser()}, steps=1))
    with pytest.raises(ValueError, match="'optimisers' must name"):
        fit(Two(), Resampled(X), Plan({"a": Optimiser()}, steps=1))


def test_frozen_parameters_stay_frozen():
    method = Two()
    method.b.weight.requires_grad_(False)
    method.turns = ("a",)
    method.players = lambda: {"a": method.a}
    fit(method, Resampled(X), Plan({"a": Optimiser(0.01)}, steps=3), progress=quiet)
    assert not method.b.weight.requires_grad
    assert method.b.weight.item() == 1


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Optimiser(lr=0.0), "lr"),
        (lambda: Optimiser(betas=(0.9, 1.0)), "betas"),
        (lambda: Optimiser(clip=-1.0), "clip"),
        (lambda: one(steps=None), "steps"),
        (lambda: one(steps=0), "steps"),
        (lambda: one(minutes=-1), "minutes"),
        (lambda: one(schedule="linear"), "schedule"),
        (lambda: one(precision="16"), "precision"),
        (lambda: one(ema=1.0), "ema"),
        (lambda: one(log_every=0), "log_every"),
        (lambda: Resampled(X, size=0), "size"),
        (lambda: Resampled(X, X[:3]), "c"),
        (lambda: Resampled(torch.tensor([[1.0], [float("nan")]])), "x"),
    ],
)
def test_impossible_settings_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"'{name}' must"):
        make()


def test_weights_act_on_the_drawing():
    weight = torch.tensor([1.0, 0.0, 3.0])
    x = torch.arange(3.0)[:, None]
    batch = Resampled(x, x, weight, size=20_000).batch(0, torch_rng(0))
    assert batch.weight is None
    assert torch.equal(batch.x, batch.c)
    share = np.bincount(batch.x[:, 0].long(), minlength=3) / 20_000
    assert share[1] == 0
    assert abs(share[2] - 0.75) < 4 * (0.75 * 0.25 / 20_000) ** 0.5
