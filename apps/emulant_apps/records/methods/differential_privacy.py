r"""Differentially private training (DP-SGD) of the players of any method that pays event by event.

Notation: events x_i of a batch B that holds each of n patients with probability q on its own
(Poisson sampling), g_i = grad of what the player pays for x_i alone, clipping norm C, noise
multiplier sigma, xi ~ N(0, I).

    g = (sum_(i in B) g_i min(1, C / |g_i|) + sigma C xi) / (q n)

A gradient that is not finite counts as zero. A patient moves the sum by at most C, so that a step
is a Poisson-subsampled Gaussian mechanism of noise multiplier sigma;
:mod:`emulant_apps.records.privacy` adds the steps up. The player pays <theta, g>, a surrogate whose
gradient is g: the loop that trains everything else trains this too.
What is made of g afterwards (Adam, decay, averages) costs no privacy. Neither the number of events
nor what they pay is reported, for these are not noised.

- Abadi et al., Deep Learning with Differential Privacy, 2016, https://arxiv.org/abs/1607.00133
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from emulant.methods.game import Method
from emulant.types import Batch, Terms

__all__ = ["DifferentiallyPrivate"]


class DifferentiallyPrivate(Method):
    """A method whose players learn from clipped, noised gradients.

    Arguments
    ---------
    method : what is trained; what it pays for a batch must be a mean over its events.
    clip : C, in the unit of the gradient's norm; infinity for no clipping, without noise only.
    noise : sigma.
    expected : q n, the expected number of events of a batch.
    """

    def __init__(self, method: Method, clip: float, noise: float, expected: float) -> None:
        super().__init__()
        if not clip > 0:
            raise ValueError(f"'clip' must be positive, got {clip}")
        if not (math.isfinite(noise) and noise >= 0):
            raise ValueError(f"'noise' must be finite and not negative, got {noise}")
        if noise > 0 and math.isinf(clip):
            raise ValueError("'clip' must be finite where there is noise, got inf")
        if not expected > 0:
            raise ValueError(f"'expected' must be positive, got {expected}")
        self.method = method
        self.clip, self.noise, self.expected = clip, noise, expected
        self.turns = method.turns

    def players(self) -> Mapping[str, nn.Module]:
        """Return the players of the method."""
        return self.method.players()

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the surrogate <theta, g>; its value means nothing."""
        own = dict(self.players()[player].named_parameters())
        gradient = self.gradient(player, batch, rng)
        return Terms(torch.stack([(own[name] * gradient[name]).sum() for name in own]).sum())

    def gradient(self, player: str, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return g for each parameter of ``player``."""
        own = {n: p.detach() for n, p in self.players()[player].named_parameters()}
        total = {name: torch.zeros_like(p) for name, p in own.items()}
        if len(batch):
            each = self.of_each(player, batch, rng)
            norm = torch.stack([g.flatten(1).square().sum(1) for g in each.values()]).sum(0).sqrt()
            factor = (self.clip / norm.clamp(min=1e-12)).clamp(max=1.0)
            factor = torch.where(norm.isfinite(), factor, 0.0)
            for name, g in each.items():
                total[name] = torch.tensordot(factor, g.nan_to_num(0.0, 0.0, 0.0), dims=1)
        if self.noise:
            spread = self.noise * self.clip
            for name, sum_ in total.items():
                e = torch.randn(sum_.shape, generator=rng, device=sum_.device, dtype=sum_.dtype)
                total[name] = sum_ + spread * e
        return {name: sum_ / self.expected for name, sum_ in total.items()}

    def of_each(self, player: str, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the gradient of what ``player`` pays for each event alone, (B, ...).

        The method's buffers stay as they are: schedules that count steps do not move.
        """
        mine = set(self.players()[player].parameters())
        names = {p: name for name, p in self.method.named_parameters() if p in mine}
        bill = _Bill(self.method, player, rng)
        theta = {f"method.{name}": p.detach() for p, name in names.items()}
        rest = {f"method.{name}": b.clone() for name, b in self.method.named_buffers()}

        def pays(theta: Arrays, rest: Arrays, x: Tensor, c: Tensor | None) -> Tensor:
            row = (x[None], None if c is None else c[None])
            paid: Tensor = functional_call(bill, {**theta, **rest}, row)
            return paid

        where = (None, None, 0, None if batch.c is None else 0)
        each = vmap(grad(pays), in_dims=where, randomness="different")
        found = each(theta, rest, batch.x, batch.c)
        return {
            own: found[f"method.{names[p]}"].detach()
            for own, p in self.players()[player].named_parameters()
        }


Arrays = dict[str, Tensor]


class _Bill(nn.Module):
    """What a player pays, as the forward pass of a module that holds the method."""

    def __init__(self, method: Method, player: str, rng: torch.Generator) -> None:
        super().__init__()
        self.method, self.player, self.rng = method, player, rng

    def forward(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Return the scalar for events (1, *X)."""
        return self.method.loss(self.player, Batch(x, c), self.rng).total
