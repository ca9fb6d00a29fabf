r"""Known answers of games of images: the progressively growing GAN and pix2pixHD."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from emulant.ledger.check import Check, Measure, Outcome
from emulant.nets.initial import initial_parameters
from emulant.nets.progressive import (
    Equalised,
    MinibatchDeviation,
    PixelNorm,
    ProgressiveCritic,
    ProgressiveGenerator,
    enlarge,
)
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

WIDTHS = (16, 16, 8)


def growing_identities(seed: int) -> Outcome:
    """Try what the paper's parts are by construction, on networks with random parameters."""
    with initial_parameters(torch_rng(seed, "ledger", "growing")):
        generator = ProgressiveGenerator((16, 16), 1, WIDTHS, latent=8).double()
        critic = ProgressiveCritic((16, 16), 1, WIDTHS).double()
        layer = Equalised(torch.nn.Linear(4096, 256))
    rng = torch_rng(seed, "ledger", "identities")
    z = torch.randn(16, 8, generator=rng, dtype=torch.float64)
    x = torch.randn(16, 1, 8, 8, generator=rng, dtype=torch.float64)
    at = []
    with torch.no_grad():
        for stage, share in ((1, 1.0), (2, 0.0), (2, 1e-9), (2, 1.0), (2, 1 - 1e-9)):
            generator.at(stage, share)
            at.append(generator(z))
        judged = []
        for stage, share, seen in ((1, 1.0, x), (2, 0.0, enlarge(x))):
            critic.at(stage, share)
            judged.append(critic(seen))
        weights = [
            (module.layer.weight, module.scale)
            for network in (generator, critic)
            for module in network.modules()
            if isinstance(module, Equalised)
        ]
        out = layer(torch.randn(512, 4096, generator=rng))
        same = MinibatchDeviation()(x[:1].expand(8, -1, -1, -1))[:, 1:]
        normed = PixelNorm()(3 * torch.randn(8, 16, 4, 4, generator=rng)).square().mean(1)
    stored = torch.cat([w.flatten() for w, _ in weights if isinstance(w, Tensor)])
    scales = [s * math.sqrt(w[0].numel() / 2) for w, s in weights[1:3] if isinstance(w, Tensor)]
    exact = 1e-6
    return Outcome(
        (
            Measure("share 0 - enlarged stage before, largest", 0.0,
                    float((at[1] - enlarge(at[0])).abs().max()), exact),
            Measure("share 1e-9 - share 0, largest", 0.0, float((at[2] - at[1]).abs().max()),
                    exact),
            Measure("share 1 - share (1 - 1e-9), largest", 0.0,
                    float((at[3] - at[4]).abs().max()), exact),
            Measure("critic: share 0 - stage before, largest", 0.0,
                    float((judged[1] - judged[0]).abs().max()), exact),
            Measure("deviation of stored weights", 1.0, float(stored.detach().std()), 0.05),
            Measure("weight scale in use / He's", 1.0, scales[0], exact),
            Measure("mean square of a layer's answer to N(0, 1)", 2.0,
                    float(out.square().mean()), 0.05),
            Measure("minibatch deviation of identical events", 0.0, float(same.abs().max()), 2e-4),
            Measure("pixel norm: mean square over maps", 1.0,
                    float(normed[(normed - 1).abs() == (normed - 1).abs().max()][0]), exact),
        )
    )  # fmt: skip


CHECKS = (
    Check("growing-identities", "progressive-gan", growing_identities,
          "A new stage enters as the old one enlarged and ends as itself; the weights, the "
          "minibatch statistic and the pixel norm are what the paper says.",
          "Identities hold to rounding in double precision, statistics of random weights to four "
          "standard errors; 1e-4 keeps the root of the minibatch statistic differentiable."),
)  # fmt: skip
