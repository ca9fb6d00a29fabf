"""The user's mistakes, and the exit codes of every command.

A mistake that a file or a flag can cause is an :class:`InputError`: its message names the
file, row or field and says what to do. The command line prints it as one line and leaves
with ``BAD_INPUT``. A wrong argument inside Python code stays a plain :class:`ValueError`.
"""

from __future__ import annotations

PASS = 0
FAIL = 1
BAD_INPUT = 2
UNDERPOWERED = 3
INTERRUPTED = 130


class InputError(ValueError):
    """A file, row, field or flag that cannot be used; the message says what to do."""
