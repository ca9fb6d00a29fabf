"""Peak memory of commands that write many samples, in parts and in one file.

    python benchmarks/scale_memory.py --docs docs/scale.md [--full]

Each command runs in a process of its own, whose largest resident memory the kernel reports. Without
``--full`` the numbers are a tenth of 1,000,000 molecules and 100,000 maps.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from emulant.tables import markdown
from pages import insert


def peak(words: list[str]) -> tuple[float, float]:
    """Return GiB and CPU seconds of ``emulant`` with these words."""
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "emulant", *words, "--workers", "1"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"emulant {' '.join(words)}: {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 2**20, usage.ru_utime + usage.ru_stime


def size_of(place: Path) -> float:
    """Return the MiB of a file or of a directory's files."""
    files = [place] if place.is_file() else list(place.iterdir())
    return sum(file.stat().st_size for file in files) / 2**20


def main() -> None:
    """Print one row a command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="a million molecules, 100,000 maps")
    parser.add_argument("--docs", type=Path, default=None, help="page that gets the table")
    asked = parser.parse_args()
    most = 10 if asked.full else 1
    judged, maps = ["molecules", "sample", "--prior", "flow"], ["lensing", "sample"]
    raw = [*judged, "--raw"]
    rows = []
    for words, count, part, suffix in (
        (raw, 10_000, None, ".csv"),
        (raw, 10_000, 5_000, ""),
        (raw, 100_000 * most, 5_000, ""),
        (judged, 2_000, 2_000, ""),
        (judged, 10_000 * most, 2_000, ""),
        (maps, 10_000, None, ".h5"),
        (maps, 1_000, 1_000, ""),
        (maps, 10_000 * most, 1_000, ""),
    ):
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / f"out{suffix}"
            flags = [] if part is None else ["--per-file", str(part)]
            started = time.monotonic()
            memory, spent = peak([*words, "--count", str(count), *flags, "--out", str(out)])
            said = " ".join([*words, "--count", f"{count:,}", *flags])
            rows.append((said, f"{memory:.2f}", f"{size_of(out):.0f}", f"{spent:.0f}"))
            sys.stderr.write(f"{said}: {memory:.2f} GiB, {time.monotonic() - started:.0f} s\n")
    head = ("`emulant` ...", "peak memory, GiB", "written, MiB", "CPU s")
    command = "scale_memory.py" + (" --full" if asked.full else "")
    insert(asked.docs, "memory", "Memory", command, markdown(head, rows))


if __name__ == "__main__":
    main()
