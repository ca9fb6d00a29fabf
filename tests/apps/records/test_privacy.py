"""Differential privacy: the bound, the noise, the account, the plain gradient without them."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import numpy_rng, torch_rng
from emulant.train import Optimiser, Plan, fit
from emulant.types import Batch
from emulant_apps.records import autoencoding, model
from emulant_apps.records.config import SynthesiseConfig
from emulant_apps.records.methods.differential_privacy import DifferentiallyPrivate
from emulant_apps.records.methods.mixed_rows import MixedRows
from emulant_apps.records.privacy import Mechanism, epsilon_of, noise_for, private_margins
from emulant_apps.records.train import PoissonRows

needs_opacus = pytest.mark.skipif(
    importlib.util.find_spec("opacus") is None, reason="opacus, which keeps the account, is absent"
)


def rows(n: int = 40, seed: int = 0) -> torch.Tensor:
    rng = numpy_rng(seed, "private rows")
    z = rng.normal(size=(n, 2))
    level = np.eye(3)[rng.integers(3, size=n)]
    return torch.from_numpy(np.concatenate([z, np.ones((n, 2)), level], 1).astype(np.float32))


def private(clip: float, noise: float, expected: float) -> DifferentiallyPrivate:
    method = model.autoencoder(2, (3,), (4,), 2, 0)
    return DifferentiallyPrivate(method, clip, noise, expected)


def norms(each: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([g.flatten(1).square().sum(1) for g in each.values()]).sum(0).sqrt()


def test_without_clipping_and_noise_it_is_the_plain_gradient() -> None:
    """A bill without chance: the surprise of classes."""
    x, c = rows(6), torch.tensor([[0], [1], [1], [0], [1], [0]])
    plain = model.recogniser(7, 2, (4,), 0)
    got = DifferentiallyPrivate(plain, math.inf, 0.0, 6.0).gradient(
        "critic", Batch(x, c), torch_rng(1, "g")
    )
    plain.loss("critic", Batch(x, c), torch_rng(1, "g")).total.backward()
    for name, p in plain.players()["critic"].named_parameters():
        want = torch.zeros_like(p) if p.grad is None else p.grad
        assert torch.allclose(got[name], want, atol=1e-6), name
    assert sum(float(g.abs().sum()) for g in got.values()) > 0.1


def test_the_surrogate_hands_that_gradient_to_the_loop() -> None:
    x, wrapped = rows(8), private(0.5, 1.0, 8.0)
    want = wrapped.gradient("autoencoder", Batch(x), torch_rng(2, "g"))
    wrapped.loss("autoencoder", Batch(x), torch_rng(2, "g")).total.backward()
    for name, p in wrapped.players()["autoencoder"].named_parameters():
        assert p.grad is not None
        assert torch.allclose(p.grad, want[name], atol=1e-7)


@pytest.mark.parametrize("clip", [1e-3, 0.1, 3.0])
def test_one_patient_moves_the_sum_by_at_most_the_clipping_norm(clip: float) -> None:
    wrapped = private(clip, 0.0, 1.0)
    wild = rows(5) * torch.tensor([1.0, 10.0, 100.0, 1e3, 1e4])[:, None]
    for x in wild:
        g = wrapped.gradient("autoencoder", Batch(x[None]), torch_rng(3, "g"))
        norm = math.sqrt(sum(float(v.square().sum()) for v in g.values()))
        assert norm <= clip * (1 + 1e-5)
    each = norms(wrapped.of_each("autoencoder", Batch(wild), torch_rng(3, "g")))
    assert float(each[each.isfinite()].max()) > 3.0  # the bound was needed


def test_the_noise_has_the_stated_scale_also_when_nobody_was_drawn() -> None:
    wrapped, drawn = private(0.7, 2.5, 20.0), []
    for k in range(60):
        g = wrapped.gradient("autoencoder", Batch(rows()[:0]), torch_rng(k, "noise"))
        drawn.append(torch.cat([v.flatten() for v in g.values()]))
    e = torch.stack(drawn).double() * 20.0 / (0.7 * 2.5)
    n = e.numel()
    assert abs(float(e.mean())) < 4 / math.sqrt(n)
    assert abs(float(e.square().mean()) - 1) < 4 * math.sqrt(2 / n)
    assert abs(float((e[:, 0] * e[:, 1]).mean())) < 4 / math.sqrt(len(e))


def test_each_patient_is_drawn_on_his_own() -> None:
    source = PoissonRows(rows(200), 0.1)
    sizes = np.array([len(source.batch(k, torch_rng(k, "poisson"))) for k in range(300)])
    assert abs(sizes.mean() - 20) < 4 * math.sqrt(18 / 300)
    assert abs(sizes.var() / 18 - 1) < 4 * math.sqrt(2 / 300)


def test_it_trains_in_the_one_loop() -> None:
    wrapped = private(1.0, 0.5, 10.0)
    plan = Plan({"autoencoder": Optimiser(lr=1e-2)}, steps=5, seed=1, checkpoint_every=5)
    before = {k: v.clone() for k, v in wrapped.state_dict().items()}
    fitted = fit(wrapped, PoissonRows(rows(), 0.25), plan, device="cpu", progress=lambda *_: None)
    assert any(not torch.equal(before[k], v) for k, v in fitted.ema_state.items())


def test_wrong_settings_are_refused() -> None:
    for clip, noise, expected in (
        (0.0, 1.0, 1.0),
        (math.inf, 1.0, 1.0),
        (1.0, -1.0, 1.0),
        (1, 1, 0),
    ):
        with pytest.raises(ValueError, match="must be"):
            private(clip, noise, expected)


@needs_opacus
def test_the_account_is_opacuss_and_the_unsubsampled_one_is_closed_form() -> None:
    """At q = 1, T steps have the Renyi divergence a T / (2 sigma^2) of order a."""
    from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

    orders = [1 + x / 10.0 for x in range(1, 100)] + list(range(12, 64))
    golden = get_privacy_spent(
        orders=orders,
        rdp=compute_rdp(q=0.01, noise_multiplier=1.1, steps=1000, orders=orders),
        delta=1e-5,
    )[0]
    assert epsilon_of([Mechanism(1.1, 0.01, 1000)], 1e-5) == pytest.approx(golden, rel=1e-9)
    a = np.array(orders)
    closed = a * 10 / (2 * 20.0**2) + np.log((a - 1) / a) - (np.log(1e-5) + np.log(a)) / (a - 1)
    assert epsilon_of([Mechanism(20.0, 1.0, 10)], 1e-5) == pytest.approx(closed.min(), rel=1e-6)


@needs_opacus
def test_the_noise_that_is_chosen_keeps_the_budget_and_wastes_little() -> None:
    margins, training = noise_for(3.0, 1e-5, 0.1, 200)
    both = [Mechanism(margins, 1.0, 1), Mechanism(training, 0.1, 200)]
    assert 2.95 < epsilon_of(both, 1e-5) <= 3.0
    assert noise_for(1.0, 1e-5, 0.1, 200)[1] > training
    with pytest.raises(InputError, match="cannot be kept"):
        noise_for(1e-4, 1e-5, 0.5, 10**6)
    with pytest.raises(InputError, match="--delta"):
        autoencoding.spend(3.0, 0.01, 200, autoencoding.Recipe())


def test_margins_are_nearly_right_with_little_noise_and_wrong_with_much() -> None:
    x = numpy_rng(4, "margins").gamma(3.0, size=(4000, 2))
    low, high = np.zeros(2), np.full(2, 12.0)
    levels = np.array([0.1, 0.5, 0.9])
    wanted = np.quantile(x[:, 0], levels)
    z = np.array([-1.2816, 0.0, 1.2816])
    near = private_margins(x, low, high, 1.0, numpy_rng(0, "m")).back(z, 0)
    far = private_margins(x, low, high, 1e5, numpy_rng(0, "m")).back(z, 0)
    assert np.abs(near - wanted).max() < 0.25
    assert np.abs(far - wanted).max() > 0.25


def test_mixed_rows_price_only_what_was_seen() -> None:
    head = MixedRows(2, (3,))
    h = torch.randn(4, 5, generator=torch_rng(0, "head"))
    x = rows(4)
    law = torch.distributions.Normal(h[:, :2], 1.0)
    level = x[:, 4:].argmax(1)
    whole = law.log_prob(x[:, :2]).sum(1) + h[:, 2:].log_softmax(1)[torch.arange(4), level]
    assert torch.allclose(head(h).log_prob(x), whole, atol=1e-5)
    x[:, 0], x[:, 2], x[:, 4:] = 0.0, 0.0, 0.0
    assert torch.allclose(head(h).log_prob(x), law.log_prob(x[:, :2])[:, 1], atol=1e-5)
    drawn = head.draw(h, torch_rng(1, "head"))
    assert torch.equal(drawn[:, 4:].sum(1), torch.ones(4))


@needs_opacus
def test_the_command_says_what_was_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from emulant_apps.records.data import write_table
    from emulant_apps.records.synthesise import run
    from emulant_apps.records.walk import example

    write_table(tmp_path / "table.csv", example(0))
    config = SynthesiseConfig(
        table=tmp_path / "table.csv", out=tmp_path / "private.csv", count=150, outcome="diagnosis",
        epsilon=3.0, delta=1e-4, steps=20,
    )  # fmt: skip
    assert run(config) in (0, 1, 3)
    page = (tmp_path / "private-certificate" / "certificate.json").read_text()
    assert "differentially private" in page
    assert "without privacy" in page
    assert "private.csv" in capsys.readouterr().out
    with pytest.raises(InputError, match="only --generator vae"):
        SynthesiseConfig(table=Path("a"), out=Path("b"), epsilon=1.0, generator="acgan")
