import math

import pytest
import torch

from emulant.rng import torch_rng
from emulant.samplers.guidance import guided
from emulant.samplers.ode import SOLVERS, carry_density, divergence, integrate


def grid(steps, end=1.0):
    return [k * end / steps for k in range(steps + 1)]


@pytest.mark.parametrize("name", SOLVERS)
def test_the_measured_order_is_the_claimed_order(name):
    """dx/dt = x cos t, whose answer is x_0 exp(sin t)."""
    x = torch.ones(1, dtype=torch.float64)
    answer = math.exp(math.sin(2.0))
    errors = [
        abs(float(integrate(lambda x, t: x * math.cos(t), x, grid(n, 2.0), name)) - answer)
        for n in (32, 64)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(SOLVERS[name].order, abs=0.1)


def test_there_and_back_again():
    x = torch.randn(5, 3, generator=torch_rng(0), dtype=torch.float64)
    there = integrate(lambda x, t: torch.sin(x + t), x, grid(64))
    assert torch.allclose(integrate(lambda x, t: torch.sin(x + t), there, grid(64)[::-1]), x)


def test_the_divergence_of_a_linear_field_is_its_trace():
    a = torch.randn(4, 4, generator=torch_rng(0), dtype=torch.float64)
    x = torch.randn(3, 2, 2, generator=torch_rng(1), dtype=torch.float64)
    slope, trace = divergence(lambda x, _: (x.flatten(1) @ a).reshape(x.shape), x, 0.0)
    assert torch.allclose(slope.flatten(1), x.flatten(1) @ a)
    assert torch.allclose(trace, a.trace().expand(3))


def test_a_linear_flow_compresses_by_its_trace_times_the_time():
    a = torch.randn(3, 3, generator=torch_rng(0), dtype=torch.float64)
    x = torch.randn(2, 3, generator=torch_rng(1), dtype=torch.float64)
    carried = carry_density(lambda x, _: x @ a, x, grid(64, 2.0))
    assert torch.allclose(carried.compression, 2 * a.trace().expand(2))
    assert torch.allclose(carried.x, x @ torch.matrix_exp(2 * a), atol=1e-5)


def test_an_unknown_solver_and_a_single_time_are_refused():
    with pytest.raises(ValueError, match="'solver' must be one of"):
        integrate(lambda x, _: x, torch.ones(1), [0.0, 1.0], "magic")
    with pytest.raises(ValueError, match="'times' must hold"):
        integrate(lambda x, _: x, torch.ones(1), [0.0])


def test_guidance_moves_away_from_the_unconditional_answer():
    def net(x, t, c):  # noqa: ARG001
        return x + c.nan_to_num(0.0)

    x, t, c = torch.zeros(2, 1), torch.zeros(2), torch.ones(2, 1)
    for guidance in (0.0, 1.0, 3.0):
        assert torch.equal(guided(net, x, t, c, guidance), guidance * c)
    with pytest.raises(ValueError, match="'c' must be given"):
        guided(lambda x, *_: x, x, t, None, 2.0)
