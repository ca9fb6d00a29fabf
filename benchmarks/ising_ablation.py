"""What does each part of the Ising emulator bring? Short trainings, one thing changed at a time.

    python benchmarks/ising_ablation.py --markdown docs/ising.md

Every variant sees the same true states in the same order, at L = 32, for the same number of
steps, and is judged at temperatures it was never trained on by KL(q || p) = ln Z - E_q[ln w] in
nats a state, ln Z Kaufman's, and by the effective sample size of its weights.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from emulant.errors import InputError
from emulant.methods.game import Method
from emulant.methods.maximum_likelihood import MaximumLikelihood
from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.tables import aligned, markdown
from emulant.train import Optimiser, Plan, fit
from emulant_apps.ising.bank import Bank
from emulant_apps.ising.bench import replace_between
from emulant_apps.ising.data import simulate
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.hamiltonian import energies
from emulant_apps.ising.hierarchy import HierarchicalGenerator
from emulant_apps.ising.train import PRESETS, TEMPERATURES, adversarial_game
from emulant_apps.ising.weights import effective_sample_size

LATTICE = 32
JUDGED = (2.0, 2.2, 2.35, 2.8)
HEAD = ("variant", "steps", *(f"KL at T = {t:g}" for t in JUDGED), "least ESS / n")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Measure what each part of the emulator brings."""

    steps: int = 900
    """Steps of each training by likelihood."""
    further: int = 200
    """Steps of each training against the critic."""
    states: int = 4000
    """True states at each trained temperature."""
    count: int = 4000
    """States drawn at each temperature judged."""
    seed: int = 0
    """Seed of every stream."""
    markdown: Path | None = None
    """File whose lines between '<!-- ablation -->' and '<!-- /ablation -->' become the table."""


class PlainLabels(HierarchicalGenerator):
    """The generator trained on the spins themselves instead of their screened expectation."""

    def nll_terms(self, x: Tensor, c: Tensor | None = None) -> Mapping[str, Tensor]:
        """Return -ln q, shape (B,)."""
        return {"nll": -self.log_prob(x, c).float()}


def main(config: Config) -> None:
    """Train and judge every variant, and print the table."""
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
    spins = {LATTICE: simulate(LATTICE, TEMPERATURES, config.states, seed=config.seed).spins}
    bank = Bank(TEMPERATURES, spins, 1 << 18)
    groups = Bank(TEMPERATURES, spins, 1 << 17, groups=8)

    def built(kind: type[HierarchicalGenerator] = HierarchicalGenerator, **sizes: int):
        with initial_parameters(torch_rng(config.seed, "ablation")):
            return kind((LATTICE,), **sizes)

    def likely(generator: HierarchicalGenerator) -> HierarchicalGenerator:
        return trained(MaximumLikelihood(generator), bank, config.steps, 1.2e-2, config.seed)

    def played(generator: HierarchicalGenerator, weight: float) -> HierarchicalGenerator:
        stage = replace(PRESETS["full"].adversarial, likelihood=weight)
        rate = stage.rate if weight else 1e-3
        game = adversarial_game(stage, generator, groups, config.seed)
        return trained(game, groups, config.further, rate, config.seed)

    variants: Mapping[str, Callable[[], HierarchicalGenerator]] = {
        "as shipped, by likelihood": lambda: likely(built()),
        "plain labels": lambda: likely(built(PlainLabels)),
        "windows of radius 1": lambda: likely(built(radius=1)),
        "windows of radius 5": lambda: likely(built(radius=5)),
        "networks of width 16": lambda: likely(built(width=16)),
        "likelihood, then critic and likelihood": lambda: played(likely(built()), 1.0),
        "critic alone, no likelihood": lambda: played(built(), 0.0),
    }
    rows = []
    for name, make in variants.items():
        steps = {"likelihood, then": config.steps + config.further, "critic alone,": config.further}
        spent = next((n for start, n in steps.items() if name.startswith(start)), config.steps)
        rows.append((name, str(spent), *judged(make(), config)))
        sys.stderr.write("  ".join(rows[-1]) + "\n")
    sys.stdout.write(aligned(HEAD, rows))
    if config.markdown is not None:
        command = " ".join(["python benchmarks/ising_ablation.py", *sys.argv[1:]])
        replace_between(config.markdown, "ablation", f"`{command}`\n\n{markdown(HEAD, rows)}")


def trained(
    method: Method, bank: Bank, steps: int, rate: float, seed: int
) -> HierarchicalGenerator:
    """Return the generator of ``method``, averaged over the last steps of its training."""
    betas = (0.9, 0.99) if len(method.players()) == 1 else (0.5, 0.99)
    rates = {name: 1e-3 if name == "critic" else rate for name in method.players()}
    optimisers = {n: Optimiser(lr=r, betas=betas, clip=20.0, warmup=50) for n, r in rates.items()}
    plan = Plan(optimisers, steps, schedule="cosine", floor=0.01, ema=0.99, seed=seed)
    found = fit(method, bank, plan, device="cpu").averaged()
    for module in found.modules():
        if isinstance(module, HierarchicalGenerator):
            return module.eval()
    raise InputError("this method has no hierarchical generator")


@torch.no_grad()
def judged(generator: HierarchicalGenerator, config: Config) -> tuple[str, ...]:
    """Return KL(q || p) at each temperature, and the least effective sample size."""
    divergences, sizes = [], []
    for t in JUDGED:
        ln_w = []
        for start in range(0, config.count, 500):
            rng = torch_rng(config.seed, "judge", t.hex(), start)
            c = torch.tensor([[t, float(LATTICE)]]).expand(500, 2)
            x = generator.draw(500, rng, c)
            energy = energies(x[:, 0].numpy().astype(np.int8)) * LATTICE**2
            ln_w.append(-energy / t - generator.log_prob(x, c).numpy())
        whole = np.concatenate(ln_w)
        divergences.append(kaufman(LATTICE, t).log_z - whole.mean())
        sizes.append(float(effective_sample_size(whole[None])[0]))
    return (*(f"{d:.3f}" for d in divergences), f"{min(sizes):.3f}")


if __name__ == "__main__":
    main(tyro.cli(Config))
