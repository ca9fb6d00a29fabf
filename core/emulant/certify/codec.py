"""Frozen records to JSON types and back; infinities are the strings "inf" and "-inf"."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

__all__ = ["plain", "revive", "tidy"]


def plain(value: Any) -> Any:
    """Return ``value`` as JSON types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        record = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if hasattr(value, "verdict"):
            record["verdict"] = value.verdict
        return record
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays in a case's context
        return plain(value.tolist())
    if isinstance(value, float):
        return tidy(value) if math.isfinite(value) else str(value)
    return value


def tidy(value: float) -> float:
    """Return ``value`` rounded to twelve significant digits."""
    return float(f"{value:.12g}")


def revive(kind: Any, value: Any) -> Any:
    """Return ``value``, from JSON, as ``kind``."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        fields = [f.name for f in dataclasses.fields(kind)]
        build: Any = kind
        return build(**{name: revive(hints[name], value[name]) for name in fields})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return tuple(revive(arguments[0], item) for item in value)
    if origin in (Union, UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None else revive(inner, value)
    return float(value) if kind is float else value
