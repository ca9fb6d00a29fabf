"""One thread a process: results must not depend on how many, and shared machines stay usable."""

import os

for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(library, "1")  # before torch and numpy are imported
