"""The commands of ``emulant records``."""

from emulant.app import App, Command

__all__ = ["APP"]

ROOM = "emulant_apps.records"

APP = App(
    name="records",
    question=(
        "What would the missing cells of my patients' table have held, and what follows from it?"
    ),
    commands=(
        Command(
            "describe",
            "Say what a table holds and lacks: types, missing codes, patterns, tests, plots.",
            f"{ROOM}.config:DescribeConfig",
            f"{ROOM}.report:run",
            ("emulant records describe table.csv --outcome death --out report",),
        ),
        Command(
            "prepare",
            "Make a table with a row a patient of OMOP, FHIR or long time series.",
            f"{ROOM}.config:PrepareConfig",
            f"{ROOM}.prepare:run",
            (
                "emulant records prepare wisconsin --out wisconsin.csv",
                "emulant records prepare omop.zip --out cohort.csv --index-date 2018-01-01",
                "emulant records prepare stays.parquet --hours 0 48 --out wide.parquet",
            ),
        ),
        Command(
            "impute",
            "Fill the holes of a table, m times, with an interval for every cell.",
            f"{ROOM}.config:ImputeConfig",
            f"{ROOM}.impute:run",
            (
                "emulant records impute table.csv --m 5 --seed 0 --out imputed",
                "emulant records impute new.csv --model imputed/model --out new-imputed",
            ),
        ),
        Command(
            "train",
            "Fit an imputer and a model of an outcome to a table.",
            f"{ROOM}.config:TrainConfig",
            f"{ROOM}.train:run",
            ("emulant records train table.csv --outcome death --out runs/mine",),
        ),
        Command(
            "predict",
            "Predict the risk of new patients with a model.",
            f"{ROOM}.config:PredictConfig",
            f"{ROOM}.pipeline:predict_command",
            ("emulant records predict new.csv --model runs/mine --out scores.csv",),
        ),
        Command(
            "evaluate",
            "Compare models of an outcome by nested, repeated cross-validation.",
            f"{ROOM}.config:EvaluateConfig",
            f"{ROOM}.evaluate:run",
            ("emulant records evaluate table.csv --outcome death --out report",),
        ),
        Command(
            "synthesise",
            "Draw synthetic patients, with a certificate of their likeness.",
            f"{ROOM}.config:SynthesiseConfig",
            f"{ROOM}.synthesise:run",
            (
                "emulant records synthesise table.csv --count 1000 --out synthetic.csv",
                "emulant records synthesise table.csv --epsilon 3 --delta 1e-5 --out private.csv",
            ),
        ),
    ),
    demo=f"{ROOM}.demo:demo",
    walk=f"{ROOM}.walk:walk",
    studio=f"{ROOM}.studio:PANEL",
)
