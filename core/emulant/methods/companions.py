r"""Further terms of a generator's bill, beside the adversarial one.

A companion is called as ``companion(generator, batch, fake, rng) -> Terms`` with the fakes,
shape (B, *X), that were drawn for the contexts of ``batch``, row by row; its total already
carries its weight, its parts are what is logged.

- Szekely and Rizzo, Energy statistics: a class of statistics based on distances, 2013,
  https://doi.org/10.1016/j.jspi.2013.03.018
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from emulant.methods.game import Draws
from emulant.methods.maximum_likelihood import nll_terms
from emulant.types import Batch, Terms

__all__ = ["Companion", "EnergyDistance", "Likelihood", "energy_distance"]


class Companion(Protocol):
    """A term that a generator pays beside the adversarial one."""

    def __call__(
        self, generator: Draws, batch: Batch, fake: Tensor, rng: torch.Generator, /
    ) -> Terms:
        """Return the weighted term and its unweighted parts."""
        ...


@dataclass(frozen=True, slots=True)
class Likelihood:
    """``-weight E log q(x | c)`` over real events, for a generator that also scores."""

    weight: float = 1.0

    def __call__(
        self,
        generator: Draws,
        batch: Batch,
        _fake: Tensor,
        _rng: torch.Generator,
        /,
    ) -> Terms:
        """Return the negative log-likelihood in nats per event, times the weight."""
        terms = nll_terms(generator, batch.x, batch.c)
        nll = torch.stack([term.mean() for term in terms.values()]).sum()
        return Terms(self.weight * nll, {"nll": nll})


def energy_distance(p: Tensor, q: Tensor, softening: float = 1e-3) -> Tensor:
    r"""Return the unbiased energy distance of feature vectors, group by group.

    ``2 E d(P, Q) - E d(P, P') - E d(Q, Q')`` with ``d(a, b) = sqrt(|a - b|^2 + softening^2)``,
    each expectation over distinct members; zero on average if and only if both have one law
    (d is of strictly negative type for every softening).

    Arguments
    ---------
    p, q : features, shape (G, M, K): G groups of M >= 2 members.
    softening : in the features' unit; it makes the slope finite where two members coincide.

    Returns
    -------
    Distance of each group, shape (G,).
    """
    members = p.shape[1]
    if members < 2:
        raise ValueError(f"'p' must have at least 2 members a group, got {members}")

    def mean_distance(a: Tensor, b: Tensor, distinct: bool) -> Tensor:
        squared = (a[:, :, None] - b[:, None]).square().sum(-1)
        total = (squared + softening**2).sqrt().sum((1, 2))
        if distinct:  # leave out the M members at distance `softening` from themselves
            return (total - members * softening) / (members * (members - 1))
        return total / members**2

    between = mean_distance(p, q, distinct=False)
    return 2 * between - mean_distance(p, p, distinct=True) - mean_distance(q, q, distinct=True)


@dataclass(frozen=True, slots=True)
class EnergyDistance:
    """``weight`` times the energy distance between features of real and fake events.

    Rows ``k group ... (k + 1) group - 1`` of a batch form a group; a source that gives the
    rows of a group one context makes this a distance between conditional laws.
    """

    features: Callable[[Tensor, Tensor | None], Tensor]
    """``features(x, c)``, shape (B, K), of about unit scale."""
    weight: float = 1.0
    group: int = 16
    softening: float = 1e-3

    def __call__(
        self,
        _generator: Draws,
        batch: Batch,
        fake: Tensor,
        _rng: torch.Generator,
        /,
    ) -> Terms:
        """Return the mean distance over the groups, times the weight."""
        if len(batch) % self.group:
            raise ValueError(f"'batch' must be a multiple of {self.group} rows, got {len(batch)}")
        with torch.no_grad():
            real = self.features(batch.x, batch.c)
        ours = self.features(fake, batch.c)
        p, q = (f.float().reshape(-1, self.group, f.shape[1]) for f in (ours, real))
        distance = energy_distance(p, q, self.softening).mean()
        return Terms(self.weight * distance, {"energy_distance": distance})
