"""Whether the searches find more than random draws of the same network, at the same budget.

    python benchmarks/molecules_optimise.py [--budget 1000] [--seeds 5] [--scores qed logp]

Mean score of the ten best molecules, over the seeds, with the worst and the best seed; what a
search may score is what the checks valid, duplicate, pains and mcf leave, as in the command.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from emulant.rng import derive
from emulant_apps.molecules.assess import Chain
from emulant_apps.molecules.decoding import Mode
from emulant_apps.molecules.emulators import char_emulator, vae_emulator
from emulant_apps.molecules.optimise import search, top_mean
from emulant_apps.molecules.scoring import Book, BuiltIn
from emulant_apps.molecules.searches import HillClimb, LatentSearch, RandomDraws, Search

CELECOXIB = "similarity:Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1"
CHAIN = Chain(sets=("pains", "mcf"))


def top(mover: Search, score: str, budget: int) -> float:
    """Return the mean score of the ten best that a search finds."""
    with tempfile.TemporaryDirectory() as scratch:
        book = Book(BuiltIn(score), Path(scratch) / "log.csv", budget, budget)
        search(mover, book, CHAIN)
        return top_mean(book)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scores", nargs="+", default=["qed", "logp", CELECOXIB])
    parser.add_argument("--char-model", type=Path)
    asked = parser.parse_args()
    vae, rnn = vae_emulator(None), char_emulator(asked.char_model)
    greedy, own = Mode(), Mode(temperature=1.0)
    print(
        f"`python benchmarks/molecules_optimise.py --budget {asked.budget} --seeds {asked.seeds}`"
    )
    print("\n| score | search | mean of the best ten | worst seed | best seed |")
    print("|---|---|---|---|---|")
    for score in asked.scores:
        name = "similarity to celecoxib" if score == CELECOXIB else score
        for label in ("VAE, random draws", "VAE, latent search", "char-RNN, random draws",
                      "char-RNN, hill-climb"):  # fmt: skip
            found = []
            for k in range(100, 100 + asked.seeds):  # none that the searches were tried on
                seed = derive(k, "molecules optimise", label)
                movers: dict[str, Search] = {
                    "VAE, random draws": RandomDraws(vae, greedy, seed, 1),
                    "VAE, latent search": LatentSearch(vae, greedy, seed),
                    "char-RNN, random draws": RandomDraws(rnn, own, seed, 1),
                    "char-RNN, hill-climb": HillClimb(rnn, own, seed),
                }
                found.append(top(movers[label], score, asked.budget))
            print(
                f"| {name} | {label} | {np.mean(found):.3f} | {min(found):.3f} | "
                f"{max(found):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
