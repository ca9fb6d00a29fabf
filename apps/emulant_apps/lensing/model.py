"""Generators by their kind, and the directory that holds a trained one.

``weights.safetensors`` holds the network, its kind and sizes, the filter that gives its maps the
C_ℓ of theory, what gives their band powers the scatter of true ones, the cosmologies it was trained
at, and its provenance. No pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from emulant.conditions import ContinuousEmbedding
from emulant.methods.flow_matching import FlowMatching
from emulant.methods.game import Method
from emulant.nets.conv import ConvGenerator
from emulant.nets.initial import initial_parameters
from emulant.nets.unet import UNet
from emulant.rng import torch_rng
from emulant.store import Provenance, load_weights, save_tensors, sizes_of
from emulant.types import Batch, Terms
from emulant_apps.lensing.config import DEGREES, PIXELS
from emulant_apps.lensing.field.grid import Floats
from emulant_apps.lensing.scatter import Scatter
from emulant_apps.lensing.transport import MEAN, SCALE, THETA, Flow, Transport

__all__ = [
    "Filter",
    "FromNoise",
    "Model",
    "PairedFlow",
    "Sizes",
    "WhiteFlow",
    "build",
    "load_model",
    "save_model",
]

Kind = Literal["transport", "flow", "noise", "white"]
WEIGHTS = "weights.safetensors"
RECORD = "emulant_apps.lensing generator"
STEEPEST = 4.0
"""Bound on asinh of a pixel, in σ, of a map from white noise, hence 27 σ: without one a critic's
slope is run after without end."""


@dataclass(frozen=True)
class Sizes:
    """Everything that decides the shapes of a generator's parameters."""

    kind: Kind = "transport"
    """transport: from lognormal fields, at once. flow: the same along a flow. noise, white: from
    white noise by a convolutional generator, or along a flow; the baselines."""
    width: int = 32
    blocks: int = 3
    embedded: int = 16
    norm: Literal["none", "batch"] = "none"
    pixels: int = PIXELS
    """Pixels along 5 degrees."""
    evaluations: int = 4
    """Of the network, along a flow from lognormal fields."""
    coarse: int = 0
    """Residual convolutions of a transport on blocks twice as wide."""

    @property
    def cell(self) -> int:
        """Pixels that the side of a transport's torus must be a multiple of."""
        return 4 if self.coarse else 2


@dataclass(frozen=True)
class Filter:
    """ln T²(ℓ; Ω_m, S₈) = a + b u + c v in bins of ln ℓ; u, v the standardised cosmology."""

    ell: Floats
    """Bin centres (K,), rad⁻¹."""
    coefficients: Floats
    """(K, 3)."""

    def gain(self, ell: Floats, omega_m: float, s8: float) -> Floats:
        """Return T at each ``ell``, constant beyond the bins."""
        u, v = (omega_m - MEAN[0]) / SCALE[0], (s8 - MEAN[1]) / SCALE[1]
        log_t2 = self.coefficients @ np.array([1.0, u, v])
        log_l = np.log(np.maximum(ell, 1.0))
        found: Floats = np.exp(0.5 * np.interp(log_l, np.log(self.ell), log_t2))
        return found

    @classmethod
    def none(cls) -> Filter:
        """Return the filter that changes nothing."""
        return cls(np.array([100.0]), np.zeros((1, 3)))


def _cosmologies(c: Tensor | None) -> Tensor:
    """Return (Ω_m, S₈) (n, 2) of contexts (n, 2), or (n, 3, side, side) as for a Carrier."""
    if c is None:
        raise ValueError("'c' must hold the cosmology, got None")
    return c[:, 1:, 0, 0] if c.ndim == 4 else c


class FromNoise(nn.Module):
    """A convolutional generator from white noise, the baselines' ; its tail is not clipped."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.network = ConvGenerator(
            (PIXELS, PIXELS),
            1,
            (64, 48, 32, 32),
            (16, 4, 4, 4),
            ContinuousEmbedding(MEAN, SCALE, sizes.embedded),
            sizes.embedded,
            periodic=False,
            norm=sizes.norm,
        )

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return n maps (n, 1, 64, 64)."""
        h = self.network.draw(n, rng, _cosmologies(c))
        return torch.sinh(STEEPEST * torch.tanh(h / STEEPEST))


class WhiteFlow(FlowMatching):
    """Flow matching from white noise to asinh x by a U-Net: a baseline."""

    def __init__(self, embedded: int, evaluations: int = 16) -> None:
        context = ContinuousEmbedding(MEAN, SCALE, embedded)
        net = UNet(2, 1, 1, (16, 32), context, embedded, periodic=False)
        super().__init__(net, (1, PIXELS, PIXELS), steps=evaluations // 2)

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the bill on asinh x."""
        own = Batch(torch.asinh(batch.x), _cosmologies(batch.c), batch.weight)
        return super().loss(player, own, rng)

    def draw(self, n: int, rng: torch.Generator, c: Tensor | None = None) -> Tensor:
        """Return n maps (n, 1, 64, 64)."""
        return torch.sinh(self.sample(n, rng, _cosmologies(c)))


class PairedFlow(Method):
    r"""Flow matching between fields that share their initial conditions.

    ``E |v(x_t, t, c) - (x_1 - x_0)|^2`` with ``x_t = (1 - t) x_0 + t x_1``, as
    :class:`~emulant.methods.flow_matching.FlowMatching` pays, but with x₀ the lognormal field of
    x₁'s own linear density instead of white noise. Patches do not wrap around: a rim that the
    network's periodic convolutions spoil is left out.
    """

    turns = ("field",)
    RIM = 12
    """Pixels: what the convolutions reach, and most of what the high-pass does."""

    def __init__(self, field: Flow) -> None:
        super().__init__()
        self.field = field

    def players(self) -> Mapping[str, nn.Module]:
        """Return the one player."""
        return {"field": self.field}

    def loss(self, player: str, batch: Batch, rng: torch.Generator) -> Terms:
        """Return the mean square per pixel; contexts are those of :meth:`Flow.draw`."""
        if player != "field" or batch.c is None:
            raise ValueError(f"'player' must be 'field' and have contexts, got {player!r}")
        x0, x1 = batch.c[:, :1], batch.x
        t = torch.rand(len(x1), generator=rng, device=x1.device)
        share = t[:, None, None, None]
        v = self.field.velocity((1 - share) * x0 + share * x1, t, _cosmologies(batch.c))
        inner = slice(self.RIM, -self.RIM)
        mse = (v - (x1 - x0))[:, :, inner, inner].square().mean()
        return Terms(mse, {"mse": mse})


def build(sizes: Sizes, seed: int = 0) -> nn.Module:
    """Return a new generator with parameters derived from ``seed``."""
    theta = THETA * sizes.pixels / PIXELS
    with initial_parameters(torch_rng(seed, "lensing", "generator")):
        if sizes.kind == "noise":
            return FromNoise(sizes)
        if sizes.kind == "white":
            return WhiteFlow(sizes.embedded)
        if sizes.kind == "flow":
            return Flow(sizes.width, sizes.blocks, sizes.embedded, theta, sizes.evaluations)
        return Transport(sizes.width, sizes.blocks, sizes.embedded, theta, sizes.coarse)


@dataclass(frozen=True)
class Model:
    """A trained generator, and what must be known about it."""

    network: nn.Module
    sizes: Sizes
    filter: Filter
    skewness: float
    """Skewness of the lognormal fields it starts from."""
    cosmologies: tuple[tuple[float, float], ...]
    """(Ω_m, σ₈) it was trained at."""
    provenance: Provenance | None
    content: str
    """Hash of the weights."""
    scatter: Scatter | None = None
    """What brings the scatter of its band powers to that of true maps."""

    @property
    def pixel_degrees(self) -> float:
        """Side of a trained pixel, degrees."""
        return DEGREES / self.sizes.pixels

    @property
    def any_size(self) -> bool:
        """Whether it draws maps of any size, or only the one it was trained on."""
        return self.sizes.kind in ("transport", "flow")

    def knows(self, omega_m: float, sigma8: float) -> bool:
        """Return whether a cosmology lies inside the range of the trained ones."""
        s8 = sigma8 * (omega_m / 0.3) ** 0.5
        ms = [m for m, _ in self.cosmologies]
        ss = [s * (m / 0.3) ** 0.5 for m, s in self.cosmologies]
        slack = 1e-6
        return (
            min(ms) - slack <= omega_m <= max(ms) + slack
            and min(ss) - slack <= s8 <= max(ss) + slack
        )


def save_model(
    directory: Path,
    sizes: Sizes,
    state: Mapping[str, Tensor],
    shape: Filter,
    skewness: float,
    cosmologies: Sequence[tuple[float, float]],
    provenance: Provenance,
    scatter: Scatter | None = None,
) -> str:
    """Write the weights into ``directory``; return their hash."""
    record = {
        "kind": RECORD,
        "sizes": asdict(sizes),
        "skewness": skewness,
        "cosmologies": [list(pair) for pair in cosmologies],
        "provenance": provenance.to_json(),
    }
    tensors = {f"network.{name}": value for name, value in state.items()}
    tensors["filter.ell"] = torch.from_numpy(shape.ell)
    tensors["filter.coefficients"] = torch.from_numpy(shape.coefficients)
    if scatter is not None:
        for field in fields(scatter):
            value = np.atleast_1d(np.asarray(getattr(scatter, field.name), dtype=np.float64))
            tensors[f"scatter.{field.name}"] = torch.from_numpy(value)
    return save_tensors(directory / WEIGHTS, tensors, record)


def load_model(directory: str | Path) -> Model:
    """Return the model whose weights are in ``directory``, ready to draw.

    Raises
    ------
    InputError
        If there is no such directory or weights, or they are damaged or of another kind.
    """
    stored = load_weights(directory, "lensing", RECORD, WEIGHTS)
    record: Mapping[str, Any] = stored.metadata
    sizes = sizes_of(Sizes, stored, Path(directory) / WEIGHTS)
    network = build(sizes)
    prefix = "network."
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in stored.tensors.items() if k.startswith(prefix)}
    )
    network.eval()
    shape = Filter(
        stored.tensors["filter.ell"].numpy().astype(np.float64),
        stored.tensors["filter.coefficients"].numpy().astype(np.float64),
    )
    return Model(
        network,
        sizes,
        shape,
        float(record["skewness"]),
        tuple((float(m), float(s)) for m, s in record["cosmologies"]),
        Provenance.from_json(record["provenance"]),
        stored.content,
        _scatter_of(stored.tensors),
    )


def _scatter_of(tensors: Mapping[str, Tensor]) -> Scatter | None:
    """Return the scatter among the tensors of a file; None where there is none."""
    if "scatter.matrix" not in tensors:
        return None
    names = ("edges", "centres", "mean", "matrix", "shift")
    parts = [tensors[f"scatter.{name}"].numpy() for name in names]
    return Scatter(float(tensors["scatter.degrees"]), *parts)
