"""What fine-tuning on a handful of molecules moves: the same network before and after.

    python benchmarks/molecules_finetune.py ACTIVES.smi [--generator char-rnn] [--model DIR]
        [--count 2000] [--steps 200] [--rate 3e-4] [--patience 0.05] [--seeds 3]

Every figure is a mean over the seeds, of tuning and of drawing, with the standard deviation of
single seeds. Similarity is Tanimoto of Morgan fingerprints (radius 2, 1024 bits) to the nearest of
the molecules in the file; novelty is against the embedded training set and the file.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from emulant_apps.molecules import corpus
from emulant_apps.molecules.chemistry.parse import canonical, flat, parse
from emulant_apps.molecules.chemistry.properties import properties_of
from emulant_apps.molecules.chemistry.similarity import Library
from emulant_apps.molecules.config import FinetuneConfig
from emulant_apps.molecules.data import read_smiles
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.emulators import any_emulator
from emulant_apps.molecules.finetune import run

LINES = (
    "valid", "unique among valid", "novel among unique", "similarity to the nearest, mean",
    "similarity to the nearest, best of all", "share with similarity above 0.4",
    "mass, g/mol", "logP", "polar surface, Å²", "QED",
)  # fmt: skip


def figures(strings: tuple[str, ...], library: Library, known: frozenset[str]) -> list[float]:
    """Return the numbers of LINES."""
    smiles = [s for s in map(canonical, strings) if s]
    once = sorted(set(smiles))
    molecules = [m for m in map(parse, once) if m is not None]
    near = [found.tanimoto for m in molecules if (found := library.nearest(m)) is not None]
    props = [properties_of(m) for m in molecules]
    columns = [[p.mass for p in props], [p.logp for p in props], [p.tpsa for p in props]]
    columns.append([p.qed for p in props])
    return [
        len(smiles) / len(strings),
        len(once) / len(smiles),
        float(np.mean([flat(s) not in known for s in once])),
        float(np.mean(near)),
        max(near),
        float(np.mean(np.array(near) > 0.4)),
        *(float(np.mean(column)) for column in columns),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("actives", type=Path)
    parser.add_argument("--generator", choices=("vae", "char-rnn"), default="char-rnn")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--patience", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    generator = None if asked.model is not None else asked.generator
    own = read_smiles(asked.actives, workers=1)
    known = frozenset(corpus.training_set()) | {flat(s) for s in own}
    library = Library(own)
    rows: dict[str, list[list[float]]] = {"before": [], "after": []}
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "tuned"
            run(
                FinetuneConfig(
                    data=asked.actives, out=out, model=asked.model, generator=generator,
                    steps=asked.steps, rate=asked.rate, patience=asked.patience, seed=seed,
                    device="cpu", workers=1,
                )
            )  # fmt: skip
            for name, emulator in (
                ("before", any_emulator(asked.model, generator)),
                ("after", any_emulator(out)),
            ):
                mode = Mode(temperature=1.0)
                strings = emulator.sample(asked.count, seed, mode).strings
                rows[name].append(figures(strings, library, known))
    model = "" if asked.model is None else f" --model {asked.model.name}"
    command = (
        f"`python benchmarks/molecules_finetune.py {asked.actives.name} --generator "
        f"{asked.generator}{model} --count {asked.count} --steps {asked.steps} "
        f"--rate {asked.rate:g} --patience {asked.patience:g} --seeds {asked.seeds}`"
    )
    print(f"{command}\n\n| what | before | after |\n|---|---|---|")
    before, after = np.array(rows["before"]), np.array(rows["after"])
    for k, line in enumerate(LINES):
        cells = [f"{a.mean():.3g} ± {a.std(ddof=1) if len(a) > 1 else 0:.2g}"
                 for a in (before[:, k], after[:, k])]  # fmt: skip
        print(f"| {line} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
