r"""The running mean of a method's parameters, steadier than their last value.

After step t = 1, 2, ...: ``mean <- k mean + (1 - k) parameter`` with
``k = min(decay, 1 - 1 / (t/10 + 1))``, so that the first, poor steps are soon forgotten.
Buffers are copied.

- Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992,
  https://doi.org/10.1137/0330046
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["Average", "loaded"]


class Average:
    """The mean of every parameter of a module, and a copy of its buffers."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {k: v.clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the parameters after ``step`` steps, counted from 1."""
        k = min(self.decay, 1 - 1 / (step / 10 + 1))
        parameters = {name for name, _ in module.named_parameters()}
        for name, value in module.state_dict().items():
            if name in parameters and value.is_floating_point():
                self.state[name].lerp_(value, 1 - k)
            else:
                self.state[name].copy_(value)


@contextmanager
def loaded(module: nn.Module, state: dict[str, Tensor]) -> Iterator[None]:
    """Lend ``module`` another state, and give it back its own."""
    own = {name: value.clone() for name, value in module.state_dict().items()}
    module.load_state_dict(state)
    try:
        yield
    finally:
        module.load_state_dict(own)
