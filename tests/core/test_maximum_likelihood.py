import math

import pytest
import torch
from torch import nn

from emulant.methods import MaximumLikelihood
from emulant.rng import torch_rng
from emulant.train import Optimiser, Plan, Resampled, fit
from emulant.types import Batch


class Line(nn.Module):
    """x | c ~ N(a c + b, exp(2 s))."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.s = (nn.Parameter(torch.zeros(1)) for _ in range(3))

    def draw(self, n, rng, c=None):
        e = torch.randn(n, 1, generator=rng, device=rng.device)
        return self.a * c + self.b + self.s.exp() * e

    def log_prob(self, x, c=None):
        return torch.distributions.Normal(self.a * c + self.b, self.s.exp()).log_prob(x).sum(1)


class LineByPart(Line):
    def nll_terms(self, x, c=None):
        t = (x - self.a * c - self.b) / self.s.exp()
        log_volume = (self.s + 0.5 * math.log(2 * math.pi)).expand(len(x))
        return {"square": 0.5 * t.square().sum(1), "volume": log_volume}


def events():
    rng = torch_rng(0, "data")
    c = 2 * torch.rand(2000, 1, generator=rng) - 1
    return 2 * c + 0.5 + 0.3 * torch.randn(2000, 1, generator=rng), c


def test_the_bill_is_the_mean_negative_log_likelihood_and_its_parts_add_up():
    x, c = events()
    whole = MaximumLikelihood(Line()).loss("model", Batch(x, c), torch_rng(0))
    assert whole.total.item() == pytest.approx(-Line().log_prob(x, c).mean().item())
    parts = MaximumLikelihood(LineByPart()).loss("model", Batch(x, c), torch_rng(0))
    assert set(parts.parts) == {"square", "volume"}
    assert parts.total.item() == pytest.approx(whole.total.item(), rel=1e-6)


def test_weights_multiply_the_terms():
    x, c = events()
    weight = torch.linspace(0, 2, len(x))
    terms = MaximumLikelihood(Line()).loss("model", Batch(x, c, weight), torch_rng(0))
    assert terms.total.item() == pytest.approx(-(weight * Line().log_prob(x, c)).mean().item())


def test_it_reaches_the_least_squares_line():
    x, c = events()
    plan = Plan({"model": Optimiser(3e-2)}, steps=400, schedule="cosine")
    method = MaximumLikelihood(LineByPart())
    fit(method, Resampled(x, c, size=500), plan, progress=lambda *_: None)
    design = torch.cat([c, torch.ones_like(c)], 1)
    solution = torch.linalg.lstsq(design, x).solution
    deviation = (x - design @ solution).square().mean().sqrt().item()
    got = (method.model.a.item(), method.model.b.item(), method.model.s.exp().item())
    # what the last steps' batches of 500 scatter by; the data's own error does not enter
    assert got == pytest.approx((*solution[:, 0].tolist(), deviation), abs=0.02)
    ours, best = (
        method.log_prob(x, c).mean().item(),
        -math.log(deviation) - 0.5 * math.log(2 * math.pi * math.e),
    )
    assert best - 1e-3 < ours <= best + 1e-6


def test_a_model_must_draw_and_score():
    with pytest.raises(ValueError, match="'model' must have 'draw' and 'log_prob'"):
        MaximumLikelihood(nn.Linear(1, 1))
