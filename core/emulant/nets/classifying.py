"""Critics that also say which class they see."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["ClassifyingCritic"]


class ClassifyingCritic(nn.Module):
    """A network ``x -> (B, 1 + classes)`` read as a critic's logit and the classes' logits.

    >>> import torch
    >>> from emulant.nets.mlp import MLP
    >>> critic = ClassifyingCritic(MLP(2, 4))
    >>> critic(torch.zeros(5, 2)).shape, critic.classify(torch.zeros(5, 2)).shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002 - not shown
        """Return the critic's logits, shape (B,); the class is not shown to it."""
        logits: Tensor = self.net(x)[:, 0]
        return logits

    def classify(self, x: Tensor) -> Tensor:
        """Return the classes' logits, shape (B, classes)."""
        logits: Tensor = self.net(x)[:, 1:]
        return logits
