r"""Known answers of implicit variational inference: the continuous sprinkler.

``z ~ N(0, I_2)``, ``x | z`` exponential with mean ``3 + max(0, z_1)^3 + max(0, z_2)^3``: two
causes that explain each other away, their posterior known on a grid.

The joint contrast learns log q(z | x) p_D(x) / p(x, z) from pairs that the model makes, of which
one in 550 has an x between 45 and 55, and it has no likelihood to lean on: its critic is wider
and takes three turns. What law p_D the inferred events have does not matter to the best posterior
(it adds to the ratio what z cannot change), so that rare x are shown as often as frequent ones.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from emulant.certify.page import Figure
from emulant.latents import Normal
from emulant.ledger.check import Check, Outcome, error
from emulant.ledger.fitting import build, train
from emulant.ledger.grids import Box
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, clouds
from emulant.methods.implicit_variational_inference import ImplicitVariationalInference
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

ASKED = (0.0, 5.0, 8.0, 12.0, 50.0)
"""Those of the paper's figure."""
BOX = Box((-4.5, -4.5), (4.5, 4.5), 30)


class Sprinkler(nn.Module):
    """x | z exponential with mean 3 + max(0, z_1)^3 + max(0, z_2)^3."""

    def mean(self, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return E[x | z], shape (B, 1)."""
        return 3 + z.relu().pow(3).sum(1, keepdim=True)

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return log p(x | z), shape (B,)."""
        mean = self.mean(z)
        return (-mean.log() - x / mean)[:, 0]

    def draw(self, z: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return one x for each z."""
        unit = torch.rand(len(z), 1, generator=rng)
        return -self.mean(z) * torch.log1p(-unit)


class LogFirst(nn.Module):
    """``(x, y, c) -> net((log(1 + x), y))``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return what the network makes of (log(1 + x), y)."""
        out: Tensor = self.net(torch.cat([x.log1p(), y], 1), None)
        return out


def _shown(n: int, rng: torch.Generator) -> Tensor:
    """Return x of which log(1 + x) is even, up to 60."""
    return torch.expm1(math.log(61) * torch.rand(n, 1, generator=rng))


def sprinkler(contrast: Literal["prior", "joint"], width: int, turns: int, seed: int) -> Outcome:
    """Infer the two causes of x and compare with the grid, for five values of x."""
    prior, model = Normal((2,)), Sprinkler()

    def make() -> ImplicitVariationalInference:
        posterior = LogFirst(MLP(1 + 3, 2, (64, 64), activation=nn.ReLU))
        critic = LogFirst(MLPCritic(1 + 2, (width, width), activation=nn.ReLU))
        return ImplicitVariationalInference(
            posterior, critic, model, prior, noise=3, contrast=contrast, critic_turns=turns
        )

    method, rates = build(make, seed), {"critic": 5e-3, "posterior": 2e-3}
    train(method, Endless(_shown, 512), seed, 2000, rates, (0.5, 0.99), 0.995)
    rng = torch_rng(seed, "ledger", "sprinkler")
    measures, drawn = [], []
    for asked in ASKED:
        x = torch.tensor([[asked]])
        exact = BOX.posterior(lambda z, x=x: model.log_likelihood(x, z) + prior.log_prob(z))  # type: ignore[misc]
        with torch.no_grad():
            z = method.infer(x.expand(100_000, 1), rng)
        measures.append(error(f"KL(exact || q) at x = {asked:g}, nats", exact.kl(z), 0.1))
        drawn.append((asked, exact.draw(1500, rng).numpy(), z[:1500].numpy()))
    return Outcome(tuple(measures), partial(_pictures, drawn))


def _pictures(drawn: list[tuple[float, Array, Array]]) -> list[Figure]:
    return [
        clouds({"exact grid": exact, "inferred": z}, ("z1", "z2"), f"Causes of x = {asked:g}")
        for asked, exact, z in (drawn[1], drawn[-1])
    ]


CHECKS = (
    Check(
        "sprinkler-prior",
        "implicit-variational-inference",
        partial(sprinkler, "prior", 64, 2),
        "The two causes of x explain each other away as on the exact grid.",
        "0.1 nats of KL on 900 cells; half an event a cell costs 0.005 of it.",
        fast=False,
    ),
    Check(
        "sprinkler-joint",
        "implicit-variational-inference",
        partial(sprinkler, "joint", 128, 3),
        "The same without any likelihood: the model is only simulated.",
        "0.1 nats of KL on 900 cells; half an event a cell costs 0.005 of it.",
        fast=False,
    ),
)
