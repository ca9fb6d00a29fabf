r"""Known answers of flow matching, diffusion, normalising flows.

Laws: three normal components of unequal weight in the plane, whose density, velocity and
denoiser are known in closed form; two moons, judged by a classifier; a normal x | c, for which
the guided ODE is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor, nn

from emulant.certify.page import Figure
from emulant.conditions import ContinuousEmbedding
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless, Mixture, moons
from emulant.ledger.pictures import Array, clouds, curves, histograms
from emulant.ledger.two_sample import area_under_curve
from emulant.methods import Diffusion, FlowMatching, NormalisingFlow
from emulant.methods.diffusion import Levels
from emulant.methods.game import Generative
from emulant.nets.embed import TimeMLP
from emulant.rng import torch_rng
from emulant.samplers.ode import SOLVERS

__all__ = ["CHECKS"]

Density = FlowMatching | Diffusion | NormalisingFlow
TRIANGLE = Mixture(
    torch.tensor([[-1.2, -0.7], [1.2, -0.7], [0.0, 1.2]]), 0.35, torch.tensor([0.5, 0.3, 0.2])
)
LEVELS = Levels(low=0.01, high=20.0)


_moons = partial(moons, noise=0.15)


def _flow_matching() -> FlowMatching:
    return FlowMatching(TimeMLP(2, 2), (2,))


def _diffusion() -> Diffusion:
    return Diffusion(TimeMLP(2, 2), (2,), LEVELS, steps=24)


def _normalising_flow() -> NormalisingFlow:
    return NormalisingFlow(2)


def density(make: Callable[[], Density], steps: int, seed: int) -> Outcome:
    """Fit a method to the triangle: its log-density and its samples against the exact ones."""
    method = build(make, seed)
    train(method, Endless(TRIANGLE.draw), seed, steps, lr=2e-3, ema=0.99)
    rng = torch_rng(seed, "ledger", "density")
    truth, samples = TRIANGLE.draw(4000, rng), method.sample(4000, rng)
    exact, got = TRIANGLE.log_prob(truth), method.log_prob(truth).detach()
    gap = exact - got
    share = torch.cdist(samples, TRIANGLE.means).argmin(1).bincount(minlength=3) / len(samples)
    measures = (
        Measure("KL(data || model), nats", 0.0, float(gap.mean()), 0.05),
        Measure("rms error of log p, nats", 0.0, float(gap.square().mean().sqrt()), 0.3, "<="),
        Measure("largest error of a component's share", 0.0,
                float((share - TRIANGLE.weights).abs().max()), 0.04, "<="),
        Measure("AUC of samples against data", 0.5, area_under_curve(samples, truth, seed),
                0.05, "<="),
    )  # fmt: skip
    return Outcome(measures, partial(_clouds, truth.numpy(), samples.numpy(), "Three components"))


def shape(make: Callable[[], Generative], steps: int, lr: float, seed: int) -> Outcome:
    """Fit a method to two moons; a classifier judges the samples."""
    method = build(make, seed)
    train(method, Endless(_moons, 512), seed, steps, lr=lr, ema=0.998)
    rng = torch_rng(seed, "ledger", "shape")
    truth, other, samples = _moons(4000, rng), _moons(4000, rng), method.sample(4000, rng)
    measures = (
        Measure("AUC of samples against data", 0.5, area_under_curve(samples, truth, seed),
                0.05, "<="),
        Measure("AUC of data against data", 0.5, area_under_curve(other, truth, seed)),
    )  # fmt: skip
    return Outcome(measures, partial(_clouds, truth.numpy(), samples.numpy(), "Two moons"))


def _clouds(truth: Array, samples: Array, title: str) -> list[Figure]:
    return [clouds({"data": truth, "samples": samples}, ("x1", "x2"), title)]


class _ExactVelocity(nn.Module):
    """``E[x_1 - x_0 | x_t = x]`` of the triangle, the optimum of flow matching."""

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002
        # x_t / t = x_1 + (1 - t) / t x_0; at t = 0 nothing is known of x_1 but its mean
        share = t.clamp(min=1e-9)
        clean = TRIANGLE.clean_mean(x / share[:, None], (1 - share) / share)
        v: Tensor = (clean - x) / (1 - t[:, None]).clamp(min=1e-9)
        # at t = 1: E[x_0 | x_1] = 0, so that the slope is x_1 itself
        return torch.where(t[:, None] >= 1, x, v)


class _ExactDenoiser(nn.Module):
    """The network F for which EDM's preconditioning gives the triangle's exact denoiser."""

    def forward(self, y: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002
        s, d = (4 * t).exp()[:, None], LEVELS.data
        variance = s.square() + d**2
        x = y * variance.sqrt()
        clean = TRIANGLE.clean_mean(x, s[:, 0])
        f: Tensor = (clean - d**2 / variance * x) * variance.sqrt() / (s * d)
        return f


def exact_density(make: Callable[[], FlowMatching | Diffusion], blur: float, seed: int) -> Outcome:
    """Put the closed-form optimum in the network's place: log-density along the ODE."""
    method = make().double()
    x = TRIANGLE.draw(500, torch_rng(seed, "ledger", "exact")).double()
    law = Mixture(TRIANGLE.means, math.hypot(TRIANGLE.deviation, blur), TRIANGLE.weights)
    exact, got = law.log_prob(x), method.log_prob(x, steps=128)
    error = float((got - exact).abs().max())
    order = exact.argsort()
    return Outcome(
        (Measure("largest error of log p, nats", 0.0, error, 1e-3),),
        partial(_log_densities, exact[order].numpy(), got[order].numpy()),
    )


def _log_densities(exact: Array, got: Array) -> list[Figure]:
    lines = {"exact": exact, "along the ODE": got}
    axes = ("exact log p, nats", "log p, nats")
    return [curves(exact, lines, axes, "Log-density", dots=("along the ODE",))]


def integrator_order(seed: int) -> Outcome:
    """Carry noise along the exact velocity: by how much the error falls per halving of steps."""
    x0 = torch.randn(200, 2, generator=torch_rng(seed, "ledger", "order")).double()
    finest = FlowMatching(_ExactVelocity(), (2,), solver="rk4").double()
    measures, lines = [], {}
    halvings = np.arange(3.0)
    answer = finest.carry(x0, 1024)
    for name, solver in SOLVERS.items():
        flow = FlowMatching(_ExactVelocity(), (2,), solver=name).double()
        # where trajectories part the field is steep, and a first-order step must be short there
        least = 512 if solver.order == 1 else 64
        counts = [least * 2**k for k in range(3)]
        errors = [float((flow.carry(x0, n) - answer).square().mean().sqrt()) for n in counts]
        lines[name] = np.log2(errors)
        order = -float(np.polyfit(halvings, lines[name], 1)[0])
        measures.append(Measure(f"measured order of {name}", solver.order, order, 0.1))
    axes = ("halvings of the step", "log2 of the rms error")
    return Outcome(tuple(measures), lambda: [curves(halvings, lines, axes, "Order of integrators")])


def optimal_coupling(seed: int) -> Outcome:
    """Two steps of Euler along straight lines, with pairs matched and not."""
    truth = _moons(4000, torch_rng(seed, "ledger", "coupling"))
    areas, drawn = {}, {"data": truth.numpy()}
    for coupling in ("independent", "optimal"):
        flow = build(lambda k=coupling: FlowMatching(TimeMLP(2, 2), (2,), k, solver="euler"), seed)  # type: ignore[misc]
        train(flow, Endless(_moons), seed, 2000, lr=2e-3, ema=0.99)
        samples = flow.sample(4000, torch_rng(seed, "ledger", "coupling", "draw"), steps=2)
        areas[coupling] = area_under_curve(samples, truth, seed)
        drawn[coupling] = samples.numpy()
    gain = areas["independent"] - areas["optimal"]
    return Outcome(
        (
            Measure("AUC saved by optimal pairs at 2 Euler steps", 0.05, gain, 0.0, ">="),
            Measure("AUC at 2 steps, independent", 0.5, areas["independent"]),
            Measure("AUC at 2 steps, optimal", 0.5, areas["optimal"]),
        ),
        lambda: [clouds(drawn, ("x1", "x2"), "Two Euler steps")],
    )


SLOPE, SCATTER = 0.8, 0.6
"""x | c ~ N(SLOPE c, SCATTER^2) with c ~ N(0, 1): x has unit variance."""


def _line(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    c = torch.randn(n, 1, generator=rng)
    return SLOPE * c + SCATTER * torch.randn(n, 1, generator=rng), c


def _guided_law(c: float, guidance: float) -> tuple[float, float]:
    """Return mean and deviation of the exact guided ODE: linear in x, hence normal."""

    def slope(x: np.ndarray, s: float) -> np.ndarray:
        asked = (SCATTER**2 * x + s**2 * SLOPE * c) / (SCATTER**2 + s**2)
        free = x / (1 + s**2)
        return (x - free - guidance * (asked - free)) / s

    levels = np.geomspace(LEVELS.high, 1e-4, 4001)
    x = LEVELS.high * np.array([0.0, 1.0])  # the images of 0 and of one deviation
    for s, target in pairwise(levels):
        first = slope(x, s)
        x = x + (target - s) / 2 * (first + slope(x + (target - s) * first, target))
    return float(x[0]), float(x[1] - x[0])


def guidance(seed: int) -> Outcome:
    """Ask a diffusion trained on x | c for conditions, plainly and with guidance."""

    def make() -> Diffusion:
        context = ContinuousEmbedding([0.0], [1.0], 16, missing=True)
        net = TimeMLP(1, 1, (64, 64, 64), context, 16)
        return Diffusion(net, (1,), LEVELS, drop=0.2, steps=24)

    method = train(build(make, seed), Endless(_line), seed, 3000, lr=2e-3, ema=0.99)
    measures, figures = [], []
    for weight, tolerance in ((1.0, 0.05), (2.0, 0.1)):
        for c in (-1.0, 1.0):
            rng = torch_rng(seed, "ledger", "guidance", int(c))
            x = method.sample(4000, rng, torch.full((4000, 1), c), weight)
            mean, deviation = _guided_law(c, weight)
            asked = f"guidance {weight:g}, c = {c:+g}"
            exact = partial(norm.pdf, loc=mean, scale=deviation)
            figures.append(partial(histograms, {"samples": x[:, 0].numpy()}, "x", asked, exact))
            measures += [
                Measure(f"mean of x, {asked}", mean, float(x.mean()), tolerance),
                Measure(f"deviation of x, {asked}", deviation, float(x.std()), tolerance),
            ]
    return Outcome(tuple(measures), lambda: [draw() for draw in figures[1::2]])


_exact_flow = partial(FlowMatching, _ExactVelocity(), (2,), solver="rk4")
_exact_diffusion = partial(Diffusion, _ExactDenoiser(), (2,), Levels(low=0.01, high=5000.0))

DENSITY = "Log-density and samples of a fitted mixture of three normal laws are the exact ones."
WHY_DENSITY = (
    "Over 4,000 events the mean gap of log-densities scatters by 0.005 nats and a component's "
    "share by 0.008; what is left of the tolerances is what a small network, trained for "
    "seconds, may still lack: 0.05 nats an event, an AUC of 0.55."
)
SHAPE = "A classifier cannot tell samples of a fitted pair of moons from data."
WHY_SHAPE = (
    "The AUC of data against data, beside it, scatters by 0.007; 0.55 is what certificates allow "
    "by default."
)
EXACT = "With the closed-form optimum as its network, log p along the ODE is the exact one."
WHY_EXACT = (
    "No training and hardly any chance: the solver's error at 128 steps, and for diffusion the "
    "start, taken as a centred normal law, whose error is the data's mean / the highest level."
)

CHECKS = (
    Check("flow-matching-density", "flow-matching", partial(density, _flow_matching, 3000),
          DENSITY, WHY_DENSITY, fast=False, needs=("sklearn",)),
    Check("flow-matching-shape", "flow-matching", partial(shape, _flow_matching, 5000, 4e-3),
          SHAPE, WHY_SHAPE, fast=False, needs=("sklearn",)),
    Check("flow-matching-exact", "flow-matching", partial(exact_density, _exact_flow, 0.0),
          EXACT, WHY_EXACT),
    Check("integrator-order", "flow-matching", integrator_order,
          "Euler, Heun and RK4 carry noise along the exact velocity with the order they claim.",
          "From 64 steps on, 512 for Euler, the next order in the step adds less than 0.1 to the "
          "slope."),
    Check("optimal-coupling", "flow-matching", optimal_coupling,
          "Pairs matched by optimal transport straighten the lines: two Euler steps do better.",
          "The two areas scatter by 0.007 each; 0.05 is what a user would notice.",
          fast=False, needs=("sklearn",)),
    Check("diffusion-density", "diffusion", partial(density, _diffusion, 3000),
          DENSITY, WHY_DENSITY, fast=False, needs=("sklearn",)),
    Check("diffusion-shape", "diffusion", partial(shape, _diffusion, 4000, 2e-3),
          SHAPE, WHY_SHAPE, fast=False, needs=("sklearn",)),
    Check("diffusion-exact", "diffusion", partial(exact_density, _exact_diffusion, 0.01),
          EXACT, WHY_EXACT),
    Check("guidance", "diffusion", guidance,
          "Asked plainly a diffusion draws p(x | c); guided it draws the law of the guided ODE.",
          "Means of 4,000 events scatter by 0.01; the rest is what a small network may lack, "
          "doubled where guidance doubles its error.",
          fast=False),
    Check("normalising-flow-density", "normalising-flow", partial(density, _normalising_flow, 800),
          DENSITY, WHY_DENSITY, fast=False, needs=("zuko", "sklearn")),
    Check("normalising-flow-shape", "normalising-flow",
          partial(shape, _normalising_flow, 800, 2e-3), SHAPE, WHY_SHAPE,
          fast=False, needs=("zuko", "sklearn")),
)  # fmt: skip
