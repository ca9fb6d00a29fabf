r"""Known answers of denoising autoencoders: the Wiener filter.

Data with independent normal entries of variance ``s_i^2``, noise of variance sigma^2: the best
restoration and its squared error are

    R*(y)_i = s_i^2 / (s_i^2 + sigma^2) y_i,   s_i^2 sigma^2 / (s_i^2 + sigma^2),

the score of the noisy data is ``-y_i / (s_i^2 + sigma^2)``, and the Markov chain
``y = x + sigma e, x ~ N(R*(y), v I)`` keeps the data's law where v is the squared error.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from scipy.stats import norm
from torch import Tensor, nn

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome, error
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, curves, histograms
from emulant.likelihoods import Gaussian
from emulant.methods.denoising_autoencoder import (
    Additive,
    DenoisingAutoencoder,
    StackedDenoisingAutoencoder,
)
from emulant.nets.mlp import MLP
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

SIGMA = 1.0
DEVIATIONS = torch.tensor([0.5, 1.0, 2.0])


def _uneven(n: int, rng: torch.Generator) -> Tensor:
    return DEVIATIONS * torch.randn(n, 3, generator=rng)


def wiener(seed: int) -> Outcome:
    """Train a network with a hidden layer and compare it with the Wiener filter."""
    rng = torch_rng(seed, "ledger", "wiener")
    head = Gaussian((3,))
    dae = build(lambda: DenoisingAutoencoder(MLP(3, 3, (32,)), head, Additive(SIGMA)), seed)
    train(dae, Endless(_uneven, 500), seed, steps=1500, lr=1e-2)
    x = _uneven(100_000, rng)
    y = x + SIGMA * torch.randn(x.shape, generator=rng)
    gain = DEVIATIONS**2 / (DEVIATIONS**2 + SIGMA**2)
    with torch.no_grad():
        restored = dae.restore(y)
        away = (dae.score(y) + y / (DEVIATIONS**2 + SIGMA**2)).square().mean().sqrt()
    due = float((gain * SIGMA**2).sum())
    got = float((restored - x).square().sum(1).mean())
    slopes = (restored * y).mean(0) / y.square().mean(0)
    return Outcome(
        (
            Measure("squared error over the Wiener optimum", 1.0, got / due, 0.02),
            error("largest error of the gain", (slopes - gain).abs().max(), 0.02),
            error("rms error of the score", away, 0.06),
        ),
        partial(_filter, dae, float(gain[2])),
    )


def _filter(dae: DenoisingAutoencoder, gain: float) -> list[Figure]:
    y = torch.zeros(81, 3)
    y[:, 2] = torch.linspace(-6, 6, 81)
    with torch.no_grad():
        restored = dae.restore(y)[:, 2].numpy()
    shown = y[:, 2].numpy()
    axes, title = ("noisy y", "restored"), "Entry of deviation 2"
    return [curves(shown, {"Wiener": gain * shown, "network": restored}, axes, title, ("network",))]


def chain(seed: int) -> Outcome:
    """Draw from the Markov chain of a denoiser of equal variances, and of a stacked one."""
    rng = torch_rng(seed, "ledger", "chain")

    def even(n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, 3, generator=rng)

    head = Gaussian((3,))
    dae = build(lambda: DenoisingAutoencoder(MLP(3, 3, (32,)), head, Additive(SIGMA), 40), seed)
    train(dae, Endless(even, 500), seed, steps=1500, lr=1e-2)
    x = dae.sample(20_000, rng)
    off = (torch.cov(x.T) - torch.eye(3)).abs().max()
    return Outcome(
        (
            error("largest |mean| of the chain's events", x.mean(0).abs().max(), 0.08),
            error("largest error of their covariance", off, 0.1),
        ),
        partial(_marginal, x[:, 0].numpy()),
    )


def _marginal(x: Array) -> list[Figure]:
    return [histograms({"chain": x}, "first entry", "Events of the chain", norm.pdf)]


def stacked(seed: int) -> Outcome:
    """Two layers of data on a plane: the upper one restores the code of the lower one."""
    rng = torch_rng(seed, "ledger", "stacked")
    basis = torch.linalg.qr(torch.randn(6, 2, generator=rng)).Q.T  # (2, 6)

    def plane(n: int, rng: torch.Generator) -> Tensor:
        drawn: Tensor = 2 * torch.randn(n, 2, generator=rng) @ basis
        return drawn

    def make() -> StackedDenoisingAutoencoder:
        encoders = [MLP(6, 4, ()), MLP(4, 2, ())]
        decoders = [MLP(4, 6, ()), MLP(2, 4, ())]
        return StackedDenoisingAutoencoder(encoders, decoders, Additive(SIGMA), (6,), chain=40)

    method = build(make, seed)
    train(method, Endless(plane, 500), seed, steps=1500, lr=1e-2)
    x = plane(50_000, rng)
    with torch.no_grad():
        y = x + SIGMA * torch.randn(x.shape, generator=rng)
        first = method.restore(y, depth=1)
        whole = method.restore(y)
        best = _best_above(method, basis, y)
    due = 2 * 4 * SIGMA**2 / (4 + SIGMA**2)
    got, both, ideal = (float((r - x).square().sum(1).mean()) for r in (first, whole, best))
    return Outcome(
        (
            Measure("first layer, squared error over the optimum", 1.0, got / due, 0.03),
            Measure("both layers, squared error over that of the best upper layer", 1.0,
                    both / ideal, 0.03),
            Measure("both layers, squared error over the optimum", 1.0, both / due),
        )
    )  # fmt: skip


def _best_above(method: StackedDenoisingAutoencoder, basis: Tensor, y: Tensor) -> Tensor:
    """Restore ``y`` by the lower layer as it is and the Wiener filter of its codes above.

    Codes ``h = F x + b`` have the mean b and the covariance ``C = 4 F B' B F'``; the upper layer
    restores them best by ``b + C (C + sigma^2 I)^-1 (h' - b)``.
    """
    lower = cast(nn.ModuleDict, method.layers[0])
    b = method.encode(torch.zeros(1, 6), depth=1)
    f = method.encode(torch.eye(6), depth=1) - b  # (6, 4), rows are the columns of F
    covariance = 4 * (basis @ f).T @ (basis @ f)
    gain = covariance @ torch.linalg.inv(covariance + SIGMA**2 * torch.eye(4))
    restored: Tensor = lower["g"](b + (method.encode(y, depth=1) - b) @ gain.T, None)
    return restored


CHECKS = (
    Check(
        "wiener",
        "denoising-autoencoder",
        wiener,
        "On Gaussian data a denoiser is the Wiener filter, and its residual is the score.",
        "The optimum is known exactly; 2 % is for the optimiser, five times what it needs. The "
        "score has deviations of 0.45 to 0.9, of which 0.06 is a tenth.",
    ),
    Check(
        "denoising-chain",
        "denoising-autoencoder",
        chain,
        "The Markov chain of corrupting and restoring keeps the law of the data.",
        "Moments of 20,000 events scatter by 0.007 and 0.01; the variance of a chain multiplies "
        "an error of the restored variance by (s^2 + sigma^2) / sigma^2 = 2.",
    ),
    Check(
        "stacked-denoising",
        "denoising-autoencoder",
        stacked,
        "The first of two layers is the Wiener filter of data on a plane, the second that of the "
        "first one's codes under noise of their own.",
        "Both optima are known exactly; 3 % is for the optimiser. How far the codes' own noise "
        "takes both layers from the filter of the data depends on the scale of the codes.",
    ),
)
