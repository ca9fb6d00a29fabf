r"""Known answers of the adversarial autoencoder: the aggregated posterior is the prior.

Events of eight numbers on a curved surface, ``x = B tanh(A u) + 0.1 e``, over two hidden causes u:
a plain autoencoder reconstructs them through two latents; the adversarial one must do so while
its latents, all taken together, follow a normal law, ten modes on a circle, or a swiss roll. A
continuous encoder must be able to do it: causes of one piece would have to be torn to lie on
separate modes, so that those of the ten modes are ten modes too, and causes that are a roll
themselves would have to be turned onto the other roll whole, where half of the seeds tear them;
a normal law can be drawn out and rolled up. A classifier told to tell latents and prior apart has
an area under its ROC curve of 1/2 where they agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from emulant.certify.page import Figure
from emulant.latents import Normal
from emulant.ledger.adversarial import LEAKY
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless, Mixture
from emulant.ledger.pictures import clouds
from emulant.ledger.two_sample import area_under_curve
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods.adversarial import R1
from emulant.methods.adversarial_autoencoder import AdversarialAutoencoder, DrawsLatents
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

NOISE = 0.1
A = torch.randn(8, 2, generator=torch_rng(0, "ledger", "surface", "A"))
B = torch.randn(8, 8, generator=torch_rng(0, "ledger", "surface", "B"))
HIDDEN = (128, 128, 128)


@dataclass(frozen=True)
class SwissRoll:
    """A spiral of one turn and a half in the plane, of about unit scale, with noise."""

    noise: float = 0.1

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return ``n`` points, shape (n, 2)."""
        t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=rng))
        spiral = torch.stack([t * t.cos(), t * t.sin()], 1) / 7
        return spiral + self.noise * torch.randn(n, 2, generator=rng)


def _ten_modes() -> Mixture:
    angle = torch.arange(10) * (2 * math.pi / 10)
    return Mixture(2 * torch.stack([angle.cos(), angle.sin()], 1), 0.2, torch.full((10,), 0.1))


def _surface(causes: DrawsLatents, n: int, rng: torch.Generator) -> Tensor:
    clean = torch.tanh(0.75 * causes.draw(n, rng) @ A.T) @ B.T
    return clean + NOISE * torch.randn(n, 8, generator=rng)


def aggregated(causes: DrawsLatents, prior: DrawsLatents, steps: int, seed: int) -> Outcome:
    """Train on events of ``causes`` against ``prior``; let a classifier compare the latents."""

    def make() -> AdversarialAutoencoder:
        decoder = Decoder(MLP(2, 8, (64, 64)), Gaussian((8,), 0.5))
        encoder = MLP(8, 2, HIDDEN, activation=LEAKY)
        critic = MLPCritic(2, HIDDEN, activation=LEAKY)
        penalties = (R1(0.01, every=4),)
        return AdversarialAutoencoder(
            encoder, decoder, critic, prior, 2, weight=12.0, regularisers=penalties
        )

    rates = {"critic": 3e-3, "autoencoder": 2e-3}
    method, data = build(make, seed), partial(_surface, causes)
    train(method, Endless(data, 256), seed, steps, rates, (0.0, 0.9), 0.995)
    rng = torch_rng(seed, "ledger", "aggregated")
    x = data(5000, rng)
    with torch.no_grad():
        z, wanted = method.encode(x, rng), prior.draw(5000, rng)
        squares = (method.reconstruct(x, rng) - x).square().mean() / x.var(0).mean()
    area = area_under_curve(z, wanted, seed)
    control = area_under_curve(prior.draw(5000, rng), wanted, seed)
    return Outcome(
        (
            Measure("area under the curve, latents against prior", 0.5, area, 0.05, "<="),
            Measure("same, prior against itself", 0.5, control),
            Measure("squared error of reconstruction / variance", 0, float(squares)),
        ),
        partial(_picture, wanted, z),
    )


def _picture(wanted: Tensor, z: Tensor) -> list[Figure]:
    parts = {"prior": wanted.numpy(), "latents": z.numpy()}
    return [clouds(parts, ("z1", "z2"), "Aggregated posterior")]


PRIORS: tuple[tuple[str, str, DrawsLatents, DrawsLatents, int], ...] = (
    ("normal", "a normal law", Normal((2,)), Normal((2,)), 2500),
    # what is too dense on a roll, or in the wrong mode, flows slowly: the slope there is small
    ("ten-modes", "ten modes on a circle", _ten_modes(), _ten_modes(), 4000),
    ("swiss-roll", "a swiss roll", Normal((2,)), SwissRoll(), 7000),
)

CHECKS = tuple(
    Check(
        f"aae-{name}",
        "adversarial-autoencoder",
        partial(aggregated, causes, prior, steps),
        f"The latents of all events together follow {words}.",
        "An area of 0.55 is where one pair in ten is told apart beyond guessing; that of the "
        "prior against itself, beside it, shows what chance alone gives.",
        fast=False,
        needs=("sklearn",),
    )
    for name, words, causes, prior, steps in PRIORS
)
