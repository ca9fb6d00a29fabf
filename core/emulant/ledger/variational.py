r"""Known answers of variational autoencoders: linear decoders, whose likelihood is closed-form.

With ``x = W z + b + e``, z ~ N(0, I), e ~ N(0, sigma^2 I), the law of x is N(b, W W' + sigma^2 I),
and the highest likelihood over W, b and sigma is that of probabilistic principal components:
with eigenvalues ``l_1 >= ... >= l_D`` of the data's covariance and Z latents, sigma^2 is the mean
of the last D - Z and

    log-likelihood per event = -1/2 [D log 2 pi + sum_{i<=Z} log l_i + (D - Z) log sigma^2 + D].

A linear VAE has no worse optimum, and with a fixed sigma and a weight beta of the KL a direction
stays active exactly where ``l_i > beta sigma^2``.

- Tipping and Bishop, Probabilistic Principal Component Analysis, 1999
- Lucas et al., Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse, 2019,
  https://arxiv.org/abs/1911.02469
"""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from emulant.certify.page import Figure
from emulant.latents import Normal
from emulant.ledger.check import Check, Measure, Outcome, error
from emulant.ledger.fitting import build, train
from emulant.ledger.pictures import Array, curves
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods.posterior import Posterior
from emulant.methods.vae import VAE
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP
from emulant.rng import torch_rng
from emulant.train import Resampled

__all__ = ["CHECKS"]

D, Z, SIGMA = 6, 2, 0.5
LOADINGS = torch.tensor(
    [[1.5, 0.8, -0.4, 0.0, 0.6, -1.0], [0.2, -0.9, 1.0, 0.7, 0.0, 0.3]]
)  # (Z, D)


def linear_vae(seed: int) -> Outcome:
    """Fit a linear VAE and compare its bound with the maximum of the likelihood."""
    rng = torch_rng(seed, "ledger", "linear-vae")
    noise = SIGMA * torch.randn(2000, D, generator=rng)
    x = torch.randn(2000, Z, generator=rng) @ LOADINGS + noise
    head = Gaussian((D,))
    vae = build(lambda: _linear(head), seed)
    train(vae, Resampled(x, size=250), seed, steps=4000, lr=2e-2)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
    variance = eigenvalues[Z:].mean()
    logs = eigenvalues[:Z].log().sum() + (D - Z) * variance.log()
    best = -0.5 * float(D * math.log(2 * math.pi) + logs + D)
    with torch.no_grad():
        bounds = torch.stack([vae.bound(x, rng) for _ in range(60)])
        learned = float(head(torch.zeros(1, D)).variance[0, 0])
    return Outcome(
        (
            Measure("mean bound, nats per event", best, float(bounds.mean()), 0.015),
            Measure("variance of the noise", float(variance), learned, 0.01),
            Measure("active units", Z, vae.active_units(x), 0),
        ),
        partial(_covariances, torch.cov(x.T, correction=0), vae, learned),
    )


def _covariances(data: Tensor, vae: VAE, variance: float) -> list[Figure]:
    w = cast(nn.Linear, cast(MLP, cast(Decoder, vae.decoder).net).layers[0]).weight.detach()
    model = w[:D] @ w[:D].T + variance * torch.eye(D)
    upper = torch.triu_indices(D, D)
    exact, got = (c[upper[0], upper[1]].numpy() for c in (data, model))
    order = np.argsort(exact)
    lines = {"data": exact[order], "W W' + sigma^2 I": got[order]}
    axes = ("covariance of the data", "covariance")
    return [curves(exact[order], lines, axes, "Linear VAE", dots=("W W' + sigma^2 I",))]


def importance_bound(seed: int) -> Outcome:
    """Let beta collapse a direction, and see L_k rise to the exact likelihood of the decoder."""
    rng = torch_rng(seed, "ledger", "importance-bound")
    scales = torch.tensor([3.0, 0.4, 0.0, 0.0]).sqrt()  # l = 3.25, 0.65, 0.25, 0.25
    noise = SIGMA * torch.randn(4000, 4, generator=rng)
    x = scales * torch.randn(4000, 4, generator=rng) + noise
    with initial_parameters(torch_rng(seed, "ledger", "nets")):
        net = MLP(Z, 4, ())
        decoder = Decoder(net, Gaussian((4,), SIGMA))
        vae = VAE(MLP(4, 2 * Z, ()), decoder, latent=Z, beta=4.0)
    train(vae, Resampled(x, size=250), seed, steps=1200, lr=2e-2)
    linear = cast(nn.Linear, net.layers[0])
    ks = (1, 2, 5, 20, 100)
    with torch.no_grad():
        covariance = linear.weight @ linear.weight.T + SIGMA**2 * torch.eye(4)
        law = MultivariateNormal(linear.bias, covariance)
        exact = float(law.log_prob(x).mean())  # type: ignore[no-untyped-call] # torch's own
        bounds = np.array([float(vae.bound(x, rng, k=k).mean()) for k in ks])
    return Outcome(
        (
            Measure("active units at beta = 4", 1, vae.active_units(x), 0),
            Measure(
                "least rise from L_k to the next, nats",
                0.0,
                float(np.diff(bounds).min()),
                0.003,
                ">=",
            ),
            Measure("rise from L_1 to L_100, nats", 0.1, float(bounds[-1] - bounds[0]), 0.0, ">="),
            Measure("L_100, nats per event", exact, float(bounds[-1]), 0.02),
        ),
        partial(_bounds_picture, np.array(ks, dtype=float), bounds, exact),
    )


def kl_terms(seed: int) -> Outcome:
    """Compare the closed form of the KL with a Monte Carlo mean, in its standard errors."""
    rng = torch_rng(seed, "ledger", "kl")
    draws = 200_000
    q = Posterior(torch.randn(6, 3, generator=rng), torch.randn(6, 3, generator=rng))
    wide = Posterior(*(t.repeat_interleave(draws, 0) for t in (q.mean, q.log_variance)))
    z = wide.draw(rng)
    terms = (wide.log_prob(z) - Normal((3,)).log_prob(z)).reshape(6, draws).double()
    scores = (terms.mean(1) - q.kl()) / (terms.std(1) / draws**0.5)
    each = (q.kl_by_coordinate().sum(1) - q.kl()).abs().max()
    return Outcome(
        (
            error(
                "largest |closed form - Monte Carlo|, std. errors", float(scores.abs().max()), 4.5
            ),
            error("sum over coordinates less the whole, nats", float(each), 1e-5),
        ),
        partial(_divergences, q.kl().numpy(), terms.mean(1).numpy()),
    )


def _divergences(exact: Array, got: Array) -> list[Figure]:
    order = np.argsort(exact)
    lines = {"closed form": exact[order], "Monte Carlo": got[order]}
    axes = ("closed form, nats", "KL, nats")
    return [curves(exact[order], lines, axes, "KL of six laws", dots=("Monte Carlo",))]


A_SLOPE = torch.tensor([[1.0, -2.0, 0.5]])
W_CONDITIONAL = torch.tensor([[0.8, 0.4, -0.6]])
UNSEEN = 0.75


def conditional(seed: int) -> Outcome:
    """Learn x | y = a y + w z + e, leaving y in (0.5, 1) out, and ask for y = 0.75 too."""
    rng = torch_rng(seed, "ledger", "cvae")
    y = 4 * torch.rand(8000, 1, generator=rng) - 2
    y = y[(y[:, 0] < 0.5) | (y[:, 0] > 1.0)]
    x = _conditional_draw(y, rng)
    vae = build(_conditional_vae, seed)
    train(vae, Resampled(x, y, size=250), seed, steps=2000, lr=1e-2)
    asked = torch.tensor([-1.5, 0.0, UNSEEN, 1.5])
    drawn = torch.stack([vae.sample(20_000, rng, torch.full((20_000, 1), float(v))) for v in asked])
    means = drawn.mean(1)  # (4, 3)
    slope = ((asked - asked.mean())[:, None] * means).sum(0) / (asked - asked.mean()).square().sum()
    covariance = W_CONDITIONAL.T @ W_CONDITIONAL + SIGMA**2 * torch.eye(3)
    errors = [(torch.cov(d.T) - covariance).abs().max() for d in drawn]
    return Outcome(
        (
            error("largest error of the slope of E[x | y]", _largest(slope - A_SLOPE[0]), 0.03),
            error(
                "largest error of E[x | y], seen y",
                _largest((means - asked[:, None] * A_SLOPE)[[0, 1, 3]]),
                0.06,
            ),
            error(
                "largest error of E[x | y], unseen y",
                _largest((means - asked[:, None] * A_SLOPE)[2]),
                0.06,
            ),
            error(
                "largest error of Cov[x | y], seen y",
                float(max(errors[k] for k in (0, 1, 3))),
                0.06,
            ),
            error("largest error of Cov[x | y], unseen y", float(errors[2]), 0.06),
        ),
        partial(_lines, asked.numpy(), means.numpy()),
    )


def _lines(asked: Array, means: Array) -> list[Figure]:
    """Draw the second entry of E[x | y], whose slope is the steepest."""
    lines = {"exact": asked * float(A_SLOPE[0, 1]), "model": means[:, 1]}
    axes = ("y; 0.75 was never seen", "E[x2 | y]")
    return [curves(asked, lines, axes, "Conditional mean", dots=("model",))]


def _conditional_draw(y: Tensor, rng: torch.Generator) -> Tensor:
    noise = SIGMA * torch.randn(len(y), 3, generator=rng)
    return y @ A_SLOPE + torch.randn(len(y), 1, generator=rng) @ W_CONDITIONAL + noise


def _conditional_vae() -> VAE:
    decoder = Decoder(MLP(1, 3, (), context=1), Gaussian((3,)))
    return VAE(MLP(3, 2, (16,), context=1), decoder, latent=1)


def _linear(head: Gaussian) -> VAE:
    """Return a VAE of two latents without hidden layers."""
    decoder = Decoder(MLP(Z, head.width, ()), head)
    return VAE(MLP(head.width, 2 * Z, ()), decoder, latent=Z)


def _largest(error: Tensor) -> float:
    return float(error.abs().max())


def _bounds_picture(ks: Array, bounds: Array, exact: float) -> list[Figure]:
    lines = {"exact log-likelihood": np.full(len(ks), exact), "bound L_k": bounds}
    return [curves(np.log10(ks), lines, ("log10 k", "nats per event"), "Importance-weighted bound")]


CHECKS = (
    Check(
        "linear-vae",
        "vae",
        linear_vae,
        "A linear VAE reaches the highest likelihood that probabilistic principal components can.",
        "The Monte Carlo error of the mean bound is 0.003 nats; the rest is for the optimiser.",
    ),
    Check(
        "importance-bound",
        "vae",
        importance_bound,
        "With beta = 4 exactly the direction with l < 4 sigma^2 collapses, and the bound L_k of "
        "the decoder that is left rises with k to its exact likelihood.",
        "The rises are measured on 4,000 events, each with a standard error near 0.005 nats.",
    ),
    Check(
        "kl-terms",
        "vae",
        kl_terms,
        "The closed form of KL(q || N(0, I)) is the mean of log q - log p over draws of q.",
        "4.5 standard errors: six laws exceed it by chance once in 25,000 runs.",
    ),
    Check(
        "cvae",
        "vae",
        conditional,
        "Slope, mean and covariance of x | y are recovered, also at a y that was never seen.",
        "Means of 6,700 events of deviation 1 have standard errors near 0.02; three of them.",
    ),
)
