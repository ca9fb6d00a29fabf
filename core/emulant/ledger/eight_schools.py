r"""A known answer of adversarial variational Bayes: the eight schools.

Rubin 1981; data and priors of the AVB authors' notebook, effects in tens of points:
``y_j ~ N(mu + tau eta_j, s_j^2)`` with ``eta_j ~ N(0, 1)`` integrated out,

    log p(y | mu, tau) = sum_j log N(y_j; mu, s_j^2 + tau^2),   tau of either sign,

so that the posterior of (mu, tau) has two mirrored modes and is known on a grid.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal as NormalLaw

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome, error
from emulant.ledger.fitting import build, train
from emulant.ledger.grids import Box, Gridded
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import clouds
from emulant.methods.adversarial_variational_bayes import AdversarialVariationalBayes
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

Y = torch.tensor([2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2])
S = torch.tensor([0.8, 0.5, 0.8, 0.6, 0.5, 0.6, 0.5, 0.4])
BOX = Box((-0.5, -4.0), (3.0, 4.0), 40)


class Schools(nn.Module):
    """The eight schools, z = (mu, tau); the events are the eight effects."""

    def mean(self, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return mu for each school, shape (B, 8)."""
        return z[:, :1].expand(-1, 8)

    def _law(self, z: Tensor) -> NormalLaw:
        spread = (S.square() + z[:, 1:].square()).sqrt()
        return NormalLaw(self.mean(z), spread, validate_args=False)

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return log p(x | mu, tau), shape (B,)."""
        score: Tensor = self._law(z).log_prob(x)  # type: ignore[no-untyped-call] # torch's own
        return score.sum(1)

    def draw(self, z: Tensor, rng: torch.Generator, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - has no context
        """Return eight effects for each z."""
        law = self._law(z)
        return law.mean + law.stddev * torch.randn(len(z), 8, generator=rng)


class Wide:
    """The priors of the notebook: mu ~ N(0, 100^2), tau ~ N(0, 10^8) (its 100 times eta's 100)."""

    deviation = torch.tensor([1e2, 1e4])

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Return (mu, tau), shape (n, 2)."""
        return self.deviation * torch.randn(n, 2, generator=rng)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(mu, tau), shape (B,)."""
        return NormalLaw(0.0, self.deviation).log_prob(z).sum(1)  # type: ignore[no-untyped-call,no-any-return] # torch's own


class Blind(nn.Module):
    """``(x, e, c) -> net(e)``: for one data set, which need not be looked at."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, e: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - one data set
        """Return what the network makes of ``e``."""
        out: Tensor = self.net(e, None)
        return out


class Tailed(nn.Module):
    """``(x, u, c) -> net(u) + |u|^2 / 2``, shape (B,): against N(0, I) the net is log q itself.

    Without the square (the authors add one too) a logit would have to grow as the square of u
    where there are no data, and the few latents far out would feel no way back.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, u: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - one data set
        """Return the logits."""
        out: Tensor = self.net(u, None) + u.square().sum(1) / 2
        return out


def _log_joint(z: Tensor) -> Tensor:
    return Schools().log_likelihood(Y.expand(len(z), -1), z) + Wide().log_prob(z)


def eight_schools(seed: int) -> Outcome:
    """Infer (mu, tau) by AVB and by a normal posterior, and compare both with the grid."""
    rng = torch_rng(seed, "ledger", "eight-schools")

    def make() -> AdversarialVariationalBayes:
        encoder = Blind(MLP(4, 2, (64, 64), activation=nn.ReLU))
        critic = Tailed(MLPCritic(2, (64, 64), activation=nn.ReLU))
        return AdversarialVariationalBayes(
            encoder, Schools(), critic, Wide(), noise=4, draws=512, adaptive=True, critic_turns=2
        )

    avb, rates = build(make, seed), {"critic": 3e-3, "autoencoder": 1e-3}
    train(avb, Endless(lambda n, _: Y.expand(n, -1), 1), seed, 2500, rates, (0.5, 0.99), 0.99)
    with torch.no_grad():
        z = avb.infer(Y.expand(100_000, -1), rng)
    exact = BOX.posterior(_log_joint)
    off, wide = (z.mean(0) - exact.mean) / exact.deviation, z.std(0) / exact.deviation
    field = _mean_field(rng)
    return Outcome(
        (
            error("error of E[mu], posterior deviations", off[0].abs(), 0.15),
            error("error of E[tau], posterior deviations", off[1].abs(), 0.15),
            Measure("deviation of mu over the exact", 1.0, float(wide[0]), 0.1),
            Measure("deviation of tau over the exact", 1.0, float(wide[1]), 0.1),
            Measure("mass of the mode tau > 0", 0.5, _upper(z), 0.07),
            error("KL(exact || AVB), nats", exact.kl(z), 0.05),
            Measure("same, normal mean field", 0.0, exact.kl(field)),
            Measure("mass of tau > 0, normal mean field", 0.5, _upper(field)),
        ),
        partial(_picture, exact, z, field, seed),
    )


def _upper(z: Tensor) -> float:
    """Return the share of draws with tau above 0."""
    return float((z[:, 1] > 0).float().mean())


def _mean_field(rng: torch.Generator) -> Tensor:
    """Return draws of the best normal law with independent mu and tau, by quadrature."""
    nodes, weights = (torch.tensor(a) for a in np.polynomial.hermite_e.hermegauss(24))
    e, w = torch.cartesian_prod(nodes, nodes), torch.outer(weights, weights).reshape(-1)
    values = torch.tensor([1.0, 0.5, -1.0, -1.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([values], max_iter=200, line_search_fn="strong_wolfe")

    def bound() -> Tensor:
        optimiser.zero_grad()
        score = _log_joint(values[:2] + values[2:].exp() * e)
        bill = -(w * score).sum() / w.sum() - values[2:].sum()
        bill.backward()  # type: ignore[no-untyped-call] # torch's own
        return bill

    optimiser.step(bound)  # type: ignore[no-untyped-call] # torch's own
    m, log_s = values.detach().float().reshape(2, 2)
    drawn: Tensor = m + log_s.exp() * torch.randn(100_000, 2, generator=rng)
    return drawn


def _picture(exact: Gridded, z: Tensor, field: Tensor, seed: int) -> list[Figure]:
    truth = exact.draw(1500, torch_rng(seed, "ledger", "picture"))
    inside = z[(z.abs() < 4).all(1)]
    parts = {"exact grid": truth, "AVB": inside[:1500], "mean field": field[:1500]}
    axes, title = ("mu", "tau"), "Posterior of the eight schools"
    return [clouds({name: part.numpy() for name, part in parts.items()}, axes, title)]


CHECKS = (
    Check(
        "eight-schools",
        "adversarial-variational-bayes",
        eight_schools,
        "Both modes of the eight schools' posterior are found, with their moments, where a "
        "normal mean field is far off.",
        "0.05 nats of KL is a law that 1,000 draws barely tell from the exact one on 1,600 cells; "
        "the moments may be off by what such a law allows, a tenth of a deviation or so.",
        fast=False,
    ),
)
