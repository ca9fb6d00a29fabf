r"""Diffusion in the form of EDM: a denoiser at every noise level, and an integrator over them.

With ``x`` from the data, ``n ~ N(0, s^2 I)`` and ``ln s ~ N(P_mean, P_std^2)`` the denoiser pays

    E lambda(s) |D(x + n, s, c) - x|^2 ,
    D(y, s, c) = c_skip(s) y + c_out(s) F(c_in(s) y, ln(s) / 4, c) ,
    c_skip = d^2 / (s^2 + d^2),  c_out = s d / sqrt(s^2 + d^2),  c_in = 1 / sqrt(s^2 + d^2),
    lambda = 1 / c_out^2 ,                           d the deviation of the data (table 1)

so that the network F always sees unit variance and answers with unit variance. By Tweedie
``D(y, s) - y = s^2 grad log p_s(y)``; noise becomes data along ``dx/ds = (x - D(x, s)) / s``.

- Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
  https://arxiv.org/abs/2206.00364
- Song et al., Score-Based Generative Modeling through SDEs (density along the ODE), 2020,
  https://arxiv.org/abs/2011.13456
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from emulant.conditions import drop_conditions
from emulant.latents import Normal
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.samplers.guidance import guided
from emulant.samplers.ode import Field, carry_density
from emulant.types import Batch, Terms

__all__ = ["Churn", "Diffusion", "Levels"]


@dataclass(frozen=True, slots=True)
class Levels:
    """Noise levels, in the data's unit: where training looks and where sampling steps."""

    data: float = 1.0
    """Deviation d of the data."""
    low: float = 0.002
    high: float = 80.0
    """The last and the first level of sampling."""
    mean: float = -1.2
    deviation: float = 1.2
    """Of ln s in training."""
    rho: float = 7.0
    """How much finer the steps are at low noise (eq. 5)."""

    def __post_init__(self) -> None:
        if not (0 < self.low < self.high and self.data > 0 and self.deviation > 0):
            raise ValueError(f"'levels' must have 0 < low < high, data, deviation, got {self}")

    def grid(self, steps: int) -> list[float]:
        """Return ``steps`` falling levels from high to low."""
        if steps < 2:
            raise ValueError(f"'steps' must be at least 2, got {steps}")
        top, bottom = self.high ** (1 / self.rho), self.low ** (1 / self.rho)
        return [(top + k / (steps - 1) * (bottom - top)) ** self.rho for k in range(steps)]


@dataclass(frozen=True, slots=True)
class Churn:
    """Fresh noise along the way (algorithm 2): it forgets errors made at higher levels."""

    amount: float = 0.0
    low: float = 0.0
    high: float = math.inf
    noise: float = 1.0

    def raised(self, s: float, steps: int) -> float:
        """Return the level to which noise is raised before a step from ``s``."""
        inside = self.low <= s <= self.high
        return s * (1 + min(self.amount / steps, math.sqrt(2) - 1)) if inside else s


class Diffusion(Generative):
    """A denoiser for every noise level.

    Arguments
    ---------
    net : network ``F(x, t, c)`` of the shape of x; t = ln(s) / 4 has shape (B,).
    event : shape X of an event.
    levels : noise levels.
    drop : probability that training hides a condition, for guidance; the net's context must
        know "missing".
    steps, churn : how :meth:`sample` integrates.

    Examples
    --------
    >>> from emulant.nets.embed import TimeMLP
    >>> diffusion = Diffusion(TimeMLP(2, 2), (2,), steps=4)
    >>> diffusion.sample(5, torch.Generator().manual_seed(0)).shape
    torch.Size([5, 2])
    """

    turns = ("denoiser",)

    def __init__(
        self,
        net: nn.Module,
        event: Sequence[int],
        levels: Levels | None = None,
        drop: float = 0.0,
        steps: int = 18,
        churn: Churn | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise ValueError(f"'drop' must lie in [0, 1), got {drop}")
        self.net, self.base, self.drop, self.steps = net, Normal(tuple(event)), drop, steps
        self.levels = Levels() if levels is None else levels
        self.churn = Churn() if churn is None else churn
        self.levels.grid(steps)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"denoiser": self.net}

    def denoise(
        self, y: Tensor, s: Tensor, c: Tensor | None = None, guidance: float = 1.0
    ) -> Tensor:
        """Return D(y, s, c), the mean of clean events, shape (B, *X), at levels s, shape (B,)."""
        d, level = self.levels.data, s.reshape(-1, *(1,) * (y.ndim - 1))
        variance = level.square() + d**2
        f = guided(self.net, y * variance.rsqrt(), s.log() / 4, c, guidance)
        return d**2 / variance * y + level * d * variance.rsqrt() * f

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return ``E w lambda(s) |D(x + n, s, c) - x|^2`` per coordinate."""
        if player != "denoiser":
            raise ValueError(f"'player' must be 'denoiser', got {player!r}")
        x, c, d = batch.x, batch.c, self.levels.data
        if x.shape[1:] != self.base.shape:
            raise ValueError(f"'batch.x' must have events {self.base.shape}, got {x.shape[1:]}")
        e = torch.randn(len(x), generator=rng, device=x.device)
        s = (self.levels.mean + self.levels.deviation * e).exp()
        noise = s.reshape(-1, *(1,) * (x.ndim - 1)) * self.base.draw(len(x), rng)
        if c is not None and self.drop > 0:
            c = drop_conditions(c, self.drop, rng)
        weight = (s.square() + d**2) / (s * d).square()
        error = full_precision(self.denoise(x + noise, s, c) - x).square().flatten(1).mean(1)
        weight = weight if batch.weight is None else weight * batch.weight
        mse = (weight * error).mean()
        return Terms(mse, {"weighted_mse": mse})

    def _slope(self, c: Tensor | None, guidance: float = 1.0) -> Field:
        """Return ``f(x, s) = (x - D(x, s)) / s``."""
        return lambda x, s: (x - self.denoise(x, x.new_full((len(x),), s), c, guidance)) / s

    def sample(
        self,
        n: int,
        rng: torch.Generator,
        c: Tensor | None = None,
        guidance: float = 1.0,
        steps: int | None = None,
    ) -> Tensor:
        """Return ``n`` events, shape (n, *X), by Heun steps and a last Euler step to s = 0."""
        require_contexts(n, c)
        count = self.steps if steps is None else steps
        with evaluating(self):
            f, x = self._slope(c, guidance), self.levels.high * self.base.draw(n, rng)
            for s, target in pairwise([*self.levels.grid(count), 0.0]):
                start = self.churn.raised(s, count)
                if start > s:
                    deviation = self.churn.noise * math.sqrt(start**2 - s**2)
                    x = x + deviation * self.base.draw(n, rng)
                slope = f(x, start)
                ahead = x + (target - start) * slope
                if target > 0:
                    ahead = x + (target - start) / 2 * (slope + f(ahead, target))
                x = ahead
            return x

    def log_prob(self, x: Tensor, c: Tensor | None = None, steps: int = 64) -> Tensor:
        """Return log q(x | c) in nats, shape (B,), of the data blurred by the lowest level.

        ``dx/du = x - D(x, e^u)`` in u = ln s, from ln low to ln high, in ``steps`` RK4 steps;
        there the law is taken as N(0, (high^2 + d^2) I).
        """
        low, high = math.log(self.levels.low), math.log(self.levels.high)
        times = [low + k / steps * (high - low) for k in range(steps + 1)]
        with evaluating(self):
            f = self._slope(c)
            carried = carry_density(lambda y, u: math.exp(u) * f(y, math.exp(u)), x, times)
            scale = math.hypot(self.levels.high, self.levels.data)
            volume = x[0].numel() * math.log(scale)
            return self.base.log_prob(carried.x / scale) - volume + carried.compression
