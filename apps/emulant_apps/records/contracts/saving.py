"""Fitted estimators as arrays and JSON, and back, without pickle.

An estimator is what its class and its attributes are. Attributes that are arrays go into a
safetensors file under their path ("pair_.raw.mean"); everything else must be JSON, a record of
this application, or one of the few scikit-learn classes of ``KNOWN``. Reading makes empty objects
of those classes and fills their attributes; no code that a file names is ever run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn asks for it
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.impute._iterative import _ImputerTriplet
from sklearn.linear_model import BayesianRidge, LogisticRegression

from emulant.errors import InputError
from emulant_apps.records.contracts.adversarial import ACGANClassifier
from emulant_apps.records.contracts.baselines import (
    BlendedClassifier,
    BoostedClassifier,
    IndicatorLogistic,
)
from emulant_apps.records.contracts.chained import ChainedEquationsImputer, MatchedMeans
from emulant_apps.records.contracts.hybrid import HybridImputer, Pair
from emulant_apps.records.contracts.networks import (
    GAINImputer,
    MIWAEImputer,
    StackedDenoisingImputer,
)
from emulant_apps.records.contracts.restorers import Restorers
from emulant_apps.records.contracts.simple import ImputedClassifier, MeanImputer
from emulant_apps.records.copula import Quantiles
from emulant_apps.records.encoding import Encoding
from emulant_apps.records.gaussian import Gaussian
from emulant_apps.records.selection import Tilt
from emulant_apps.records.trees import Forest

__all__ = ["dump", "load"]

Arrays = dict[str, NDArray[Any]]

KNOWN: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        ACGANClassifier, BayesianRidge, BlendedClassifier, BoostedClassifier,
        ChainedEquationsImputer, Encoding, Forest, GAINImputer, Gaussian, HybridImputer,
        ImputedClassifier, IndicatorLogistic, IterativeImputer, LogisticRegression,
        MIWAEImputer, MatchedMeans, MeanImputer, Pair, Quantiles, Restorers, SimpleImputer,
        StackedDenoisingImputer, Tilt, _ImputerTriplet,
    )
}  # fmt: skip


def dump(value: Any) -> tuple[Any, Arrays]:
    """Return the JSON record and the arrays of a fitted estimator.

    Raises
    ------
    ValueError
        It holds something that cannot be written.
    """
    arrays: Arrays = {}
    return _dumped(value, "model", arrays), arrays


def load(record: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return the estimator of :func:`dump`.

    Raises
    ------
    InputError
        The record names what no model of this application holds.
    """
    try:
        return _loaded(record, arrays)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"the model's record is damaged ({type(error).__name__})") from None


def _dumped(value: Any, path: str, arrays: Arrays) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"=": "number", "of": str(value)}  # JSON has no word for it
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype == object or value.dtype.kind in "US":
            return {"=": "texts", "of": [str(v) for v in value.tolist()]}
        arrays[path] = value
        return {"=": "array", "of": path}
    if isinstance(value, np.random.RandomState):
        state: Any = value.get_state(legacy=False)
        arrays[path] = np.asarray(state["state"]["key"], dtype=np.int64)
        return {"=": "chance", "of": path, "place": int(state["state"]["pos"])}
    if isinstance(value, np.dtype):
        return {"=": "dtype", "of": value.str}
    if type(value).__name__ in KNOWN:
        return {
            "=": type(value).__name__,
            "of": {
                name: _dumped(part, f"{path}.{name}", arrays)
                for name, part in sorted(_parts(value).items())
            },
        }
    if isinstance(value, list | tuple):
        items = [_dumped(v, f"{path}.{k}", arrays) for k, v in enumerate(value)]
        return {"=": "tuple", "of": items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {
            "=": "dict",
            "of": {str(k): _dumped(v, f"{path}.{k}", arrays) for k, v in sorted(value.items())},
        }
    raise ValueError(f"'{path}' cannot be saved: {type(value).__name__}")


def _parts(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):  # scikit-learn's triplet
        return dict(value._asdict())  # type: ignore[attr-defined]  # a named tuple
    return dict(vars(value))


def _loaded(record: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(record, list):
        return [_loaded(v, arrays) for v in record]
    if not isinstance(record, dict):
        return record
    kind, of = record["="], record["of"]
    if kind == "array":
        return np.array(arrays[of])
    if kind == "number":
        return float(of)
    if kind == "texts":
        return np.array(of, dtype=object)
    if kind == "chance":
        chance = np.random.RandomState(0)
        state: Any = chance.get_state(legacy=False)
        state["state"] = {"key": arrays[of].astype(np.uint32), "pos": record["place"]}
        chance.set_state(state)
        return chance
    if kind == "dtype":
        return np.dtype(of)
    if kind == "tuple":
        return tuple(_loaded(v, arrays) for v in of)
    if kind == "dict":
        return {k: _loaded(v, arrays) for k, v in of.items()}
    if kind not in KNOWN:
        raise InputError(f"the model holds a '{kind}', which this version does not know")
    parts = {name: _loaded(part, arrays) for name, part in of.items()}
    cls = KNOWN[kind]
    if dataclasses.is_dataclass(cls) or issubclass(cls, tuple):
        return cls(**parts)
    made = cls.__new__(cls)
    vars(made).update(parts)
    return made
