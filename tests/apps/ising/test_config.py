"""Flags: what cannot be asked is refused in one line that names the flag."""

import dataclasses
import inspect
import math
from pathlib import Path

import pytest

from emulant.errors import InputError
from emulant_apps.ising import config
from emulant_apps.ising.config import (
    CRITICAL,
    BenchConfig,
    ExactConfig,
    SampleConfig,
    SimulateConfig,
    TrainConfig,
    ValidateConfig,
)

OUT = {"out": Path("made.npz")}
CONFIGS = [SimulateConfig, TrainConfig, SampleConfig, ValidateConfig, ExactConfig, BenchConfig]


def test_critical_temperature_is_where_the_dual_lattices_meet():
    assert math.sinh(2 / CRITICAL) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_is_documented_and_frozen(kind):
    assert kind.__dataclass_params__.frozen
    source = inspect.getsource(kind)
    for field in dataclasses.fields(kind):
        after = source.split(f"\n    {field.name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""'), field.name


@pytest.mark.parametrize(
    ("kind", "flags", "flag"),
    [
        (SimulateConfig, OUT | {"lattice": 31}, "--lattice"),
        (SimulateConfig, OUT | {"lattice": 2}, "--lattice"),
        (SimulateConfig, OUT | {"temperatures": ()}, "--temperatures"),
        (SimulateConfig, OUT | {"temperatures": (2.0, 0.0)}, "--temperatures"),
        (SimulateConfig, OUT | {"temperatures": (-1.0,)}, "--temperatures"),
        (SimulateConfig, OUT | {"temperatures": (math.nan,)}, "--temperatures"),
        (SimulateConfig, OUT | {"temperatures": (2.0, 2.0)}, "--temperatures"),
        (SimulateConfig, OUT | {"count": 0}, "--count"),
        (SimulateConfig, OUT | {"seed": -1}, "--seed"),
        (SimulateConfig, OUT | {"workers": 0}, "--workers"),
        (SimulateConfig, OUT | {"field": math.inf}, "--field"),
        (SimulateConfig, OUT | {"field": 0.1}, "--field"),
        (SampleConfig, OUT | {"sweeps": -1}, "--sweeps"),
        (SampleConfig, OUT | {"count": 0}, "--count"),
        (SampleConfig, OUT | {"lattice": 33}, "--lattice"),
        (SampleConfig, OUT | {"temperatures": (0.0,)}, "--temperatures"),
        (TrainConfig, OUT | {"minutes": 0.0}, "--minutes"),
        (TrainConfig, OUT | {"steps": 0}, "--steps"),
        (TrainConfig, OUT | {"lattices": ()}, "--lattices"),
        (TrainConfig, OUT | {"lattices": (15,)}, "--lattices"),
        (ValidateConfig, OUT | {"states": Path("a.npz"), "reference": 5}, "--reference"),
        (ValidateConfig, OUT | {"states": Path("a.npz"), "temperatures": (0.0,)}, "--temp"),
        (ExactConfig, {"lattice": 7}, "--lattice"),
        (BenchConfig, {"lattice": (7,)}, "--lattice"),
        (BenchConfig, {"seconds": 0.0}, "--seconds"),
        (BenchConfig, {"count": 5}, "--count"),
    ],
)
def test_impossible_flag_is_named(kind, flags, flag):
    with pytest.raises(InputError, match=flag) as caught:
        kind(**flags)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["swendsen-wang", "heat-bath", "metropolis"])
def test_a_field_is_allowed_but_for_wolff(algorithm):
    assert config.SimulateConfig(**OUT, field=0.1, algorithm=algorithm).field == 0.1
