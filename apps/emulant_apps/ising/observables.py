r"""What is measured on spin states, with errors that know the autocorrelation.

First each sample is summarised (u, m, structure factor ... one row a sample), then the rows
become estimates by :func:`~emulant_apps.ising.jackknife.jackknife`. Per spin, J = k_B = 1:

.. math::
    c = \frac{N}{T^2} \mathrm{var}(u), \quad
    \chi = \frac{N}{T} (\langle m^2\rangle - \langle|m|\rangle^2), \quad
    U_4 = 1 - \frac{\langle m^4\rangle}{3\langle m^2\rangle^2},

    G(r) = \langle s_0 s_r\rangle, \quad
    S(k) = \frac1N \Bigl\langle\Bigl|\sum_j s_j e^{i k j}\Bigr|^2\Bigr\rangle, \quad
    \xi = \frac{1}{2\sin(\pi/L)} \sqrt{S(0)/S(2\pi/L) - 1},

with r and k along the two axes, averaged. Variances are those of the sample (divided by n).
``weights`` are importance weights, one a sample; ``tau`` is the integrated autocorrelation
time in samples, 1/2 for independent ones, measured if not given. Samples are in chain order.

References
----------
K. Binder, "Finite size scaling analysis of Ising model block distribution functions", Z. Phys.
B 43, 119 (1981). F. Cooper, B. Freedman and D. Preston, "Solving φ⁴ field theory with Monte
Carlo", Nucl. Phys. B 210, 210 (1982), for ξ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emulant.compiled import kernel
from emulant_apps.ising.hamiltonian import (
    Floats,
    Ints,
    Spins,
    bond_sums,
    check_spins,
    check_temperature,
    spin_sums,
)
from emulant_apps.ising.jackknife import Estimates, checked_weights, jackknife
from emulant_apps.ising.weights import Estimate

__all__ = [
    "Curve",
    "Histogram",
    "Observables",
    "Summaries",
    "correlation_function",
    "correlation_length",
    "correlations",
    "energy_counts",
    "estimate",
    "magnetisation_counts",
    "measure",
    "structure_factor",
    "structure_factor_map",
    "structure_factors",
    "summarise",
]

_CHUNK = 1 << 22  # sites handled at a time where floats are made of spins


@dataclass(frozen=True, eq=False)
class Summaries:
    """Per sample: ``energy`` u and ``magnetisation`` m per spin, (n,); ``lattice`` is L."""

    lattice: int
    energy: Floats
    magnetisation: Floats


@dataclass(frozen=True, slots=True)
class Observables:
    """Per spin: u, c, ⟨|m|⟩, χ, and U4."""

    energy: Estimate
    heat_capacity: Estimate
    magnetisation: Estimate
    susceptibility: Estimate
    binder: Estimate


@dataclass(frozen=True, eq=False)
class Curve:
    """An observable at several distances (lattice spacings) or wave numbers (2π/L), all (M,)."""

    at: Ints
    values: Floats
    errors: Floats


@dataclass(frozen=True, eq=False)
class Histogram:
    """``probabilities`` of the possible ``values`` (M,) with standard ``errors``."""

    values: Ints
    probabilities: Floats
    errors: Floats


def summarise(spins: Spins, field: float = 0.0) -> Summaries:
    """Return u and m of each of ``spins`` (n, L, L), summed in integers."""
    bonds, total = bond_sums(spins), spin_sums(spins)
    sites = spins.shape[1] ** 2
    return Summaries(spins.shape[1], -(bonds + field * total) / sites, total / sites)


def estimate(
    summaries: Summaries,
    temperature: float,
    weights: Floats | None = None,
    tau: float | None = None,
) -> Observables:
    """Return u, c, ⟨|m|⟩, χ and U4 of samples at ``temperature``."""
    check_temperature(temperature)
    sites = summaries.lattice**2
    centre = summaries.energy.mean()  # the variance of u does not depend on it, its rounding does
    energy, order = summaries.energy - centre, np.abs(summaries.magnetisation)
    columns = np.stack([energy, energy**2, order, order**2, order**4], axis=1)

    def values(mean: Floats) -> Floats:
        u, uu, m, m2, m4 = mean.T
        return np.stack(
            [
                u + centre,
                sites / temperature**2 * (uu - u**2),
                m,
                sites / temperature * (m2 - m**2),
                1 - m4 / (3 * m2**2),
            ],
            axis=1,
        )

    return Observables(*_each(jackknife(values, columns, weights, tau)))


def measure(
    spins: Spins,
    temperature: float,
    field: float = 0.0,
    weights: Floats | None = None,
    tau: float | None = None,
) -> Observables:
    """Return u, c, ⟨|m|⟩, χ and U4 of ``spins`` (n, L, L) at ``temperature``.

    >>> from emulant_apps.ising.simulators import simulate
    >>> spins = simulate(lattice=4, temperature=2.0, count=1000).spins
    >>> bool(abs(measure(spins, 2.0).energy.value + 1.755) < 0.05)
    True
    """
    return estimate(summarise(spins, field), temperature, weights, tau)


def correlations(spins: Spins) -> Floats:
    """Return s_0 s_r of each sample, averaged over sites and both axes, (n, L//2 + 1)."""
    spins = check_spins(spins)
    n, side = spins.shape[0], spins.shape[1]
    sums = np.empty((n, side // 2 + 1), dtype=np.int64)
    _correlations(spins, sums)
    return np.asarray(sums / (2 * side**2))


def structure_factors(spins: Spins) -> Floats:
    """Return S(k) of each sample at k = 2πj/L, averaged over both axes, (n, L//2 + 1)."""
    spins = check_spins(spins)
    sites = spins.shape[1] ** 2
    columns, rows = (np.fft.rfft(spins.sum(axis=axis, dtype=np.int32)) for axis in (1, 2))
    return np.asarray((np.square(np.abs(columns)) + np.square(np.abs(rows))) / (2 * sites))


def structure_factor_map(spins: Spins, weights: Floats | None = None) -> Floats:
    """Return the mean S(k_x, k_y) over samples, (L, L), k in the order of ``np.fft.fftfreq``."""
    spins = check_spins(spins)
    n, side = spins.shape[0], spins.shape[1]
    w = checked_weights(weights, n)
    total: Floats = np.zeros((side, side))
    step = max(1, _CHUNK // side**2)
    for first in range(0, n, step):
        part = slice(first, first + step)
        power = np.square(np.abs(np.fft.fft2(spins[part])))
        total += np.tensordot(w[part], power, axes=1)
    return np.asarray(total / (n * side**2))


def correlation_function(
    spins: Spins, weights: Floats | None = None, tau: float | None = None
) -> Curve:
    """Return G(r), r = 0..L/2, along the axes; ⟨m⟩² is not subtracted."""
    return _curve(correlations(spins), weights, tau)


def structure_factor(
    spins: Spins, weights: Floats | None = None, tau: float | None = None
) -> Curve:
    """Return S(k), k = 2πj/L, j = 0..L/2, along the axes."""
    return _curve(structure_factors(spins), weights, tau)


def correlation_length(
    spins: Spins, weights: Floats | None = None, tau: float | None = None
) -> Estimate:
    """Return the second-moment ξ in lattice spacings.

    S(0) = N⟨m²⟩ is not connected: below T_C, ξ then grows as L² and measures order.
    """
    factors = structure_factors(spins)[:, :2]
    scale = 1 / (2 * math.sin(math.pi / spins.shape[1]))

    def length(mean: Floats) -> Floats:
        return scale * np.sqrt(np.clip(mean[:, :1] / mean[:, 1:] - 1, 0, None))

    return _each(jackknife(length, factors, weights, tau))[0]


def energy_counts(spins: Spins, weights: Floats | None = None, tau: float = 0.5) -> Histogram:
    """Return P(E) on the levels E = -2N + 4k, k = 0..N, without a field, L even.

    The levels are those of :func:`emulant_apps.ising.exact.energy_histogram`.
    """
    sites = spins.shape[1] ** 2
    index = (2 * sites - bond_sums(spins)) // 4
    return _histogram(index, -2 * sites + 4 * np.arange(sites + 1), weights, tau)


def magnetisation_counts(
    spins: Spins, weights: Floats | None = None, tau: float = 0.5
) -> Histogram:
    """Return P(M) on M = -N, -N + 2, ..., N.

    The values are those of :func:`emulant_apps.ising.exact.magnetisation_law`.
    """
    sites = spins.shape[1] ** 2
    index = (spin_sums(spins) + sites) // 2
    return _histogram(index, -sites + 2 * np.arange(sites + 1), weights, tau)


def _histogram(index: Ints, values: Ints, weights: Floats | None, tau: float) -> Histogram:
    w = checked_weights(weights, len(index))
    p = np.bincount(index, weights=w, minlength=len(values)) / len(index)
    effective = len(index) ** 2 / np.square(w).sum() / max(1.0, 2 * tau)
    return Histogram(values, p, np.sqrt(p * (1 - p) / effective))


def _curve(rows: Floats, weights: Floats | None, tau: float | None) -> Curve:
    found = jackknife(lambda mean: mean, rows, weights, tau)
    return Curve(np.arange(rows.shape[1], dtype=np.int64), found.values, found.errors)


def _each(found: Estimates) -> list[Estimate]:
    pairs = zip(found.values, found.errors, strict=True)
    return [Estimate(float(value), float(error)) for value, error in pairs]


@kernel
def _correlations(spins: Spins, sums: Ints) -> None:
    n, side = spins.shape[0], spins.shape[1]
    for k in range(n):
        for r in range(side // 2 + 1):
            total = 0
            for i in range(side):
                row = spins[k, i]
                other = spins[k, i + r if i + r < side else i + r - side]
                line = np.int32(0)
                for j in range(side):
                    line += np.int32(row[j]) * np.int32(other[j])
                for j in range(side - r):
                    line += np.int32(row[j]) * np.int32(row[j + r])
                for j in range(side - r, side):
                    line += np.int32(row[j]) * np.int32(row[j + r - side])
                total += int(line)
            sums[k, r] = total
