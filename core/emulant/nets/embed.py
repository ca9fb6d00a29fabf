r"""Time as a vector, and fully connected networks that look at it.

Notation: times t (B,); features (B, K); events x (B, X); embedded contexts e (B, E).

- Vaswani et al., Attention Is All You Need (sinusoids), 2017, https://arxiv.org/abs/1706.03762
- Tancik et al., Fourier Features Let Networks Learn High Frequency Functions, 2020,
  https://arxiv.org/abs/2006.10739
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emulant.conditions import class_index, embed
from emulant.nets.mlp import MLP

__all__ = ["ContextMLP", "FourierTime", "OneHotClasses", "TimeMLP"]


class FourierTime(nn.Module):
    r"""``t -> (t, cos 2 pi t / p_k, sin 2 pi t / p_k)``, K = 2 n + 1 features.

    The periods ``p_k`` fall geometrically from ``longest`` to ``shortest``, in the unit of t.

    >>> FourierTime(4)(torch.zeros(3)).shape
    torch.Size([3, 9])
    """

    frequencies: Tensor

    def __init__(self, periods: int = 8, longest: float = 2.0, shortest: float = 0.1) -> None:
        super().__init__()
        if not 0 < shortest <= longest:
            raise ValueError(f"'shortest' must lie in (0, {longest}], got {shortest}")
        exponents = torch.linspace(math.log(1 / longest), math.log(1 / shortest), periods)
        self.register_buffer("frequencies", exponents.exp())
        self.features = 2 * periods + 1

    def forward(self, t: Tensor) -> Tensor:
        """Return the features, shape (B, K)."""
        if t.ndim != 1:
            raise ValueError(f"'t' must have shape (B,), got {tuple(t.shape)}")
        phase = 2 * math.pi * t[:, None] * self.frequencies
        return torch.cat([t[:, None], phase.cos(), phase.sin()], 1)


class TimeMLP(nn.Module):
    """``x, t, c -> y``: a fully connected network of events, time and embedded context.

    Arguments
    ---------
    inputs, outputs : numbers of an event and of the result.
    context : network ``c -> e``, or None without a context.
    embedded : length E of ``e``.
    time : how time is shown.

    Examples
    --------
    >>> TimeMLP(2, 2)(torch.zeros(3, 2), torch.zeros(3)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        hidden: Sequence[int] = (128, 128, 128),
        context: nn.Module | None = None,
        embedded: int = 0,
        time: FourierTime | None = None,
    ) -> None:
        super().__init__()
        if (context is None) != (embedded == 0):
            raise ValueError(f"'embedded' must be positive if there is a context, got {embedded}")
        self.context = context
        self.time = FourierTime() if time is None else time
        self.net = MLP(inputs, outputs, hidden, context=self.time.features + embedded)

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the outputs, shape (B, outputs)."""
        e = embed(self.context, c)
        seen = [self.time(t)] if e is None else [self.time(t), e]
        y: Tensor = self.net(x, torch.cat(seen, 1))
        return y


class OneHotClasses(nn.Module):
    """Integer classes (B,) or (B, 1) -> one-hot vectors (B, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, c: Tensor) -> Tensor:
        """Return the one-hot vectors, shape (B, classes)."""
        return nn.functional.one_hot(class_index(c, self.classes), self.classes).float()


class ContextMLP(nn.Module):
    """``x, c -> net(x, context(c))``: a fully connected network behind an embedded context."""

    def __init__(self, net: nn.Module, context: nn.Module) -> None:
        super().__init__()
        self.net, self.context = net, context

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return what ``net`` makes of the events and the embedded contexts."""
        y: Tensor = self.net(x, embed(self.context, c))
        return y
