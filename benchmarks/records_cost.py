"""CPU seconds and memory of the hybrid imputer: fit, transform, one patient.

python benchmarks/records_cost.py 5000x50
python benchmarks/records_cost.py 100000x100
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from emulant.rng import numpy_rng
from emulant_apps.records import BlendedClassifier, HybridImputer


def main() -> None:
    """Print one row a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", help="rows x columns, such as 5000x50")
    options = parser.parse_args()
    print("| table | fit | transform all | one patient | imputed and scored | peak memory |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        n, d = map(int, size.split("x"))
        rng = numpy_rng(0, "cost", n, d)
        x = rng.normal(size=(n, 5)) @ rng.normal(size=(5, d)) + rng.normal(size=(n, d))
        y = (x[:, 0] + rng.normal(size=n) > 0).astype(int)
        x[rng.random(x.shape) < 0.2] = np.nan
        started = time.process_time()
        imputer = HybridImputer(random_state=0).fit(x)
        fit = time.process_time() - started
        started = time.process_time()
        imputer.transform(x)
        whole = time.process_time() - started
        model = BlendedClassifier(random_state=0).fit(x[:2000], y[:2000])
        times: list[list[float]] = [[], []]
        for k in range(50):
            started = time.process_time()
            imputer.transform(x[k : k + 1])
            times[0].append(time.process_time() - started)
            model.predict_proba(x[k : k + 1])
            times[1].append(time.process_time() - started)
        one, both = (1000 * float(np.median(t)) for t in times)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"| {size} | {fit:.1f} CPU-s | {whole:.1f} CPU-s | {one:.1f} ms | {both:.1f} ms "
            f"| {memory:.2f} GiB |"
        )


if __name__ == "__main__":
    main()
