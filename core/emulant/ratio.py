r"""The density ratio of two laws from their samples, by logistic regression.

Notation: truth with density p, samples with density q, features x of shape (K,). A critic T
that minimises

    E_p softplus(-T) + E_q softplus(T)   has   T(x) = log p(x) / q(x),

and where p = q the bill is log 4. This one bill is the critic's in a
GAN, in adversarial variational Bayes, in adversarial autoencoders and in ALI; here it is also
an estimator of its own: networks fitted on K folds, each row judged by the network that did not
see it, the logits then calibrated, ``log r = a + b T``, by a logistic regression on the held-out
logits, which takes back what a network is too sure of.

- Sugiyama, Suzuki and Kanamori, Density Ratio Estimation in Machine Learning, 2012,
  https://doi.org/10.1017/CBO9781139035613
- Platt, Probabilistic outputs for support vector machines (calibration), 1999
- Kong, A note on importance sampling using standardized weights, 1992
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import softplus

from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLPCritic
from emulant.rng import numpy_rng, torch_rng

__all__ = ["EFFECTIVE_FLOOR", "Ratio", "Weights", "correction_weights", "fit_ratio", "logistic"]

Array = NDArray[np.floating[Any]]

EFFECTIVE_FLOOR = 0.10
"""Share of effective samples below which weights are refused."""


def logistic(real: Tensor, fake: Tensor) -> Tensor:
    """Return ``E softplus(-real) + E softplus(fake)`` of logits, a scalar."""
    return softplus(-real).mean() + softplus(fake).mean()


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """An estimate of log p(x) / q(x), p of the truth and q of the samples, in nats."""

    samples: Array
    """Cross-fitted log ratio of each sample that it was fitted on, shape (N,)."""
    truth: Array
    """Cross-fitted log ratio of each true event that it was fitted on, shape (M,)."""
    slope: float
    """Calibration b; below 1 where the networks were too sure of themselves."""
    offset: float
    """Calibration a."""
    _nets: tuple[nn.Module, ...]
    _mean: Array
    _scale: Array

    def log_ratio(self, features: Array) -> Array:
        """Return log p / q of new events, shape (B,), from features (B, K).

        For the very events of the fit use :attr:`samples` and :attr:`truth`, where each event
        is judged by a network that did not see it.
        """
        x = _rows("features", features, len(self._mean))
        inputs = torch.tensor((x - self._mean) / self._scale, dtype=torch.float32)
        with torch.no_grad():
            logits = torch.stack([net(inputs, None) for net in self._nets]).mean(0)
        return np.asarray(self.offset + self.slope * logits.double().numpy())

    def kl(self) -> float:
        """Return KL(p || q) in nats, the mean log ratio of the truth, cross-fitted."""
        return float(self.truth.mean())

    def weights(self, floor: float = EFFECTIVE_FLOOR) -> Weights:
        """Return the weights that turn the fitted samples into truth."""
        return correction_weights(self.samples, floor)

    def miscalibration(self, bins: int = 10) -> float:
        """Return the mean distance of the held-out P(truth) from the frequency of truth.

        Rows are sorted by P and cut into ``bins`` of equal number; both sides count alike.
        """
        log_ratio = np.concatenate([self.samples, self.truth])
        label = np.repeat([0.0, 1.0], [len(self.samples), len(self.truth)])
        weight = np.repeat(
            [0.5 / len(self.samples), 0.5 / len(self.truth)], [len(self.samples), len(self.truth)]
        )
        p = 1 / (1 + np.exp(-log_ratio))
        cells = np.array_split(np.argsort(p), bins)
        return float(sum(abs(np.sum(weight[i] * (p[i] - label[i]))) for i in cells))


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Importance weights of mean 1."""

    weight: Array
    """Shape (N,)."""
    effective: float
    """Effective share of the samples, (sum w)^2 / (N sum w^2), in (0, 1]."""


def correction_weights(log_ratio: Array, floor: float = EFFECTIVE_FLOOR) -> Weights:
    """Return weights ``w = r / mean r`` and their effective share.

    Raises
    ------
    ValueError
        The effective share is below ``floor``: a few samples would speak for all.

    Examples
    --------
    >>> correction_weights(np.log([1.0, 3.0])).weight.round(3).tolist()
    [0.5, 1.5]
    """
    r = np.exp(log_ratio - np.max(log_ratio))
    weight = r / r.mean()
    effective = float(1 / np.mean(weight**2))
    if effective < floor:
        raise ValueError(
            f"'log_ratio' must leave an effective share of {floor:.0%} of the samples, "
            f"got {effective:.1%}: they are too far from the truth to be corrected"
        )
    return Weights(weight, effective)


def fit_ratio(
    samples_features: Array,
    truth_features: Array,
    seed: int,
    folds: int = 5,
    hidden: Sequence[int] = (32, 32),
    decay: float = 1e-3,
) -> Ratio:
    """Return the cross-fitted, calibrated log density ratio truth : samples.

    Arguments
    ---------
    samples_features, truth_features : shape (N, K) and (M, K), rows independent.
    folds : number of networks; each is fitted without one fold of either side.
    hidden : widths of the networks' layers.
    decay : weight of half the squared parameters in the bill, in nats.
    """
    samples = _rows("samples_features", samples_features)
    truth = _rows("truth_features", truth_features, samples.shape[1])
    if folds < 2 or min(len(samples), len(truth)) < 2 * folds:
        fewest = min(len(samples), len(truth))
        raise ValueError(f"'folds' must be at least 2 and at most half of {fewest}, got {folds}")
    mean = 0.5 * (samples.mean(0) + truth.mean(0))
    scale = np.sqrt(0.5 * (samples.var(0) + truth.var(0)))
    scale = np.where(scale > 0, scale, 1.0)
    sides = [torch.tensor((x - mean) / scale, dtype=torch.float32) for x in (samples, truth)]
    parts = [
        numpy_rng(seed, "ratio", "folds", side).permutation(np.arange(len(x)) % folds)
        for side, x in enumerate(sides)
    ]
    held = [torch.zeros(len(x), dtype=torch.float64) for x in sides]
    nets = []
    for fold in range(folds):
        inside = [torch.tensor(part != fold) for part in parts]
        outside = [~keep for keep in inside]
        with initial_parameters(torch_rng(seed, "ratio", "nets", fold)):
            net = MLPCritic(samples.shape[1], hidden)
        _fit(net, sides[0][inside[0]], sides[1][inside[1]], decay)
        with torch.no_grad():
            for x, out, values in zip(sides, outside, held, strict=True):
                values[out] = net(x[out], None).double()
        nets.append(net)
    slope, offset = _calibrate(held[1], held[0])
    logits = [offset + slope * values.numpy() for values in held]
    return Ratio(logits[0], logits[1], slope, offset, tuple(nets), mean, scale)


def _fit(net: nn.Module, samples: Tensor, truth: Tensor, decay: float) -> None:
    """Minimise the logistic bill by L-BFGS until that of every fifth row, set apart, rises."""
    apart = [torch.arange(len(x)) % 5 == 0 for x in (samples, truth)]
    kept = [x[~out] for x, out in zip((samples, truth), apart, strict=True)]
    watched = [x[out] for x, out in zip((samples, truth), apart, strict=True)]
    parameters = list(net.parameters())
    optimiser = torch.optim.LBFGS(parameters, max_iter=20, line_search_fn="strong_wolfe")

    def bill() -> Tensor:
        optimiser.zero_grad()
        squares = torch.stack([p.square().sum() for p in parameters]).sum()
        total = logistic(net(kept[1], None), net(kept[0], None)) + 0.5 * decay * squares
        total.backward()  # type: ignore[no-untyped-call] # torch leaves it unannotated
        return total

    def judge() -> float:
        with torch.no_grad():
            return float(logistic(net(watched[1], None), net(watched[0], None)))

    best, state = judge(), {k: v.clone() for k, v in net.state_dict().items()}
    for _ in range(15):
        optimiser.step(bill)  # type: ignore[no-untyped-call] # torch leaves it unannotated
        now = judge()
        if not now < best - 1e-4:
            break
        best, state = now, {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(state)


def _calibrate(truth: Tensor, samples: Tensor) -> tuple[float, float]:
    """Return slope and offset of the logistic regression of the side on the held-out logit."""
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=50, line_search_fn="strong_wolfe")

    def bill() -> Tensor:
        optimiser.zero_grad()
        total = logistic(line[1] + line[0] * truth, line[1] + line[0] * samples)
        total.backward()  # type: ignore[no-untyped-call] # torch leaves it unannotated
        return total

    optimiser.step(bill)  # type: ignore[no-untyped-call] # torch leaves it unannotated
    slope, offset = line.tolist()
    return slope, offset


def _rows(name: str, x: Array, features: int | None = None) -> Array:
    """Return ``x`` as (B, K) of float64 after checking it."""
    rows = np.asarray(x, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != (features or rows.shape[1]):
        raise ValueError(f"'{name}' must have shape (B, {features or 'K'}), got {rows.shape}")
    if not np.isfinite(rows).all():
        bad = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        raise ValueError(f"'{name}' must be finite, got a NaN or infinity in row {bad}")
    return rows
