"""Known answers of the auxiliary-classifier GAN, and its known bias."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from emulant.certify.page import Figure
from emulant.latents import Normal, Pushforward
from emulant.ledger.adversarial import BETAS, LEAKY
from emulant.ledger.check import Check, Measure, Outcome
from emulant.ledger.fitting import build, train
from emulant.ledger.laws import Endless
from emulant.ledger.pictures import Array, histograms, tiles
from emulant.methods import ACGAN, GAN, R1, R2, Relativistic
from emulant.nets.classifying import ClassifyingCritic
from emulant.nets.embed import ContextMLP, OneHotClasses
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import torch_rng
from emulant.train import Resampled

__all__ = ["CHECKS"]


def _class_net(latent: int, outputs: int, classes: int, hidden: tuple[int, ...]) -> Pushforward:
    net = MLP(latent, outputs, hidden, context=classes, activation=LEAKY)
    return Pushforward(ContextMLP(net, OneHotClasses(classes)), Normal((latent,)))


def digits(seed: int) -> Outcome:
    """Ask an AC-GAN for digits; a classifier that never saw it names them."""
    from sklearn.datasets import load_digits
    from sklearn.svm import SVC

    data = load_digits()
    images, labels = data.data.astype(np.float32) / 8 - 1, data.target
    order = np.random.default_rng(seed).permutation(len(labels))
    judge = SVC(C=10, gamma=0.05).fit(images[order[900:]], labels[order[900:]])
    shown = order[:900]  # the game never sees the judge's events
    x, c = torch.as_tensor(images[shown]), torch.as_tensor(labels[shown])

    def make() -> ACGAN:
        critic = ClassifyingCritic(MLP(64, 11, (256, 256), activation=LEAKY))
        return ACGAN(_class_net(32, 64, 10, (256, 256)), critic, 1.0, None, (R1(0.2, every=2),))

    game = train(build(make, seed), Resampled(x, c, size=128), seed, 2500, 1e-3, BETAS, ema=0.99)
    asked = torch.arange(10).repeat(200)
    drawn = game.sample(len(asked), torch_rng(seed, "ledger", "digits"), asked)
    agreed = float((judge.predict(drawn.numpy()) == asked.numpy()).mean())
    scatter = [float(drawn[asked == k].var(0).sum() / x[c == k].var(0).sum()) for k in range(10)]
    return Outcome(
        (
            Measure("share whose asked class is recognised", 0.97, agreed, 0.0, ">="),
            Measure("the judge on data", 1.0, float(judge.score(images[shown], labels[shown]))),
            Measure("within-class variance / that of data, worst", 0.3, min(scatter), 0.0, ">="),
        ),
        partial(_sheet, drawn.reshape(10, 200, 8, 8).numpy()),
    )


def _sheet(drawn: Array) -> list[Figure]:
    return [tiles(drawn[:, :12], "Digits that were asked for, a row each")]


def class_overlap(seed: int) -> Outcome:
    """Two overlapping classes N(-1, 1) and N(1, 1): what AC-GAN and CGAN make of the overlap."""

    def draw(n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        c = torch.randint(2, (n,), generator=rng)
        return (2.0 * c - 1)[:, None] + torch.randn(n, 1, generator=rng), c

    def acgan() -> GAN:
        critic = ClassifyingCritic(MLP(1, 3, (64, 64), activation=LEAKY))
        return ACGAN(_class_net(4, 1, 2, (64, 64)), critic, 1.0, Relativistic(), (R1(0.1), R2(0.1)))

    def cgan() -> GAN:
        critic = ContextMLP(MLPCritic(1, (64, 64), 2, LEAKY), OneHotClasses(2))
        return GAN(_class_net(4, 1, 2, (64, 64)), critic, Relativistic(), (R1(0.1), R2(0.1)))

    error = float(norm.cdf(-1))  # of the best classifier, which looks at the sign
    wrong, zeros = {}, {}
    for name, make in (("AC-GAN", acgan), ("CGAN", cgan)):
        game = train(build(make, seed), Endless(draw), seed, 1200, 2e-3, BETAS, ema=0.99)
        c = torch.arange(2).repeat(10_000)
        x = game.sample(len(c), torch_rng(seed, "ledger", "overlap"), c)[:, 0]
        wrong[name] = float(((x > 0).long() != c).float().mean())
        zeros[name] = x[c == 0].numpy()
    return Outcome(
        (
            Measure("CGAN: share beyond the boundary", error, wrong["CGAN"], 0.05),
            Measure("AC-GAN: share beyond the boundary (its bias)", error / 2, wrong["AC-GAN"],
                    0.0, "<="),
        ),
        partial(_overlap, zeros),
    )  # fmt: skip


def _overlap(zeros: dict[str, Array]) -> list[Figure]:
    return [histograms(zeros, "x", "Class 0, N(-1, 1)", lambda x: norm.pdf(x, -1))]


CHECKS = (
    Check("asked-digits", "auxiliary-classifier-gan", digits,
          "A classifier that never saw the game recognises the digit that was asked for.",
          "97 % is the suite's bound; the judge itself errs on 1 to 2 % of real digits.",
          fast=False, needs=("sklearn",)),
    Check("class-overlap", "auxiliary-classifier-gan", class_overlap,
          "Where classes overlap AC-GAN pulls them apart, its known bias; a CGAN does not.",
          "A share of 20,000 events scatters by 0.003; 0.05 is a third of the overlap, and the "
          "bias is called so where at least half of the overlap is gone.",
          fast=False),
)  # fmt: skip
