"""The known answers as a table: what each check found over its seeds.

    emulant check --seeds 20 --out ledger --resume      # stop and go on as you like
    python benchmarks/ledger_table.py ledger --docs docs/methods.md

Several directories may be named: trials of one check by the same code are put together, and where
the codes differ the directory named last is believed. A dagger marks checks whose code has changed
since they were run (a picture is enough), a dash a quantity that is reported and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import tyro
from tyro.conf import Positional

from emulant.ledger import Check, discover
from emulant.ledger.check import Measure
from emulant.ledger.fingerprint import fingerprint
from emulant.ledger.page import allowed, number
from emulant.ledger.record import Record, Trial
from emulant.store import read_json
from emulant.tables import markdown
from pages import insert

HEAD = ("check", "method", "quantity", "expected", "median", "worst", "seeds", "CPU s")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Table the results of `emulant check --out`."""

    directories: Positional[tuple[Path, ...]]
    """Directories with a results.json."""
    docs: Path | None = None
    """File whose lines between '<!-- ledger -->' and '<!-- /ledger -->' become the table."""


def gather(directories: tuple[Path, ...], checks: dict[str, Check]) -> list[Record]:
    """Return the records of all directories, in the order of the checks."""
    found: dict[str, Record] = {}
    for directory in directories:
        for row in read_json(directory / "results.json")["checks"]:
            if row["check"] not in checks:
                continue
            trials = {t["seed"]: Trial.from_json(t) for t in row["trials"]}
            before = found.get(row["check"])
            if before is not None and before.code == row["code"]:
                trials = {t.seed: t for t in before.trials} | trials
            ordered = tuple(trials[seed] for seed in sorted(trials))
            found[row["check"]] = Record(checks[row["check"]], ordered, row["code"])
    return [found[name] for name in checks if name in found]


def rows(record: Record) -> list[tuple[str, ...]]:
    """Return the lines of one check, one a quantity."""
    lines = []
    trials = record.trials
    ended = [trial for trial in trials if not trial.trouble]
    old = "" if record.code == fingerprint(record.check) else " †"
    first = (f"`{record.check.name}`{old}", record.check.method)
    for k, (worst, held) in enumerate(record.worst_measures()):
        values = [trial.outcome.measures[k].got for trial in ended]
        judged = worst.tolerance is not None
        name, method = first if k == 0 else ("", "")
        seeds = f"{held}/{len(trials)}" if judged else "–"
        cost = f"{fmean(t.seconds for t in trials):.0f}" if k == 0 else ""
        got = number(worst.got) if judged else "–"
        cells = (name, method, worst.quantity, due(worst), number(median(values)), got, seeds, cost)
        lines.append(cells)
    whole = f"**{record.held}/{len(trials)}**"
    lines[0] = (*lines[0][:6], f"{lines[0][6]} ({whole})" if len(lines) > 1 else whole, lines[0][7])
    return lines


def due(measure: Measure) -> str:
    """Return the known answer with its tolerance."""
    sign = {"=": "", "<=": "≤ ", ">=": "≥ "}[measure.sense]
    if measure.tolerance is None:
        return number(measure.expected)
    if measure.sense == "=" or measure.tolerance == 0:
        shown = f" {allowed(measure)}" if measure.tolerance else ""
        return f"{sign}{number(measure.expected)}{shown}"
    bound = measure.tolerance if measure.sense == "<=" else -measure.tolerance
    return f"{sign}{number(measure.expected + bound)}"


def summary(records: list[Record]) -> str:
    """Return one line on all checks together."""
    seconds = sum(record.seconds for record in records)
    dear = max(records, key=lambda record: record.seconds)
    target = [r for r in records if len(r.trials) >= 20]
    met = sum(r.held >= 0.95 * len(r.trials) for r in target)
    return (
        f"{len(records)} checks, together {seconds / 60:.1f} CPU minutes a seed, the dearest "
        f"`{dear.check.name}` with {dear.seconds:.0f} s (measured on a machine that was busy). "
        f"Of the {len(target)} that were run on 20 seeds {met} pass on at least 19 of them; "
        "the bold share is that of seeds on which the whole check passes."
    )


def main(settings: Settings) -> None:
    """Print the table, and write it to the page where one is named."""
    records = gather(settings.directories, {check.name: check for check in discover()})
    lines: list[tuple[str, ...]] = [line for record in records for line in rows(record)]
    claims: list[tuple[str, ...]] = [(f"`{r.check.name}`", r.check.claim) for r in records]
    notes = (
        "† run before the last change of the check's code. – reported, not judged. Where the known "
        "answer depends on the seed's data, that of the worst seed is shown."
    )
    text = "\n".join(
        [summary(records), "", markdown(HEAD, lines), notes, "",
         markdown(("check", "what must be found"), claims)]
    )  # fmt: skip
    command = "ledger_table.py DIRECTORIES --docs docs/methods.md"
    insert(settings.docs, "ledger", "What was found", command, text)


if __name__ == "__main__":
    main(tyro.cli(Settings))
