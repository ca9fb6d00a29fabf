"""The commands of ``emulant ising``."""

from emulant.app import App, Command

__all__ = ["APP"]

ROOM = "emulant_apps.ising"

APP = App(
    name="ising",
    question=(
        "Which spin states does the two-dimensional Ising model take at a temperature of my choice?"
    ),
    commands=(
        Command(
            "simulate",
            "Simulate true states: Wolff, Swendsen-Wang, heat bath or Metropolis.",
            f"{ROOM}.config:SimulateConfig",
            f"{ROOM}.data:run",
            (
                "emulant ising simulate --lattice 32 --temperatures 2.0 2.269 2.6 --count 2000"
                " --out truth.npz",
            ),
        ),
        Command(
            "train",
            "Train an emulator, from simulated states or from a file of your own.",
            f"{ROOM}.config:TrainConfig",
            f"{ROOM}.train:run",
            (
                "emulant ising train --preset quick --out runs/mine",
                "emulant ising train --out runs/mine --resume",
            ),
        ),
        Command(
            "sample",
            "Draw new states from an emulator, at any temperature.",
            f"{ROOM}.config:SampleConfig",
            f"{ROOM}.sample:run",
            (
                "emulant ising sample --lattice 32 --temperatures 2.35 2.5 --count 2000 --seed 7"
                " --out states.npz",
                "emulant ising sample --temperatures 2.35 --sweeps 0 --model runs/mine"
                " --out weighted.npz",
            ),
        ),
        Command(
            "validate",
            "Certify states against exact results and true states: pass, fail or underpowered.",
            f"{ROOM}.config:ValidateConfig",
            f"{ROOM}.validate:run",
            (
                "emulant ising validate states.npz --out report",
                "emulant ising validate states.npz --truth truth.npz --out report",
                "emulant ising validate states.npz --training training.npz --correct --out report",
            ),
        ),
        Command(
            "exact",
            "Print the exact results of the finite and of the infinite lattice.",
            f"{ROOM}.config:ExactConfig",
            f"{ROOM}.tables:run_exact",
            ("emulant ising exact --lattice 32 --temperatures 2.0 2.269185314",),
        ),
        Command(
            "bench",
            "Measure independent states per second: the emulator against Monte Carlo.",
            f"{ROOM}.config:BenchConfig",
            f"{ROOM}.bench:run",
            ("emulant ising bench --lattice 32 64 --temperatures 2.0 2.269 2.6",),
        ),
    ),
    demo=f"{ROOM}.demo:demo",
    walk=f"{ROOM}.walk:walk",
    studio=f"{ROOM}.studio:PANEL",
    statistics=f"{ROOM}.bare:statistics",
)
