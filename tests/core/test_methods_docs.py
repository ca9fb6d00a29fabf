"""The page on methods names every method there is, and what it shows runs."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import emulant.methods
from emulant.methods import Method

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="docs are not part of the wheel")


def files_of_methods():
    """The files that define a method, a base class apart."""
    for found in pkgutil.iter_modules(emulant.methods.__path__):
        module = importlib.import_module(f"emulant.methods.{found.name}")
        own = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
        if any(isinstance(v, type) and issubclass(v, Method) for v in own):
            yield f"{found.name}.py"


def test_every_method_is_on_the_page():
    text = PAGE.read_text("utf-8")
    missing = [name for name in files_of_methods() if f"`{name}`" not in text]
    assert missing in ([], ["game.py"])


def test_every_link_of_the_page_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text("utf-8"))
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    scope: dict[str, object] = {}
    exec(example.replace("steps=500", "steps=5"), scope)
    assert scope["samples"].shape == (1000, 2)
