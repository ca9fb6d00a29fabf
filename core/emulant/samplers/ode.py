r"""Integrators of ``dx/dt = f(x, t)`` on a fixed grid, and the density that the flow carries.

Notation: states x (B, *X); time t is a number; h = t1 - t0 is one step.

- Euler, order 1:  ``x + h k1``
- Heun, order 2:   ``x + h (k1 + k2) / 2``
- RK4, order 4:    ``x + h (k1 + 2 k2 + 2 k3 + k4) / 6``

The error of a solver of order p at a fixed time falls as ``h^p``.

- Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, 1993,
  https://doi.org/10.1007/978-3-540-78862-1
- Chen et al., Neural Ordinary Differential Equations (instantaneous change of variables), 2018,
  https://arxiv.org/abs/1806.07366
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor

__all__ = ["SOLVERS", "Carried", "Field", "Solver", "carry_density", "divergence", "integrate"]

Field = Callable[[Tensor, float], Tensor]
"""``f(x, t)``, the slope of the states x at time t, of their shape."""


def _euler(f: Field, x: Tensor, t: float, h: float) -> Tensor:
    return x + h * f(x, t)


def _heun(f: Field, x: Tensor, t: float, h: float) -> Tensor:
    k1 = f(x, t)
    return x + h / 2 * (k1 + f(x + h * k1, t + h))


def _rk4(f: Field, x: Tensor, t: float, h: float) -> Tensor:
    k1 = f(x, t)
    k2 = f(x + h / 2 * k1, t + h / 2)
    k3 = f(x + h / 2 * k2, t + h / 2)
    k4 = f(x + h * k3, t + h)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@dataclass(frozen=True, slots=True)
class Solver:
    """One step of a one-step method, and the order that it claims."""

    step: Callable[[Field, Tensor, float, float], Tensor]
    """``step(f, x, t, h)`` -> the states at t + h."""
    order: int


SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {"euler": Solver(_euler, 1), "heun": Solver(_heun, 2), "rk4": Solver(_rk4, 4)}
)


def solver_named(name: str) -> Solver:
    """Return the solver called ``name``."""
    if name not in SOLVERS:
        raise ValueError(f"'solver' must be one of {sorted(SOLVERS)}, got {name!r}")
    return SOLVERS[name]


def integrate(f: Field, x: Tensor, times: Sequence[float], solver: str = "rk4") -> Tensor:
    """Return the states at the last of ``times``, from ``x`` at the first; either direction.

    >>> fall = integrate(lambda x, t: -x, torch.ones(1), torch.linspace(0, 1, 11).tolist())
    >>> torch.allclose(fall, torch.exp(torch.tensor(-1.0)), atol=1e-6)
    True
    """
    step = solver_named(solver).step
    if len(times) < 2:
        raise ValueError(f"'times' must hold at least 2 times, got {len(times)}")
    for t0, t1 in pairwise(times):
        x = step(f, x, t0, t1 - t0)
    return x


def divergence(f: Field, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """Return ``f(x, t)``, shape (B, *X), and its divergence in x, shape (B,), without gradients.

    Exact: one backward pass for each coordinate of an event.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        slope = f(x, t)
        flat, trace = slope.flatten(1).sum(0), torch.zeros(len(x), device=x.device, dtype=x.dtype)
        for k in range(len(flat)):
            (row,) = torch.autograd.grad(flat[k], x, retain_graph=True, allow_unused=True)
            if row is not None:
                trace = trace + row.flatten(1)[:, k]
    return slope.detach(), trace.detach()


@dataclass(frozen=True, slots=True)
class Carried:
    """Where a flow has taken events, and how far it has compressed the space around them."""

    x: Tensor
    """States at the last time, shape (B, *X)."""
    compression: Tensor
    """``int div f dt`` along the way, shape (B,): ``log p`` falls by as much."""


def carry_density(f: Field, x: Tensor, times: Sequence[float], solver: str = "rk4") -> Carried:
    r"""Carry events from the first of ``times`` to the last and integrate the divergence.

    ``log p_last(x_last) = log p_first(x_first) - int_first^last div f(x_t, t) dt``; the events
    must not influence one another in f.
    """

    def joint(state: Tensor, t: float) -> Tensor:
        slope, trace = divergence(f, state[:, :-1].reshape(x.shape), t)
        return torch.cat([slope.flatten(1), trace[:, None]], 1)

    start = torch.cat([x.flatten(1), x.new_zeros(len(x), 1)], 1)
    end = integrate(joint, start, times, solver)
    return Carried(end[:, :-1].reshape(x.shape), end[:, -1])
