"""Networks of two inputs, such as an event and a latent, or an event and noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Joint"]


class Joint(nn.Module):
    """``(x, y, c) -> net((x, y), c)``: a network of one input, fed two side by side.

    >>> from emulant.nets.mlp import MLPCritic
    >>> Joint(MLPCritic(5))(torch.zeros(4, 3), torch.zeros(4, 2)).shape
    torch.Size([4])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, y: Tensor, c: Tensor | None = None) -> Tensor:
        """Return what the network makes of (x, y), flat, and the context."""
        out: Tensor = self.net(torch.cat([x.flatten(1), y.flatten(1)], 1), c)
        return out
