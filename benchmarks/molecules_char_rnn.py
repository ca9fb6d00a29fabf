"""The char-RNN under the protocol of MOSES, raw, at several temperatures, and masked.

    python benchmarks/molecules_char_rnn.py [--count 30000] [--truth 30000] [--fcd] [--model DIR]

Novelty is against the embedded training set; FCD is printed from 10,000 molecules a side on.
"""

import argparse
from pathlib import Path

from emulant.rng import derive
from emulant_apps.molecules import corpus
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.emulators import char_emulator
from emulant_apps.molecules.metrics import describe, measure
from molecules_targets import HEAD, row

MODES = {
    "char-RNN, T = 1": Mode(temperature=1.0),
    "char-RNN, T = 0.8": Mode(temperature=0.8),
    "char-RNN, T = 1, masked": Mode(temperature=1.0, masked=True),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--truth", type=int, default=30_000)
    parser.add_argument("--fcd", action="store_true")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    emulator = char_emulator(asked.model)
    truth = describe(corpus.test_set()[: asked.truth], 1)
    known = frozenset(corpus.training_set())
    flag = " --fcd" if asked.fcd else ""
    print(
        f"`python benchmarks/molecules_char_rnn.py --count {asked.count} --truth {asked.truth} "
        f"--seed {asked.seed}{flag}`\n"
    )
    print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
    for name, mode in MODES.items():
        seed = derive(asked.seed, "molecules char-rnn", name)
        drawn = emulator.sample(asked.count, seed, mode)
        print(row(name, measure(describe(drawn.strings, 1), truth, known, asked.fcd)), flush=True)


if __name__ == "__main__":
    main()
