"""What the hybrid imputer costs: fit, transform, one patient, memory, and how that grows.

    python benchmarks/records_scale.py --docs docs/records.md
    python benchmarks/records_scale.py 5000x50 100000x100

Tables of five factors and noise, a fifth of the cells hidden at random. CPU seconds of this
process; peak memory is that of the process so far, so that sizes should rise. The exponents are
those of ``fit = a rows^p columns^q``, by least squares on the logarithms of the sizes whose rows
are all learned from.
"""

from __future__ import annotations

import argparse
import resource
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulant.rng import numpy_rng
from emulant.tables import markdown
from emulant_apps.records import BlendedClassifier, HybridImputer
from pages import insert
from timing import seconds

SIZES = ("500x10", "1000x20", "2000x20", "1000x40", "4000x40")
PATIENTS = 30
LEARNED = 2000
"""Patients that the classifier behind "imputed and scored" learns from."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one size."""

    rows: int
    columns: int
    fit: float
    transform: float
    one: float
    scored: float
    memory: float
    """GiB"""


def patients(n: int, d: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a table (n, d) with a fifth of its cells missing, and an outcome (n,)."""
    rng = numpy_rng(0, "cost", n, d)
    x = rng.normal(size=(n, 5)) @ rng.normal(size=(5, d)) + rng.normal(size=(n, d))
    y = (x[:, 0] + rng.normal(size=n) > 0).astype(np.int64)
    x[rng.random(x.shape) < 0.2] = np.nan
    return x, y


def measured(n: int, d: int) -> Cost:
    """Return what a table of ``n`` rows and ``d`` columns costs."""
    x, y = patients(n, d)
    imputer = HybridImputer(random_state=0)
    fit = seconds(lambda: imputer.fit(x))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    transform = seconds(lambda: imputer.transform(x))
    model = BlendedClassifier(random_state=0).fit(x[:LEARNED], y[:LEARNED])
    rows = [x[k : k + 1] for k in range(PATIENTS)]
    one = [seconds(lambda r=r: imputer.transform(r)) for r in rows]
    scored = [seconds(lambda r=r: model.predict_proba(r)) for r in rows]
    return Cost(n, d, fit, transform, float(np.median(one)), float(np.median(scored)), memory)


def exponents(costs: list[Cost], most: int) -> str:
    """Return p and q, or nothing where there are too few sizes."""
    kept = [c for c in costs if c.rows <= most]
    design = np.array([[1.0, np.log(c.rows), np.log(c.columns)] for c in kept])
    if len(kept) < 4 or np.linalg.matrix_rank(design) < 3:
        return ""
    _, p, q = np.linalg.lstsq(design, np.log([c.fit for c in kept]), rcond=None)[0]
    return f"\nFit, over these sizes: rows^{p:.2f} columns^{q:.2f}.\n"


def main() -> None:
    """Print one row a size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", default=SIZES, help="rows x columns, such as 5000x50")
    parser.add_argument("--docs", type=Path, default=None, help="page that gets the table")
    options = parser.parse_args()
    costs = [measured(*map(int, size.split("x"))) for size in options.sizes]
    rows = [
        (
            f"{c.rows:,} × {c.columns}", f"{c.fit:.1f} CPU-s", f"{c.transform:.1f} CPU-s",
            f"{1000 * c.one:.1f} ms", f"{1000 * c.scored:.1f} ms", f"{c.memory:.2f} GiB",
        )
        for c in costs
    ]  # fmt: skip
    head = ("table", "fit", "transform all", "one patient", "imputed and scored", "peak memory")
    text = markdown(head, rows) + exponents(costs, HybridImputer().max_rows)
    sizes, mark = " " + " ".join(options.sizes), "records scale chosen"
    if tuple(options.sizes) == SIZES:
        sizes, mark = "", "records scale"
    insert(options.docs, mark, "Measured", f"records_scale.py{sizes}", text)


if __name__ == "__main__":
    main()
