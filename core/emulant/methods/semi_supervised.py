r"""Semi-supervised learning with deep generative models: M1, M2 and M1+M2.

Notation: event x; class y in 0 ... K - 1, in the context as an integer, -1 where it is not known;
latent z ~ N(0, I); p(y) = 1 / K. M2 has q(y | x) and q(z | x, y) and pays

    labelled    L(x, y) = -E_q(z | x, y) [log p(x | y, z) + log p(y) + log p(z) - log q(z | x, y)]
    unlabelled  U(x) = sum_y q(y | x) [L(x, y) + log q(y | x)]
    classifier  alpha E_labelled [-log q(y | x)]

each a mean over its rows. M1 is a VAE with a classifier of its latents; M1+M2 is an M2 of the
latents of a VAE. In the paper each part is trained after the one below: give the upper player's
optimiser a ``start_after``, or put a trained VAE in and let its own player start after the end.

- Kingma, Rezende, Mohamed and Welling, Semi-supervised Learning with Deep Generative Models,
  2014, https://arxiv.org/abs/1406.5298
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from emulant.conditions import class_index
from emulant.latents import Normal
from emulant.likelihoods import Observes
from emulant.methods.game import Generative, evaluating, full_precision, require_contexts
from emulant.methods.posterior import gaussian
from emulant.methods.vae import VAE
from emulant.types import Batch, Terms

__all__ = ["M1", "M1M2", "M2"]


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return the mean of -log q(y | x) over labelled rows, 0 where there are none."""
    known = y >= 0
    total = cross_entropy(full_precision(logits)[known], y[known], reduction="sum")
    return total / known.sum().clamp(min=1)


class M2(Generative):
    """A class and a latent behind every event.

    Arguments
    ---------
    classifier : network ``(x, None) -> (B, K)`` logits.
    encoder : network ``(x, y) -> (B, 2 Z)``, y one-hot of shape (B, K).
    decoder : obeys :class:`~emulant.likelihoods.Observes`, its context the one-hot y.
    latent, classes : numbers Z and K.
    alpha : weight of the classifier's cross-entropy.
    """

    turns = ("model",)

    def __init__(
        self,
        classifier: nn.Module,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        classes: int,
        alpha: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(decoder, Observes):
            raise ValueError(f"'decoder' must have 'log_likelihood', got {type(decoder)}")
        if classes < 2:
            raise ValueError(f"'classes' must be at least 2, got {classes}")
        parts = {"classifier": classifier, "encoder": encoder, "decoder": decoder}
        self.model = nn.ModuleDict(parts)
        self.prior = Normal((latent,))
        self.latent, self.classes, self.alpha = latent, classes, alpha

    @property
    def _decoder(self) -> Observes:
        return cast(Observes, self.model["decoder"])

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"model": self.model}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the bill in nats per event."""
        if player != "model":
            raise ValueError(f"'player' must be 'model', got {player!r}")
        if batch.weight is not None:
            raise ValueError("'batch.weight' must be None here: resample the events instead")
        y = class_index(batch.c, self.classes, lowest=-1)
        known, unknown = y >= 0, y < 0
        logits = self.logits(batch.x)
        labelled = self._bill(batch.x[known], y[known], rng).sum() / known.sum().clamp(min=1)
        x = batch.x[unknown]
        every = torch.arange(self.classes, device=y.device).repeat(len(x))
        each = self._bill(x.repeat_interleave(self.classes, 0), every, rng)
        log_q = logits[unknown].log_softmax(1)
        bills = (log_q.exp() * (each.reshape(-1, self.classes) + log_q)).sum(1)
        unlabelled = bills.sum() / unknown.sum().clamp(min=1)
        error = _cross_entropy(logits, y)
        parts = {"labelled": labelled, "unlabelled": unlabelled, "cross_entropy": error}
        return Terms(labelled + unlabelled + self.alpha * error, parts)

    def _bill(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """Return L(x, y), shape (B,)."""
        if len(x) == 0:
            return x.new_zeros(0)
        code = one_hot(y, self.classes).to(x.dtype)
        q = gaussian(self.model["encoder"](x, code), self.latent)
        score = self._decoder.log_likelihood(x, q.draw(rng), code)
        return q.kl() - score + math.log(self.classes)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of q(y | x), shape (B, K)."""
        return full_precision(self.model["classifier"](x, None))

    def classify(self, x: Tensor) -> Tensor:
        """Return q(y | x), shape (B, K)."""
        with evaluating(self):
            return self.logits(x).softmax(1)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the classes in ``c``; -1 draws the class too."""
        require_contexts(n, c)
        y = class_index(c, self.classes, lowest=-1)
        drawn = torch.randint(self.classes, y.shape, generator=rng, device=rng.device)
        code = one_hot(torch.where(y < 0, drawn, y), self.classes).float()
        with evaluating(self):
            return self._decoder.draw(self.prior.draw(n, rng), rng, code)


class M1(Generative):
    """A VAE that sees no label, and a classifier of its latents that does.

    Arguments
    ---------
    vae : without context.
    classifier : network ``(z, None) -> (B, K)`` logits.
    classes : number K.
    """

    turns = ("autoencoder", "classifier")

    def __init__(self, vae: VAE, classifier: nn.Module, classes: int) -> None:
        super().__init__()
        self.vae, self.classifier, self.classes = vae, classifier, classes

    def players(self) -> Mapping[str, nn.Module]:
        """Return the VAE and the classifier."""
        return {"autoencoder": self.vae, "classifier": self.classifier}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays, in nats per event."""
        y = class_index(batch.c, self.classes, lowest=-1)
        if player == "autoencoder":
            return self.vae.loss("autoencoder", Batch(batch.x, None, batch.weight), rng)
        if player == "classifier":
            with torch.no_grad():
                z = self.vae.encode(batch.x).draw(rng)
            error = _cross_entropy(self.classifier(z, None), y)
            return Terms(error, {"cross_entropy": error})
        raise ValueError(f"'player' must be 'autoencoder' or 'classifier', got {player!r}")

    def classify(self, x: Tensor) -> Tensor:
        """Return q(y | z) at z = E[z | x], shape (B, K)."""
        with evaluating(self):
            return full_precision(self.classifier(self.vae.encode(x).mean, None)).softmax(1)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the classes in ``c``, shape (n, *X); -1 asks for none.

        M1 has no p(x | y); each event's z is one of 64 draws of p(z), taken in proportion to
        q(y | z).
        """
        require_contexts(n, c)
        y = class_index(c, self.classes, lowest=-1)
        with evaluating(self):
            z = self.vae.prior.draw(64 * n, rng)
            q = full_precision(self.classifier(z, None)).softmax(1).reshape(n, 64, -1)
            share = q.gather(2, y.clamp(min=0)[:, None, None].expand(-1, 64, 1))[..., 0]
            share = torch.where(y[:, None] < 0, 1.0, share)
            pick = torch.multinomial(share, 1, generator=rng)[:, 0]
            rows = torch.arange(n, device=pick.device)
            return self.vae.decoder.draw(z.reshape(n, 64, -1)[rows, pick], rng)


class M1M2(Generative):
    """A VAE, and an M2 whose events are the latents of that VAE.

    Arguments
    ---------
    vae : without context.
    m2 : its decoder's events have the shape (Z,) of the VAE's latents.
    """

    turns = ("autoencoder", "model")

    def __init__(self, vae: VAE, m2: M2) -> None:
        super().__init__()
        self.vae, self.m2 = vae, m2

    def players(self) -> Mapping[str, nn.Module]:
        """Return the VAE and the M2."""
        return {"autoencoder": self.vae, "model": self.m2}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays, in nats per event."""
        class_index(batch.c, self.m2.classes, lowest=-1)
        if player == "autoencoder":
            return self.vae.loss("autoencoder", Batch(batch.x, None, batch.weight), rng)
        if player == "model":
            with torch.no_grad():
                z = self.vae.encode(batch.x).draw(rng)
            return self.m2.loss("model", Batch(z, batch.c, batch.weight), rng)
        raise ValueError(f"'player' must be 'autoencoder' or 'model', got {player!r}")

    def classify(self, x: Tensor) -> Tensor:
        """Return q(y | z) at z = E[z | x], shape (B, K)."""
        with evaluating(self):
            return self.m2.classify(self.vae.encode(x).mean)

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` events of the classes in ``c``; -1 draws the class too."""
        with evaluating(self):
            return self.vae.decoder.draw(self.m2.sample(n, rng, c), rng)
