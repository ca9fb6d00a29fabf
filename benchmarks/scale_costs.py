"""What training, drawing and judging cost, in ratios and exponents measured in this very run.

    python benchmarks/scale_costs.py --docs docs/scale.md

*training*: what one training step of each preset computes (floating-point operations of matrix
products and convolutions, counted), and at what share of the rate of this machine's own product of
two 1024 × 1024 matrices. *drawing*: things a second, against what the field uses without an
emulator. *growth*: cost against size, and the exponent of the power law through the sizes by least
squares on logarithms. One core; CPU seconds, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn's own way
from sklearn.impute import IterativeImputer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from emulant.certify import Case, Statistic, Tolerance, certify
from emulant.cli import main as emulant
from emulant.rng import numpy_rng
from emulant.tables import markdown
from emulant_apps import ising, lensing, molecules
from emulant_apps.ising import train as ising_train
from emulant_apps.lensing import train as lensing_train
from emulant_apps.lensing.nbody.lightcone import LAYOUTS, simulate_planes
from emulant_apps.molecules import games
from emulant_apps.records import HybridImputer
from emulant_apps.records import train as records_train
from molecules_prototypes import Pieces
from pages import insert
from records_scale import patients
from timing import seconds

STEPS = 12
TEMPERATURES = (2.0, 2.26918531421302, 2.6)
Row = tuple[str, ...]


class Operations(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions, forward and backward."""

    total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        """Run ``func`` and count it."""
        del types
        found = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=found)
        return found


class _MeasuredError(Exception):
    """The step is measured; what the command does next need not be done."""


def step_of(room: Any, begin: Callable[[], object]) -> tuple[float, float]:
    """Return operations and CPU seconds of a training step of what ``begin`` trains in ``room``."""
    found: list[float] = []
    fit = room.fit

    def measured(method: Any, source: Any, plan: Any, *_: Any, **__: Any) -> None:
        def run(steps: int) -> None:
            silent = lambda *_: None  # noqa: E731
            short = replace(plan, steps=steps, minutes=None)
            fit(method, source, short, device="cpu", progress=silent)

        with Operations() as counter:
            run(STEPS)
        less = seconds(lambda: run(STEPS))
        more = seconds(lambda: run(3 * STEPS))
        found.extend([counter.total / STEPS, (more - less) / (2 * STEPS)])
        raise _MeasuredError

    room.fit = measured
    try:
        with contextlib.suppress(_MeasuredError), contextlib.redirect_stdout(io.StringIO()):
            begin()
    finally:
        room.fit = fit
    operations, spent = found
    return operations, spent


def training(scratch: Path) -> list[Row]:
    """Return the rows of training."""
    side, times = 1024, 10
    a, b = torch.randn(side, side), torch.randn(side, side)
    peak = 2 * side**3 * times / seconds(lambda: [a @ b for _ in range(times)])
    rows = [("product of matrices", "", "", f"{peak / 1e9:.1f}", "1")]
    sims = scratch / "sims.h5"
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet:
        boxes = ["--cosmologies", "4", "--boxes", "2", "--maps", "20", "--workers", "1"]
        emulant(["lensing", "simulate", "--source", "lognormal", *boxes, "--out", str(sims)])
    x = numpy_rng(0, "costs").normal(size=(1500, 12))
    x[numpy_rng(1, "costs").random(x.shape) < 0.2] = np.nan
    plain = ["--device", "cpu", "--workers", "1", "--out"]
    for name, room, begin in (
        (
            "ising, quick (hierarchical flow)",
            ising_train,
            lambda: emulant(["ising", "train", *plain, str(scratch / "a")]),
        ),
        (
            "ising, dcgan",
            ising_train,
            lambda: emulant(["ising", "train", "--preset", "dcgan", *plain, str(scratch / "b")]),
        ),
        (
            "lensing, full (residual GAN)",
            lensing_train,
            lambda: emulant(
                [
                    "lensing",
                    "train",
                    "--data",
                    str(sims),
                    "--preset",
                    "full",
                    *plain[:2],
                    "--out",
                    str(scratch / "c"),
                ]
            ),
        ),
        (
            "molecules, full (VAE)",
            games,
            lambda: emulant(["molecules", "train", "--preset", "full", *plain, str(scratch / "d")]),
        ),
        (
            "molecules, char-rnn (GRU)",
            games,
            lambda: emulant(
                ["molecules", "train", "--preset", "char-rnn", *plain, str(scratch / "e")]
            ),
        ),
        (
            "records, hybrid's autoencoder",
            records_train,
            lambda: HybridImputer(random_state=0).fit(x),
        ),
    ):
        operations, spent = step_of(room, begin)
        rate = operations / spent
        rows.append(
            (name, f"{operations / 1e9:.3g}", f"{1000 * spent:.1f}", f"{rate / 1e9:.1f}",
             f"{rate / peak:.2f}")
        )  # fmt: skip
    return rows


def drawing() -> list[Row]:
    """Return the rows of drawing, each beside what is used without an emulator."""
    rows = []

    def row(what: str, ours: float, without: str, theirs: float) -> None:
        rows.append((what, f"{ours:.3g}", without, f"{theirs:.3g}", f"{ours / theirs:.3g}"))

    spins = ising.Emulator.pretrained()
    spins.sample(TEMPERATURES, 10)
    for lattice in (32, 64):
        count = 64000 // lattice
        ours = seconds(lambda c=count, n=lattice: spins.sample(TEMPERATURES, c, n))
        theirs = seconds(lambda c=count // 10, n=lattice: ising.simulate(n, TEMPERATURES, c))
        total = len(TEMPERATURES) * count
        row(
            f"ising, independent states, {lattice}²",
            total / ours,
            "Wolff clusters",
            total / 10 / theirs,
        )
    maps = lensing.Emulator.pretrained()
    maps.sample(0.3, 0.8, 4)
    box = seconds(
        lambda: simulate_planes(
            lensing.Convergence(lensing.Cosmology(0.3, 0.8)), LAYOUTS["draft"], 1
        )
    )
    for size in (64, 128):
        count = 400 * 64**2 // size**2
        ours = seconds(lambda c=count, n=size: maps.sample(0.3, 0.8, c, n))
        row(
            f"lensing, independent maps, {size}²",
            count / ours,
            "particle mesh, a box a map",
            1 / box,
        )
    count, flow = 2 * molecules.sample.CHUNK, molecules.decoding.Mode(prior="flow")
    emulator = molecules.Emulator.pretrained()
    drawn: list[str] = []
    ours = seconds(lambda: drawn.extend(emulator.sample(count, 0, flow).strings))
    valid = len({text for text in drawn if molecules.decoding.is_molecule(text)})
    pieces, rng, mutants = Pieces(0), numpy_rng(0, "mutants"), set[str]()
    some = molecules.corpus.test_set()[:count]
    theirs = seconds(lambda: mutants.update(x for s in some for x in pieces.mutants(s, 1, rng)))
    made = len(mutants)
    row("molecules, different ones, flow prior", valid / ours, "BRICS recombination", made / theirs)
    x = patients(1000, 20)[0]
    ours = seconds(lambda: HybridImputer(random_state=0).fit_transform(x))
    theirs = seconds(lambda: IterativeImputer(random_state=0).fit_transform(x))
    row("records, tables of 1,000 × 20 imputed", 1 / ours, "IterativeImputer", 1 / theirs)
    return rows


def growth() -> list[Row]:
    """Return the rows of cost against size."""
    spins, maps = ising.Emulator.pretrained(), lensing.Emulator.pretrained()
    emulator, flow = molecules.Emulator.pretrained(), molecules.decoding.Mode(prior="flow")
    fresh = iter(molecules.corpus.test_set())  # what was judged before is remembered
    truth = numpy_rng(0, "growth").normal(size=(40000, 8))
    statistic = Statistic(
        "x", lambda x: x, labels=tuple("abcdefgh"), tolerance=Tolerance(0.05, by="me")
    )
    asked: list[tuple[str, Sequence[int], Callable[[int], object]]] = [
        ("ising sample, states", (250, 1000, 4000), lambda n: spins.sample((2.3,), n)),
        ("ising sample, side L", (16, 32, 64), lambda n: spins.sample((2.3,), 500, n)),
        ("ising simulate, side L", (16, 32, 64), lambda n: ising.simulate(n, (2.3,), 100)),
        ("lensing sample, maps", (64, 256, 1024), lambda n: maps.sample(0.3, 0.8, n)),
        ("lensing sample, pixels a side", (64, 128, 256), lambda n: maps.sample(0.3, 0.8, 32, n)),
        ("molecules sample, strings", (500, 1000, 2000), lambda n: emulator.sample(n, 0, flow)),
        (
            "molecules filter, molecules",
            (250, 1000, 4000),
            lambda n: molecules.assess.assess([next(fresh) for _ in range(n)], molecules.Chain()),
        ),
        (
            "records impute, rows",
            (500, 1000, 2000),
            lambda n: HybridImputer(random_state=0).fit(patients(n, 20)[0]),
        ),
        (
            "records impute, columns",
            (10, 20, 40),
            lambda d: HybridImputer(random_state=0).fit(patients(1000, d)[0]),
        ),
        (
            "certify, rows",
            (2500, 10000, 40000),
            lambda n: certify([Case("rows", truth[:n], truth[-n:])], [statistic], 0, workers=1),
        ),
    ]
    rows = []
    for what, sizes, work in asked:
        work(sizes[0])  # what is made once
        spent = [seconds(lambda n=n, w=work: w(n)) for n in sizes]
        slope = np.polyfit(np.log(sizes), np.log(spent), 1)[0]
        rows.append(
            (what, ", ".join(f"{n:,}" for n in sizes), ", ".join(f"{s:.2f}" for s in spent),
             f"{slope:.2f}")
        )  # fmt: skip
    return rows


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=None, help="page that gets the tables")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        tables = [
            markdown(
                ("training step", "GFLOP", "CPU ms", "GFLOP / CPU-s", "share of the product's"),
                training(Path(scratch)),
            ),
            markdown(("drawing", "a CPU-s", "without", "a CPU-s", "ratio"), drawing()),
            markdown(("growth", "sizes", "CPU s", "exponent"), growth()),
        ]
    insert(asked.docs, "costs", "Costs", "scale_costs.py", "\n".join(tables))


if __name__ == "__main__":
    main()
