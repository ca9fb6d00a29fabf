import pytest
import torch

from emulant.nets.initial import initial_parameters
from emulant.nets.unet import UNet
from emulant.rng import torch_rng


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_it_keeps_the_grid_and_starts_at_zero(dimensions):
    x = torch.randn(2, 3, *(8,) * dimensions, generator=torch_rng(0))
    y = UNet(dimensions, 3, 2, widths=(4, 8, 8))(x, torch.zeros(2))
    assert y.shape == (2, 2, *(8,) * dimensions)
    assert not y.any()


def test_a_periodic_one_commutes_with_translations_by_its_coarsest_cell():
    with initial_parameters(torch_rng(0)):
        net = UNet(2, 1, 1, widths=(4, 8)).double()
        torch.nn.init.normal_(net.last.weight)
    x = torch.randn(2, 1, 8, 8, generator=torch_rng(0), dtype=torch.float64)
    t = torch.tensor([0.1, 0.9], dtype=torch.float64)
    moved = net(x.roll((2, 4), (2, 3)), t)
    assert torch.allclose(moved, net(x, t).roll((2, 4), (2, 3)), atol=1e-12)
    with pytest.raises(ValueError, match="'x' must have sides that 2 divides"):
        net(x[:, :, :7], t)
