import math

import pytest
import torch
from scipy import stats

from emulant.latents import (
    Normal,
    OneHot,
    Pushforward,
    Signs,
    Uniform,
    kl_diagonal_normals,
    reparameterise,
)
from emulant.nets.mlp import MLP
from emulant.rng import torch_rng

PRIORS = [Normal((3,)), Uniform((2,), -1.0, 3.0), Signs((4,), 0.3), OneHot(5)]


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_draws_repeat_with_the_seed_and_score_finite(prior):
    z = prior.draw(6, torch_rng(1))
    assert torch.equal(z, prior.draw(6, torch_rng(1)))
    assert not torch.equal(z, prior.draw(6, torch_rng(2)))
    assert prior.log_prob(z).shape == (6,)
    assert bool(torch.isfinite(prior.log_prob(z)).all())


def test_log_densities_agree_with_scipy():
    z = torch.tensor([[0.3, -1.2], [2.0, 0.1]])
    expected = stats.norm.logpdf(z.numpy()).sum(1)
    assert Normal((2,)).log_prob(z).numpy() == pytest.approx(expected, rel=1e-6)
    assert Uniform((2,), -2, 2).log_prob(z).tolist() == pytest.approx([-2 * math.log(4)] * 2)
    assert Uniform((2,), 0, 1).log_prob(z).tolist() == [-math.inf, -math.inf]


def test_the_masses_of_all_signs_add_up_to_one():
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    assert float(Signs((3,), 0.2).log_prob(signs).exp().sum()) == pytest.approx(1, abs=1e-6)
    share = (Signs((1,), 0.2).draw(20_000, torch_rng(0)) > 0).float().mean()
    assert abs(float(share) - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 20_000)


def test_one_hot_draws_every_class_equally():
    counts = OneHot(4).draw(8_000, torch_rng(0)).sum(0)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_the_divergence_of_normals_agrees_with_monte_carlo():
    mean, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, -0.7]])
    prior_mean, prior_log_variance = torch.tensor([[0.2, 0.4]]), torch.tensor([[0.1, 0.5]])
    z = reparameterise(mean.expand(200_000, 2), log_variance.expand(200_000, 2), torch_rng(0))
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    p = torch.distributions.Normal(prior_mean, (0.5 * prior_log_variance).exp())
    ratio = (q.log_prob(z) - p.log_prob(z)).sum(1)
    exact = kl_diagonal_normals(mean, log_variance, prior_mean, prior_log_variance)
    assert abs(float(exact) - float(ratio.mean())) < 4 * float(ratio.std()) / math.sqrt(len(z))
    assert float(kl_diagonal_normals(mean, log_variance, mean, log_variance)) == 0


def test_the_reparameterisation_carries_gradients():
    mean, log_variance = torch.zeros(1000, 1, requires_grad=True), torch.zeros(1000, 1)
    log_variance.requires_grad_()
    reparameterise(mean, log_variance, torch_rng(0)).square().mean().backward()
    # d/dv E (m + exp(v/2) e)^2 = exp(v) at m = 0
    assert float(log_variance.grad.sum()) == pytest.approx(1, abs=0.2)


def test_a_pushforward_draws_the_network_of_the_prior():
    net = MLP(2, 3, context=1)
    c = torch.ones(4, 1)
    x = Pushforward(net, Normal((2,))).draw(4, torch_rng(0), c)
    assert torch.equal(x, net(Normal((2,)).draw(4, torch_rng(0)), c))
    assert x.requires_grad


@pytest.mark.parametrize(
    "make", [lambda: Uniform((1,), 1, 1), lambda: Signs((1,), 1.0), lambda: OneHot(0)]
)
def test_impossible_priors_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()
