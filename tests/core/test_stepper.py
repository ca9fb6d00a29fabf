"""A GRU fed one token at a time: the cell of torch, exactly or rounded, on every machine alike."""

import pytest
import torch
from torch import Tensor, nn

from emulant.nets.initial import initial_parameters
from emulant.nets.stepper import LEAST, Stepper
from emulant.rng import torch_rng

B, T, F = 6, 25, 5


def states(width: int, layers: int, beside: bool, native: bool | None) -> tuple[Tensor, Tensor]:
    """Return the states after every token (B, T, H), of torch's cell and of the stepper."""
    rng = torch_rng(0, "stepper")
    with initial_parameters(rng):
        cells = nn.GRU(12 + F * beside, width, layers, batch_first=True)
    table, e = torch.randn(9, 12, generator=rng), torch.randn(B, F, generator=rng)
    tokens = torch.randint(9, (B, T), generator=rng)
    read = table[tokens]
    if beside:
        read = torch.cat([read, e[:, None].expand(-1, T, -1)], 2)
    step, memory, found = Stepper(cells, table, native), torch.zeros(layers, B, width), []
    for t in range(T):
        h, memory = step(tokens[:, t], e if beside else None, memory)
        found.append(h)
    with torch.no_grad():
        return cells(read)[0], torch.stack(found, 1)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("beside", [False, True])
def test_a_small_network_is_that_of_torch(layers: int, beside: bool) -> None:
    theirs, ours = states(LEAST - 1, layers, beside, None)
    assert torch.allclose(theirs, ours, atol=2e-6)


@pytest.mark.parametrize("native", [False, None])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_large_network_is_rounded_to_half_precision(layers: int, native: bool | None) -> None:
    theirs, ours = states(2 * LEAST, layers, True, native)
    assert torch.allclose(theirs, ours, atol=2e-3)
    assert not torch.allclose(theirs, ours, atol=1e-6)


def test_machines_differ_by_the_order_of_sums() -> None:
    """What float32 makes of rounded numbers is what the machine makes of them, where it can."""
    theirs, _ = states(2 * LEAST, 1, True, False)
    emulated, native = (states(2 * LEAST, 1, True, n)[1] for n in (False, None))
    apart = (emulated - native).abs().max()
    assert apart < 0.5 * (emulated - theirs).abs().max() + 1e-7


def test_weights_are_read_when_it_is_made() -> None:
    cells, table = nn.GRU(4, 8, batch_first=True), torch.ones(3, 4)
    step, token, memory = Stepper(cells, table), torch.tensor([1]), torch.zeros(1, 1, 8)
    before, _ = step(token, None, memory)
    with torch.no_grad():
        cells.bias_ih_l0.add_(1.0)
    assert torch.equal(step(token, None, memory)[0], before)
    assert not torch.equal(Stepper(cells, table)(token, None, memory)[0], before)
