"""Fit the networks; ``emulant records train`` fits imputer and classifier to a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emulant.methods.game import Method
from emulant.rng import derive
from emulant.store import hash_arrays
from emulant.train import Optimiser, Plan, Source, fit
from emulant.types import Batch
from emulant_apps.records import model
from emulant_apps.records.config import TrainConfig
from emulant_apps.records.methods.differential_privacy import DifferentiallyPrivate

__all__ = [
    "PoissonRows", "Rows", "fit_autoencoder", "fit_classifier", "fit_gain", "fit_miwae",
    "fit_restorer", "run", "trained",
]  # fmt: skip

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[np.float32]]


class Rows:
    """Events in memory; half of each batch is labelled where some rows are not."""

    def __init__(self, x: Tensor, c: Tensor | None, size: int) -> None:
        self.x, self.c, self.size = x, c, size
        columns = {"x": x} | ({} if c is None else {"c": c})
        self.fingerprint = hash_arrays(columns)
        self.labelled = None if c is None else torch.nonzero(c[:, 0] >= 0)[:, 0]

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return ``size`` events drawn with replacement."""
        rows = torch.randint(len(self.x), (self.size,), generator=rng)
        if self.labelled is not None and len(self.labelled) < len(self.x):
            half = torch.randint(len(self.labelled), (self.size - self.size // 2,), generator=rng)
            rows = torch.cat([rows[: self.size // 2], self.labelled[half]])
        return Batch(self.x[rows], None if self.c is None else self.c[rows])


class PoissonRows:
    """Events in memory, each in a batch with probability ``rate`` on its own; none may be."""

    def __init__(self, x: Tensor, rate: float) -> None:
        self.x, self.rate = x, rate
        self.fingerprint = hash_arrays({"x": x})

    def batch(self, step: int, rng: torch.Generator) -> Batch:  # noqa: ARG002 - chance is enough
        """Return the events that chance takes."""
        return Batch(self.x[torch.rand(len(self.x), generator=rng) < self.rate])


def _silent(done: float, total: float, note: str) -> None:
    """Say nothing: estimators are quiet."""


def trained(
    method: Method,
    source: Source,
    steps: int,
    rates: dict[str, float],
    seed: int,
    decay: float = 0.0,
) -> Arrays:
    """Return the averaged weights of ``method`` after ``steps``."""
    plan = Plan(
        {
            name: Optimiser(
                lr=rate,
                betas=(0.5 if len(rates) > 1 else 0.9, 0.99),
                clip=10.0,
                weight_decay=0.0 if name == "generator" else decay,
            )
            for name, rate in rates.items()
        },
        steps=steps,
        schedule="cosine",
        floor=0.02,
        ema=0.0 if steps < 200 else 0.99,
        seed=seed,
        checkpoint_every=steps,
        log_every=steps,
    )
    fitted = fit(method, source, plan, device="cpu", progress=_silent)
    return model.arrays_of(fitted.ema_state)


def _events(x: Array) -> Tensor:
    """Return (x, m) of encoded rows (n, D)."""
    seen = ~np.isnan(x)
    return torch.from_numpy(np.concatenate([np.where(seen, x, 0.0), seen], 1).astype(np.float32))


def fit_restorer(
    x: Array,
    hidden: Sequence[int],
    steps: int,
    pretraining: int,
    rate: float,
    batch: int,
    seed: int,
) -> Arrays:
    """Return the weights of a denoising autoencoder, its layers trained one by one first."""
    events = _events(x)
    source = Rows(events, None, min(batch, max(2, len(events))))
    start = None
    if pretraining:
        start = model.stack(x.shape[1], hidden, seed)
        rates = dict.fromkeys(start.turns, rate)
        trained(start, source, pretraining, rates, derive(seed, "pretraining"))
    method = model.restorer(x.shape[1], hidden, seed, start)
    return trained(method, source, steps, {"autoencoder": rate}, derive(seed, "restorer"))


def fit_gain(
    x: Array, hidden: Sequence[int], steps: int, rate: float, batch: int, alpha: float, hint: float,
    seed: int,
) -> Arrays:  # fmt: skip
    """Return the weights of GAIN."""
    events = _events(x)
    method = model.gain(x.shape[1], hidden, seed, alpha, hint)
    source = Rows(events, None, min(batch, max(2, len(events))))
    return trained(method, source, steps, {"discriminator": rate, "generator": rate}, seed)


def fit_miwae(
    x: Array, hidden: Sequence[int], codes: int, steps: int, rate: float, batch: int, draws: int,
    seed: int,
) -> Arrays:  # fmt: skip
    """Return the weights of MIWAE."""
    events = _events(x)
    method = model.miwae(x.shape[1], hidden, codes, seed, draws)
    source = Rows(events, None, min(batch, max(2, len(events))))
    return trained(method, source, steps, {"model": rate}, seed)


def fit_autoencoder(
    x: Array, numbers: int, levels: Sequence[int], hidden: Sequence[int], codes: int, steps: int,
    rate: float, batch: int, seed: int, privacy: tuple[float, float] | None = None,
) -> Arrays:  # fmt: skip
    """Return the weights of a variational autoencoder of rows.

    Arguments
    ---------
    x : events (n, 2 numbers + levels) of :class:`~.methods.mixed_rows.MixedRows`.
    batch : events of a batch; the expected number where training is private.
    seed : of a private run, a secret: who knows it can take the noise off.
    privacy : clipping norm and noise multiplier of differentially private training.
    """
    events = torch.from_numpy(x.astype(np.float32))
    method: Method = model.autoencoder(numbers, levels, hidden, codes, seed)
    rates = {"autoencoder": rate}
    if privacy is None:
        return trained(method, Rows(events, None, batch), steps, rates, seed)
    private = DifferentiallyPrivate(method, *privacy, expected=float(batch))
    weights = trained(private, PoissonRows(events, batch / len(events)), steps, rates, seed)
    return {name.removeprefix("method."): array for name, array in weights.items()}


def fit_classifier(
    x: Array,
    label: NDArray[np.int64],
    masks: int,
    classes: int,
    hidden: Sequence[int],
    codes: int,
    steps: int,
    rate: float,
    batch: int,
    decay: float,
    r1: float,
    adversary: bool,
    seed: int,
) -> Arrays:
    """Return the weights of the AC-GAN, or of its critic alone.

    Arguments
    ---------
    x : events (n, D + masks) without holes.
    label : classes 0, 1, ..., -1 where unknown; (n,).
    """
    events = torch.from_numpy(x.astype(np.float32))
    c = torch.from_numpy(label)[:, None]
    if not adversary:
        known = label >= 0
        events, c = events[torch.from_numpy(known)], c[torch.from_numpy(known)]
    source = Rows(events, c, min(batch, max(2, len(events))))
    if adversary:
        game: Method = model.acgan(x.shape[1], masks, classes, hidden, codes, seed, r1)
        return trained(game, source, steps, {"critic": rate, "generator": rate}, seed, decay)
    alone = model.recogniser(x.shape[1], classes, hidden, seed)
    return trained(alone, source, steps, {"critic": rate}, seed, decay)


def run(config: TrainConfig) -> int:
    """Run ``emulant records train``."""
    from emulant_apps.records.pipeline import train_command

    return train_command(config)
