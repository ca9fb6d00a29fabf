"""Known answers of games of images: Gaussian fields whose every moment is known."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, curves
from emulant.methods import R1, R2, Growth, Pix2PixHD, ProgressiveGAN, Relativistic
from emulant.nets.coarse_to_fine import CoarseToFine, PatchCritic
from emulant.nets.progressive import ProgressiveCritic, ProgressiveGenerator
from emulant.rng import torch_rng

__all__ = ["CHECKS"]

SIDE = 32


def _smooth(white: Tensor, length: float) -> Tensor:
    """Return periodic fields of unit variance, white noise blurred over ``length`` cells."""
    k = 2 * math.pi * torch.fft.rfftfreq(white.shape[-1])
    filtered = (-(k**2) * length**2 / 2).exp()
    full = torch.cat([filtered, filtered[1:-1].flip(0)])
    fields: Tensor = torch.fft.irfft(torch.fft.rfft(white) * filtered, n=white.shape[-1])
    return fields / full.square().mean().sqrt()


def _waves(n: int, rng: torch.Generator) -> Tensor:
    """Return Gaussian fields on a ring of SIDE cells with correlations of two lengths."""
    long, short = (_smooth(torch.randn(n, 1, SIDE, generator=rng), length) for length in (4.0, 0.7))
    return 0.8 * long + 0.6 * short


def _power(x: Tensor) -> Array:
    """Return the mean power at each wave number, shape (SIDE/2 + 1,)."""
    power: Array = (torch.fft.rfft(x[:, 0]).abs().square().mean(0) / SIDE).numpy()
    return power


def growing_waves(seed: int) -> Outcome:
    """Grow from 8 to 32 cells on Gaussian waves: variance at every scale of length."""

    def make() -> ProgressiveGAN:
        generator = ProgressiveGenerator((SIDE,), 1, (32, 32, 16), latent=32)
        critic = ProgressiveCritic((SIDE,), 1, (32, 32, 16))
        penalties = (R1(0.2, every=2), R2(0.2, every=2))
        return ProgressiveGAN(generator, critic, Growth(150, 150), Relativistic(), penalties)

    game = train(build(make, seed), Endless(_waves, 64), seed, 1200, 4e-3, (0.0, 0.99), ema=0.99)
    rng = torch_rng(seed, "ledger", "waves")
    truth, samples = _waves(4000, rng), game.sample(4000, rng)
    exact, got = _power(truth), _power(samples)
    bands = {"k = 0 to 2": slice(0, 3), "k = 3 to 7": slice(3, 8), "k = 8 to 16": slice(8, None)}
    measures = [
        Measure(f"power at {name} / exact", 1.0, float(got[band].sum() / exact[band].sum()), 0.3)
        for name, band in bands.items()
    ]
    k = np.arange(len(exact)).astype(float)
    lines = {"data": np.log10(exact), "samples": np.log10(got)}
    axes = ("wave number", "log10 power")
    return Outcome(
        (*measures, Measure("mean of x", 0.0, float(samples.mean()), 0.1)),
        lambda: [curves(k, lines, axes, "Waves at the last stage", dots=("samples",))],
    )


CLASSES = ((-0.8, 0.5, 0.7), (0.6, 1.0, 1.6))
"""Mean, deviation and blurring length, in cells, of each class of land."""


def _land(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return fields whose law at a cell follows the class of the cell, and one-hot maps."""
    start = torch.randint(SIDE, (n, 1), generator=rng)
    extent = torch.randint(SIDE // 4, 3 * SIDE // 4, (n, 1), generator=rng)
    inside = ((torch.arange(SIDE) - start) % SIDE < extent)[:, None]
    fields = [
        mean + deviation * _smooth(torch.randn(n, 1, SIDE, generator=rng), length)
        for mean, deviation, length in CLASSES
    ]
    return torch.where(inside, fields[1], fields[0]), torch.cat([~inside, inside], 1).float()


def _moments(x: Tensor, maps: Tensor, k: int) -> tuple[float, float, float]:
    """Return mean, deviation and correlation of neighbours among cells of class ``k``."""
    here = maps[:, k] > 0
    both = here & here.roll(1, 1)
    value, before = x[:, 0], x[:, 0].roll(1, 1)
    mean, deviation = float(value[here].mean()), float(value[here].std())
    pairs = torch.stack([value[both], before[both]])
    return mean, deviation, float(torch.corrcoef(pairs)[0, 1])


def land(seed: int) -> Outcome:
    """Recover each class's mean, deviation and correlation of neighbours from maps of labels."""

    def make() -> Pix2PixHD:
        critics = [PatchCritic(1, 2, 1, (32, 32)) for _ in range(3)]
        generator = CoarseToFine(1, 2, 1, (16, 32), blocks=1, noise=2)
        penalties = (R1(0.1, every=2),)
        return Pix2PixHD(generator, critics, 1.0, "means", regularisers=penalties)

    rates = {"critics": 8e-3, "generator": 1e-3}  # critics that lag do not see the correlations
    game = train(build(make, seed), Endless(_land, 64), seed, 1000, rates, (0.5, 0.99), ema=0.99)
    rng = torch_rng(seed, "ledger", "land")
    truth, maps = _land(4000, rng)
    samples = game.sample(len(maps), rng, maps)
    measures = []
    for k, (_, scale, _) in enumerate(CLASSES):
        exact, got = _moments(truth, maps, k), _moments(samples, maps, k)
        measures += [
            Measure(f"class {k}: mean", exact[0], got[0], 0.1 * scale),
            Measure(f"class {k}: deviation", exact[1], got[1], 0.1 * scale),
            Measure(f"class {k}: correlation of neighbours", exact[2], got[2], 0.05),
        ]
    shown = {"data": truth[0, 0].numpy(), "sample": samples[0, 0].numpy()}
    return Outcome(tuple(measures), partial(_picture, shown))


def _picture(lines: dict[str, Array]) -> list[Figure]:
    return [curves(np.arange(float(SIDE)), lines, ("cell", "x"), "One map, two draws")]


CHECKS = (
    Check("growing-waves", "progressive-gan", growing_waves,
          "A generator grown from 8 to 32 cells has the exact power at every scale of length.",
          "Powers of 4,000 fields scatter by 2 %; a game of seconds may miss a band by 30 %.",
          fast=False),
    Check("land", "pix2pixhd", land,
          "Each class of the map gets its own mean, deviation and correlation length.",
          "Moments of 4,000 fields scatter by 1 %; 10 % of a deviation is what a game of seconds "
          "may lack.",
          fast=False),
)  # fmt: skip
