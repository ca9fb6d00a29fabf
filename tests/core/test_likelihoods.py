import pytest
import torch

from emulant.likelihoods import Bernoulli, Categorical, Gaussian, Poisson
from emulant.rng import torch_rng

HEADS = {
    "bernoulli": Bernoulli((2, 3)),
    "gaussian-fixed": Gaussian((2, 3), sigma=0.5),
    "gaussian-shared": Gaussian((2, 3)),
    "gaussian-learned": Gaussian((2, 3), sigma="learned"),
    "categorical": Categorical((2, 3), 4),
    "poisson": Poisson((2, 3)),
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


@every_head
def test_a_head_scores_what_it_draws_and_draws_its_mean(head):
    n = 20_000
    h = torch.randn(1, head.width, generator=torch_rng(0)).expand(n, -1)
    x = head.draw(h, torch_rng(1))
    assert x.shape == (n, 2, 3)
    assert head(h).log_prob(x).shape == (n,)
    values = torch.nn.functional.one_hot(x, 4).float() if x.dtype == torch.int64 else x
    error = 5 * values.std(0) / n**0.5 + 1e-6
    assert bool(((values.mean(0) - head.mean(h)[0]).abs() < error).all())


@every_head
def test_mean_log_probability_of_draws_is_minus_the_entropy(head):
    n = 20_000
    h = 0.5 * torch.randn(1, head.width, generator=torch_rng(0)).expand(n, -1)
    score = head(h).log_prob(head.draw(h, torch_rng(1)))
    if isinstance(head, Poisson):
        return  # torch knows no closed form
    entropy = head(h).entropy()[0]
    assert abs(score.mean() + entropy) < 5 * score.std() / n**0.5


@every_head
def test_wrong_widths_are_refused(head):
    with pytest.raises(ValueError, match="'h' must have shape"):
        head(torch.zeros(2, head.width + 1))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="'sigma' must be positive, got 0"):
        Gaussian((1,), sigma=0)
    with pytest.raises(ValueError, match="'event' must be"):
        Poisson((0,))
