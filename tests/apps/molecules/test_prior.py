"""The law of the codes: what is told of a row, what is asked, a prior fitted to a model alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import torch_rng
from emulant.train import Optimiser, Plan, fit
from emulant_apps.molecules import corpus
from emulant_apps.molecules.config import SampleConfig, TrainConfig
from emulant_apps.molecules.generate import run_sample
from emulant_apps.molecules.model import load_model
from emulant_apps.molecules.prior import Codes, CodesAndProperties, build_prior, prior_of
from emulant_apps.molecules.sample import CHUNK, Emulator
from emulant_apps.molecules.targets import (
    TARGETS,
    kept_numbers,
    numbers_of,
    target_table,
    target_vector,
)
from emulant_apps.molecules.train import train

NOTHING = np.full(5, np.nan)


def of_one_line() -> tuple[torch.Tensor, torch.Tensor]:
    """Codes in two coordinates that are told by the first property but for a little noise."""
    rng = torch_rng(0, "line")
    y = torch.randn(4000, 5, generator=rng)
    u = torch.stack([y[:, 0], torch.randn(4000, generator=rng)], 1)
    return u + 0.1 * torch.randn(u.shape, generator=rng), y


def test_half_of_the_rows_are_told_nothing() -> None:
    u, y = of_one_line()
    c = CodesAndProperties(u, y, 2000).batch(0, torch_rng(0, "batch")).c
    assert c is not None
    told = torch.isfinite(c)
    assert float(told.any(1).float().mean()) == pytest.approx(0.5 * (1 - 0.5**5), abs=0.04)
    assert float(told.float().mean()) == pytest.approx(0.25, abs=0.03)


def test_what_is_asked_is_obtained_and_what_is_not_is_integrated_out() -> None:
    u, y = of_one_line()
    flow = build_prior(2, 0, (y.mean(0), y.std(0)), width=48)
    plan = Plan({"field": Optimiser(3e-3)}, steps=500, schedule="cosine", seed=0)
    fit(flow, CodesAndProperties(u, y, 256), plan, progress=lambda *_: None)
    codes = Codes(flow.eval(), torch.zeros(2), torch.ones(2))
    rng = torch_rng(0, "draws")
    free = codes.draw(2000, rng)
    assert float(free[:, 0].mean()) == pytest.approx(0, abs=0.15)
    assert float(free[:, 0].std()) == pytest.approx(1, abs=0.15)
    asked = codes.draw(2000, rng, np.array([1.0, *NOTHING[1:]]))
    assert float(asked[:, 0].mean()) == pytest.approx(1, abs=0.15)
    assert float(asked[:, 0].std()) < 0.4
    assert float(asked[:, 1].std()) == pytest.approx(1, abs=0.15)
    other = codes.draw(2000, rng, np.array([np.nan, 1.0, *NOTHING[2:]]))  # says nothing of the code
    assert float(other[:, 0].std()) == pytest.approx(1, abs=0.2)
    again = prior_of(2, flow.field.state_dict())
    x = torch_rng(1, "same")
    assert torch.equal(again.sample(3, x, y[:3]), flow.sample(3, torch_rng(1, "same"), y[:3]))


def test_a_prior_without_properties_refuses_to_be_asked() -> None:
    codes = Codes(build_prior(4, width=8), torch.zeros(4), torch.ones(4))
    assert codes.draw(3, torch_rng(0, "plain")).shape == (3, 4)
    with pytest.raises(InputError, match="--preset prior"):
        codes.draw(3, torch_rng(0, "plain"), np.array([300.0, *NOTHING[1:]]))


def test_the_prior_of_a_model_is_fitted_anew_alone(tmp_path: Path) -> None:
    data = tmp_path / "a.smi"
    data.write_text("\n".join(corpus.test_set()[:200]) + "\n")
    first, second = tmp_path / "first", tmp_path / "second"
    more = {"data": data, "steps": 3, "rare": 1, "device": "cpu", "workers": 1}
    with pytest.raises(InputError, match="needs --start"):
        train(TrainConfig(out=second, preset="prior", **more))  # type: ignore[arg-type]  # mixed
    train(TrainConfig(out=first, **more))  # type: ignore[arg-type]  # mixed
    train(TrainConfig(out=second, preset="prior", start=first, **more))  # type: ignore[arg-type]  # mixed
    old, new = load_model(first), load_model(second)
    for name, value in old.vae.state_dict().items():
        assert torch.equal(value, new.vae.state_dict()[name])
    assert old.codes is not None
    assert new.codes is not None
    assert not torch.equal(old.codes.mean, new.codes.mean)  # other codes were drawn
    assert new.provenance is not None
    assert new.provenance.weights == old.content
    emulator = Emulator(new)
    rows = np.full((CHUNK + 3, 5), np.nan)
    rows[:, 0] = 300
    asked = emulator.sample(CHUNK + 3, 0, asked=rows)
    assert asked.strings == emulator.sample(CHUNK + 3, 0, asked=rows[0], workers=2).strings
    assert len(asked.strings) == CHUNK + 3


def test_vectors_and_tables_of_what_is_asked() -> None:
    assert target_vector({}) is None
    vector = target_vector({"logp": 2.5})
    assert vector is not None
    assert np.isnan(vector).tolist() == [True, False, True, True, True]
    numbers = numbers_of(["CC(=O)Oc1ccccc1C(=O)O", "C1CC"])
    assert numbers[0, 0] == pytest.approx(180.16, abs=0.01)
    assert np.isnan(numbers[1]).all()
    table = target_table(vector, ["CC(=O)Oc1ccccc1C(=O)O", "C1CC"], 1)
    assert [line.split()[0] for line in table.splitlines()[1:]] == list(TARGETS)
    assert "2.5" in table


def test_properties_are_kept_for_a_run_that_is_resumed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same molecules are not computed twice; other molecules are."""
    file = tmp_path / "run" / "properties.npz"
    numbers = kept_numbers(["CCO", "c1ccccc1"], file)
    assert np.array_equal(numbers, numbers_of(["CCO", "c1ccccc1"]))
    assert "properties: done" in capfd.readouterr().err
    assert np.array_equal(kept_numbers(["CCO", "c1ccccc1"], file), numbers)
    assert capfd.readouterr().err == ""
    assert np.array_equal(kept_numbers(["CCN"], file), numbers_of(["CCN"]))


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sa: must be at least 1"):
        SampleConfig(out=tmp_path / "a.csv", sa=0.5)
    with pytest.raises(InputError, match="--prior normal: knows of no properties"):
        run_sample(SampleConfig(out=tmp_path / "a.csv", prior="normal", qed=0.9))
