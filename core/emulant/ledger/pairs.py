"""Known answers of adversarially learned inference: posteriors of pairs."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from emulant.certify.page import Figure
from emulant.latents import Normal
from emulant.ledger.adversarial import LEAKY
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless, grid_of_25
from emulant.ledger.pictures import Array, clouds, curves
from emulant.methods import ALI, R1, R2, Relativistic
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

LOADINGS = torch.tensor([[1.0, 0.2], [0.6, -0.8], [-0.3, 0.9], [0.8, 0.5]])
NOISE = 0.5
PAPER = 13.4 + 5.8
"""Modes that Dumoulin et al. found over ten runs: their mean and a deviation."""


def linear_posterior(seed: int) -> Outcome:
    """X = W z + 0.5 e: encoder against the exact posterior mean of the decoder's own axes."""

    def draw(n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, 2, generator=rng)
        return z @ LOADINGS.T + NOISE * torch.randn(n, 4, generator=rng)

    def make() -> ALI:
        critic = MLPCritic(4, (128, 128), context=2, activation=LEAKY)
        return ALI(
            MLP(4, 4, ()), MLP(2, 4, ()), critic, Normal((2,)), NOISE, Relativistic(),
            (R1(0.05), R2(0.05)),
        )  # fmt: skip

    game = train(build(make, seed), Endless(draw), seed, 3000, 2e-3, (0.5, 0.9), ema=0.998)
    x = draw(5000, torch_rng(seed, "ledger", "posterior"))
    encoder, decoder = game.generator["encoder"], game.generator["decoder"]
    with torch.no_grad():
        mean, log_variance = encoder(x).chunk(2, 1)
        w, offset = decoder(torch.eye(2)) - decoder(torch.zeros(2, 2)), decoder(torch.zeros(1, 2))
        cycle = float((decoder(mean) - x).square().mean())

    def exact(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior's matrix on x and its covariance, W^T given as ``rows``."""
        covariance = torch.linalg.inv(torch.eye(2) + rows @ rows.T / NOISE**2)
        return covariance @ rows / NOISE**2, covariance

    gain, covariance = exact(w)
    posterior = (x - offset) @ gain.T
    correlation = min(float(torch.corrcoef(torch.stack([posterior[:, k], mean[:, k]]))[0, 1])
                      for k in range(2))  # fmt: skip
    gain_true, _ = exact(LOADINGS.T)
    best = float((x @ gain_true.T @ LOADINGS.T - x).square().mean())
    model = w.T @ w + NOISE**2 * torch.eye(4)
    true = LOADINGS @ LOADINGS.T + NOISE**2 * torch.eye(4)
    deviation = (log_variance.exp().mean(0) / covariance.diagonal()).sqrt()
    return Outcome(
        (
            Measure("correlation with the exact posterior mean", 0.99, correlation, 0.0, ">="),
            Measure("x -> z -> x error / that of the exact posterior", 1.0, cycle / best, 0.1,
                    "<="),
            Measure("covariance of x: largest error / trace", 0.0,
                    float((model - true).abs().max() / true.trace()), 0.05, "<="),
            Measure("posterior deviation / exact, worst", 1.0,
                    float(deviation[(deviation - 1).abs().argmax()])),
        ),
        partial(_means, posterior[::10, 0].numpy(), mean[::10, 0].numpy()),
    )  # fmt: skip


def _means(exact: Array, got: Array) -> list[Figure]:
    order = np.argsort(exact)
    lines = {"exact": exact[order], "encoder": got[order]}
    axes = ("exact posterior mean of z1", "mean of q(z1 | x)")
    return [curves(exact[order], lines, axes, "Posterior mean", dots=("encoder",))]


def grid(seed: int) -> Outcome:
    """Play for the paper's 25 normal laws on a grid; count the modes of samples and of cycles."""
    law, hidden = grid_of_25(), (128, 128, 128)

    def make() -> ALI:
        return ALI(
            MLP(2, 4, hidden, activation=LEAKY),
            MLP(2, 2, hidden, activation=LEAKY),
            MLPCritic(2, hidden, context=2, activation=LEAKY),
            Normal((2,)),
            loss=Relativistic(),
            regularisers=(R1(0.02, every=2), R2(0.02, every=2)),
        )

    game = train(build(make, seed), Endless(law.draw), seed, 4000, 1e-3, (0.0, 0.9), ema=0.995)
    rng = torch_rng(seed, "ledger", "grid")
    truth, x = law.draw(10_000, rng), game.sample(10_000, rng)
    census, ideal = law.census(x), law.census(truth)
    home, back = (
        torch.cdist(e, law.means).argmin(1) for e in (truth, game.reconstruct(truth, rng))
    )
    kept = float((home == back).float().mean())
    return Outcome(
        (
            Measure("modes found, of 25", PAPER, census.found, 0.0, ">="),
            Measure("share within 3 deviations of a mode", ideal.near, census.near),
            Measure("chi-square of the modes' shares / N", 0.0, census.chi2),
            Measure("share that x -> z -> x leaves in its mode", 1.0, kept),
        ),
        lambda: [clouds({"data": truth.numpy(), "samples": x.numpy()}, ("x1", "x2"), "25 modes")],
    )  # fmt: skip


CHECKS = (
    Check("linear-posterior", "ali", linear_posterior,
          "In a linear normal model the encoder's mean is the exact posterior mean, up to the "
          "rotation of the latent that nothing can fix.",
          "0.99 and 10 % are the suite's bounds: a game balances, it does not converge.",
          fast=False),
    Check("paired-grid-of-25", "ali", grid,
          "ALI finds more of the 25 modes of its paper's grid than its paper reports.",
          "The paper found 13.4 +- 5.8 modes over ten runs (section 4.5); one deviation above "
          "its mean. How much lies between modes is reported: a normal latent of two numbers "
          "must bridge them.",
          fast=False),
)  # fmt: skip
