"""How checks train a method: the one loop, quiet, on the CPU, with one cosine of learning rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from emulant.methods.game import Method
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.train import Optimiser, Plan, Source, fit

__all__ = ["build", "train"]

Game = TypeVar("Game", bound=Method)


def build(make: Callable[[], Game], seed: int) -> Game:
    """Return ``make()``, its networks' initial parameters drawn for ``seed``."""
    with initial_parameters(torch_rng(seed, "ledger", "nets")):
        return make()


def train(
    method: Game,
    source: Source,
    seed: int,
    steps: int,
    lr: float | Mapping[str, float] = 1e-3,
    betas: tuple[float, float] = (0.9, 0.99),
    ema: float = 0.0,
    waits: tuple[str, ...] = (),
) -> Game:
    """Train ``method`` in place and return it, in evaluation mode.

    Arguments
    ---------
    lr : learning rate at its highest, of all players or of each by its name.
    ema : decay of the running mean of the parameters; where it is not 0 the method leaves
        with the mean.
    waits : players that have learned all that they should, and sit this training out.
    """
    rates = lr if isinstance(lr, Mapping) else dict.fromkeys(method.players(), lr)
    optimisers = {
        name: Optimiser(rate, betas, start_after=steps if name in waits else 0)
        for name, rate in rates.items()
    }
    plan = Plan(optimisers, steps=steps, schedule="cosine", ema=ema, seed=seed, log_every=steps)
    fitted = fit(method, source, plan, device="cpu", progress=lambda *_: None)
    method.load_state_dict(dict(fitted.ema_state))
    for parameter in method.parameters():
        parameter.grad = None
    method.eval()
    return method
