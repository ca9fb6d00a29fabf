"""What would the missing cells of my patients' table have held, and what follows from it?

Imputation with an interval for every cell, multiple imputations to pool, prediction of an outcome
judged out of fold, and synthetic patients with a certificate.

>>> import numpy as np
>>> from emulant_apps.records import HybridImputer
>>> x = np.random.default_rng(0).normal(size=(60, 1)) @ np.ones((1, 3))
>>> x[0, 2] = np.nan
>>> filled = HybridImputer(random_state=0, boosting=0).fit_transform(x)
>>> bool(abs(filled[0, 2] - x[0, 0]) < 0.2)
True
"""  # noqa: D400 - the first line of an application's package is its question

from __future__ import annotations

from emulant.lazy import lazy

_HOMES = {
    "ACGANClassifier": "contracts.adversarial",
    "BlendedClassifier": "contracts.baselines",
    "BoostedClassifier": "contracts.baselines",
    "ChainedEquationsImputer": "contracts.chained",
    "GAINImputer": "contracts.networks",
    "HybridImputer": "contracts.hybrid",
    "IndicatorLogistic": "contracts.baselines",
    "MIWAEImputer": "contracts.networks",
    "StackedDenoisingImputer": "contracts.networks",
    "Table": "data",
    "nhanes": "data",
    "pool": "pooling",
    "read_table": "data",
    "wisconsin": "data",
    "write_table": "data",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy(__name__, _HOMES)
