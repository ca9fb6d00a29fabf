"""The network, its sampler and its certificate."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emulant.errors import InputError
from emulant.rng import torch_rng
from emulant.store import current
from emulant.types import Batch
from emulant_apps.lensing.batches import Pairs, Related, of_pixels
from emulant_apps.lensing.config import SimulateConfig, TrainConfig
from emulant_apps.lensing.criteria import Layout, PixelUnits, plain_statistics
from emulant_apps.lensing.data import simulate, split
from emulant_apps.lensing.features import MapFeatures
from emulant_apps.lensing.field.extrema import counts
from emulant_apps.lensing.field.grid import Patch, default_bands
from emulant_apps.lensing.field.pixels import patch_power, pixel_variance
from emulant_apps.lensing.field.random import RandomSky
from emulant_apps.lensing.files import read_maps, write_maps
from emulant_apps.lensing.model import (
    Filter,
    Model,
    PairedFlow,
    Sizes,
    build,
    load_model,
    save_model,
)
from emulant_apps.lensing.sample import Emulator
from emulant_apps.lensing.theory.convergence import Convergence
from emulant_apps.lensing.theory.cosmology import Cosmology
from emulant_apps.lensing.train import calibrated_filter, train
from emulant_apps.lensing.transport import TRIM, Transport, quartered
from emulant_apps.lensing.validate import certificate, rows_of

COSMOLOGIES = ((0.25, 0.9), (0.35, 0.7), (0.3, 0.8), (0.28, 0.75))


def network(strength=0.02, coarse=0):
    net = build(Sizes(width=8, blocks=1, coarse=coarse), 0)
    with torch.no_grad():
        net.last.weight.normal_(0, strength, generator=torch_rng(1))
    return net


def model(net, shape=None):
    return Model(net, Sizes(width=8, blocks=1), shape or Filter.none(), 1.2, COSMOLOGIES, None, "x")


@pytest.fixture(scope="module")
def lognormal(tmp_path_factory):
    """True lognormal maps of seven cosmologies, as a data set on disk."""
    file = tmp_path_factory.mktemp("data") / "fields.h5"
    config = SimulateConfig(out=file, source="lognormal", cosmologies=7, boxes=3, maps=12,
                            workers=1)  # fmt: skip
    write_maps(file, simulate(config))
    return file


def test_an_untrained_network_is_the_identity():
    x = torch.randn(2, 1, 32, 32, generator=torch_rng(0))
    assert torch.equal(Transport(8, 1)(x, torch.tensor([[0.3, 0.8]] * 2), x), x)


def test_the_network_commutes_with_shifts_of_a_block():
    net = network()
    x, n = torch.randn(2, 1, 1, 32, 32, generator=torch_rng(0))
    c = torch.tensor([[0.3, 0.8]])
    moved = net(x.roll((4, 6), (2, 3)), c, n.roll((4, 6), (2, 3)))
    assert torch.allclose(moved, net(x, c, n).roll((4, 6), (2, 3)), atol=1e-5)


def test_large_scales_pass_unchanged():
    """What the network adds holds no scale beyond its width, on maps of any size."""
    net = network(0.2)
    patch = Patch(256, 20.0)
    x, n = torch.randn(2, 1, 1, 256, 256, generator=torch_rng(0))
    change = (net(x, torch.tensor([[0.3, 0.8]]), n) - x)[0].detach().numpy()
    power = patch.power(change)[0]
    low = power[(patch.ell > 0) & (patch.ell < 40)].mean()
    high = power[(patch.ell > 400) & (patch.ell < 800)].mean()
    assert low < 1e-3 * high


def test_features_of_standardised_maps_have_zero_mean_and_unit_scatter():
    features = MapFeatures()
    x = torch.randn(64, 1, 64, 64, generator=torch_rng(2))
    features.standardise(x)
    rows = features(x)
    assert rows.shape == (64, features.length)
    assert torch.allclose(rows.mean(0), torch.zeros(features.length), atol=0.01)


def test_the_filter_gives_back_the_power_of_theory():
    net = network(0.03)
    shape = calibrated_filter(net, COSMOLOGIES, 0, count=8)
    maps = Emulator(model(net, shape)).sample(0.3, 0.8, 200, seed=3)
    bands = default_bands(maps.patch)
    power = bands.mean(maps.patch.power(maps.kappa))
    expected = bands.mean(patch_power(maps.patch, Convergence(Cosmology(0.3, 0.8)).spectrum))
    error = power.std(0) / np.sqrt(len(maps))
    assert np.all(np.abs(power.mean(0) - expected) < 4 * error + 0.02 * expected)
    without = Emulator(model(net)).sample(0.3, 0.8, 100, seed=3)
    raw = bands.mean(without.patch.power(without.kappa)).mean(0)
    assert np.abs(raw / expected - 1).max() > 0.05


@pytest.mark.parametrize("size", [16, 33, 96])
def test_any_size_has_the_pixels_and_the_scatter_of_any_other(size):
    maps = Emulator(model(network())).sample(0.3, 0.8, 6, size)
    assert maps.kappa.shape == (6, size, size)
    assert maps.patch.arcmin == pytest.approx(4.6875)
    assert 0.004 < maps.kappa.std() < 0.02


def test_wide_maps_have_no_seams_and_the_large_scales_of_theory():
    """20 degrees across: modes below the training fundamental, and nothing at the tiles' ones.

    Were maps tiled from squares of 64 pixels, power would stand out at multiples of the eighth
    mode along an axis.
    """
    emulator = Emulator.pretrained()
    maps = emulator.sample(0.3, 0.8, 6, 512, seed=5)
    patch = maps.patch
    power = patch.power(maps.kappa).mean(0)
    expected = patch_power(patch, Convergence(Cosmology(0.3, 0.8)).spectrum)
    low = (patch.ell > 0.9 * patch.fundamental) & (patch.ell < 72)
    modes = 6 * low.sum() / 2
    ratio = (power[low] / expected[low]).mean()
    assert ratio == pytest.approx(1, abs=5 / np.sqrt(modes))
    axis = ((power[:256, 0] / expected[:256, 0]) + (power[0, :256] / expected[0, :256])) / 2
    tiles = np.arange(8, 256, 8)
    beside = (axis[tiles - 1] + axis[(tiles + 1).clip(max=255)]) / 2
    error = np.std(axis[9:]) * np.sqrt(1.5 / len(tiles))
    assert abs((axis[tiles] - beside).mean()) < 4 * error
    steps = np.abs(np.diff(maps.kappa, axis=1)).mean((0, 2))
    seams = steps[63::64]
    assert np.all(np.abs(seams - steps.mean()) < 5 * steps.std())


def test_chance_is_by_map_and_not_by_how_many():
    emulator = Emulator(model(network()))
    many = emulator.sample(0.3, 0.8, 40, seed=1)
    few = emulator.sample(0.3, 0.8, 32, seed=1)
    assert np.array_equal(many.kappa[:32], few.kappa)
    assert not np.array_equal(many.kappa[0], many.kappa[1])
    assert not np.array_equal(emulator.sample(0.3, 0.8, 1, seed=2).kappa[0], many.kappa[0])


def test_maps_outside_the_trained_cosmologies_say_so():
    emulator = Emulator(model(network()))
    assert emulator.sample(0.3, 0.8, 1).notes["extrapolated"] is False
    assert emulator.sample(0.45, 0.8, 1).notes["extrapolated"] is True
    with pytest.raises(InputError, match="--omega-m"):
        emulator.sample(1.5, 0.8, 1)
    with pytest.raises(InputError, match="needs about"):
        emulator.sample(0.3, 0.8, 1, 10**6)


def test_noise_and_smoothing_change_what_they_should():
    emulator = Emulator(model(network()))
    plain = emulator.sample(0.3, 0.8, 20)
    noisy = emulator.sample(0.3, 0.8, 20, noise=0.5)
    added = noisy.kappa - plain.kappa
    assert added.std() == pytest.approx(0.5 / 4.6875, rel=0.05)
    assert emulator.sample(0.3, 0.8, 20, smoothing=10.0).kappa.std() < 0.8 * plain.kappa.std()


def test_pairs_hold_true_maps_and_fields_of_one_cosmology_in_groups(lognormal):
    source = Pairs(split(read_maps(lognormal), "train"), 16, 1.2)
    batch = source.batch(0, torch_rng(0))
    assert batch.x.shape == (16, 1, 64, 64)
    assert batch.c.shape == (16, 3, 72, 72)
    assert torch.equal(batch.c[:8, 1:].amax((0, 2, 3)), batch.c[:8, 1:].amin((0, 2, 3)))
    both = torch.cat([source.batch(k, torch_rng(k)).c[:, 0] for k in range(6)])
    assert float(both.std()) == pytest.approx(1, rel=0.1)
    again = source.batch(0, torch_rng(0))
    assert torch.equal(again.x, batch.x)


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """A tiny light cone with the linear density of its box."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.h5"
    config = SimulateConfig(out=file, resolution="tiny", cosmologies=1, boxes=1, maps=24,
                            pairs=True, workers=1)  # fmt: skip
    write_maps(file, simulate(config))
    return file


def test_four_contexts_are_the_quarters_of_one_torus(lognormal):
    source = Pairs(split(read_maps(lognormal), "train"), 16, 1.2)
    c = source.batch(0, torch_rng(0)).c
    net = Transport(8, 1)
    with torch.no_grad():
        net.last.weight.normal_(generator=torch_rng(1))
    joined = torch.cat([torch.cat([c[4], c[5]], 2), torch.cat([c[6], c[7]], 2)], 1)[None]
    assert torch.equal(quartered(joined), c[4:8])
    noise = torch.randn(4, 1, *joined.shape[2:], generator=torch_rng(2))
    whole = net(joined[:, :1], joined[:, 1:, 0, 0], noise[1:2])
    drawn = net.draw(16, torch_rng(2), c)
    assert torch.allclose(drawn[4:8], quartered(whole)[:, :, TRIM:-TRIM, TRIM:-TRIM], atol=1e-5)
    edges = joined[0, 0, :, 71] - joined[0, 0, :, 72]  # what was cut was together
    assert float(edges.std()) < 1.1 * float(joined[0, 0].std())  # else √2 of it
    with pytest.raises(ValueError, match="must hold 6 quarters"):
        net.draw(6, torch_rng(0), c[:6])


def test_pairs_share_large_scales_and_keep_the_law_of_the_fields(paired):
    maps = read_maps(paired)
    patch = maps.patch
    f, g = (np.fft.fft2(x.astype(float)) for x in (maps.kappa, maps.linear))
    bands = default_bands(patch)
    cross, one, two = (
        bands.mean(z.mean(0)) for z in ((f * g.conj()).real, np.abs(f) ** 2, np.abs(g) ** 2)
    )
    r = cross / np.sqrt(one * two)
    assert r[0] > 0.7
    assert r[0] > r[2] > r[4]
    source = Related(of_pixels(maps, 64), 16, 1.2)
    fields = torch.cat([source.batch(k, torch_rng(k)).c[:, 0] for k in range(12)]).numpy()
    assert fields.std() == pytest.approx(1, rel=0.1)
    power = bands.mean(patch.power(fields)).mean(0)
    kappa = Convergence(Cosmology(*source.cosmologies[0]))
    sigma = source.members[0].sigma
    expected = bands.mean(patch_power(patch, kappa.spectrum)) / sigma**2
    assert np.all(np.abs(power / expected - 1)[4:] < 0.15)  # lower ones: the box's own luck


def test_a_map_and_its_field_turn_together(paired):
    source = Related(of_pixels(read_maps(paired), 64), 16, 1.2)
    batch = source.batch(0, torch_rng(0))
    low = [torch.nn.functional.avg_pool2d(z, 16).flatten(1) for z in (batch.x, batch.c[:, :1])]
    own = torch.cosine_similarity(*low).mean()
    other = torch.cosine_similarity(low[0], low[1].roll(1, 0)).mean()
    assert own > other + 0.2


def test_paired_training_plays_the_flow_and_then_the_critic(paired, lognormal, tmp_path):
    config = TrainConfig(data=paired, out=tmp_path / "run", preset="paired", steps=1, device="cpu")
    emulator = Emulator.load(train(config))
    assert emulator.model.sizes.kind == "flow"
    assert emulator.sample(0.3, 0.8, 2, 96).kappa.shape == (2, 96, 96)
    with pytest.raises(InputError, match="--pairs"):
        train(TrainConfig(data=lognormal, out=tmp_path / "no", preset="paired", device="cpu"))


def test_the_flow_pays_for_what_it_misses_inside_the_rim():
    """Zero velocity pays |x₁ - x₀|² of the inner pixels; the rim is free."""
    flow = PairedFlow(build(Sizes("flow", 8, 1)))
    x0, c = torch.zeros(2, 1, 64, 64), torch.full((2, 2, 64, 64), 0.3)
    x1 = torch.full((2, 1, 64, 64), 9.0)
    x1[:, :, 12:-12, 12:-12] = 2.0
    bill = flow.loss("field", Batch(x1, torch.cat([x0, c], 1)), torch_rng(0))
    assert float(bill.total.detach()) == pytest.approx(4.0)


@pytest.mark.parametrize(("coarse", "rim"), [(0, 6), (2, 20)])
def test_the_folded_network_is_the_network_inside_its_rim(coarse, rim):
    net = network(0.2, coarse)
    films = [*net.films, *(net.coarse.films if coarse else ())]
    for film in films:
        with torch.no_grad():
            film.linear.weight.normal_(0, 0.3, generator=torch_rng(2))
    x = torch.randn(2, 3, 96, 96, generator=torch_rng(0))
    c = torch.tensor([[0.25, 0.9]])
    with torch.no_grad():
        whole, fast = net.change(x, c.expand(2, 2)), net.folded(c)(x)
    inner = slice(rim, -rim)
    assert torch.allclose(fast[:, :, inner, inner], whole[:, :, inner, inner], atol=1e-5)
    assert not torch.allclose(fast, whole, atol=1e-2)


def test_a_network_with_coarse_blocks_sees_further_and_comes_back_from_its_file(tmp_path):
    near, far = network(0.2), network(0.2, 1)
    x = torch.zeros(1, 3, 64, 64)
    spot = x.clone()
    spot[0, :, 32, 32] = 1.0
    e = torch.tensor([[0.3, 0.8]])
    reach = []
    for net in (near, far):
        with torch.no_grad():
            moved = (net.change(spot, e) - net.change(x, e)).abs()[0, 0].amax(0)
        reach.append(int((moved > 0).sum()))
    assert reach == [2 * 7, 4 * 7 + 2 * 4]  # three blocks to each side; then two fine ones
    sizes = Sizes(pixels=128, coarse=2)
    made = current("test", {}, 0)
    net = build(sizes)
    save_model(tmp_path, sizes, net.state_dict(), Filter.none(), 1.4, ((0.3, 0.8),), made)
    back = load_model(tmp_path)
    assert back.sizes.cell == 4
    assert torch.equal(back.network.change(spot, e), net.change(spot, e))


@pytest.mark.parametrize(("coarse", "size"), [(0, 33), (2, 34)])
def test_a_torus_must_be_of_whole_blocks(coarse, size):
    sizes = Sizes(width=8, blocks=1, coarse=coarse)
    emulator = Emulator(replace(model(network(coarse=coarse)), sizes=sizes))
    assert emulator.sample(0.3, 0.8, 1, size).kappa.shape == (1, size, size)
    with pytest.raises(InputError, match=f"multiple of {sizes.cell} pixels, got {size}"):
        emulator.sample(0.3, 0.8, 1, size, periodic=True)


@pytest.mark.parametrize("coarse", [0, 2])
def test_what_is_added_does_not_know_its_place_in_a_block(coarse):
    sizes = Sizes(width=8, blocks=1, coarse=coarse)
    net = network(0.2, coarse)
    with torch.no_grad():
        net.last.bias.copy_(torch.tensor([0.5, -0.5, 0.2, 0.0]))
    moved, still = (
        Emulator(replace(model(each), sizes=sizes)).sample(0.3, 0.8, 2, 32, periodic=True).kappa
        for each in (net, network(0.0, coarse))
    )
    added = (moved - still).reshape(2, 32 // sizes.cell, sizes.cell, 32 // sizes.cell, sizes.cell)
    assert added.std() > 0.1 * still.std()
    assert np.abs(added.mean((1, 3))).max() < 1e-5 * still.std()


@pytest.mark.parametrize("periodic", [False, True])
def test_maps_do_not_know_where_blocks_lay(periodic):
    """Only one pixel of each block is changed; the maps scatter alike in all of them."""
    net = network(0.0)
    with torch.no_grad():
        net.last.weight[0].normal_(0, 0.3, generator=torch_rng(1))
    kappa = Emulator(model(net)).sample(0.3, 0.8, 200, 32, periodic=periodic).kappa
    places = kappa.reshape(200, 16, 2, 16, 2).transpose(0, 2, 4, 1, 3).reshape(200, 4, -1)
    spread = places.var(2) / places.var(2).mean()
    off = spread.mean(0) - 1
    assert spread[0].std() > 0.1  # one map knows
    assert np.abs(off).max() < 4 * (spread - spread.mean(1, keepdims=True)).std() / 200**0.5


def test_fine_pixels_are_cut_from_the_same_sky_and_ask_for_their_own_weights(lognormal, tmp_path):
    """128 pixels on 5 degrees train on squares of 64; weights of one pixel refuse the other."""
    file = tmp_path / "fine.h5"
    config = SimulateConfig(out=file, source="lognormal", cosmologies=1, boxes=1, maps=4,
                            size=128, workers=1)  # fmt: skip
    maps = simulate(config)
    write_maps(file, maps)
    coarse, fine = of_pixels(maps, 64), of_pixels(maps, 128)
    assert (coarse.patch.n, coarse.degrees, len(coarse)) == (64, 5.0, 4)
    assert (fine.patch.n, fine.degrees, len(fine)) == (64, 2.5, 16)
    out = train(TrainConfig(data=file, out=tmp_path / "run", pixels=128, steps=1, device="cpu"))
    made = Emulator.load(out).sample(0.3, 0.8, 2, 128)
    assert made.degrees == 5.0
    assert made.patch.arcmin == pytest.approx(300 / 128)
    expected = pixel_variance(made.patch, Convergence(Cosmology(0.3, 0.8)).spectrum)
    assert made.kappa.var() == pytest.approx(expected, rel=0.5)
    with pytest.raises(InputError, match="--pixels"):
        of_pixels(read_maps(lognormal), 128)


def test_training_leaves_an_emulator_that_draws(lognormal, tmp_path):
    config = TrainConfig(data=lognormal, out=tmp_path / "run", steps=2, device="cpu")
    emulator = Emulator.load(train(config))
    assert len(emulator.model.cosmologies) == 5
    assert emulator.sample(0.3, 0.8, 2).kappa.shape == (2, 64, 64)
    with pytest.raises(InputError, match="--resume"):
        train(config)


@pytest.mark.parametrize("preset", ["dcgan", "wgan", "white"])
def test_baselines_play_in_the_same_game(lognormal, tmp_path, preset):
    config = TrainConfig(data=lognormal, out=tmp_path, preset=preset, steps=1, device="cpu")
    emulator = Emulator.load(train(config))
    assert np.isfinite(emulator.sample(0.3, 0.8, 3).kappa).all()
    with pytest.raises(InputError, match="--size"):
        emulator.sample(0.3, 0.8, 1, 128)


def test_true_maps_never_fail_and_faults_are_found(lognormal):
    """Lognormal maps against lognormal maps; then with 15 % more power, and without skewness."""

    def fields(source, seed, maps=150):
        return simulate(SimulateConfig(out=lognormal, source=source, omega_m=0.3, sigma8=0.8,
                                       boxes=1, maps=maps, seed=seed, workers=1))  # fmt: skip

    truth, other, gaussian = fields("lognormal", 1), fields("lognormal", 2), fields("gaussian", 3)
    assert certificate(other, truth).verdict != "fail"
    loud = rows_of(other)
    loud.values[:, :8] *= 1.3
    assert certificate(other, truth, loud).verdict == "fail"
    found = certificate(gaussian, truth)
    failed = {s.name for c in found.cases for s in c.statistics if s.verdict == "fail"}
    assert "C_ℓ / theory" not in failed
    assert {"peaks", "bispectrum / tree"} & failed


def test_anybody_can_measure_plain_maps_with_the_same_statistics():
    """As ``emulant certify --statistics lensing`` does: units are the truth's own."""
    truth = np.random.default_rng(0).normal(2.0, 3.0, (60, 32, 32))
    found = plain_statistics(truth, ())
    by_name = {s.name: s for s in found}
    assert np.allclose(by_name["C_ℓ / theory"](truth), 1, rtol=1e-9)
    assert by_name["variance of C_ℓ"](truth).min() > 0
    for statistic in found:
        assert np.isfinite(statistic(truth)).all()
        assert len(statistic(truth)) == max(1, len(statistic.labels))
    with pytest.raises(InputError, match="maps"):
        plain_statistics(truth[:, 0], ())


@pytest.mark.parametrize(("pixels", "count"), [(64, 250), (128, 60)])
def test_the_shipped_weights_have_the_power_of_theory_and_more_peaks_than_a_gaussian(pixels, count):
    """At a cosmology that was never trained on."""
    cosmology = Cosmology(0.3125, 0.771589)
    emulator = Emulator.pretrained(pixels)
    maps = emulator.sample(cosmology.omega_m, cosmology.sigma8, count, pixels, seed=9)
    assert (maps.patch.n, maps.degrees) == (pixels, 5.0)
    assert maps.notes["extrapolated"] is False
    layout = Layout(maps.patch)
    rows = layout.rows(maps.kappa, PixelUnits.of(maps.patch, cosmology, 1.0))
    power = rows[:, layout.slices["power"]]
    error = power.std(0) / np.sqrt(len(power))
    assert np.all(np.abs(power.mean(0) - 1) < 4 * error + 0.01)
    peaks = rows[:, layout.slices["peaks"]].mean(0)
    gaussian = RandomSky(maps.patch, Convergence(cosmology).spectrum)
    plain = gaussian.draw(count, np.random.default_rng(0))
    sigma = np.sqrt(gaussian.variance)
    assert np.all(peaks[3:5] > 2 * counts(maps.patch, plain, sigma).mean(0)[3:5])
