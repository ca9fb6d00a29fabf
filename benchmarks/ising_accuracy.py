"""How accurate are the states? The emulator and its baselines against exact and true averages.

    python benchmarks/ising_accuracy.py --work runs/accuracy --markdown docs/ising.md

Thirteen temperatures, ``--count`` states each. u and c are held against Kaufman's exact values;
|m| and χ against Wolff states, one random stream a temperature, improved by the exactly known
mean and variance of u as control variates. Every row of the table is kept in ``--work`` when it
is done, so that an interrupted run goes on where it stopped; the reference likewise.

Rows: the emulator raw, finished and reweighted; the purely adversarial networks (if their
directories are given); a *bank* of true states at the nearest other trained temperature, raw and
finished by the same sweeps; all other banks together, reweighted by Ferrenberg and Swendsen's
multiple histograms (Phys. Rev. Lett. 63, 1195, 1989) with the exact ln Z of each; hot and cold
starts with the same sweeps; and true states themselves, the floor.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence

import tyro

from emulant.progress import Progress
from emulant.store import hash_json, plain, read_json, write_json
from emulant.tables import aligned, markdown
from emulant_apps.ising.bench import replace_between
from emulant_apps.ising.config import CRITICAL
from emulant_apps.ising.sample import Emulator
from emulant_apps.ising.tables import with_error
from emulant_apps.ising.weights import FLOOR, Estimate
from ising_rows import RATIO, REWEIGHTED, Row, rows
from ising_truth import Config, Result, Truth, judge, reference

HEAD = (
    "row",
    "|Δu|",
    "|Δ⟨|m|⟩|",
    "c / exact - 1",
    "χ / true - 1",
    "least ESS / n",
    "|Δ ln Z|",
    "n* of u at T_c",
)
BY_T = ("T", "Δu", "Δ⟨|m|⟩", "c / exact - 1", "χ / true - 1", "ESS / n", "Δ ln Z")


def main(config: Config) -> None:
    """Measure every row that is not in the cache, and print the tables."""
    emulator = Emulator.pretrained() if config.model is None else Emulator.load(config.model)
    trained = emulator.model.temperatures
    everywhere = range(len(config.temperatures))
    unseen = [k for k in everywhere if all(abs(config.temperatures[k] - s) > 1e-9 for s in trained)]
    text = []
    for lattice in config.lattices:
        truth = reference(config, lattice)
        found = {
            row.name: measured(row, truth, config, lattice)
            for row in rows(config, lattice)
            if config.only in row.name
        }
        whole = table(found, config, everywhere)
        sys.stdout.write(f"L = {lattice}\n{aligned(HEAD, whole)}")
        text.append(
            f"**L = {lattice}**, {config.count:,} states at each of {len(everywhere)} "
            "temperatures. A cell is the bias beyond 2 standard errors at the worst temperature; "
            "in brackets the bias itself, its standard error, and that temperature. n* = (σ / b)² "
            "is the number of independent true states whose error is the bias of u; where q is "
            "known, b is measured through the weights.\n"
        )
        text.append(markdown(HEAD, whole))
        if unseen:
            listed = ", ".join(f"{config.temperatures[k]:.4g}" for k in unseen)
            text.append(f"The same at the temperatures never trained on ({listed}):\n")
            text.append(markdown(HEAD, table(found, config, unseen)))
        for name, results in found.items():
            if name.startswith("emulator"):
                lines = markdown(BY_T, by_temperature(results, config.temperatures))
                text.append(f"L = {lattice}, {name}, with standard errors:\n\n{lines}")
    if config.markdown is not None:
        command = shlex.join(["python", "benchmarks/ising_accuracy.py", *sys.argv[1:]])
        replace_between(config.markdown, config.mark, f"`{command}`\n\n" + "\n".join(text))


def measured(row: Row, truth: Sequence[Truth], config: Config, lattice: int) -> list[Result]:
    """Return the results of one row, from the cache if it is there."""
    key = {
        "row": row.name,
        "side": lattice,
        "temperatures": config.temperatures,
        "count": config.count,
        "banks": config.bank_count,
        "reference": config.reference_count,
        "sweeps": config.sweeps,
        "seed": config.seed,
        "depends": row.depends,
    }
    file = config.work / f"row-{hash_json(plain(key))[7:23]}.json"
    if file.exists():
        return [Result.revive(record) for record in read_json(file)["results"]]
    results = []
    with Progress(f"{row.name}, L = {lattice}", len(config.temperatures)) as progress:
        for draws, true, t in zip(row.make(), truth, config.temperatures, strict=True):
            results.append(judge(draws, true, lattice, t))
            progress.advance()
    write_json(file, {"key": key, "results": results})
    sys.stderr.write("  ".join(summary(row.name, results, config.temperatures)) + "\n")
    return results


def table(
    found: Mapping[str, Sequence[Result]], config: Config, at: Sequence[int]
) -> list[tuple[str, ...]]:
    """Return the rows of a table over the temperatures number ``at``."""
    temperatures = [config.temperatures[k] for k in at]
    return [summary(name, [rs[k] for k in at], temperatures) for name, rs in found.items()]


def summary(name: str, results: Sequence[Result], temperatures: Sequence[float]) -> tuple[str, ...]:
    """Return one row of the table."""
    ln_z = [(r.ln_z, t) for r, t in zip(results, temperatures, strict=True) if r.ln_z is not None]
    sizes = [
        (r.size, r.effective, t)
        for r, t in zip(results, temperatures, strict=True)
        if r.size is not None and r.effective is not None
    ]
    least = min(sizes, default=None)
    if (name == REWEIGHTED or name.endswith(RATIO)) and least is not None and least[0] < FLOOR:
        return (name, *["refused"] * 4, f"{least[0]:.3f} at {least[2]:.4g}", "", "")
    return (
        name,
        worst([r.energy for r in results], temperatures),
        worst([r.magnetisation for r in results], temperatures),
        worst([r.heat_capacity for r in results], temperatures, percent=True),
        worst([r.susceptibility for r in results], temperatures, percent=True),
        "" if least is None else f"{least[0]:.3f} ({least[1]:,.0f} states) at {least[2]:.4g}",
        worst([e for e, _ in ln_z], [t for _, t in ln_z]) if ln_z else "",
        _worth(results, temperatures),
    )


def worst(found: Sequence[Estimate], temperatures: Sequence[float], percent: bool = False) -> str:
    """Return the bias beyond two errors at the worst temperature, and in brackets what it was."""
    beyond = [max(0.0, abs(e.value) - 2 * e.error) for e in found]
    k = max(range(len(found)), key=lambda i: (beyond[i], abs(found[i].value)))
    scale, sign, digits = (100.0, " %", ".1f") if percent else (1.0, "", ".4f")
    value = f"{scale * found[k].value:+{digits}} ± {scale * found[k].error:{digits}}"
    return f"{scale * beyond[k]:{digits}}{sign} ({value} at {temperatures[k]:.4g})"


def by_temperature(results: Sequence[Result], temperatures: Sequence[float]) -> list[list[str]]:
    """Return the rows of the table by temperature."""
    lines = []
    for r, t in zip(results, temperatures, strict=True):
        four = (r.energy, r.magnetisation, r.heat_capacity, r.susceptibility)
        line = [f"{t:.5g}", *(with_error(e.value, e.error) for e in four)]
        line.append("" if r.size is None else f"{r.size:.3f}")
        line.append("" if r.ln_z is None else with_error(r.ln_z.value, r.ln_z.error))
        lines.append(line)
    return lines


def _worth(results: Sequence[Result], temperatures: Sequence[float]) -> str:
    """Return n* of u at T_c, if that is there; a lower bound if its bias is not resolved."""
    at = [r for r, t in zip(results, temperatures, strict=True) if abs(t - CRITICAL) < 1e-3]
    if not at:
        return ""
    found = at[0]
    shown = f"≥ {float(f'{found.worth_shown:.2g}'):,.0f}"
    if found.worth is None:
        return shown
    return f"{float(f'{found.worth:.2g}'):,.0f} ({shown})"


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
