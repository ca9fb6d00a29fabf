r"""pix2pixHD: images from maps of conditions, judged at several scales.

With images x, condition maps c, ``x~ = G(c)``, and critics ``D_k`` of patches that see images
and maps halved k times, k = 0 ... K - 1 (eqs. 2 to 5):

    critics:   sum_k [ E (D_k(x, c) - 1)^2 + E D_k(x~, c)^2 ]
    generator: sum_k [ E (D_k(x~, c) - 1)^2 + lambda sum_i E |D_k^i(x, c) - D_k^i(x~, c)|_1 ]

``D_k^i`` are the features of layer i, the norm is a mean. Matching them *pair by pair* asks for
the one image that goes with c. Where the image is random given c (``noise`` in the generator)
that asks for its median and takes its scatter away: then match the *means* over the batch
(Salimans et al. 2016). All parts are trained together from the start, coarse and fine.

- Wang et al., High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs,
  2017, https://arxiv.org/abs/1711.11585
- Mao et al., Least Squares GAN, 2016, https://arxiv.org/abs/1611.04076
- Salimans et al., Improved Techniques for Training GANs, 2016, https://arxiv.org/abs/1606.03498
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from emulant.methods.adversarial import AdversarialLoss, Regulariser
from emulant.methods.critic_bill import critic_bill, due
from emulant.methods.game import Draws, Generative, evaluating, full_precision, require_contexts
from emulant.nets.coarse_to_fine import Seen
from emulant.nets.progressive import halve
from emulant.types import Batch, Terms

__all__ = ["LeastSquares", "Matching", "Pix2PixHD"]

Matching = Literal["pairs", "means"]


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """Critic: ``E (r - 1)^2 + E f^2``; generator: ``E (f - 1)^2``."""

    paired: ClassVar[bool] = False

    def critic(self, real: Tensor, fake: Tensor, /) -> Tensor:
        """Return ``E (r - 1)^2 + E f^2``."""
        return (real - 1).square().mean() + fake.square().mean()

    def generator(self, _real: Tensor | None, fake: Tensor, /) -> Tensor:
        """Return ``E (f - 1)^2``."""
        return (fake - 1).square().mean()


class Pix2PixHD(Generative):
    """A generator of images from maps against critics at several scales.

    Arguments
    ---------
    generator : network that obeys Draws, its context a map (B, L, *grid).
    critics : one network ``D_k(x, c) -> Seen`` for each scale, from fine to coarse.
    matching_weight : lambda.
    matching : whether features are matched in pairs or in the mean over the batch.
    loss, regularisers : as in :class:`~emulant.methods.gan.GAN`, for each critic.

    Examples
    --------
    >>> from emulant.nets.coarse_to_fine import CoarseToFine, PatchCritic
    >>> critics = [PatchCritic(2, 3, 1) for _ in range(2)]
    >>> game = Pix2PixHD(CoarseToFine(2, 3, 1), critics)
    >>> game.sample(2, torch.Generator().manual_seed(0), torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    critic_turns_played: Tensor
    turns = ("critics", "generator")

    def __init__(
        self,
        generator: nn.Module,
        critics: Sequence[nn.Module],
        matching_weight: float = 10.0,
        matching: Matching = "pairs",
        loss: AdversarialLoss | None = None,
        regularisers: Sequence[Regulariser] = (),
    ) -> None:
        super().__init__()
        if not isinstance(generator, Draws):
            raise ValueError(f"'generator' must have a method 'draw', got {type(generator)}")
        if matching not in ("pairs", "means"):
            raise ValueError(f"'matching' must be 'pairs' or 'means', got {matching!r}")
        if not matching_weight >= 0:
            raise ValueError(f"'matching_weight' must not be negative, got {matching_weight}")
        self.generator, self.critics = generator, nn.ModuleList(critics)
        self.matching_weight, self.matching = matching_weight, matching
        self.adversarial_loss: AdversarialLoss = LeastSquares() if loss is None else loss
        if self.adversarial_loss.paired:
            raise ValueError(f"'loss' must not need pairs, got {loss}")
        self.regularisers = tuple(regularisers)
        self.register_buffer("critic_turns_played", torch.zeros((), dtype=torch.int64))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the critics and the generator."""
        return {"critics": self.critics, "generator": cast(nn.Module, self.generator)}

    def _scales(self, *images: Tensor) -> Iterator[tuple[nn.Module, tuple[Tensor, ...]]]:
        """Yield each critic and the images that it sees."""
        for critic in self.critics:
            yield critic, images
            images = tuple(halve(image) for image in images)

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return what ``player`` pays; a critics' turn in training mode is counted."""
        if player not in self.turns:
            raise ValueError(f"'player' must be 'critics' or 'generator', got {player!r}")
        if batch.c is None or batch.weight is not None:
            raise ValueError("'batch' must have maps 'c' and no 'weight'")
        x, c = batch.x, batch.c.float()
        with torch.set_grad_enabled(player == "generator"):
            fake = self.generator.draw(len(batch), rng, c)
        if fake.shape != x.shape:
            raise ValueError(f"'generator' must draw {tuple(x.shape)}, got {tuple(fake.shape)}")
        return (
            self._generator_bill(x, fake, c)
            if player == "generator"
            else self._critic_bill(x, fake, c, rng)
        )

    def _critic_bill(self, x: Tensor, fake: Tensor, c: Tensor, rng: torch.Generator) -> Terms:
        penalties = due(self.regularisers, int(self.critic_turns_played))
        if self.training:
            self.critic_turns_played += 1
        bills = []
        for critic, (real, ours, maps) in self._scales(x, fake, c):

            def logits(x: Tensor, c: Tensor | None, critic: nn.Module = critic) -> Tensor:
                return full_precision(critic(x, c).logits)

            bills.append(
                critic_bill(logits, self.adversarial_loss, penalties, real, ours, maps, rng)
            )
        names = bills[0].parts
        parts = {name: torch.stack([bill.parts[name] for bill in bills]).sum() for name in names}
        return Terms(torch.stack([bill.total for bill in bills]).sum(), parts)

    def _generator_bill(self, x: Tensor, fake: Tensor, c: Tensor) -> Terms:
        adversarial, matching = [], []
        for critic, (real, ours, maps) in self._scales(x, fake, c):
            with torch.no_grad():
                aim: Seen = critic(real, maps)
            seen: Seen = critic(ours, maps)
            adversarial.append(self.adversarial_loss.generator(None, full_precision(seen.logits)))
            for p, q in zip(aim.features, seen.features, strict=True):
                gap = full_precision(q - p)
                matching.append((gap if self.matching == "pairs" else gap.mean(0)).abs().mean())
        game, match = torch.stack(adversarial).sum(), torch.stack(matching).sum()
        total = game + self.matching_weight * match
        return Terms(total, {"adversarial": game, "matching": match})

    def sample(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return ``n`` images of the maps ``c``, shape (n, L, *grid)."""
        require_contexts(n, c)
        with evaluating(self):
            return self.generator.draw(n, rng, c)
