r"""M1, M2 and M1+M2 on scikit-learn's digits with 100 labels.

1,797 handwritten digits of 8 x 8 pixels; 500 of them are the test, and of the other 1,297 ten
random choices of 100, ten of each class, carry a label. Beside the three methods stands logistic
regression with the 100 labels and with all 1,297. The VAE below M1 and M1+M2 sees no label,
so that the ten choices share it, as in the paper.
"""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import torch
from torch import Tensor

from emulant.certify.page import Figure
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.pictures import bars
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods.semi_supervised import M1, M1M2, M2
from emulant.methods.vae import VAE
from emulant.nets.mlp import MLP
from emulant.rng import numpy_rng
from emulant.train import Resampled

__all__ = ["CHECKS"]

SPLITS = 10
LATENT = 20


def _vae() -> VAE:
    """Return the lower VAE; beta below 1 keeps in z what the classes differ by."""
    decoder = Decoder(MLP(LATENT, 64, (256,)), Gaussian((64,)))
    return VAE(MLP(64, 2 * LATENT, (256,)), decoder, latent=LATENT, beta=0.3)


def _m2(event: int) -> M2:
    """Return an M2 of events of ``event`` numbers; alpha is the paper's for 100 labels."""
    decoder = Decoder(MLP(10, event, (128,), context=10), Gaussian((event,)))
    encoder = MLP(event, 2 * 10, (128,), context=10)
    return M2(MLP(event, 10, (128,)), encoder, decoder, 10, 10, alpha=10.0)


def digits(seed: int) -> Outcome:
    """Return the mean test errors over ten choices of the labels."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    rng = numpy_rng(seed, "ledger", "digits")
    pixels, classes = load_digits(return_X_y=True)
    order = rng.permutation(len(pixels))
    x = torch.tensor(pixels[order] / 16, dtype=torch.float32)
    y = torch.tensor(classes[order])
    x_test, y_test, x, y = x[:500], y[:500], x[500:], y[500:]

    def wrong(p: Tensor) -> float:
        return float((p.argmax(1) != y_test).float().mean())

    def logistic(rows: np.ndarray) -> float:
        model = LogisticRegression(max_iter=2000).fit(x[rows], y[rows])
        return float((model.predict(x_test) != y_test.numpy()).mean())

    vae = train(build(_vae, seed), Resampled(x, size=200), seed, 2000, 3e-3)
    errors: dict[str, list[float]] = {"logistic": [], "M1": [], "M2": [], "M1+M2": []}
    for _ in range(SPLITS):
        rows = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:10] for k in range(10)])
        c = torch.full((len(x), 1), -1)
        c[rows, 0] = y[rows]
        # a third of every batch carries a label; drawn evenly it would be one event in 13
        weight = torch.full((len(x),), 0.7 / (len(x) - 100))
        weight[rows] = 0.3 / 100
        source = Resampled(x, c, weight, 64)
        errors["logistic"].append(logistic(rows))
        m1 = build(lambda: M1(copy.deepcopy(vae), MLP(LATENT, 10, ()), 10), seed)
        train(m1, source, seed, 150, 2e-2, waits=("autoencoder",))
        errors["M1"].append(wrong(m1.classify(x_test)))
        m2 = build(lambda: _m2(64), seed)
        train(m2, source, seed, 250, 6e-3)
        errors["M2"].append(wrong(m2.classify(x_test)))
        both = build(lambda: M1M2(copy.deepcopy(vae), _m2(LATENT)), seed)
        train(both, source, seed, 500, 8e-3, waits=("autoencoder",))
        errors["M1+M2"].append(wrong(both.classify(x_test)))
    mean = {name: 100 * float(np.mean(values)) for name, values in errors.items()}
    gain = mean["logistic"] - mean["M1+M2"]
    every = 100 * logistic(np.arange(len(x)))
    return Outcome(
        (
            Measure("error of logistic regression, 100 labels, %", float("nan"), mean["logistic"]),
            Measure("error of logistic regression, all labels, %", float("nan"), every),
            Measure("error of M1, %", mean["logistic"], mean["M1"]),
            Measure("error of M2, %", mean["logistic"], mean["M2"]),
            Measure("error of M1+M2, %", mean["logistic"], mean["M1+M2"]),
            Measure("M1+M2 wins by, percentage points", 1.0, gain, 0.0, ">="),
        ),
        partial(_picture, mean | {"logistic, all labels": every}),
    )


def _picture(errors: dict[str, float]) -> list[Figure]:
    return [bars(errors, "test error, %", "Digits with 100 labels")]


CHECKS = (
    Check(
        "digits-100",
        "semi-supervised",
        digits,
        "With 100 labels M1+M2 reads digits better than logistic regression.",
        "One percentage point is twice the standard error of a mean of ten choices, about half a "
        "point, on a test of 500 digits that all methods share.",
        fast=False,
        needs=("sklearn",),
    ),
)
