"""What ``emulant certify --statistics ising`` measures on bare arrays of spins.

A bare array knows no temperature: c and χ are shown without their powers of T, as N var u and
N var |m|, which have the same relative bias. Tolerances are those of the emulator's own states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulant.certify import Statistic
from emulant.errors import InputError
from emulant_apps.ising.criteria import LEVELS, Rows, distances
from emulant_apps.ising.criteria import statistics as of_rows
from emulant_apps.ising.hamiltonian import Floats
from emulant_apps.ising.observables import correlations, structure_factors, summarise

__all__ = ["statistics"]

RENAMED = {"c": ("c T²", "N var u, J²"), "χ": ("χ T", "N var |m|")}


def statistics(truth: NDArray[Any], names: tuple[str, ...] = ()) -> tuple[Statistic, ...]:
    """Return u, c T², |m|, χ T, U4, G(r), S(k) and ξ for spins like ``truth`` (n, L, L).

    Raises
    ------
    InputError
        These are no spins ±1 on a square lattice.
    """
    square = truth.ndim == 3 and truth.shape[1] == truth.shape[2] and truth.shape[1] >= 4
    if names or not square or not (np.abs(truth[:1]) == 1).all():
        raise InputError(
            "--statistics ising: needs spins of +1 and -1, shape (n, L, L), or (T, n, L, L) with "
            f"--by temperatures; got {truth.dtype} of shape {truth.shape}"
        )
    layout = Rows.layout(truth.shape[1])
    made = []
    for statistic in of_rows(layout, LEVELS["raw"]):
        if "tenths" in statistic.name:
            continue  # they need the law of one temperature
        bare = replace(statistic, features=_of_spins(statistic, layout))
        if statistic.name in RENAMED:
            name, description = RENAMED[statistic.name]
            bare = replace(bare, name=name, description=description, unit="", scale=_sites(layout))
        made.append(bare)
    return tuple(made)


def _sites(layout: Rows) -> Callable[[Mapping[str, Any]], float]:
    return lambda _: float(layout.lattice**2)


def _of_spins(statistic: Statistic, layout: Rows) -> Callable[[NDArray[Any]], Floats]:
    """Return the features of one statistic from spins: rows hold only the columns it needs."""
    few = statistic.name in ("G(r)", "S(k)", "ξ")

    def features(spins: NDArray[Any]) -> Floats:
        own = np.asarray(spins, dtype=np.int8)
        rows = np.zeros((len(own), layout.at["magnetisation"].stop))
        if statistic.name == "G(r)":
            rows[:, layout.at["G"]] = correlations(own)[:, list(distances(layout.lattice))]
        elif few:
            width = layout.at["S"].stop - layout.at["S"].start
            rows[:, layout.at["S"]] = structure_factors(own)[:, :width]
        else:
            found = summarise(own, 0.0)
            order = np.abs(found.magnetisation)
            scalars = (found.energy, found.energy**2, order, order**2, order**4)
            rows[:, : len(scalars)] = np.stack(scalars, axis=1)
        return np.asarray(statistic.features(rows), dtype=np.float64)

    return features
