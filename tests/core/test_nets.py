import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from emulant.conditions import ContinuousEmbedding
from emulant.nets.conv import ConvCritic, ConvGenerator
from emulant.nets.initial import initial_parameters
from emulant.nets.minibatch import MinibatchStatistics
from emulant.nets.mlp import MLP, MLPCritic
from emulant.nets.shuffle import channels_to_space, space_to_channels
from emulant.rng import torch_rng


def generator(dimensions=2, **options):
    with initial_parameters(torch_rng(0, "nets")):
        context = ContinuousEmbedding([0.0], [1.0], 8)
        sizes = {"widths": (16, 8), "noise": (4, 2)} | options
        return ConvGenerator((8,) * dimensions, 1, **sizes, context=context, embedded=8)


def critic(dimensions=2, **options):
    with initial_parameters(torch_rng(1, "nets")):
        context = ContinuousEmbedding([0.0], [1.0], 8)
        return ConvCritic(dimensions, 1, (8, 16), context=context, embedded=8, **options)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("periodic", [True, False])
def test_generator_and_critic_fit_together_in_every_dimension(dimensions, periodic):
    c = torch.zeros(4, 1)
    x = generator(dimensions, periodic=periodic, latent=3).draw(4, torch_rng(0), c)
    assert x.shape == (4, 1, *(8,) * dimensions)
    assert critic(dimensions, periodic=periodic)(x, c).shape == (4,)


def test_the_generator_is_drawn_from_at_any_size_its_levels_divide():
    net = generator()
    assert net.draw(2, torch_rng(0), torch.zeros(2, 1), grid=(12, 4)).shape == (2, 1, 12, 4)
    with pytest.raises(ValueError, match="multiples of 2, got"):
        net.draw(2, torch_rng(0), torch.zeros(2, 1), grid=(7, 8))


def test_a_periodic_generator_commutes_with_translations_of_its_noise():
    net = generator().double()
    noise = [
        torch.randn(1, k, side, side, generator=torch_rng(0, k), dtype=torch.float64)
        for k, side in ((4, 4), (2, 8))
    ]
    c, nothing = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64)
    moved = [n.roll((step, step), (2, 3)) for n, step in zip(noise, (1, 2), strict=True)]
    x = net(noise, nothing, c)
    assert torch.allclose(net(moved, nothing, c), x.roll((2, 2), (2, 3)), atol=1e-12)


def test_a_periodic_critic_does_not_see_translations_by_its_coarsest_cell():
    x = torch.randn(2, 1, 8, 8, generator=torch_rng(0), dtype=torch.float64)
    net, c = critic().double(), torch.ones(2, 1, dtype=torch.float64)
    assert torch.allclose(net(x.roll((2, 4), (2, 3)), c), net(x, c), atol=1e-12)
    assert not torch.allclose(net(x.roll(1, 2), c), net(x, c), atol=1e-12)


def test_noise_of_every_level_and_the_global_latent_reach_the_event():
    net = generator(latent=3)
    torch.nn.init.normal_(net.levels[0].first.film.linear.weight, generator=torch_rng(0))
    noise = [torch.randn(2, k, side, side, requires_grad=True) for k, side in ((4, 4), (2, 8))]
    shared = torch.randn(2, 3, requires_grad=True)
    net(noise, shared, torch.zeros(2, 1)).square().sum().backward()
    assert all(float(part.grad.abs().sum()) > 0 for part in (*noise, shared))


def test_the_critic_takes_further_features_and_looks_at_groups():
    net, c = critic(extra=2, group=4), torch.zeros(8, 1)
    x, extra = torch.randn(8, 1, 8, 8, generator=torch_rng(0)), torch.ones(8, 2)
    before = net(x, c, extra)
    moved = x.clone()
    moved[4:] += 1
    changed = net(moved, c, extra) != before
    assert changed.tolist() == [False] * 4 + [True] * 4
    assert bool((net(x, c, 2 * extra) != before).all())
    with pytest.raises(ValueError, match="'extra'"):
        net(x, c)
    with pytest.raises(ValueError, match="multiple of 4 rows, got 6"):
        net(x[:6], c[:6], extra[:6])


def test_statistics_of_identical_events_have_no_deviation():
    v = torch.ones(4, 3).cumsum(1)
    ours = MinibatchStatistics(4)(v)
    assert torch.equal(ours[:, :3], v)
    assert torch.allclose(ours[:, 3:6], 2 * v)
    assert torch.allclose(ours[:, 6:], 2 * torch.log(torch.tensor(0.0501)), atol=1e-4)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_batch_normalisation_is_a_choice(norm):
    kinds = {type(module).__name__ for module in generator(norm=norm).modules()}
    assert ("BatchNorm2d" in kinds) == (norm == "batch")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.data())
def test_shuffling_is_undone_by_its_inverse(dimensions, channels, r, data):
    sides = data.draw(st.lists(st.integers(1, 3), min_size=dimensions, max_size=dimensions))
    h = torch.arange(channels * r**dimensions * torch.Size(sides).numel(), dtype=torch.float32)
    h = h.reshape(1, channels * r**dimensions, *sides)
    fine = channels_to_space(h, r)
    assert fine.shape == (1, channels, *(r * side for side in sides))
    assert torch.equal(space_to_channels(fine, r), h)


def test_shuffling_in_two_dimensions_is_torchs_pixel_shuffle():
    h = torch.randn(2, 12, 3, 5, generator=torch_rng(0))
    assert torch.equal(channels_to_space(h), pixel_shuffle(h, 2))
    fine = torch.randn(2, 3, 6, 10, generator=torch_rng(0))
    assert torch.equal(space_to_channels(fine), pixel_unshuffle(fine, 2))


def test_initial_values_come_from_the_generator_and_leave_the_global_stream_alone():
    before = torch.get_rng_state()
    nets = []
    for seed in (0, 0, 1):
        with initial_parameters(torch_rng(seed)):
            nets.append(MLP(2, 2))
    assert torch.equal(torch.get_rng_state(), before)
    a, b, c = (net.layers[0].weight for net in nets)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    rng = torch_rng(0)
    with initial_parameters(rng):
        first = MLP(2, 2)
    with initial_parameters(rng):
        second = MLP(2, 2)
    assert not torch.equal(first.layers[0].weight, second.layers[0].weight)


def test_fully_connected_networks_join_the_context():
    x, c = torch.randn(5, 2, 2, generator=torch_rng(0)), torch.ones(5, 3)
    assert MLP(4, 6, (8,), context=3)(x, c).shape == (5, 6)
    assert MLP(4, 6, ())(x).shape == (5, 6)
    assert MLPCritic(4, (8,), context=3)(x, c).shape == (5,)
    with pytest.raises(ValueError, match="'c' must be given"):
        MLP(4, 6, (8,), context=3)(x)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"widths": (10, 8)}, "multiples of 4"),
        ({"noise": (4,)}, "2 entries"),
        ({"noise": (0, 2)}, "begin with a positive"),
        ({"widths": (16, 16, 16, 16, 8), "noise": (1,) * 5}, "multiples of 16"),
    ],
)
def test_impossible_sizes_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        generator(**options)
