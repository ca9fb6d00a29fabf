"""Laws that the hierarchical generator obeys whatever its parameters."""

import math

import numpy as np
import pytest
import torch

from emulant.nets.initial import initial_parameters
from emulant.rng import torch_rng
from emulant_apps.ising.decimation import decimation
from emulant_apps.ising.enumeration import all_states, enumerate_states
from emulant_apps.ising.exact import kaufman
from emulant_apps.ising.hamiltonian import energies
from emulant_apps.ising.hierarchy import HierarchicalGenerator, screened_probability


def generator(*lattices: int, seed: int = 0) -> HierarchicalGenerator:
    with initial_parameters(torch_rng(seed)):
        made = HierarchicalGenerator(lattices, width=8, seed_width=8)
    for parameter in made.parameters():  # away from the special point where scales are one
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=torch_rng(seed, "move"))
    return made


def contexts(temperature: float, lattice: int, n: int) -> torch.Tensor:
    return torch.tensor([[temperature, lattice]], dtype=torch.float32).expand(n, 2)


@pytest.mark.parametrize("lattice", [8, 16, 32])
@torch.no_grad()
def test_the_last_layers_are_boltzmann(lattice: int) -> None:
    """ln q(s) - ln q(s') = -(E - E')/T when s and s' share the learned spins."""
    net, T, n = generator(lattice), 2.4, 16
    c = contexts(T, lattice, n)
    order = decimation(lattice, net.radius)
    free = np.concatenate([order.screened, order.odd])
    s = net.draw(n, torch_rng(1), c)
    other = s.clone().reshape(n, -1)
    other[:, free] = torch.where(torch.rand(n, len(free), generator=torch_rng(2)) < 0.5, 1.0, -1.0)
    other = other.reshape(s.shape)
    difference = (net.log_prob(s, c) - net.log_prob(other, c)).numpy()
    e, e_other = (energies(x[:, 0].numpy().astype(np.int8)) * lattice**2 for x in (s, other))
    np.testing.assert_allclose(difference, -(e - e_other) / T, atol=2e-3)


@torch.no_grad()
def test_the_global_flip_is_exact() -> None:
    net, c = generator(16), contexts(2.3, 16, 32)
    s = net.draw(32, torch_rng(0), c)
    assert torch.equal(net.log_prob(s, c), net.log_prob(-s, c))


@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_mean_weight_is_the_partition_function(seed: int) -> None:
    """E_q[exp(-E/T) / q] = Z for any parameters, which needs draw and log_prob to agree."""
    lattice, T, n = 8, 6.0, 20_000
    net, c = generator(lattice, seed=seed), contexts(T, lattice, n)
    s = net.draw(n, torch_rng(seed, "draw"), c)
    ln_q = net.log_prob(s, c).numpy()
    ln_w = -energies(s[:, 0].numpy().astype(np.int8)) * lattice**2 / T - ln_q
    w = np.exp(ln_w - kaufman(lattice, T).log_z)
    assert abs(w.mean() - 1) < 5 * w.std() / math.sqrt(n)
    assert w.std() < 10  # otherwise the line above says nothing


@pytest.mark.parametrize("temperature", [1.5, 2.3, 5.0])
def test_screened_labels_against_enumeration(temperature: float) -> None:
    """P(s_i | other even spins) by summing the Boltzmann weights of all odd spins."""
    states = all_states(4)
    boltzmann = enumerate_states(4, temperature)
    row, column = np.indices((4, 4))
    even = (row + column) % 2 == 0
    key = (states[:, even] > 0) @ (1 << np.arange(8))
    marginal = np.bincount(key, weights=boltzmann.probabilities, minlength=256)
    found = screened_probability(
        torch.from_numpy(states.astype(np.float32)), torch.full((len(states),), temperature)
    ).numpy()
    for bit, (i, j) in enumerate(np.argwhere(even)):
        up, down = marginal[key | (1 << bit)], marginal[key & ~(1 << bit)]
        np.testing.assert_allclose(found[:, i, j], up / (up + down), atol=2e-6)


def test_screened_labels_leave_the_mean_likelihood() -> None:
    """Over true states the mean of nll_terms is that of the learned part of -ln q."""
    from emulant_apps.ising.simulators import simulate

    lattice, T, n = 8, 2.6, 6000
    net, c = generator(lattice), contexts(T, lattice, n)
    x = torch.from_numpy(simulate(lattice, T, n, seed=3).spins).float()[:, None]
    order = decimation(lattice, net.radius)
    with torch.no_grad():
        screened = torch.stack(list(net.nll_terms(x, c).values())).sum(0).numpy()
        logits = net._learned_logits(order, x.reshape(1, n, -1).transpose(1, 2), net.context(c[:1]))
        spins = x.reshape(n, -1).T
        plain = -sum(
            torch.nn.functional.logsigmoid(logit[0] * spins[sites]).sum(0)
            for sites, logit in logits.values()
        ).numpy()
    error = (screened - plain).std() / math.sqrt(n)
    assert abs((screened - plain).mean()) < 4 * error
    assert screened.std() < plain.std()


@torch.no_grad()
def test_states_do_not_depend_on_their_neighbours_in_the_batch() -> None:
    net = generator(16)
    c = torch.tensor([[2.0, 16.0], [2.5, 16.0], [2.5, 16.0]])
    x = torch.where(torch.rand(3, 1, 16, 16, generator=torch_rng(0)) < 0.5, 1.0, -1.0)
    together = net.log_prob(x, c)
    alone = torch.cat([net.log_prob(x[k : k + 1], c[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_gradients_pass_straight_through_to_every_parameter() -> None:
    net, c = generator(8), contexts(2.3, 8, 16)
    x = net.draw(16, torch_rng(0), c)
    (x * x.roll(1, 2)).mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert silent == []


def test_contexts_of_a_wrong_shape_or_side_are_refused() -> None:
    net = generator(8)
    with pytest.raises(ValueError, match="'c' must have shape"):
        net.draw(2, torch_rng(0), torch.ones(2, 1))
    with pytest.raises(ValueError, match="must name one side"):
        net.draw(2, torch_rng(0), contexts(2.0, 16, 2))
