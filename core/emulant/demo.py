"""``emulant demo``: every application on one page, generated beside true."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emulant.app import App, discover, load, resolve
from emulant.errors import PASS, InputError
from emulant.progress import Progress
from emulant.store import current, new_directory, plain, write_json

if TYPE_CHECKING:
    from emulant.certify.page import Section

__all__ = ["DemoConfig", "run"]


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Show every application on one page."""

    out: Path = Path("demo")
    """Directory for index.html and results.json; it must not exist or must be empty."""
    seed: int = 0
    """Parent of every random choice."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"--seed: must be at least 0, got {self.seed}")


def run(config: DemoConfig) -> int:
    """Write ``index.html`` and ``results.json`` to ``config.out`` and say where they are."""
    from emulant.certify.page import Page  # here, so that the help need not wait

    directory = new_directory(config.out)
    shown = [app for app in map(load, (found.name for found in discover())) if app.demo]
    sections: list[Section] = []
    with Progress("demo", len(shown)) as progress:
        for app in shown:
            sections.append(resolve(str(app.demo))(config.seed))
            progress.advance(note=app.name)
    provenance = plain(current("demo", config, config.seed))
    page = Page(
        "Emulant: what its emulators draw, beside the truth",
        sections,
        provenance,
        "Every number below was computed just now, from the weights that came with the package.",
    )
    results = [_result(app, section) for app, section in zip(shown, sections, strict=True)]
    write_json(directory / "results.json", {"applications": results, "provenance": provenance})
    page.write(directory / "index.html")
    sys.stdout.write("".join(f"{r['application']}: {r['headline']}\n" for r in results))
    sys.stdout.write(f"page: {directory / 'index.html'}\n")
    return PASS


def _result(app: App, section: Section) -> dict[str, object]:
    """Return what the page says of ``app``, without the pictures."""
    return {
        "application": app.name,
        "question": app.question,
        "verdict": section.verdict,
        "headline": section.headline,
        "lead": section.lead,
        "tables": [
            {
                "caption": table.caption,
                "head": table.head,
                "rows": [[getattr(cell, "text", cell) for cell in row] for row in table.rows],
            }
            for table in section.tables
        ],
        "next": section.next_command,
    }
