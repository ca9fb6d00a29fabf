"""What does a certificate cost? Seconds of one core and memory against the number of samples.

    python benchmarks/certificates_cost.py --docs docs/certificates.md

Spins of 32 × 32, the default statistics of grids and all standard comparisons, training set
included. Each size runs in a process of its own, whose peak memory is what the kernel counts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from emulant.certify import STANDARD, Case, certify
from emulant.certify.summaries import grid_statistics
from emulant.tables import markdown
from pages import insert


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, and where the table goes."""

    sizes: tuple[int, ...] = (2500, 5000, 10_000, 20_000)
    """Samples, and as many of truth and of training."""
    one: int | None = None
    """Measure this size here and print it; what the processes are started with."""
    docs: Path | None = None
    """Markdown file with a place for the table."""


def measure(n: int) -> None:
    """Print CPU seconds and peak MiB of one certificate of n spins a side."""
    rng = np.random.default_rng(0)

    def spins() -> np.ndarray:
        drift = 0.3 * rng.normal(size=(n, 1, 1)).astype(np.float32)
        return np.where(rng.normal(size=(n, 32, 32)).astype(np.float32) < drift, 1, -1).astype(
            np.int8
        )

    x, y, t = spins(), spins(), spins()
    start = time.process_time()
    certificate = certify(
        [Case("a", x, truth=y, training=t)], grid_statistics(y, 0.1, "a benchmark"), 0,
        comparisons=STANDARD, workers=1,
    )  # fmt: skip
    certificate.to_html()
    cpu = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{cpu} {peak}")


def main(config: Config) -> None:
    """Make the table, or measure one size."""
    if config.one is not None:
        measure(config.one)
        return
    rows, seconds = [], []
    for n in config.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(n)], capture_output=True, text=True, check=True
        )
        cpu, peak = map(float, done.stdout.split())
        seconds.append(cpu)
        rows.append(
            (
                f"{n:,}",
                f"{cpu:.0f} s",
                f"{1000 * cpu / n:.2f} ms",
                f"{peak:.0f} MiB",
            )
        )
        print(rows[-1], flush=True)
    each, fixed = np.polyfit(config.sizes, seconds, 1)
    line = f"A line through them: {fixed:.0f} s and {1000 * each:.2f} ms a sample.\n"
    head = ("samples, truth, training", "CPU", "CPU a sample", "peak memory")
    insert(
        config.docs, "certificates:cost", "Cost, one thread", "certificates_cost.py",
        f"{markdown(head, rows)}\n{line}",
    )  # fmt: skip


if __name__ == "__main__":
    main(tyro.cli(Config))
