"""The commands of ``emulant molecules``."""

from emulant.app import App, Command

__all__ = ["APP"]

ROOM = "emulant_apps.molecules"

APP = App(
    name="molecules",
    question="Which new molecules resemble the ones I know, and what speaks against each of them?",
    commands=(
        Command(
            "sample",
            "Draw new molecules, judge each by named filters, rank and write them.",
            f"{ROOM}.config:SampleConfig",
            f"{ROOM}.generate:run_sample",
            (
                "emulant molecules sample --count 1000 --seed 0 --out candidates.csv",
                "emulant molecules sample --count 10000 --raw --out strings.csv",
                "emulant molecules sample --count 1000000 --per-file 10000 --out candidates",
                "emulant molecules sample --qed 0.9 --logp 2.5 --count 200 --out asked",
                "emulant molecules sample --generator char-rnn --temperature 0.8 --out new.csv",
            ),
        ),
        Command(
            "analogues",
            "Draw new molecules around prototypes; --diversity is how far they go.",
            f"{ROOM}.config:AnaloguesConfig",
            f"{ROOM}.generate:run_analogues",
            (
                'emulant molecules analogues "CC(=O)Oc1ccccc1C(=O)O" --diversity 1.5 --count 200'
                " --out analogues",
            ),
        ),
        Command(
            "grow",
            "Grow new parts from a scaffold's attachment points; the core is kept.",
            f"{ROOM}.config:GrowConfig",
            f"{ROOM}.grow:run_grow",
            (
                'emulant molecules grow --scaffold "c1ccc([*:1])cc1" --count 200 --out grown',
                'emulant molecules grow --scaffold "O=C(N[*:1])c1ccc([*:2])cc1" --out grown.csv',
            ),
        ),
        Command(
            "link",
            "Find linkers between two fragments, which are kept.",
            f"{ROOM}.config:LinkConfig",
            f"{ROOM}.grow:run_link",
            (
                'emulant molecules link --fragments "c1ccncc1[*:1]" "O=C1NCCc2ccc([*:1])cc21"'
                " --out linked",
            ),
        ),
        Command(
            "optimise",
            "Search for molecules that a score of your own calls good.",
            f"{ROOM}.config:OptimiseConfig",
            f"{ROOM}.optimise:run",
            (
                "emulant molecules optimise --score my_scorer.py:score --out best",
                "emulant molecules optimise --score qed --method latent --control --out best",
                'emulant molecules optimise --score-command "python dock.py" --budget 500'
                " --out best --resume",
            ),
        ),
        Command(
            "retrieve",
            "Draw fingerprints and retrieve the molecules of a library next to them.",
            f"{ROOM}.config:RetrieveConfig",
            f"{ROOM}.retrieve:run",
            (
                "emulant molecules retrieve --library catalogue.smi --count 100 --out retrieved",
                'emulant molecules retrieve --library catalogue.smi --like "CC(=O)Nc1ccc(O)cc1"'
                " --spread 0.2 --out near.csv",
            ),
        ),
        Command(
            "filter",
            "Say what speaks against molecules of any origin: alerts, rules, novelty, neighbours.",
            f"{ROOM}.config:FilterConfig",
            f"{ROOM}.filter:run",
            (
                "emulant molecules filter my.csv --out filtered.csv",
                'emulant molecules filter "CC(=O)Oc1ccccc1C(=O)O" --out aspirin'
                " --chain.sets pains brenk nibr --chain.hard valid pains lipinski",
            ),
        ),
        Command(
            "validate",
            "Certify drawn strings against held-out molecules, with the metrics of MOSES.",
            f"{ROOM}.config:ValidateConfig",
            f"{ROOM}.validate:run",
            ("emulant molecules validate strings.csv --pretrained --out report",),
        ),
        Command(
            "train",
            "Train a prototype VAE and its prior, on the embedded molecules or on your own.",
            f"{ROOM}.config:TrainConfig",
            f"{ROOM}.train:run",
            (
                "emulant molecules train --preset quick --out runs/mine",
                "emulant molecules train --data my.smi --preset char-rnn --out runs/rnn",
                "emulant molecules train --data my.smi --out runs/mine --resume",
                "emulant molecules train --preset prior --start runs/mine --out runs/prior",
                "emulant molecules train --strings selfies --out runs/selfies",
                "emulant molecules train --preset fingerprints --out runs/keys",
            ),
        ),
        Command(
            "finetune",
            "Bring a model nearer to a handful of molecules; a guard stops it in time.",
            f"{ROOM}.config:FinetuneConfig",
            f"{ROOM}.finetune:run",
            (
                "emulant molecules finetune --data actives.smi --out runs/actives",
                "emulant molecules finetune --data actives.smi --generator char-rnn"
                " --out runs/actives",
            ),
        ),
        Command(
            "prepare",
            "Build the reference sets again, or the whole of MOSES, from the packages they are in.",
            f"{ROOM}.config:PrepareConfig",
            f"{ROOM}.prepare:run",
            ("emulant molecules prepare --out moses",),
        ),
    ),
    demo=f"{ROOM}.demo:demo",
    walk=f"{ROOM}.walk:walk",
    studio=f"{ROOM}.studio:PANEL",
)
