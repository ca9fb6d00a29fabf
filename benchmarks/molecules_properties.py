"""Are asked properties obtained? Targets of held-out molecules against what was drawn for them.

    python benchmarks/molecules_properties.py [--count 500] [--model DIR] [--seed 0]
        [--docs docs/molecules.md]

The targets are the properties of the first molecules of MOSES's test set; one string is drawn
greedily for each. *rank* is Spearman's correlation of asked and obtained, *off* the median of
|obtained - asked| in units of the scatter of true molecules; both of the valid strings alone. *by
chance*: the same of strings for which nothing was asked.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from emulant_apps.molecules import corpus
from emulant_apps.molecules.sample import Emulator, Mode
from emulant_apps.molecules.targets import TARGETS, numbers_of
from pages import arguments, write_block


def row(
    name: str,
    asked: NDArray[np.float64],
    got: NDArray[np.float64],
    scatter: NDArray[np.float64],
) -> str:
    """Return one line: the rank correlation and the median error of each property."""
    kept = np.isfinite(got).all(axis=1)
    cells = []
    for k in range(len(TARGETS)):
        rank = spearmanr(asked[kept, k], got[kept, k]).statistic
        off = np.median(np.abs(asked[kept, k] - got[kept, k])) / scatter[k]
        cells.append(f"{rank:.2f}, {off:.2f}")
    return f"| {name} | {kept.mean():.3f} | {' | '.join(cells)} |"


def table(emulator: Emulator, count: int, seed: int, workers: int) -> list[str]:
    """Return the rows: all asked, each alone, nothing."""
    truth = corpus.test_set()[:count]
    targets = numbers_of(truth, workers)
    scatter = targets.std(axis=0)

    def drawn(asked: NDArray[np.float64] | None, mode: Mode) -> NDArray[np.float64]:
        found = emulator.sample(count, seed, mode, workers, asked=asked)
        return numbers_of(found.strings, workers)

    names = [f"{name}: rank, off" for name in TARGETS]
    lines = [f"| asked | valid | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for guidance in (1.0, 2.0, 3.0):
        got = drawn(targets, Mode(guidance=guidance))
        lines.append(row(f"all five, guidance {guidance:g}", targets, got, scatter))
    if emulator.language is not None and emulator.model.codes is not None:
        got = drawn(targets, Mode(prior="flow", guidance=2.0))
        lines.append(row("all five of the flow prior, guidance 2", targets, got, scatter))
    for k, name in enumerate(TARGETS):
        alone = np.full_like(targets, np.nan)
        alone[:, k] = targets[:, k]
        lines.append(row(f"{name} alone", targets, drawn(alone, Mode()), scatter))
    lines.append(row("nothing (by chance)", targets, drawn(None, Mode()), scatter))
    return lines


def main() -> None:
    """Print the table, and write it into a page where one is named."""
    asked = arguments(__doc__, count=500).parse_args()
    emulator = Emulator.pretrained() if asked.model is None else Emulator.load(asked.model)
    command = f"`python benchmarks/molecules_properties.py --count {asked.count}`"
    text = "\n".join([command, "", *table(emulator, asked.count, asked.seed, asked.workers)])
    write_block(asked.docs, "properties", text)


if __name__ == "__main__":
    main()
