r"""Whether synthetic patients are like true ones, and whether they give the true ones away.

Notation: encoded rows without holes (n, D): synthetic s, held-out truth h, training rows t.

    marginals       mean and sd of each column, in its own sd
    correlations    of the pairs that are strongest among the training rows
    TSTR            AUC of trees fitted to s and judged on h, less that of trees fitted to t
    membership      AUC by which an attacker who holds s tells t from h. *Distance*: minus the
                    distance to the nearest row of s. *Density ratio* (DOMIAS): log p_s - log p_ref,
                    kernel densities on the first principal components, ref half of h.

- van Breugel et al., Membership Inference Attacks against Synthetic Data through Overfitting
  Detection (DOMIAS), 2023, https://arxiv.org/abs/2302.12580
- Yao et al., The DCR Delusion (distances alone reassure falsely), 2025,
  https://arxiv.org/abs/2505.01524
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import gaussian_kde

from emulant.certify import Case, Certificate, Check, FunctionOfMeans, Statistic, Tolerance, certify
from emulant.certify.classifier import ClassifierTest
from emulant.certify.memory import Copier, NearCopies, Repeats
from emulant.rng import numpy_rng
from emulant_apps.records.metrics import auc

__all__ = ["NO_PRIVACY", "Attack", "attacks", "certificate", "statistics"]

Array = NDArray[np.float64]

PAIRS = 40
"""Correlations that are judged."""
COMPONENTS = 5
"""Principal components on which the attacker's densities live."""
NO_PRIVACY = "A pass is no proof of anonymity; no differential privacy was applied."
MOST = 1500
"""Rows that an attack is tried on."""


@dataclass(frozen=True, slots=True)
class Attack:
    """A membership attack: 0.5 gives nothing away."""

    name: str
    auc: float
    error: float


def attacks(synthetic: Array, training: Array, held_out: Array, seed: int) -> list[Attack]:
    """Return how well two attackers tell training rows from held-out ones."""
    rng = numpy_rng(seed, "records", "attack")
    train = training[rng.permutation(len(training))[:MOST]]
    held = held_out[rng.permutation(len(held_out))[:MOST]]
    known, asked = held[: len(held) // 2], held[len(held) // 2 :]
    tree = cKDTree(synthetic)
    near = [-np.asarray(tree.query(rows)[0]) for rows in (train, held)]
    found = [_attack("by distance", near[0], near[1])]
    centre = synthetic.mean(0)
    _, _, axes = np.linalg.svd(synthetic - centre, full_matrices=False)
    width = min(COMPONENTS, synthetic.shape[1])
    parts = [(rows - centre) @ axes[:width].T for rows in (synthetic[:MOST], known, train, asked)]
    shaken = [part.T + 1e-6 * rng.standard_normal(part.T.shape) for part in parts[:2]]
    densities = [gaussian_kde(part) for part in shaken]
    ratio = [densities[0].logpdf(p.T) - densities[1].logpdf(p.T) for p in parts[2:]]
    return [*found, _attack("by density ratio", ratio[0], ratio[1])]


def _attack(name: str, members: Array, others: Array) -> Attack:
    y = np.r_[np.ones(len(members)), np.zeros(len(others))]
    area = auc(y, np.r_[members, others])
    a, b = len(members), len(others)
    return Attack(name, area, float(np.sqrt((a + b + 1) / (12.0 * a * b))))


def statistics(names: Sequence[str], training: Array) -> list[Statistic]:
    """Return what is measured on encoded rows (n, D), whose columns are ``names``."""
    width = training.shape[1]
    strength = np.abs(np.nan_to_num(np.corrcoef(training.T))) if width > 1 else np.zeros((1, 1))
    first, second = np.triu_indices(width, 1)
    order = np.argsort(-strength[first, second], kind="stable")[:PAIRS]
    i, j = first[order], second[order]

    def moments(x: Array) -> Array:
        return np.concatenate([x, x**2], 1)

    def spread(m: Array) -> Array:
        return np.sqrt(np.maximum(m[..., width:] - m[..., :width] ** 2, 0.0))

    def products(x: Array) -> Array:
        return np.concatenate([x[:, i], x[:, j], x[:, i] ** 2, x[:, j] ** 2, x[:, i] * x[:, j]], 1)

    def correlation(m: Array) -> Array:
        a, b, aa, bb, ab = np.split(m, 5, axis=-1)
        scale = np.sqrt(np.maximum((aa - a**2) * (bb - b**2), 1e-12))
        out: Array = (ab - a * b) / scale
        return out

    fifth = Tolerance(0.2, by="the default: a fifth of a standard deviation")
    third = Tolerance(0.3, by="the default: 30 % of a standard deviation")
    found = [
        Statistic("mean", np.asarray, labels=tuple(names), unit="sd", tolerance=fifth),
        Statistic("spread", moments, FunctionOfMeans(spread), tuple(names), "sd", third),
    ]
    if len(order):
        labels = tuple(f"{names[a]} and {names[b]}" for a, b in zip(i, j, strict=True))
        tolerance = Tolerance(0.2, by="the default: 0.2 of a correlation")
        found.append(
            Statistic("correlation", products, FunctionOfMeans(correlation), labels, "", tolerance)
        )
    return found


def certificate(
    names: Sequence[str],
    synthetic: Array,
    training: Array,
    held_out: Array,
    seed: int,
    checks: Sequence[Check] = (),
    title: str = "Synthetic patients",
    notes: Sequence[str] = (NO_PRIVACY,),
) -> Certificate:
    """Return the certificate of ``synthetic`` rows (n, D), all encoded and without holes."""
    case = Case("patients", synthetic, truth=held_out, training=training)
    found = [
        Check.judged(
            f"membership {attack.name}, AUC", value=attack.auc, expected=0.5, error=attack.error,
            tolerance=0.1, family=2, note="0.5: nothing is learned of who was in the training set",
        )
        for attack in attacks(synthetic, training, held_out, seed)
    ]  # fmt: skip
    return certify(
        [case],
        statistics(names, training),
        seed,
        replicates=300,
        comparisons=(ClassifierTest(), Copier(), NearCopies(), Repeats()),
        checks=(*checks, *found),
        title=title,
        notes=(
            "Truth was held out of the training of the generator.",
            "Holes of true patients were filled by one draw of the hybrid imputer.",
            *notes,
        ),
    )
