"""Are drawn fingerprints like true ones? The table of the autoencoder of MACCS keys.

    python benchmarks/molecules_fingerprints.py [--count 5000] [--model DIR] [--seed 0]
        [--docs docs/molecules.md]

Drawn ones against MOSES's test molecules, which no training saw, beside other test molecules
against the same: the floor. *independent bits* is the baseline that knows how frequent each bit is
and nothing else. Around a molecule: the mean Tanimoto of drawn keys to its own, by the spread.
"""

import numpy as np

from emulant.rng import numpy_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.key_aae import KeyEmulator
from emulant_apps.molecules.keys import compare, keys_of_all, report_text
from emulant_apps.molecules.tanimoto import Index
from pages import arguments, write_block

SPREADS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def tables(emulator: KeyEmulator, count: int, seed: int, workers: int) -> list[str]:
    """Return both tables."""
    bits = keys_of_all(corpus.test_set()[: 2 * count], workers)
    truth, others = bits[:count], bits[count:]
    drawn = emulator.draw(count, seed)
    rng = numpy_rng(seed, "molecules independent bits")
    independent = (rng.random(truth.shape) < others.mean(axis=0)).astype(np.uint8)
    floor = compare(others, truth)
    first = report_text(compare(drawn, truth), floor)
    second = report_text(compare(independent, truth), floor)
    lines = ["| | drawn | independent bits | true |", "|---|---|---|---|"]
    for (name, ours, true), (_, theirs, _) in zip(first, second, strict=True):
        lines.append(f"| {name} | {ours} | {theirs} | {true} |")
    queries = truth[:20]
    cells = []
    for spread in SPREADS:
        alike = []
        for k, query in enumerate(queries):
            near = np.packbits(emulator.draw(100, seed + k, query, spread), axis=1)
            alike.append(Index(np.packbits(query[None], axis=1)).nearest(near)[1].mean())
        cells.append(f"{np.mean(alike):.2f}")
    spreads = " | ".join(f"{spread:g}" for spread in SPREADS)
    lines += ["", f"| spread | {spreads} |", "|---" * (len(SPREADS) + 1) + "|"]
    return [*lines, f"| Tanimoto to the query | {' | '.join(cells)} |"]


def main() -> None:
    """Print the tables, and write them into a page where one is named."""
    asked = arguments(__doc__.splitlines()[0], count=5000).parse_args()
    emulator = KeyEmulator.pretrained() if asked.model is None else KeyEmulator.load(asked.model)
    command = f"`python benchmarks/molecules_fingerprints.py --count {asked.count}`"
    lines = tables(emulator, asked.count, asked.seed, asked.workers)
    write_block(asked.docs, "fingerprints", "\n".join([command, "", *lines]))


if __name__ == "__main__":
    main()
