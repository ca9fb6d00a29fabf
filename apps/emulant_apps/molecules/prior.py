r"""The law of the codes: a flow that knows of properties, so that they may be asked.

Notation: z mean code of a molecule, m and d the mean and the scatter of these, u = (z - m) / d;
y the properties of the molecule (:data:`~.targets.TARGETS`), k in {0, 1}^5 which of them are told.

The flow p(u | k y, k) is fitted by flow matching on pairs (u, y) of the training set, with a mask k
drawn anew for every row: on half of the rows nothing is told, on the others each property with
probability one half. So one network is p(u), and p(u | any subset of the properties): the parts
that were hidden are integrated out. A *guidance* above 1 exaggerates what is asked.

- Lipman et al., Flow Matching for Generative Modeling, 2022, https://arxiv.org/abs/2210.02747
- Ho and Salimans, Classifier-Free Diffusion Guidance, 2022, https://arxiv.org/abs/2207.12598
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.errors import InputError
from emulant.methods.flow_matching import FlowMatching
from emulant.nets.embed import TimeMLP
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.store.hashing import hash_arrays
from emulant.types import Batch

__all__ = ["Codes", "CodesAndProperties", "Told", "build_prior", "prior_of", "some_told"]

WIDTH = 416
EMBEDDED = 48
PLAIN, SHARE = 0.5, 0.5
"""Share of the rows of which nothing is told, and of the properties that are told of the others."""


class Told(nn.Module):
    """``c -> e = W2 silu(W1 [k (c - mean) / scale, k])``, k where c is not NaN.

    Shapes: c (B, P), e (B, E).
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, embedded: int = EMBEDDED) -> None:
        super().__init__()
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())
        self.layers = nn.Sequential(
            nn.Linear(2 * len(mean), embedded), nn.SiLU(), nn.Linear(embedded, embedded)
        )

    def forward(self, c: Tensor) -> Tensor:
        """Return the embedded properties, shape (B, E)."""
        told = torch.isfinite(c)
        u = torch.where(told, (c - self.mean) / self.scale, torch.zeros_like(c))
        e: Tensor = self.layers(torch.cat([u, told.to(u.dtype)], 1))
        return e


def some_told(y: Tensor, rng: torch.Generator) -> Tensor:
    """Return properties (B, P) with NaN where nothing is told: on half of the rows nothing is."""
    some = torch.rand(len(y), 1, generator=rng) >= PLAIN
    told = some & (torch.rand(y.shape, generator=rng) < SHARE)
    return y.masked_fill(~told, torch.nan)


def build_prior(
    latent: int, seed: int = 0, told: tuple[Tensor, Tensor] | None = None, width: int = WIDTH
) -> FlowMatching:
    """Return the flow that carries N(0, I) into the standardised codes.

    ``told``: mean and scatter of the properties (P,); None: a flow that knows of none.
    """
    with initial_parameters(torch_rng(seed, "molecules", "prior")):
        context = None if told is None else Told(*told)
        embedded = 0 if told is None else EMBEDDED
        field = TimeMLP(latent, latent, (width,) * 3, context, embedded)
    return FlowMatching(field, (latent,), steps=12)


def prior_of(latent: int, state: Mapping[str, Tensor]) -> FlowMatching:
    """Return the flow whose parameters are ``state``, of whatever width, told or not."""
    told = None
    if "context.mean" in state:
        told = state["context.mean"], state["context.scale"]
    flow = build_prior(latent, told=told, width=len(state["net.layers.0.bias"]))
    flow.field.load_state_dict(dict(state))
    return flow


@dataclass(frozen=True)
class Codes:
    """The law of the codes: a flow in the standardised space, and how to leave that space."""

    flow: FlowMatching
    mean: Tensor
    """m, shape (Z,)."""
    scatter: Tensor
    """d, shape (Z,)."""

    def draw(
        self,
        n: int,
        rng: torch.Generator,
        asked: NDArray[np.float64] | None = None,
        guidance: float = 1.0,
    ) -> Tensor:
        """Return ``n`` latents, shape (n, Z).

        Parameters
        ----------
        asked
            Properties, shape (P,) or (n, P), NaN where nothing is asked.

        Raises
        ------
        InputError
            Properties are asked of a flow that knows of none.
        """
        context = getattr(self.flow.field, "context", None)
        if not isinstance(context, Told):
            if asked is not None:
                raise InputError(
                    "properties cannot be asked of this model, whose prior was fitted without "
                    "them; fit it anew with 'emulant molecules train --preset prior --start'"
                )
            return self.mean + self.scatter * self.flow.sample(n, rng)
        c = torch.full((n, len(context.mean)), torch.nan)
        if asked is not None:
            c[:] = torch.from_numpy(np.asarray(asked, dtype=np.float32))
        return self.mean + self.scatter * self.flow.sample(n, rng, c, guidance)


class CodesAndProperties:
    """Standardised codes with what is told of their molecules, a :class:`~emulant.train.Source`.

    Arguments
    ---------
    u : standardised codes (N, Z).
    y : properties (N, P), NaN where they are not known.
    size : rows B of a batch.
    """

    def __init__(self, u: Tensor, y: Tensor, size: int) -> None:
        self.u, self.y, self.size = u, y.float(), size
        known = torch.nan_to_num(self.y, nan=-1e6)
        self.fingerprint = hash_arrays({"u": self.u, "y": known})

    def batch(self, step: int, rng: torch.Generator) -> Batch:
        """Return codes (B, Z) with contexts (B, P), NaN where nothing is told."""
        del step
        rows = torch.randint(len(self.u), (self.size,), generator=rng)
        return Batch(self.u[rows], some_told(self.y[rows], rng))
