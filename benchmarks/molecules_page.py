"""Where the benchmarks of molecules write their tables: between two marks of a page."""

from pathlib import Path


def write_block(page: Path | None, mark: str, text: str) -> None:
    """Print ``text``, and put it between ``<!-- mark -->`` and ``<!-- /mark -->`` of a page."""
    print(text)
    if page is None:
        return
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, rest = page.read_text(encoding="utf-8").split(begin, 1)
    _, tail = rest.split(end, 1)
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")
