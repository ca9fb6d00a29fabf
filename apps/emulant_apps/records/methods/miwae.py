r"""The missing-data importance-weighted autoencoder (MIWAE).

Notation: rows x (B, D) with zeros in their holes, masks m (B, D), codes z, K draws a row.

    log p^(x_obs) = log 1/K sum_k w_k,   w_k = p(x_obs | z_k) p(z_k) / q(z_k | x_obs, m)

with z_k ~ q = N(mean, sd), p(z) = N(0, I) and p(x | z) normal, of one sd a column. The player pays
-E log p^. A missing cell is sum_k w_k E[x_mis | z_k] / sum_k w_k; a draw takes one k by its weight.

An event is (x, m), shape (B, 2 D).

- Mattei and Frellsen, MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets,
  2019, https://arxiv.org/abs/1812.02633
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from emulant.methods.game import Method
from emulant.types import Batch, Terms

__all__ = ["MIWAE"]

LEAST_SD = 0.05


class MIWAE(Method):
    """An autoencoder of the observed cells with importance-weighted codes.

    Arguments
    ---------
    encoder : network ``(B, 2 D) -> (B, 2 Z)``.
    decoder : network ``(B, Z) -> (B, D)``.
    columns : D.
    draws : K in training.
    """

    turns = ("model",)

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, columns: int, draws: int = 10
    ) -> None:
        super().__init__()
        if draws < 1:
            raise ValueError(f"'draws' must be at least 1, got {draws}")
        self.model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
        self.spread = nn.Parameter(torch.zeros(columns))
        self.model.register_parameter("spread", self.spread)
        self.draws = draws

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"model": self.model}

    @property
    def sd(self) -> Tensor:
        """Standard deviation of p(x | z), (D,)."""
        return softplus(self.spread) + LEAST_SD

    def weighed(self, x: Tensor, m: Tensor, k: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return log w_k (k, B) and the means of p(x | z_k), (k, B, D)."""
        mean, raw = self.model["encoder"](torch.cat([m * x, m], 1)).chunk(2, 1)
        sd = softplus(raw) + 1e-3
        e = torch.randn((k, *mean.shape), generator=rng, device=x.device)
        z = mean + sd * e
        made = self.model["decoder"](z.flatten(0, 1)).reshape(k, *x.shape)
        misfit = ((x - made) / self.sd).square() + 2 * self.sd.log() + math.log(2 * math.pi)
        log_p = -0.5 * (m * misfit).sum(-1)
        log_prior = -0.5 * z.square().sum(-1)
        log_q = -0.5 * e.square().sum(-1) - sd.log().sum(-1)
        return log_p + log_prior - log_q, made

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``-E log p^(x_obs)`` in nats a row."""
        if player != "model":
            raise ValueError(f"'player' must be 'model', got {player!r}")
        x, m = batch.x.chunk(2, 1)
        weight, _ = self.weighed(x, m, self.draws, rng)
        bound = (torch.logsumexp(weight, 0) - math.log(self.draws)).mean()
        return Terms(-bound, {"bound": bound})
