r"""Synthetic patients by a Gaussian copula.

Numbers first: z ~ N(mu, S) of the normal scores, x_j by column j's quantile knots, each the mean
of at least five patients, so that no patient's number comes out again. Then the nominal columns one
after the other: their shares given all that was drawn before follow from the Gaussian of the
encoded rows, and a level is drawn by them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulant.rng import numpy_rng
from emulant_apps.records.copula import Quantiles, fit_quantiles
from emulant_apps.records.encoding import Encoding, fit_encoding
from emulant_apps.records.gaussian import Gaussian, conditional, fit_gaussian

__all__ = ["CopulaGenerator", "fit_copula"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CopulaGenerator:
    """What is known of the columns together."""

    encoding: Encoding
    quantiles: Quantiles
    scores: Gaussian
    raw: Gaussian

    def sample(self, count: int, seed: int) -> Array:
        """Return ``count`` rows (count, d) without holes."""
        rng = numpy_rng(seed, "copula", "sample")
        own = self.encoding.numbers
        z = rng.multivariate_normal(
            self.scores.mean, self.scores.covariance, count, method="cholesky"
        )
        x = np.full((count, len(own)), np.nan)
        for j in map(int, np.flatnonzero(own)):
            x[:, j] = self.quantiles.back(z[:, j], j)
        out = np.empty((count, len(self.encoding.levels)))
        for block in self.encoding.blocks:
            column = self.encoding.owner[block[0]]
            share = self.encoding.shares(conditional(self.raw, x).filled, block).cumsum(1)
            level = (rng.random((count, 1)) > share[:, :-1]).sum(1)
            out[:, column] = level
            indicator = level[:, None] == np.arange(1, len(block) + 1)
            x[:, block] = (indicator - self.encoding.mean[block]) / self.encoding.scale[block]
        numbers = self.encoding.back(x)
        out[:, self.encoding.owner[own]] = numbers[:, self.encoding.owner[own]]
        return out


def fit_copula(values: Array, levels: list[int]) -> CopulaGenerator:
    """Return the generator of rows ``values`` (n, d), NaN where missing.

    Arguments
    ---------
    levels : number of levels of each nominal column, 0 for numbers.
    """
    encoding = fit_encoding(values, levels)
    x = encoding.forth(values)
    quantiles = fit_quantiles(x)
    return CopulaGenerator(
        encoding, quantiles, fit_gaussian(quantiles.forth(x), shrinkage=1.0), fit_gaussian(x)
    )
