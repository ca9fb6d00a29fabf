"""Sampling: seeded chunks, weights that give the exact ln Z, finishing that leads to the truth."""

import itertools
from importlib import resources

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant_apps.ising import sample
from emulant_apps.ising.exact import enumerate_states, kaufman
from emulant_apps.ising.sample import Emulator, ExtrapolationWarning, FreeSpins, finish
from emulant_apps.ising.weights import effective_sample_size, ln_partition, reweighted_mean

U_4X4 = {2.6: -1.298807589477, 2.269185314213022: -1.565623787638}
"""Enumerated energies per spin of the 4×4 lattice."""


@pytest.fixture
def emulator():
    return Emulator(FreeSpins())


def energy(spins):
    bonds = spins * (np.roll(spins, 1, -1) + np.roll(spins, 1, -2))
    return -bonds.sum(axis=(-1, -2)) / spins.shape[-1] ** 2


def test_free_spins_have_the_density_that_they_say():
    generator = FreeSpins().generator(4)
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=16))).view(-1, 1, 4, 4)
    q = generator.log_prob(x, torch.full((len(x), 1), 2.5)).exp()
    assert q.sum().item() == pytest.approx(1.0, abs=1e-6)
    drawn = generator.draw(100_000, torch.Generator().manual_seed(0), torch.full((100_000, 1), 2.5))
    found = energy(drawn[:, 0].numpy()).mean()
    assert found == pytest.approx((q.numpy() * energy(x[:, 0].numpy())).sum(), abs=0.006)


def test_weights_give_ln_z_and_energy_of_the_enumerated_lattice(emulator):
    states = emulator.sample([3.0, 4.0], count=30_000, lattice=4, sweeps=0)
    for k, (t, ln_z) in enumerate(zip([3.0, 4.0], ln_partition(states), strict=True)):
        truth = enumerate_states(4, t)
        assert abs(ln_z.value - truth.log_z) < 4 * ln_z.error
        assert ln_z.error < 0.02
        found = reweighted_mean(energy(states.spins[k]), states.log_weight[k])
        assert abs(found.value - truth.mean(truth.energies)) < 4 * found.error
    assert (effective_sample_size(states.log_weight) > 0.1).all()


def test_log_weight_is_total_energy_over_t_less_ln_q(emulator):
    states = emulator.sample([2.6], count=5, lattice=4, sweeps=0)
    x = torch.tensor(states.spins[0]).float()[:, None]
    ln_q = FreeSpins().generator(4).log_prob(x, torch.full((5, 1), 2.6)).numpy()
    expected = -16 * energy(states.spins[0]) / 2.6 - ln_q
    np.testing.assert_allclose(states.log_weight[0], expected, rtol=1e-6)


def test_finishing_leads_to_the_exact_energy(emulator):
    t = 2.269185314213022
    raw = emulator.sample([t], count=8000, lattice=4, sweeps=0)
    done = emulator.sample([t], count=8000, lattice=4, sweeps=8)
    assert abs(energy(raw.spins).mean() - U_4X4[t]) > 0.2
    assert abs(energy(done.spins).mean() - U_4X4[t]) < 0.02
    assert done.log_weight is None
    assert "density" in done.notes["log_weight"]
    assert done.notes["finished"][:2] == ["swendsen-wang", "heat-bath"]


def test_finishing_leaves_the_truth_true():
    truth = np.ones((4000, 4, 4), dtype=np.int8)
    truth = finish(truth, 2.6, 60, seed=1)
    after = finish(truth, 2.6, 4, seed=2)
    for spins in (truth, after):
        assert energy(spins).mean() == pytest.approx(U_4X4[2.6], abs=0.03)


def test_states_do_not_depend_on_workers_or_company(emulator, monkeypatch):
    monkeypatch.setattr(sample, "CHUNK_SPINS", 64 * 16)
    ask = {"count": 200, "lattice": 4, "seed": 3, "sweeps": 2}
    alone = emulator.sample([2.0, 3.0], **ask, workers=1)
    together = emulator.sample([2.0, 3.0], **ask, workers=2)
    single = emulator.sample([3.0], **ask)
    np.testing.assert_array_equal(alone.spins, together.spins)
    np.testing.assert_array_equal(alone.at(3.0), single.at(3.0))
    assert alone.provenance == together.provenance
    assert len(np.unique(alone.at(3.0).reshape(200, -1), axis=0)) > 150


def test_states_do_not_depend_on_the_number_of_threads(emulator):
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(emulator.sample([2.0], 100, 8, sweeps=0))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0].spins, found[1].spins)
    np.testing.assert_array_equal(found[0].log_weight, found[1].log_weight)


def test_another_seed_gives_other_states(emulator):
    a, b = (emulator.sample([2.0], 50, 8, seed=seed) for seed in (0, 1))
    assert not np.array_equal(a.spins, b.spins)


def test_what_lies_outside_the_training_is_marked(emulator):
    with pytest.warns(ExtrapolationWarning, match="extrapolated to T = 0.5"):
        states = emulator.sample([0.5, 2.0], 2, 4)
    assert states.notes["extrapolated"] == [0.5]
    assert emulator.sample([2.0], 2, 4).notes["extrapolated"] == []


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ({"temperatures": [0.0]}, "above 0"),
        ({"temperatures": []}, "at least one"),
        ({"lattice": 10}, "draws 4, 6, 8, 16, 32, 64, got 10"),
        ({"lattice": 7}, "even"),
        ({"count": 0}, "--count"),
        ({"sweeps": 0, "field": 0.1}, "--field"),
        ({"device": "cuda"}, "--device cuda"),
    ],
)
def test_what_cannot_be_drawn_is_refused(emulator, ask, message):
    if ask.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(InputError, match=message):
        emulator.sample(**({"temperatures": [2.0], "count": 2, "lattice": 4} | ask))


def test_missing_weights_are_named(tmp_path):
    pytest.importorskip("emulant_apps.ising.model")
    with pytest.raises(InputError, match="nowhere"):
        Emulator.load(tmp_path / "nowhere")


SHIPPED = resources.files("emulant_apps.ising") / "pretrained" / "weights.safetensors"


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the weights are not shipped yet")
@pytest.mark.parametrize(("lattice", "least"), [(16, 0.85), (32, 0.85), (64, 0.5)])
def test_shipped_emulator_knows_the_exact_partition_function(lattice, least):
    temperatures = [2.0, 2.35, 2.8]  # never trained at
    states = Emulator.pretrained().sample(temperatures, 400, lattice, seed=1, sweeps=0)
    assert not set(temperatures) & set(states.notes["trained"])
    # 400 states tell ESS / n to about 0.03
    assert (effective_sample_size(states.log_weight) > least - 0.05).all()
    for t, ln_z in zip(temperatures, ln_partition(states), strict=True):
        assert abs(ln_z.value - kaufman(lattice, t).log_z) < 5 * ln_z.error
