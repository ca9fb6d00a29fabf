"""The table of targets: the shipped weights under the protocol of MOSES, in every mode.

    python benchmarks/molecules_targets.py [--count 30000] [--truth 30000] [--fcd]
        [--model DIR] [--test FILE] [--mode NAME ...] [--docs docs/molecules.md]

Truth is the embedded test set, or --test, a .smi.xz file of `emulant molecules prepare`. Its
control is one half against the other, or with --test as many training molecules as strings.
Novelty is against the embedded training set, or the whole of MOSES with --training, another such
file. FCD is printed from 10,000 molecules a side on.
"""

import argparse
from pathlib import Path

from emulant.rng import derive, numpy_rng
from emulant_apps.molecules import corpus
from emulant_apps.molecules.codes import CodeReport, report_codes
from emulant_apps.molecules.metrics import Described, Metrics, describe, measure
from emulant_apps.molecules.sample import Emulator, Mode
from pages import arguments, write_block

MODES = {
    "language prior, greedy": Mode(prior="language"),
    "language prior, beam of 4": Mode(prior="language", beam=4),
    "language prior, beam of 4, masked": Mode(prior="language", beam=4, masked=True),
    "flow prior, greedy": Mode(prior="flow"),
    "flow prior, beam of 4": Mode(prior="flow", beam=4),
    "flow prior, T = 1": Mode(prior="flow", temperature=1.0),
    "N(0, I), greedy": Mode(prior="normal"),
}
HEAD = (
    "mode", "n", "valid", "unique@1k", "unique@10k", "novelty", "FCD (n)", "SNN", "Frag", "Scaf",
    "IntDiv", "Filters", "W logP", "W SA", "W QED", "W weight",
)  # fmt: skip


def row(name: str, found: Metrics) -> str:
    """Return one line of the table."""
    far = "-" if found.fcd is None else f"{found.fcd:.3f} ({found.fcd_n:,})"
    numbers = [found.valid, found.unique_1k, found.unique_10k, found.novelty]
    later = [found.snn, found.frag, found.scaf, found.int_div, found.filters]
    later += list((found.wasserstein or {}).values())
    cells = [name, f"{found.n:,}", *map(told, numbers), far, *map(told, later)]
    return f"| {' | '.join(cells)} |"


def told(value: float | None) -> str:
    """Return a number in four digits, or a dash."""
    return "-" if value is None else f"{value:.4g}"


def modes(emulator: Emulator, asked: argparse.Namespace) -> list[str]:
    """Return the table of metrics, one row a mode, and truth against truth."""
    test = corpus.test_set() if asked.test is None else corpus.read_lines(asked.test)
    truth = describe(test[: asked.truth], asked.workers)
    known = corpus.training_set() if asked.training is None else corpus.read_lines(asked.training)
    training = frozenset(known)
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    if asked.test is None:
        middle = asked.truth // 2
        half = Described(test[:middle], truth.valid[:middle], truth.features[:middle])
        rest = Described(test[middle : asked.truth], truth.valid[middle:], truth.features[middle:])
        lines.append(row("truth against truth, halves", measure(half, rest, training, asked.fcd)))
    else:
        rng = numpy_rng(asked.seed, "molecules targets control")
        some = [known[k] for k in rng.choice(len(known), asked.count, replace=False)]
        control = measure(describe(some, asked.workers), truth, training, asked.fcd)
        lines.append(row("training molecules", control))
    for name, mode in MODES.items():
        if asked.mode and name not in asked.mode:
            continue
        if mode.prior == "language" and emulator.language is None:
            continue
        seed = derive(asked.seed, "molecules targets", name)
        drawn = emulator.sample(asked.count, seed, mode, asked.workers)
        described = describe(drawn.strings, asked.workers)
        lines.append(row(name, measure(described, truth, training, asked.fcd)))
    return lines


def codes(found: CodeReport) -> list[str]:
    """Return the table of the codes."""
    return [
        "| what | value |",
        "|---|---|",
        f"| KL(q ‖ N(0, I)), nats, of {found.n:,} held-out molecules | "
        f"{found.kl:.1f} ± {found.kl_error:.1f} |",
        f"| active units | {found.active:.0%} of z |",
        f"| exact greedy reconstruction from the mean code | "
        f"{found.exact:.3f} ± {found.exact_error:.3f} |",
        f"| two decodings (T = 1) of one latent, Tanimoto | "
        f"{found.same:.3f} ± {found.same_error:.3f} |",
        f"| decodings of two latents | {found.other:.3f} ± {found.other_error:.3f} |",
    ]


def main() -> None:
    """Print the tables, and write them into a page where one is named."""
    parser = arguments(__doc__, count=30_000)
    parser.add_argument("--truth", type=int, default=30_000)
    parser.add_argument("--held-out", type=int, default=1000)
    parser.add_argument("--fcd", action="store_true")
    parser.add_argument("--training", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--mode", action="append", choices=tuple(MODES))
    asked = parser.parse_args()
    emulator = Emulator.pretrained() if asked.model is None else Emulator.load(asked.model)
    found = report_codes(emulator, corpus.test_set()[: asked.held_out], asked.seed)
    flag = " --fcd" if asked.fcd else ""
    flag += "" if asked.test is None else f" --test {asked.test.name}"
    flag += "".join(f' --mode "{name}"' for name in asked.mode or ())
    command = (
        f"`python benchmarks/molecules_targets.py --count {asked.count} --truth {asked.truth} "
        f"--held-out {asked.held_out} --seed {asked.seed}{flag}`"
    )
    text = "\n".join([command, "", *codes(found), "", *modes(emulator, asked)])
    write_block(asked.docs, "targets" if asked.test is None else "targets full", text)


if __name__ == "__main__":
    main()
