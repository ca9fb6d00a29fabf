r"""A small network that is trained to tell samples from truth, cell by cell.

Notation: samples x (n, *X) and truth y (m, *X) as they came; a critic D on windows of them.

    bill     E_y softplus(−D(y)) + E_x softplus(D(x)), half of a batch from each side
             (:func:`emulant.ratio.logistic`); its minimum is D = log p_truth / p_samples
    vectors  D is a multilayer perceptron
    grids    D is a convolution net with global means, at three resolutions, without periodicity;
             grids above 4,096 cells are seen through a window of at most so many, at a random
             place in training and in the middle when judged

It is trained by :func:`emulant.train.fit`, by a fixed number of steps, so that it costs no more
for a million samples. torch is imported with this module: import it where it is used.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.certify.statistic import Array
from emulant.methods.game import Method
from emulant.nets.conv import ConvCritic
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLPCritic
from emulant.ratio import logistic
from emulant.rng import derive, torch_rng
from emulant.store.hashing import hash_arrays
from emulant.threads import one_thread
from emulant.train import Optimiser, Plan, fit
from emulant.types import Batch, Terms

__all__ = ["held_out_logits"]

WINDOW = 4096
"""Cells that a network sees of a grid."""

WIDTHS = (8, 16, 16)
HIDDEN = (64, 64)

HELD = 10.0
"""Values beyond so many standard deviations of truth are held there."""

ALONE = threading.Lock()
"""torch has one stream of initial values and one number of threads a process."""


class Distinguisher(Method):
    """One player, who pays for every sample and every truth that it mistakes."""

    turns = ("critic",)

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critic."""
        return {"critic": self.net}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:  # noqa: ARG002
        # (a method's form: there is one player, and no chance in its bill)
        """Return the logistic bill; the first half of a batch is truth."""
        truth, samples = self.net(batch.x, None).chunk(2)
        return Terms(logistic(truth, samples))


class Windows:
    """Windows of truth and of samples in equal number, in units of truth's scatter.

    Arguments
    ---------
    truth, samples : shape (m, C, *grid) and (n, C, *grid), or (m, K) and (n, K).
    size : rows of each side in a batch.
    """

    def __init__(self, truth: NDArray[Any], samples: NDArray[Any], size: int) -> None:
        self.truth, self.samples, self.size = truth, samples, size
        over = tuple(i for i in range(truth.ndim) if i != 1)
        self.mean = truth.mean(axis=over, dtype=np.float64, keepdims=True)
        scale = truth.std(axis=over, dtype=np.float64, keepdims=True)
        with np.errstate(over="ignore"):  # only where truth is constant, and then any scale will do
            other = samples.std(axis=over, dtype=np.float64, keepdims=True)
        self.scale = np.where(scale > 0, scale, np.where(other > 0, other, 1.0))
        self.fingerprint = hash_arrays({"truth": truth, "samples": samples})

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 (chance is enough)
        """Return ``size`` rows of truth, then as many samples, drawn with replacement."""
        rows = [
            side[torch.randint(len(side), (self.size,), generator=rng).numpy()]
            for side in (self.truth, self.samples)
        ]
        grid = self.truth.shape[2:]
        start = [
            int(torch.randint(length - width + 1, (), generator=rng))
            for length, width in zip(grid, window(grid), strict=True)
        ]
        return Batch(self.seen(np.concatenate(rows), start))

    def seen(self, rows: NDArray[Any], start: list[int] | None = None) -> Tensor:
        """Return the windows of rows (B, C, *grid) that begin at ``start``, or the middle ones."""
        grid = rows.shape[2:]
        widths = window(grid)
        if start is None:
            start = [(length - width) // 2 for length, width in zip(grid, widths, strict=True)]
        place = tuple(slice(a, a + width) for a, width in zip(start, widths, strict=True))
        standard = (rows[(slice(None), slice(None), *place)] - self.mean) / self.scale
        return torch.from_numpy(np.clip(standard, -HELD, HELD).astype(np.float32))


def window(grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sides of what is seen of a grid.

    >>> window((32, 32)), window((512, 512)), window((128, 128, 128)), window(())
    ((32, 32), (64, 64), (16, 16, 16), ())
    """
    if not grid or math.prod(grid) <= WINDOW:
        return grid
    side = round(WINDOW ** (1 / len(grid)))
    return tuple(min(length, side) for length in grid)


def held_out_logits(
    samples: NDArray[Any],
    truth: NDArray[Any],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    folds: int,
    steps: int,
    seed: int,
) -> Array:
    """Return the logit of being truth of every row, samples first, (n + m,).

    Arguments
    ---------
    samples, truth : shape (n, C, *grid) and (m, C, *grid), or (n, K) and (m, K).
    sides : fold of each sample (n,) and of each truth (m,); a network judges the fold that it
        has not seen.
    """
    logits = np.zeros(len(samples) + len(truth))
    where = np.concatenate(sides)
    pooled = (samples, truth)
    with _alone():
        for fold in range(folds):
            inside = [rows[side != fold] for rows, side in zip(pooled, sides, strict=True)]
            windows = Windows(inside[1], inside[0], size=32)
            with initial_parameters(torch_rng(seed, "distinguisher", fold)):
                net = _net(truth.shape[1:])
            plan = Plan(
                {"critic": Optimiser(lr=4e-3, weight_decay=0.01, clip=1.0, warmup=10)},
                steps=steps, schedule="cosine", seed=derive(seed, "fit", fold),
                checkpoint_every=steps, log_every=steps,
            )  # fmt: skip
            fit(Distinguisher(net), windows, plan, device="cpu", progress=_silent)
            net.eval()
            outside = [rows[side == fold] for rows, side in zip(pooled, sides, strict=True)]
            with torch.no_grad():
                parts = [
                    net(windows.seen(part), None).double().numpy()
                    for rows in outside
                    for part in np.array_split(rows, 1 + len(rows) // 512)
                ]
            logits[where == fold] = np.concatenate(parts)
    return logits


def _net(shape: tuple[int, ...]) -> nn.Module:
    if len(shape) == 1:
        return MLPCritic(shape[0], HIDDEN)
    seen = window(shape[1:])
    levels = min(len(WIDTHS), 1 + int(math.log2(min(seen))))
    return ConvCritic(len(seen), shape[0], WIDTHS[:levels], periodic=False)


def _silent(done: float, total: float, note: str) -> None:
    """Report nothing: the certificate has no bar for each of its networks."""


@contextmanager
def _alone() -> Iterator[None]:
    """Train one network at a time, on one thread, so that the result knows no machine."""
    with ALONE, one_thread():
        yield
