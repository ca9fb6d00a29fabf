from itertools import product

import pytest
import torch

from emulant.methods import Autoregressive
from emulant.nets.initial import initial_parameters
from emulant.nets.recurrent import GRU
from emulant.nets.transformer import Transformer
from emulant.rng import torch_rng

SYMBOLS, LENGTH = 2, 4


def model(kind):
    options = {"width": 8} | ({"length": LENGTH, "heads": 2} if kind is Transformer else {})
    with initial_parameters(torch_rng(0)):
        return Autoregressive(kind(SYMBOLS + 1, SYMBOLS + 1, **options), SYMBOLS, LENGTH)


def every_sequence():
    rows = [
        [*symbols, *[-1] * (LENGTH - n)]
        for n in range(LENGTH + 1)
        for symbols in product(range(SYMBOLS), repeat=n)
    ]
    return torch.tensor(rows)


every_net = pytest.mark.parametrize("kind", [GRU, Transformer])


@every_net
def test_all_sequences_together_have_probability_one(kind):
    total = model(kind).log_prob(every_sequence()).exp().sum()
    assert float(total.detach()) == pytest.approx(1, abs=1e-5)


@every_net
def test_sequences_are_drawn_as_often_as_they_score(kind):
    method, n, x = model(kind), 20_000, every_sequence()
    drawn = method.sample(n, torch_rng(1))
    counts = (drawn[:, None] == x).all(2).sum(0)
    assert int(counts.sum()) == n
    p = method.log_prob(x).exp().detach()
    chi2 = float(((counts - n * p).square() / (n * p)).sum())
    assert chi2 < len(x) - 1 + 5 * (2 * (len(x) - 1)) ** 0.5  # 30 degrees of freedom, 5 sigma


@every_net
def test_reading_token_by_token_says_the_same_as_reading_at_once(kind):
    net, tokens = model(kind).model.net, torch.tensor([[2, 0, 1, 1]])
    memory, said = None, []
    for t in range(LENGTH):
        heard = net(tokens[:, t : t + 1], None, memory)
        memory = heard.memory
        said.append(heard.logits)
    assert torch.allclose(torch.cat(said, 1), net(tokens).logits, atol=1e-6)


def test_a_cold_model_says_what_is_likeliest():
    method = model(GRU)
    drawn = method.sample(50, torch_rng(0), temperature=1e-3)
    assert bool((drawn == drawn[0]).all())
    with pytest.raises(ValueError, match="'temperature' must be positive"):
        method.sample(5, torch_rng(0), temperature=0.0)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), "integers of shape"),
        (torch.zeros(2, 4), "integers of shape"),
        (torch.full((1, 4), 2), "symbols 0"),
        (torch.tensor([[0, -1, 0, -1]]), "nothing but -1"),
    ],
)
def test_what_is_no_sequence_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        model(GRU).log_prob(x)
