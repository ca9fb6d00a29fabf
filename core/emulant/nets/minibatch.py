"""Statistics of groups of events, so that a critic sees spread as well as single events.

- Salimans et al., Improved Techniques for Training GANs (minibatch discrimination), 2016,
  https://arxiv.org/abs/1606.03498
- Karras et al., Progressive Growing of GANs (minibatch standard deviation), 2017,
  https://arxiv.org/abs/1710.10196
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MinibatchStatistics"]

SPREAD = 0.05
"""Added to the standard deviation before its logarithm is taken: a group may be constant."""


class MinibatchStatistics(nn.Module):
    """Features (B, K) -> (B, 3 K): their own, and mean and log deviation of their group.

    Both are times sqrt(group), so that they scatter from group to group as events do. Rows
    ``k group ... (k + 1) group - 1`` form a group; a source that gives them one context
    shows the critic the conditional law.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        if group < 2:
            raise ValueError(f"'group' must be at least 2, got {group}")
        self.group = group

    def forward(self, v: Tensor) -> Tensor:
        """Return (features, mean of the group, log standard deviation of the group)."""
        if len(v) % self.group:
            raise ValueError(f"'v' must have a multiple of {self.group} rows, got {len(v)}")
        grouped = v.reshape(-1, self.group, v.shape[1])
        mean = grouped.mean(1)
        variance = (grouped - mean[:, None]).square().mean(1)
        log_deviation = torch.log((variance + 1e-8).sqrt() + SPREAD)
        both = self.group**0.5 * torch.cat([mean, log_deviation], 1)
        return torch.cat([v, both.repeat_interleave(self.group, 0)], 1)
