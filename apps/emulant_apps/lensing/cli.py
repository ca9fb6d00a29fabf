"""The commands of the application; every part is imported when it is used."""

from __future__ import annotations

from emulant.app import App, Command

__all__ = ["APP"]

ROOM = "emulant_apps.lensing"

APP = App(
    name="lensing",
    question="Which convergence maps does weak lensing show at a cosmology of my choice?",
    commands=(
        Command(
            "simulate",
            "Simulate maps: particle-mesh light cones, or random fields of known C_ell.",
            f"{ROOM}.config:SimulateConfig",
            f"{ROOM}.data:run",
            (
                "emulant lensing simulate --cosmologies 4 --boxes 2 --size 64 --seed 0"
                " --out sims.h5",
                "emulant lensing simulate --source lognormal --omega-m 0.3 --sigma8 0.8"
                " --maps 500 --boxes 1 --out lognormal.h5",
            ),
        ),
        Command(
            "train",
            "Train an emulator of simulated maps.",
            f"{ROOM}.config:TrainConfig",
            f"{ROOM}.train:run",
            (
                "emulant lensing train --data sims.h5 --preset quick --out runs/mine",
                "emulant lensing train --data sims.h5 --preset quick --out runs/mine --resume",
            ),
        ),
        Command(
            "sample",
            "Draw new maps at any cosmology, of any size.",
            f"{ROOM}.config:SampleConfig",
            f"{ROOM}.sample:run",
            (
                "emulant lensing sample --omega-m 0.3 --sigma8 0.8 --count 1000 --size 128"
                " --seed 1 --out maps.h5",
                "emulant lensing sample --size 512 --count 1 --out wide.fits",
                "emulant lensing sample --count 100000 --per-file 2000 --out maps",
            ),
        ),
        Command(
            "validate",
            "Certify maps against true ones: pass, fail or underpowered.",
            f"{ROOM}.config:ValidateConfig",
            f"{ROOM}.validate:run",
            ("emulant lensing validate maps.h5 --truth sims.h5 --out report",),
        ),
        Command(
            "measure",
            "Measure any map: C_ell, pixels, peaks, Minkowski functionals, bispectrum, wavelets.",
            f"{ROOM}.config:MeasureConfig",
            f"{ROOM}.measure:run",
            ("emulant lensing measure map.fits --fov-deg 1.74 --out stats",),
        ),
    ),
    demo=f"{ROOM}.demo:demo",
    walk=f"{ROOM}.walk:walk",
    studio=f"{ROOM}.studio:PANEL",
    statistics=f"{ROOM}.criteria:plain_statistics",
)
