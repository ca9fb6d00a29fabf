r"""Known answers of methods that walk: evolution strategies, plug-and-play generation."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless, Mixture
from emulant.ledger.pictures import Array, clouds, curves
from emulant.ledger.two_sample import area_under_curve
from emulant.methods import Diffusion, EvolutionStrategies
from emulant.methods.diffusion import Levels
from emulant.nets.embed import TimeMLP
from emulant.rng import torch_rng
from emulant.samplers.plug_and_play import Strides, plug_and_play
from emulant.train import Resampled
from emulant.types import Batch

__all__ = ["CHECKS"]

NOTHING = Batch(torch.zeros(1, 1))
"""What a search that looks at no data is shown."""


def quadratic_gradient(seed: int) -> Outcome:
    """F = x^T A x + b^T x: dJ/dm = 2 A m + b and dJ/dln s = 2 s^2 tr A, whatever s is."""
    rng = torch_rng(seed, "ledger", "quadratic")
    root = torch.randn(5, 5, generator=rng)
    a, b, m, s = root @ root.T / 5, torch.randn(5, generator=rng), torch.ones(5), 0.5

    def quadratic(x: Tensor, _batch: Batch) -> Tensor:
        return ((x @ a) * x).sum(1) + x @ b

    search = EvolutionStrategies(quadratic, m, s, pairs=16, learn_scale=True)
    estimates = []
    for k in range(1000):
        search.zero_grad()
        terms = search.loss("search", NOTHING, torch_rng(seed, "ledger", "quadratic", k))
        terms.total.backward()  # type: ignore[no-untyped-call] # torch's
        mean, log_scale = search.search.mean.grad, search.search.log_scale.grad
        assert mean is not None
        assert log_scale is not None
        estimates.append(torch.cat([mean, log_scale.reshape(1)]))
    got = torch.stack(estimates).double()
    exact = torch.cat([2 * a @ m + b, 2 * s**2 * a.trace().reshape(1)]).double()
    error = (got.mean(0) - exact) / (got.std(0) / math.sqrt(len(got)))
    along = got @ exact / exact.norm()
    projected = float((along.mean() - exact.norm()) / (along.std() / math.sqrt(len(got))))
    first, second = got[:500].mean(0) - exact, got.mean(0) - exact
    return Outcome(
        (
            Measure("bias along the gradient, standard errors", 0.0, projected, 3.0),
            Measure("chi-square of the 6 components", 6.0, float(error.square().sum()), 18.0, "<="),
            Measure("relative error of the mean of 1000", 0.0,
                    float(second.norm() / exact.norm()), 0.05, "<="),
            Measure("relative error of the mean of 500", 0.0, float(first.norm() / exact.norm())),
        ),
        partial(_gradient, exact.numpy(), got.mean(0).numpy()),
    )  # fmt: skip


def _gradient(exact: Array, got: Array) -> list[Figure]:
    lines, axes = {"exact": exact, "mean of 1000": got}, ("component", "gradient")
    components = np.arange(1.0, len(exact) + 1)
    return [curves(components, lines, axes, "Gradient of a quadratic", dots=("mean of 1000",))]


def stairs_descended(seed: int) -> Outcome:
    """Minimise stairs: flat almost everywhere, so that no slope can be followed."""
    aim = 2 * torch.rand(8, generator=torch_rng(seed, "ledger", "stairs")) - 1

    def stairs(x: Tensor, _batch: Batch) -> Tensor:
        return ((x - aim).abs() / 0.25).floor().sum(1)

    start = torch.zeros(8).requires_grad_()
    (slope,) = torch.autograd.grad(stairs(start[None], NOTHING).sum(), start)
    search = EvolutionStrategies(stairs, torch.zeros(8), 0.2, pairs=32)
    train(search, Resampled(NOTHING.x, size=1), seed, 600, lr=3e-2)
    end = search.search.mean.detach()[None]
    return Outcome(
        (
            Measure("pathwise slope, norm", 0.0, float(slope.norm()), 0.0),
            Measure("f at the end", 0.0, float(stairs(end, NOTHING)), 0.0),
            Measure("f at the start", 0.0, float(stairs(start.detach()[None], NOTHING))),
        )
    )


BOTH = Mixture(
    torch.tensor([[-1.3, -0.6], [-0.3, -0.9], [0.5, 0.9], [1.2, 0.1]]),
    0.4,
    torch.tensor([0.4, 0.2, 0.1, 0.3]),
)
"""The first two components are class 0, the others class 1."""
BLUR = 0.2


def plugged(seed: int) -> Outcome:
    """Walk by a learnt denoiser and the exact class posterior, and compare with p(x | y)."""
    levels = Levels(low=BLUR / 2, high=2 * BLUR, mean=math.log(BLUR), deviation=0.3)
    prior = build(lambda: Diffusion(TimeMLP(2, 2, (64, 64)), (2,), levels), seed)
    train(prior, Endless(BOTH.draw), seed, 2000, lr=3e-3, ema=0.99)
    blurred = Mixture(BOTH.means, math.hypot(BOTH.deviation, BLUR), BOTH.weights)
    parts = [Mixture(blurred.means[k], blurred.deviation, blurred.weights[k] /
                     blurred.weights[k].sum()) for k in (slice(0, 2), slice(2, 4))]  # fmt: skip
    share = float(BOTH.weights[2:].sum())

    def log_condition(h: Tensor) -> Tensor:
        one, zero = parts[1].log_prob(h) + math.log(share), parts[0].log_prob(h)
        return one - torch.logaddexp(one, zero + math.log1p(-share))

    rng = torch_rng(seed, "ledger", "plugged")
    level = torch.full((4000,), BLUR)
    with torch.no_grad():
        h = plug_and_play(
            lambda h: prior.denoise(h, level), log_condition, torch.randn(4000, 2, generator=rng),
            Strides.langevin(0.01, BLUR), 1000, rng,
        )  # fmt: skip
        exact = parts[1].draw(4000, rng)
    gap = float((torch.cov(h.T) - torch.cov(exact.T)).abs().max() / torch.cov(exact.T).trace())
    left = float(torch.cdist(h, parts[1].means).argmin(1).eq(0).float().mean())
    left_exact = float(torch.cdist(exact, parts[1].means).argmin(1).eq(0).float().mean())
    measures = (
        Measure("mean: distance from exact", 0.0, float((h.mean(0) - exact.mean(0)).norm()),
                0.08, "<="),
        Measure("covariance: largest error / trace", 0.0, gap, 0.05, "<="),
        Measure("share nearest the smaller component", left_exact, left, 0.05),
        Measure("AUC against exact p(x | y)", 0.5, area_under_curve(h, exact, seed), 0.05, "<="),
    )  # fmt: skip
    return Outcome(measures, partial(_clouds, exact.numpy(), h.numpy()))


def _clouds(exact: Array, samples: Array) -> list[Figure]:
    return [clouds({"exact p(x | y)": exact, "walks": samples}, ("x1", "x2"), "Plug and play")]


CHECKS = (
    Check("quadratic-gradient", "evolution-strategies", quadratic_gradient,
          "On a quadratic the estimated gradient, in the mean and in the scale, is unbiased.",
          "Three standard errors of 1,000 estimates along the gradient; the chi-square of the "
          "six components exceeds 18 once in 160 seeds; 5 % is four standard errors."),
    Check("stairs", "evolution-strategies", stairs_descended,
          "An objective without slopes, eight staircases, is brought to its minimum.",
          "The minimum is 0, and the values are whole numbers."),
    Check("plugged-posterior", "plug-and-play", plugged,
          "With a learnt denoiser and the exact class posterior, walks draw the exact p(x | y).",
          "4,000 walks scatter by 0.01; a step of 0.01 widens the law by 1.3 % and the denoiser "
          "is learnt in seconds; 0.55 is what certificates allow.",
          fast=False, needs=("sklearn",)),
)  # fmt: skip
