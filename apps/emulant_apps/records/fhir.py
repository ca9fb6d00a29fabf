"""FHIR R4 bundles (.json, or a folder, .zip or .tar.gz of them) as a cohort.

Read are Patient, Observation with a valueQuantity (also those of its components), and Condition.
https://hl7.org/fhir/R4/
"""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emulant.errors import InputError
from emulant_apps.records.cohort import Cohort, Person, day_of
from emulant_apps.records.series import Events

__all__ = ["read_fhir"]


def read_fhir(path: Path) -> Cohort:
    """Return persons, measured quantities and conditions of all bundles.

    Raises
    ------
    InputError
        A file is no JSON, no bundle of R4, or there is no patient.
    """
    persons: dict[str, Person] = {}
    measured: list[tuple[str, str, float, float]] = []
    conditions: list[tuple[str, str, float, float]] = []
    for name, text in _texts(path):
        for resource in _resources(path, name, text):
            kind = resource.get("resourceType")
            if kind == "Patient":
                death = resource.get("deceasedDateTime")
                persons[str(resource.get("id"))] = Person(
                    resource.get("gender"), day_of(resource.get("birthDate")), day_of(death)
                )
            elif kind == "Observation":
                measured += _quantities(resource)
            elif kind == "Condition":
                day = day_of(resource.get("onsetDateTime") or resource.get("recordedDate"))
                if not np.isnan(day):
                    conditions.append((_subject(resource), _word(resource.get("code")), day, 1.0))
    if not persons:
        raise InputError(f"{path}: holds no FHIR Patient; name bundles of R4")
    place = {p: k for k, p in enumerate(persons)}
    return Cohort(list(persons.values()), _events(place, measured), _events(place, conditions))


def _texts(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield file.name, file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json") and "__MACOSX" not in name:
                    yield name, archive.read(name)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as tape:
            for member in sorted(tape.getmembers(), key=lambda m: m.name):
                opened = tape.extractfile(member) if member.isfile() else None
                if opened is not None and member.name.endswith(".json"):
                    yield member.name, opened.read()
    else:
        yield path.name, path.read_bytes()


def _resources(path: Path, name: str, text: bytes) -> Iterator[dict[str, Any]]:
    try:
        bundle = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: {Path(name).name}: is not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise InputError(f"{path}: {Path(name).name}: is no FHIR bundle")
    for entry in bundle.get("entry") or []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _quantities(resource: dict[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    day = day_of(resource.get("effectiveDateTime") or resource.get("issued"))
    if np.isnan(day) or resource.get("status") in ("entered-in-error", "cancelled"):
        return
    for part in (resource, *(resource.get("component") or [])):
        quantity = part.get("valueQuantity") or {}
        value = quantity.get("value")
        if isinstance(value, int | float) and not isinstance(value, bool):
            unit = quantity.get("unit")
            thing = _word(part.get("code")) + (f" [{unit}]" if unit else "")
            yield _subject(resource), thing, day, float(value)


def _subject(resource: dict[str, Any]) -> str:
    reference = str((resource.get("subject") or {}).get("reference") or "")
    return reference.rpartition(":")[2].rpartition("/")[2]


def _word(code: Any) -> str:
    code = code or {}
    codings = code.get("coding") or [{}]
    return str(code.get("text") or codings[0].get("display") or codings[0].get("code") or "unnamed")


def _events(place: dict[str, int], found: list[tuple[str, str, float, float]]) -> Events:
    things: dict[str, int] = {}
    rows = [
        (place[p], things.setdefault(t, len(things)), day, value)
        for p, t, day, value in found
        if p in place
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Events(
        tuple(place), tuple(things), table[:, 0].astype(np.int64), table[:, 1].astype(np.int64),
        table[:, 2], table[:, 3],
    )  # fmt: skip
