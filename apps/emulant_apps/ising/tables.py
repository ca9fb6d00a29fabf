"""What the commands print: short tables of numbers with their errors.

Notation: u energy and |m| magnetisation per spin, c specific heat, f free energy per spin,
Z partition function of the whole lattice; ∞ marks the infinite lattice. J = k_B = 1.
"""

from __future__ import annotations

import sys

import numpy as np

from emulant.errors import PASS
from emulant.store import current, new_file, plain, write_json
from emulant.tables import aligned
from emulant_apps.ising import exact
from emulant_apps.ising.config import ExactConfig
from emulant_apps.ising.data import States
from emulant_apps.ising.hamiltonian import energies, magnetisations
from emulant_apps.ising.weights import effective_sample_size, ln_partition

__all__ = ["run_exact", "states_table", "with_error"]


def with_error(value: float, error: float) -> str:
    """Return a value and, in brackets, its error in units of the last digit.

    >>> with_error(-1.43367, 0.00123), with_error(12.0, 0.0)
    ('-1.4337(12)', '12')
    """
    if not (error > 0 and np.isfinite(error)):
        return f"{value:g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f}({round(error * 10**digits)})"


def states_table(states: States) -> str:
    """Return u and |m| at each temperature and, of weighted states, ln Z and sample size."""
    head = ["T", "states", "u", "|m|"]
    sites = states.lattice**2
    rows = []
    for t, spins in zip(states.temperatures, states.spins, strict=True):
        row = [f"{t:.6g}", str(len(spins))]
        for values in (energies(spins, states.field), np.abs(magnetisations(spins))):
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            row.append(with_error(float(values.mean()), float(error)))
        rows.append(row)
    if states.log_weight is not None:
        head += ["ESS / n", "ln Z", "f"]
        sizes = effective_sample_size(states.log_weight)
        for row, t, size, ln_z in zip(
            rows, states.temperatures, sizes, ln_partition(states), strict=True
        ):
            per_site = -t / sites
            row += [
                f"{size:.3f}",
                with_error(ln_z.value, ln_z.error),
                with_error(per_site * ln_z.value, abs(per_site) * ln_z.error),
            ]
    if "spacing" in states.notes:
        head += ["spacing", "tau(u)", "tau(|m|)"]
        for i, row in enumerate(rows):
            row += [
                str(states.notes["spacing"][i]),
                f"{states.notes['tau_energy'][i]:.2f}",
                f"{states.notes['tau_magnetisation'][i]:.2f}",
            ]
    return aligned(head, rows)


def run_exact(config: ExactConfig) -> int:
    """Run ``emulant ising exact``."""
    out = None if config.out is None else new_file(config.out)
    rows, record = [], []
    for t in config.temperatures:
        finite, infinite = exact.kaufman(config.lattice, t), exact.infinite_lattice(t)
        record.append({"temperature": t, "finite": plain(finite), "infinite": plain(infinite)})
        rows.append(
            [
                f"{t:.10g}",
                *(f"{x:.11f}" for x in (finite.energy, finite.heat_capacity, finite.free_energy)),
                f"{finite.log_z:.9f}",
                *(f"{x:.9f}" for x in (infinite.energy, infinite.heat_capacity)),
                f"{infinite.magnetisation:.9f}",
            ]
        )
    sys.stdout.write(aligned(("T", "u", "c", "f", "ln Z", "u ∞", "c ∞", "|m| ∞"), rows))
    if out is not None:
        write_json(
            out,
            {
                "lattice": config.lattice,
                "results": _without_infinity(record),
                "provenance": plain(current("ising exact", config, None)),
            },
        )
    return PASS


def _without_infinity(record: object) -> object:
    """Return the record with None for infinities, for which JSON has no word."""
    if isinstance(record, dict):
        return {key: _without_infinity(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_without_infinity(value) for value in record]
    return None if isinstance(record, float) and not np.isfinite(record) else record
