"""How well a classifier tells two sets of events apart."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from emulant.certify.classifier import ClassifierTest
from emulant.certify.evidence import Pair
from emulant.rng import numpy_rng

__all__ = ["area_under_curve"]


def area_under_curve(samples: Tensor, truth: Tensor, seed: int) -> float:
    """Return the cross-fitted area under the ROC curve of boosted trees; 1/2 where alike."""
    x, y = (rows.detach().flatten(1).double().numpy() for rows in (samples, truth))
    units = np.arange(len(x)), np.arange(len(y))
    pair = Pair.of((x, y), units, (x, y))
    test = ClassifierTest(replicates=1)
    evidence = test(pair, numpy_rng(seed, "ledger", "two-sample"))
    if evidence is None:
        raise ValueError(f"'samples' must have at least {2 * test.folds} rows, got {len(x)}")
    return evidence.value
