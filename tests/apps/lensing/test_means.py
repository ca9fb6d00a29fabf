"""Means of features: an exact case of the bill, and a generator that is brought to the truth."""

import pytest
import torch
from torch import Tensor

from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant.types import Batch
from emulant_apps.lensing.features import MapFeatures
from emulant_apps.lensing.means import (
    DEAREST,
    EXCUSED,
    LONGEST,
    NOISY,
    FeatureMeans,
    basis,
    feature_tolerances,
)
from emulant_apps.lensing.transport import MEAN, TRIM, Transport

SIDE = 64 + 2 * TRIM


def fields(n: int, seed: int, power: float = 0.0, side: int = SIDE) -> Tensor:
    """Return smooth skew fields (n, 1, side, side) of unit scatter; ``power`` skews them more."""
    x = torch.randn(n, 1, side, side, generator=torch_rng(seed))
    for _ in range(3):
        x = 0.5 * (x + x.roll(1, 2))
        x = 0.5 * (x + x.roll(1, 3))
    x = torch.expm1((0.3 + power) * x / x.std())
    return (x - x.mean()) / x.std()


def batch(x: Tensor, cosmology: tuple[float, float] = MEAN) -> Batch:
    c = torch.tensor(cosmology)[:, None, None].expand(len(x), 2, SIDE, SIDE)
    return Batch(x[:, :, TRIM:-TRIM, TRIM:-TRIM], torch.cat([x, c], 1))


def game(power: float = 0.0) -> FeatureMeans:
    """Return the bill of an untaught generator, which changes nothing, for fields more skew."""
    with initial_parameters(torch_rng(0)):
        net = Transport(8, 1)
    features, true = MapFeatures(), fields(512, 1, power)[:, :, TRIM:-TRIM, TRIM:-TRIM]
    features.standardise(true)
    return FeatureMeans(net, features, [true], torch.tensor([MEAN]))


def bills(method: FeatureMeans, steps: int, remembers: bool = True) -> Tensor:
    """Return the bills of an untaught generator for fresh fields, one a step."""
    found = []
    for k in range(steps):
        if not remembers:
            method.past.zero_()
            method.share.zero_()
        bill = method.loss("generator", batch(fields(64, 10 + k)), torch_rng(k))
        found.append(bill.total.detach())
    return torch.stack(found)


def test_the_bill_is_the_square_of_the_means_without_that_of_their_noise() -> None:
    plain = bills(game(), 12)
    assert abs(float(plain.mean())) < 4 * float(plain.std()) / 12**0.5 + 0.2
    method = game()
    off = 0.5 * torch.randn(len(method.weights), generator=torch_rng(4))
    method.plane[0] += off
    exact = float((method.weights * off).square().sum())
    assert float(bills(method, 12, remembers=False).mean()) == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize(("far", "times"), [(0.0, 1.0), (EXCUSED, 2.0), (10.0, DEAREST)])
def test_what_was_far_off_pays_more(far: float, times: float) -> None:
    """Where each step knows its own means: those before decide by how many times more."""
    method = game()
    method.weights.fill_(1.0)
    method.plane[0] += 0.5 * torch.randn(len(method.weights), generator=torch_rng(4))
    plain = bills(method, 1)
    method.past.copy_(torch.tensor([far, 0.0, 0.0])[:, None].expand_as(method.past))
    method.share.fill_(1.0)
    assert torch.allclose(bills(method, 1), times * plain)


def test_what_scatters_more_is_averaged_over_more_steps() -> None:
    method = game()
    calm = torch.arange(len(method.weights)) % 2 == 0
    method.weights.copy_(torch.where(calm, 1.0, 50.0))
    bills(method, 3)
    first = method.past / method.share
    method.plane[0] += 1.0
    bills(method, 1)
    moved = (method.past / method.share - first)[0] / method.weights
    assert torch.allclose(moved[calm], torch.full_like(moved[calm], -1.0), atol=0.5)
    steps = 1 - (1 - 1 / LONGEST) ** 4  # of which the last has this share
    assert float(moved[~calm].mean()) == pytest.approx(-1 / LONGEST / steps, abs=0.1)


def test_larger_maps_are_compared_with_quarters_as_large() -> None:
    """An untaught generator changes nothing: what is off is what was put into the plane."""
    with initial_parameters(torch_rng(0)):
        net = Transport(8, 1)
    quarters = fields(32, 3, side=128 + 2 * TRIM)
    true = quarters[:, :, TRIM:-TRIM, TRIM:-TRIM]
    features = MapFeatures(128)
    features.standardise(true)
    method = FeatureMeans(net, features, [true], torch.tensor([MEAN]))
    c = torch.tensor(MEAN)[:, None, None].expand(32, 2, 128 + 2 * TRIM, 128 + 2 * TRIM)
    drawn = Batch(true, torch.cat([quarters, c], 1))
    off = 3 * torch.randn(len(method.weights), generator=torch_rng(4))
    method.plane[0] += off
    bill = float(method.loss("generator", drawn, torch_rng(0)).total.detach())
    assert bill == pytest.approx(float((method.weights * off).square().sum()), rel=0.2)


def test_true_means_are_a_plane_in_the_cosmology() -> None:
    contexts = torch.tensor([[0.25, 0.8], [0.3, 0.75], [0.35, 0.85], [0.3, 0.8], [0.33, 0.72]])
    maps = [fields(80, k, 0.1 * float(c[0]))[:, :, 4:-4, 4:-4] for k, c in enumerate(contexts)]
    features = MapFeatures()
    features.standardise(maps[0])
    with initial_parameters(torch_rng(0)):
        method = FeatureMeans(Transport(8, 1), features, maps, contexts)
    means = torch.stack([features(own).mean(0) for own in maps])
    fitted = basis(contexts) @ method.plane
    assert float((fitted - means).mean(0).abs().max()) < 1e-4  # least squares keep the mean
    assert float((fitted - means).abs().mean()) < 0.3


def test_weights_ask_nothing_of_what_scatters_too_much() -> None:
    method = game()
    tolerances = feature_tolerances(method.features, method.plane[0]) / method.features.unit
    assert bool((method.weights[tolerances < 1 / NOISY] == 0).all())
    assert bool((method.weights[method.features.parts["power"]] == 0).all())
    assert float(method.weights.max()) <= NOISY
    true = [fields(64, 1)[:, :, TRIM:-TRIM, TRIM:-TRIM]]
    asked = FeatureMeans(method.generator, method.features, true, torch.tensor([MEAN]), powers=True)
    assert bool((asked.weights[method.features.parts["power"]] > 0).all())
    assert float(method.weights[method.features.parts["peaks"]].min()) > 0


def test_a_generator_learns_the_means_of_skewer_fields() -> None:
    method = game(power=0.15)
    optimiser = torch.optim.Adam(method.generator.parameters(), 3e-3)
    paid = []
    for step in range(50):
        bill = method.loss("generator", batch(fields(32, 100 + step)), torch_rng(step)).total
        optimiser.zero_grad()
        bill.backward()
        optimiser.step()
        paid.append(bill.item())
    assert sum(paid[-8:]) < 0.3 * sum(paid[:8])


def test_other_players_are_refused() -> None:
    with pytest.raises(ValueError, match="'player' must be 'generator'"):
        game().loss("critic", batch(fields(8, 0)), torch_rng(0))
