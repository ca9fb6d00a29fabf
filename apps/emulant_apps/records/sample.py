"""Draw from fitted networks: filled holes, risks, synthetic patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from emulant.methods.auxiliary_classifier_gan import ACGAN
from emulant.methods.denoising_autoencoder import DenoisingAutoencoder
from emulant.methods.game import evaluating
from emulant.methods.vae import VAE
from emulant.rng import torch_rng
from emulant_apps.records import model
from emulant_apps.records.methods.gain import GAIN
from emulant_apps.records.methods.miwae import MIWAE
from emulant_apps.records.train import _events

__all__ = ["autoencoded", "class_risks", "gain_fill", "generate", "miwae_fill", "restore"]

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
ROWS = 1024


def _numpy(t: torch.Tensor) -> Array:
    return np.asarray(t.detach().cpu().numpy(), dtype=np.float64)


def _halves(event: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x, m = event.chunk(2, 1)
    return x, m


def restore(weights: Weights, x: Array, hidden: Sequence[int]) -> tuple[Array, Array]:
    """Return means (n, D) and the columns' sd (D,) of a fitted denoising autoencoder."""
    method = cast(DenoisingAutoencoder, model.load(model.restorer(x.shape[1], hidden, 0), weights))
    with evaluating(method):
        parts = torch.split(_events(x), ROWS)
        means = [_numpy(method.restore(part)[:, : x.shape[1]]) for part in parts]
    sd = np.exp(weights["autoencoder.head.log_sd"]).astype(np.float64)
    return np.concatenate(means), sd


def gain_fill(weights: Weights, x: Array, hidden: Sequence[int], seed: int) -> Array:
    """Return what GAIN makes of every cell, (n, D)."""
    method = cast(GAIN, model.load(model.gain(x.shape[1], hidden, 0, 1.0, 0.5), weights))
    rng = torch_rng(seed, "gain", "fill")
    with evaluating(method):
        return np.concatenate(
            [_numpy(method.impute(*_halves(part), rng)) for part in torch.split(_events(x), ROWS)]
        )


def miwae_fill(
    weights: Weights, x: Array, hidden: Sequence[int], codes: int, draws: int, m: int, seed: int
) -> tuple[Array, list[Array]]:
    """Return MIWAE's means (n, D) and ``m`` draws by sampling importance resampling."""
    method = cast(MIWAE, model.load(model.miwae(x.shape[1], hidden, codes, 0, 1), weights))
    rng = torch_rng(seed, "miwae", "fill")
    means: list[Array] = []
    drawn: list[list[Array]] = [[] for _ in range(m)]
    with evaluating(method):
        for part in torch.split(_events(x), 128):
            log_weight, made = method.weighed(*_halves(part), draws, rng)
            weight = log_weight.softmax(0)
            means.append(_numpy((weight[:, :, None] * made).sum(0)))
            for k in range(m):
                pick = torch.multinomial(weight.T, 1, generator=rng)[:, 0]
                e = torch.randn(made.shape[1:], generator=rng)
                chosen = made[pick, torch.arange(len(part))] + method.sd * e
                drawn[k].append(_numpy(chosen))
    return np.concatenate(means), [np.concatenate(parts) for parts in drawn]


def class_risks(
    weights: Weights, x: Array, masks: int, classes: int, hidden: Sequence[int], codes: int,
    adversary: bool,
) -> Array:  # fmt: skip
    """Return P(c | x) (n, classes) by the critic's class head."""
    method = (
        model.acgan(x.shape[1], masks, classes, hidden, codes, 0, 1.0)
        if adversary
        else model.recogniser(x.shape[1], classes, hidden, 0)
    )
    model.load(method, weights)
    with evaluating(method):
        logits = method.critic.classify(torch.from_numpy(x.astype(np.float32)))  # type: ignore[operator]  # both have one
        return _numpy(logits.double().softmax(1))


def generate(
    weights: Weights, label: NDArray[np.int64], events: int, masks: int, classes: int,
    hidden: Sequence[int], codes: int, seed: int,
) -> Array:  # fmt: skip
    """Return an event (n, D + masks) for each class of ``label`` (n,)."""
    game = cast(
        ACGAN, model.load(model.acgan(events, masks, classes, hidden, codes, 0, 1.0), weights)
    )
    rng = torch_rng(seed, "acgan", "generate")
    return _numpy(game.sample(len(label), rng, torch.from_numpy(label)[:, None]))


def autoencoded(
    weights: Weights, count: int, numbers: int, levels: Sequence[int], hidden: Sequence[int],
    codes: int, seed: int,
) -> Array:  # fmt: skip
    """Return ``count`` events of a fitted variational autoencoder."""
    method = cast(VAE, model.load(model.autoencoder(numbers, levels, hidden, codes, 0), weights))
    return _numpy(method.sample(count, torch_rng(seed, "autoencoder", "sample")))
