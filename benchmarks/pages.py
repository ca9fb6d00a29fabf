"""Where the benchmarks write their tables: between two marks of a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from emulant.store import read_text, write_text

__all__ = ["arguments", "insert", "write_block"]


def write_block(page: Path | None, mark: str, text: str) -> None:
    """Print ``text``, and put it between ``<!-- mark -->`` and ``<!-- /mark -->`` of a page."""
    print(text, flush=True)
    if page is None:
        return
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before = read_text(page)
    if start not in before or end not in before:
        raise SystemExit(f"{page}: has no place {start} ... {end}")
    head, rest = before.split(start, 1)
    write_text(page, f"{head}{start}\n{text.rstrip()}\n{end}{rest.split(end, 1)[1]}")


def insert(docs: Path | None, mark: str, title: str, command: str, table: str) -> None:
    """Print a table, and put it with its title and command at its mark in ``docs``."""
    write_block(docs, mark, f"### {title}\n\n`python benchmarks/{command}`\n\n{table}\n")


def arguments(description: str, count: int) -> argparse.ArgumentParser:
    """Return the flags of a benchmark that draws ``count`` things from a model."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--docs", type=Path)
    return parser
