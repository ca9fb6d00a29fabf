"""Training from a file: it learns, resumes bit for bit, and refuses what it cannot use."""

from pathlib import Path

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import torch_rng
from emulant_apps.ising.bank import Bank
from emulant_apps.ising.config import TrainConfig
from emulant_apps.ising.data import simulate, write_states
from emulant_apps.ising.model import Sizes, build, load_model
from emulant_apps.ising.sample import Emulator
from emulant_apps.ising.train import PRESETS, train
from emulant_apps.ising.weights import effective_sample_size

TEMPERATURES = (2.0, 2.4, 3.0)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("states") / "truth.npz"
    write_states(file, simulate(8, TEMPERATURES, 1500, seed=1))
    return file


def test_a_short_training_reaches_the_truth_at_an_unseen_temperature(
    states: Path, tmp_path: Path
) -> None:
    out = train(TrainConfig(out=tmp_path / "run", data=states, steps=150, preset="quick"))
    drawn = Emulator.load(out).sample([2.2], count=4000, lattice=8, seed=5, sweeps=0)
    assert drawn.log_weight is not None
    assert effective_sample_size(drawn.log_weight)[0] > 0.9
    untrained = build(Sizes("hierarchical", (8,)))
    c = torch.tensor([[2.2, 8.0]]).expand(2000, 2)
    with torch.no_grad():
        s = untrained.draw(2000, torch_rng(0), c)
        ln_w = -untrained.log_prob(s, c).numpy()
    assert effective_sample_size(ln_w[None])[0] < 0.5


@pytest.mark.parametrize("preset", ["full", "adversarial", "dcgan"])
def test_every_preset_trains_resumes_and_loads(preset: str, states: Path, tmp_path: Path) -> None:
    whole = TrainConfig(out=tmp_path / "whole", data=states, steps=2, preset=preset)  # type: ignore[arg-type] # a Literal
    train(whole)
    model = load_model(whole.out)
    assert model.lattices == (8,)
    assert model.temperature_range == (2.0, 3.0)
    assert model.exact_density == (preset == "full")
    last = [name for name in ("likelihood", "adversarial") if (whole.out / name).exists()]
    assert last == [n for n in ("likelihood", "adversarial") if getattr(PRESETS[preset], n).steps]
    again = train(TrainConfig(out=whole.out, data=states, steps=2, preset=preset, resume=True))  # type: ignore[arg-type] # a Literal
    assert load_model(again).content == model.content


def test_a_bank_gives_groups_of_one_temperature_and_one_side() -> None:
    spins = {
        8: simulate(8, TEMPERATURES, 20, seed=1).spins,
        16: simulate(16, TEMPERATURES, 20).spins,
    }
    bank = Bank(TEMPERATURES, spins, spins_per_batch=4096, groups=4)
    for step, side in ((0, 8), (1, 16), (2, 8)):
        batch = bank.batch(step, torch_rng(step))
        assert batch.c is not None
        rows = 4096 // side**2
        assert batch.x.shape == (rows, 1, side, side)
        assert set(batch.x.unique().tolist()) == {-1.0, 1.0}
        assert (batch.c[:, 1] == side).all()
        groups = batch.c[:, 0].reshape(4, -1)
        assert (groups == groups[:, :1]).all()


def test_a_bank_moves_states_only_by_symmetries() -> None:
    from emulant_apps.ising.hamiltonian import energies

    spins = simulate(8, (2.3,), 4, seed=2).spins
    known = {round(float(e), 9) for e in energies(spins[0])}
    batch = Bank((2.3,), {8: spins}, 8 * 64, groups=1).batch(0, torch_rng(0))
    drawn = energies(batch.x[:, 0].numpy().astype(np.int8))
    assert {round(float(e), 9) for e in drawn} <= known


def test_what_cannot_be_trained_is_refused(states: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has side 8"):
        train(TrainConfig(out=tmp_path / "a", data=states, lattices=(16,)))
    with pytest.raises(InputError, match="draws 8, 16, 32"):
        train(TrainConfig(out=tmp_path / "b", lattices=(12,)))
    with pytest.raises(InputError, match="draws one side"):
        train(TrainConfig(out=tmp_path / "c", lattices=(8, 16), preset="dcgan"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="holds files already"):
        train(TrainConfig(out=tmp_path / "full", data=states))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]
    with pytest.raises(InputError, match="no weights there"):
        load_model(tmp_path / "full")


def test_damaged_weights_are_named(states: Path, tmp_path: Path) -> None:
    out = train(TrainConfig(out=tmp_path / "run", data=states, steps=1))
    file = out / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-7] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load_model(out)
