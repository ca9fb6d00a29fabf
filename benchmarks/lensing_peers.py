"""Measure three maps with LensTools and powerbox, codes that know nothing of this one.

    python3.11 -m venv peers && . peers/bin/activate
    pip install "numpy==1.26.4" "scipy==1.13.1" "astropy<7" "setuptools==69.5.1" wheel \
        pandas matplotlib "emcee<3" powerbox==1.0.0
    pip install --no-build-isolation --no-deps lenstools==1.2
    python benchmarks/lensing_peers.py --out tests/apps/lensing/peers.json

Both need an environment of their own: LensTools stopped at numpy 1. The maps are made here by
numpy alone, so that the test measures the same ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS, DEGREES, SIGMA = 64, 5.0, 0.01
EDGES = [100.0, 250.0, 400.0, 600.0, 900.0, 1300.0, 1800.0]
"""Of ℓ."""
PEAKS = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0]
THRESHOLDS = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
"""Edges of the bins of ν for the Minkowski functionals."""


def maps() -> NDArray[np.float64]:
    """Return three skewed maps (3, 64, 64) of mean zero, κ in units of nothing.

    White noise smoothed by a Gaussian of 1.3 pixels, exponentiated.
    """
    white = np.random.default_rng(2026).standard_normal((3, PIXELS, PIXELS))
    frequency = np.fft.fftfreq(PIXELS)
    damping = np.exp(-0.5 * (2 * np.pi * 1.3) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    smooth = np.fft.ifft2(np.fft.fft2(white) * damping).real
    skewed = np.exp(0.35 * smooth / smooth.std())
    centred = skewed - skewed.mean()
    found: NDArray[np.float64] = SIGMA * centred / centred.std()
    return found


def _lenstools(kappa: NDArray[np.float64]) -> dict[str, Any]:
    for name, kind in (("complex", complex), ("int", int), ("float", float)):
        setattr(np, name, kind)  # numpy took them away, LensTools still asks
    import lenstools
    from astropy import units

    one = lenstools.ConvergenceMap(kappa, angle=DEGREES * units.deg)
    ell, power = one.powerSpectrum(np.array(EDGES))
    _, peaks = one.peakCount(np.array(PEAKS) * SIGMA)
    middle, v0, v1, v2 = one.minkowskiFunctionals(np.array(THRESHOLDS) * SIGMA)
    return {
        "version": lenstools.__version__,
        "ell": ell.tolist(),
        "power": power.tolist(),
        "peaks": peaks.tolist(),
        "thresholds": (middle / SIGMA).tolist(),
        "minkowski": [v0.tolist(), v1.tolist(), v2.tolist()],
    }


def _powerbox(kappa: NDArray[np.float64]) -> dict[str, Any]:
    import powerbox

    found = powerbox.get_power(kappa, boxlength=np.radians(DEGREES), bins=np.array(EDGES))
    return {
        "version": powerbox.__version__,
        "power": found.power.tolist(),
        "ell": found.bin_avg.tolist(),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    record = {
        "command": "python benchmarks/lensing_peers.py --out tests/apps/lensing/peers.json",
        "numpy": np.__version__,
        "python": sys.version.split()[0],
        "lenstools": [_lenstools(kappa) for kappa in maps()],
        "powerbox": [_powerbox(kappa) for kappa in maps()],
    }
    out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
