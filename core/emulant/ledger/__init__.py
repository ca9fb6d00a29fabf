"""Known-answer checks: every method shown to do what its paper says.

Each file holds the experiments of one family of methods and a tuple ``CHECKS``; the command
``emulant check`` finds the file by its existing.
"""

from emulant.ledger.check import Check, Measure, Outcome, discover, select

__all__ = ["Check", "Measure", "Outcome", "discover", "select"]
