"""Emulant: generative emulators for science that prove their likeness."""

from importlib.metadata import version

__version__ = version("emulant")
