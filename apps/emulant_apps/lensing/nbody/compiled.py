r"""Cloud-in-cell on the processor, compiled: the same sums as torch's, a particle at a time.

With u = x M / L, i = ⌊u⌋ and f = u - i along each axis, a particle gives, and takes, the shares
(1 - f) at cell i and f at cell i + 1, wrapped; three axes multiply. One pass over the particles
touches each cell where it lies, which the eight passes of an array program do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulant.compiled import kernel

__all__ = ["deposit", "deposit_plane", "gather"]

Singles = NDArray[np.float32]


@kernel
def deposit(x: Singles, scale: float, out: Singles) -> None:
    """Add particles at ``x`` (3, n), ``scale`` = M/L, to the M³ cells of ``out``."""
    m = out.shape[0]
    s = np.float32(scale)
    one = np.float32(1)
    for p in range(x.shape[1]):
        u, v, w = x[0, p] * s, x[1, p] * s, x[2, p] * s
        a, b, c = np.floor(u), np.floor(v), np.floor(w)
        f, g, h = u - a, v - b, w - c
        i, j, k = int(a) % m, int(b) % m, int(c) % m
        i1, j1, k1 = (i + 1) % m, (j + 1) % m, (k + 1) % m
        fi, gj, hk = one - f, one - g, one - h
        out[i, j, k] += fi * gj * hk
        out[i, j, k1] += fi * gj * h
        out[i, j1, k] += fi * g * hk
        out[i, j1, k1] += fi * g * h
        out[i1, j, k] += f * gj * hk
        out[i1, j, k1] += f * gj * h
        out[i1, j1, k] += f * g * hk
        out[i1, j1, k1] += f * g * h


@kernel
def gather(x: Singles, scale: float, field: Singles, out: Singles) -> None:
    """Set ``out`` (n,) to ``field`` (M, M, M) at the particles ``x`` (3, n)."""
    m = field.shape[0]
    s = np.float32(scale)
    one = np.float32(1)
    for p in range(x.shape[1]):
        u, v, w = x[0, p] * s, x[1, p] * s, x[2, p] * s
        a, b, c = np.floor(u), np.floor(v), np.floor(w)
        f, g, h = u - a, v - b, w - c
        i, j, k = int(a) % m, int(b) % m, int(c) % m
        i1, j1, k1 = (i + 1) % m, (j + 1) % m, (k + 1) % m
        hk = one - h
        low = (field[i, j, k] * hk + field[i, j, k1] * h) * (one - g) + (
            field[i, j1, k] * hk + field[i, j1, k1] * h
        ) * g
        high = (field[i1, j, k] * hk + field[i1, j, k1] * h) * (one - g) + (
            field[i1, j1, k] * hk + field[i1, j1, k1] * h
        ) * g
        out[p] = low * (one - f) + high * f


@kernel
def deposit_plane(x: Singles, y: Singles, scale: float, out: Singles) -> None:
    """Add particles at ``x`` and ``y`` (n,) to the G² pixels of ``out``."""
    m = out.shape[0]
    s = np.float32(scale)
    one = np.float32(1)
    for p in range(len(x)):
        u, v = x[p] * s, y[p] * s
        a, b = np.floor(u), np.floor(v)
        f, g = u - a, v - b
        i, j = int(a) % m, int(b) % m
        i1, j1 = (i + 1) % m, (j + 1) % m
        out[i, j] += (one - f) * (one - g)
        out[i, j1] += (one - f) * g
        out[i1, j] += f * (one - g)
        out[i1, j1] += f * g
