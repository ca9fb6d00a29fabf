"""Tables that come with packages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["wisconsin_arrays"]


def wisconsin_arrays() -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return names, values (569, 30) and malignancy (569,) of scikit-learn's table."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in found.feature_names]
    return names, np.asarray(found.data, dtype=np.float64), 1.0 - found.target.astype(np.float64)
