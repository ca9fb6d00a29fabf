r"""A known answer of adversarial variational Bayes: Mescheder's four points.

x is one of four one-hot events, each with probability 1/4. No model does better than
``E log p(x) = -log 4``; p(x) of the learned one is a sum over a grid of z.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import nn

from emulant.certify.page import Figure
from emulant.latents import Normal
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, clouds
from emulant.likelihoods import Bernoulli, Decoder
from emulant.methods.adversarial_variational_bayes import AdversarialVariationalBayes
from emulant.nets.joint import Joint
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng

__all__ = ["CHECKS"]


def four_points(seed: int) -> Outcome:
    """Learn four one-hot events through two latents, and sum p(x) over a grid of z."""
    points = torch.eye(4)

    def make() -> AdversarialVariationalBayes:
        net = partial(MLP, activation=nn.ReLU)
        decoder = Decoder(net(2, 4, (128, 128)), Bernoulli((4,)))
        encoder = Joint(net(4 + 3, 2, (64, 64)))
        critic = Joint(MLPCritic(4 + 2, (64, 64), activation=nn.ReLU))
        return AdversarialVariationalBayes(
            encoder, decoder, critic, Normal((2,)), noise=3, draws=64, adaptive=True,
            critic_turns=2,
        )  # fmt: skip

    # every batch is the whole data set: which points a batch holds would be noise
    avb, rates = build(make, seed), {"critic": 1e-2, "autoencoder": 4e-3}
    train(avb, Endless(lambda *_: points, 4), seed, 4000, rates, (0.5, 0.99), 0.995)
    axis = torch.linspace(-5, 5, 201)
    z = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_p = torch.stack([avb.model.log_likelihood(x.expand(len(z), -1), z) for x in points])
        cell = 2 * math.log(float(axis[1] - axis[0]))
        log_x = (log_p + Normal((2,)).log_prob(z) + cell).logsumexp(1)
        inferred = avb.infer(points.repeat_interleave(500, 0), torch_rng(seed, "ledger", "four"))
    return Outcome(
        (
            Measure("E log p(x), nats", -math.log(4), float(log_x.mean()), 0.02),
            Measure("sum of p(x) over the four", 1.0, float(log_x.exp().sum())),
        ),
        partial(_picture, inferred.numpy()),
    )


def _picture(z: Array) -> list[Figure]:
    parts = {f"x = {k + 1}": z[500 * k : 500 * (k + 1)] for k in range(4)}
    return [clouds(parts, ("z1", "z2"), "Posteriors of the four points")]


CHECKS = (
    Check(
        "four-points",
        "adversarial-variational-bayes",
        four_points,
        "Four equally likely points get the highest likelihood that there is, -log 4.",
        "0.02 nats: a hundredth of the entropy, the gap that Mescheder et al. report for AVB.",
        fast=False,
    ),
)
