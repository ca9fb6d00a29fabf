"""The normal posterior with independent coordinates that encoders return."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from emulant.latents import kl_diagonal_normals, reparameterise
from emulant.methods.game import full_precision

__all__ = ["Posterior", "gaussian"]


@dataclass(frozen=True, slots=True)
class Posterior:
    """q(z | x, c) = N(mean, diag exp(log_variance))."""

    mean: Tensor
    """Shape (B, Z)."""
    log_variance: Tensor
    """Shape (B, Z)."""

    def draw(self, rng: torch.Generator) -> Tensor:
        """Return one latent a row, shape (B, Z), differentiable."""
        return reparameterise(self.mean, self.log_variance, rng)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z | x, c) in nats, shape (B,)."""
        squares = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squares + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def kl(self) -> Tensor:
        """Return KL(q || N(0, I)) in nats, shape (B,)."""
        return kl_diagonal_normals(self.mean, self.log_variance)

    def kl_by_coordinate(self) -> Tensor:
        """Return its terms, one a coordinate, shape (B, Z)."""
        flat = kl_diagonal_normals(self.mean.reshape(-1, 1), self.log_variance.reshape(-1, 1))
        return flat.reshape(self.mean.shape)


def gaussian(encoded: Tensor, latent: int) -> Posterior:
    """Return the posterior that an encoder's outputs, shape (B, 2 Z), stand for."""
    if encoded.shape != (len(encoded), 2 * latent):
        shape = f"(B, {2 * latent}), got {tuple(encoded.shape)}"
        raise ValueError(f"'encoder' must return shape {shape}")
    return Posterior(*full_precision(encoded).chunk(2, 1))
