"""What every test process has in common."""

import os
import signal

# One thread a process: results must not depend on how many, and shared machines stay usable.
for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(library, "1")  # before torch and numpy are imported

# Who starts the tests in the background may have told them to ignore Ctrl-C, which some send.
signal.signal(signal.SIGINT, signal.default_int_handler)
