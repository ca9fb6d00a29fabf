r"""The last stage of training: the means of what is measured, brought to those of true maps.

A critic that sees sixteen maps at a time does not notice a mean that is off by a tenth of what it
scatters from map to map; a certificate of thousands of maps does. Notation: f_k features of a map,
F_k(c) their true means, a plane in the cosmology b = (1, u, v) (standardised Ω_m and S₈) fitted to
all training boxes, t_k their tolerances. Over one half of the groups of a batch, each of one
cosmology,

    D_jk = ⟨b_j (f_k - F_k)⟩ / t_k,      loss = Σ_jk a_j w_jk D_jk D̄_jk,

D̄ a running mean of D over about n_k steps, of which the last is that of the *other* half, and the
same with the halves exchanged: D and D̄ are of different draws, so that the expectation is the
square of the means themselves and not of their noise. n_k is such that the noise of D̄ is about
half a tolerance: a bispectrum scatters by four times its mean from map to map, and one batch knows
nothing of it. A certificate fails by its worst bin: w = 1 + 4 D̄² of the steps before, at most 10,
so that what is off by a tolerance is not left so for the sake of what is off by a tenth.
Tolerances are the certificate's. Not asked: what scatters by more than 60 tolerances and, where
nothing else is said, band powers, which the filter gives. In one half lie pairs whose Gaussian
fields differ by a sign: most of the scatter of a bispectrum is odd in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emulant.methods.game import Method
from emulant.types import Batch, Terms
from emulant_apps.lensing.batches import GROUP
from emulant_apps.lensing.features import PART, MapFeatures
from emulant_apps.lensing.transport import MEAN, SCALE, Carrier

__all__ = ["FeatureMeans", "feature_tolerances"]

SHARES = (1.0, 0.25, 0.25)
"""a: of the mean, and of its slopes along u and v."""
NOISY = 60.0
"""Scatter from map to map, in tolerances, beyond which nothing is asked."""
NOISE = 0.5
"""Of a running mean, in tolerances, at the most where n allows it."""
LONGEST = 64.0
"""Steps of a running mean."""
EXCUSED = 0.5
"""Tolerances beyond which what is off pays by more than its square."""
DEAREST = 10.0
"""By how many times more, at the most."""


class FeatureMeans(Method):
    """A trained generator pays for the means of its features.

    Arguments
    ---------
    generator : what carries fields into maps.
    features : standardised, of maps of the side of ``maps``.
    maps : true maps (N, 1, n, n) of each cosmology, in σ, n the side of the generator's quarters.
    contexts : (Ω_m, S₈) of each, (C, 2).
    powers : whether band powers are asked as well: a filter that has much to change takes the
        bispectrum with it.
    """

    turns = ("generator",)

    plane: Tensor
    weights: Tensor
    past: Tensor
    share: Tensor

    def __init__(
        self,
        generator: Carrier,
        features: MapFeatures,
        maps: Sequence[Tensor],
        contexts: Tensor,
        powers: bool = False,
    ) -> None:
        super().__init__()
        self.generator, self.features = generator, features
        with torch.no_grad():
            rows = [torch.cat([features(part) for part in torch.split(own, PART)]) for own in maps]
        means = torch.stack([row.mean(0) for row in rows])
        known = basis(contexts)[:, :1] if len(contexts) < 4 else basis(contexts)
        solved = torch.linalg.lstsq(known, means).solution
        plane = torch.zeros(3, features.length)
        plane[: len(solved)] = solved
        self.register_buffer("plane", plane)
        tolerances = feature_tolerances(features, means.mean(0), powers) / features.unit
        self.register_buffer("weights", (1 / tolerances).where(tolerances > 1 / NOISY, 0.0))
        self.register_buffer("past", torch.zeros(3, features.length))
        self.register_buffer("share", torch.zeros(features.length))

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"generator": self.generator}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the bill of the means; contexts are those of :meth:`Carrier.draw`."""
        if player != "generator" or batch.c is None:
            raise ValueError(f"'player' must be 'generator' and have contexts, got {player!r}")
        c = batch.c
        x = self.generator.draw(len(c), rng, c)
        b = basis(c[:, 1:, 0, 0])
        off = (self.features(x) - b @ self.plane) * self.weights
        half = torch.arange(len(off), device=off.device) // GROUP % 2 == 0
        one, two = (b[own].T @ off[own] / own.sum() for own in (half, ~half))
        new = 1 / (self.weights / NOISE).square().div(len(off)).clamp(1, LONGEST)
        far = self.past / self.share.clamp(min=1e-6) / EXCUSED
        a = b.new_tensor(SHARES)[:, None] * (1 + far.square()).clamp(max=DEAREST)
        bill = 0.5 * (a * (one * self._known(two, new) + two * self._known(one, new))).sum()
        self.past.lerp_((0.5 * (one + two)).detach(), new.expand_as(one))
        self.share.lerp_(torch.ones_like(new), new)
        return Terms(bill, {"means": bill})

    def _known(self, other: Tensor, new: Tensor) -> Tensor:
        """Return the running mean of D (3, K) that ends with the ``other`` half of a batch."""
        known = self.past.lerp(other.detach(), new.expand_as(other))
        return known / self.share.lerp(torch.ones_like(new), new)


def basis(cosmology: Tensor) -> Tensor:
    """Return (1, u, v) of (Ω_m, S₈), (B, 3)."""
    mean, scale = cosmology.new_tensor(MEAN), cosmology.new_tensor(SCALE)
    return torch.cat([torch.ones_like(cosmology[:, :1]), (cosmology - mean) / scale], 1)


def feature_tolerances(features: MapFeatures, standardised: Tensor, powers: bool = False) -> Tensor:
    """Return what the mean of each feature may be off, (K,); infinite where it is not asked.

    ``standardised``: the true means (K,) in units of :meth:`MapFeatures.standardise`.
    """
    true = standardised * features.unit + features.zero
    found = torch.full_like(true, torch.inf)
    if powers:
        found[features.parts["power"]] = 0.04
    for name in ("pixels", "wide pixels"):
        share = true[features.parts[name]]
        found[features.parts[name]] = 0.03 * torch.minimum(share, 1 - share) + 1e-4
    for name in ("peaks", "minima"):
        found[features.parts[name]] = 0.05 * true[features.parts[name]]
    contours = true[features.parts["contours"]].reshape(-1, 2).abs()
    found[features.parts["contours"]] = 0.03 * contours.amax(0).repeat(len(contours))
    found[features.parts["bispectrum"]] = 0.10 * true[features.parts["bispectrum"]].abs()
    return found
