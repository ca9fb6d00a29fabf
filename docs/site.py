"""What ``mkdocs`` needs beyond the pages of this folder: those that live elsewhere.

The README becomes the first page, CONTRIBUTING and CHANGELOG pages of their own, model cards and
data cards pages under ``cards``, and each public package a page of its docstrings under ``api``.
Links are turned to where a file is on the site; a link to a file that is no page loses its link
and keeps its words.
"""

from __future__ import annotations

import functools
import importlib
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
API = {
    "ising": "emulant_apps.ising",
    "lensing": "emulant_apps.lensing",
    "molecules": "emulant_apps.molecules",
    "records": "emulant_apps.records",
    "certify": "emulant.certify",
    "methods": "emulant.methods",
    "train": "emulant.train",
    "nets": "emulant.nets",
    "store": "emulant.store",
}
ROLE = re.compile(r":[a-z]+:<code>(?:~[\w.]*\.)?([^<]*)</code>")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie outside of the folder."""
    pages = _pages()
    for source, page in pages.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/images/", "](images/")
        text = _turned(text, posixpath.dirname(source), page, pages)
        files.append(File.generated(config, page, content=text))
    for name, package in API.items():
        text = f"# `{package}`\n\n::: {package}\n    options:\n      show_root_heading: false\n"
        text += "".join(f"\n::: {place}\n" for place in _lazy(package))
        files.append(File.generated(config, f"api/{name}.md", content=text))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Show a role of a docstring, such as a class's, as the bare name."""
    return ROLE.sub(r"<code>\1</code>", html)


def _lazy(package: str) -> list[str]:
    """Return where the names lie that an application imports when they are first asked for."""
    homes = getattr(importlib.import_module(package), "_HOMES", {})
    return [f"{package}.{room}.{name}" for name, room in homes.items() if room != name]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of the folder's own pages."""
    if page.file.generated_by is not None:
        return markdown
    here = posixpath.dirname(f"docs/{page.file.src_uri}")
    return _turned(markdown, here, page.file.src_uri, _pages())


@functools.cache
def _pages() -> dict[str, str]:
    """Return where each file of the repository that becomes a page lies on the site."""
    pages = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
    pages["CHANGELOG.md"] = "changelog.md"
    for card in sorted(ROOT.glob("apps/emulant_apps/*/pretrained/README.md")):
        pages[card.relative_to(ROOT).as_posix()] = f"cards/model-{card.parts[-3]}.md"
    for card in sorted(ROOT.glob("datasets/*/README.md")):
        pages[card.relative_to(ROOT).as_posix()] = f"cards/data-{card.parts[-2]}.md"
    return pages


def _turned(text: str, here: str, page: str, pages: dict[str, str]) -> str:
    """Return ``text`` with every link to a file of the repository turned to the site."""

    def turn(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(here, target))
        inside = path.removeprefix("docs/") if path.startswith("docs/") else None
        known = pages.get(path, inside)
        if known is None or not known.endswith((".md", ".png", ".svg")):
            return words
        return f"[{words}]({posixpath.relpath(known, posixpath.dirname(page) or '.')}{anchor})"

    return LINK.sub(turn, text)
