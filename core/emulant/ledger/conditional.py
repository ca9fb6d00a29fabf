"""Known answers of the GAN that is fed a condition."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from emulant.certify.page import Figure
from emulant.latents import Normal, Pushforward
from emulant.ledger.adversarial import BETAS, LEAKY
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, clouds
from emulant.methods import GAN, R1, R2, Relativistic
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

A, B, SIGMA = 1.5, -0.5, 0.5
"""x | y ~ N(A y + B, SIGMA^2), y ~ U(-1, 1)."""


def _line(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    y = 2 * torch.rand(n, 1, generator=rng) - 1
    return A * y + B + SIGMA * torch.randn(n, 1, generator=rng), y


def conditional_line(seed: int) -> Outcome:
    """Recover slope, offset and scatter of x | y, and test the law bin by bin."""

    def make() -> GAN:
        generator = Pushforward(MLP(4, 1, (64, 64), context=1, activation=LEAKY), Normal((4,)))
        critic = MLPCritic(1, (64, 64), context=1, activation=LEAKY)
        return GAN(generator, critic, Relativistic(), (R1(0.1), R2(0.1)))

    game = train(build(make, seed), Endless(_line), seed, 2000, 2e-3, BETAS, ema=0.995)
    rng = torch_rng(seed, "ledger", "line")
    truth, y = _line(20_000, rng)
    x = game.sample(len(y), rng, y)
    design = torch.cat([y, torch.ones_like(y)], 1)
    fit = torch.linalg.lstsq(design, x).solution
    scatter = float((x - design @ fit).std())
    edges = np.linspace(-1, 1, 6)
    place = np.digitize(y[:, 0].numpy(), edges[1:-1])
    distances = [
        float(ks_2samp(x[place == k, 0].numpy(), truth[place == k, 0].numpy()).statistic)
        for k in range(5)
    ]
    return Outcome(
        (
            Measure("slope of E[x | y]", A, float(fit[0]), 0.08),
            Measure("offset of E[x | y]", B, float(fit[1]), 0.05),
            Measure("deviation of x | y", SIGMA, scatter, 0.05),
            Measure("Kolmogorov distance, worst of 5 bins of y", 0.0, max(distances), 0.1, "<="),
        ),
        partial(_picture, torch.cat([y, truth], 1).numpy(), torch.cat([y, x], 1).numpy()),
    )


def _picture(truth: Array, samples: Array) -> list[Figure]:
    return [clouds({"data": truth, "samples": samples}, ("y", "x"), "x given y")]


CHECKS = (
    Check("conditional-line", "gan", conditional_line,
          "A GAN fed y draws x | y: its slope, offset and scatter, and its law in bins of y.",
          "Fits to 20,000 events scatter by 0.005, Kolmogorov distances of 4,000 by 0.02; the "
          "rest is what a game balances within.",
          fast=False),
)  # fmt: skip
