import pytest
import torch

from emulant.conditions import ClassEmbedding, ContinuousEmbedding, FiLM, drop_conditions
from emulant.rng import torch_rng


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("grid", [(), (4,), (4, 5), (2, 3, 4)])
def test_film_starts_as_the_identity_and_scales_by_channel(shift, grid):
    film = FiLM(2, 3, shift)
    h = torch.randn(2, 3, *grid, generator=torch_rng(0))
    e = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(film(h, e), h)
    film.linear.weight.data[0, 0] = 0.5  # scale of channel 0 in the first event
    factor = torch.ones(2, 3)
    factor[0, 0] = 1.5
    assert torch.allclose(film(h, e), h * factor.reshape(2, 3, *(1,) * len(grid)))


def test_film_without_a_shift_is_odd():
    film = FiLM(2, 3, shift=False)
    torch.nn.init.normal_(film.linear.weight, generator=torch_rng(0))
    h, e = torch.randn(2, 3, 4, generator=torch_rng(1)), torch.ones(2, 2)
    assert torch.equal(film(-h, e), -film(h, e))


def test_continuous_contexts_are_standardised():
    narrow = ContinuousEmbedding([2.0], [0.5], 4)
    plain = ContinuousEmbedding([0.0], [1.0], 4)
    plain.layers.load_state_dict(narrow.layers.state_dict())
    c = torch.tensor([[2.5], [1.0]])
    assert torch.allclose(narrow(c), plain((c - 2) / 0.5))


def test_a_missing_context_has_a_vector_of_its_own_and_finite_gradients():
    embedding = ContinuousEmbedding([0.0, 0.0], [1.0, 1.0], 4, missing=True)
    e = embedding(torch.tensor([[1.0, float("nan")], [1.0, 2.0]]))
    assert torch.equal(e[0], embedding.unknown)
    e.sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in embedding.parameters())


def test_classes_have_vectors_and_unknown_has_the_last():
    embedding = ClassEmbedding(3, 4)
    assert torch.equal(embedding(torch.tensor([[-1], [0]])), embedding.table.weight[[3, 0]])
    with pytest.raises(ValueError, match="from -1 to 2"):
        embedding(torch.tensor([3]))


@pytest.mark.parametrize("c", [torch.zeros(4000, 2), torch.zeros(4000, 1, dtype=torch.long)])
def test_conditions_are_dropped_row_by_row_at_the_rate(c):
    dropped = drop_conditions(c, 0.25, torch_rng(0))
    unknown = dropped.isnan() if c.is_floating_point() else dropped == -1
    assert torch.equal(unknown.all(1), unknown.any(1))
    assert abs(float(unknown.float().mean()) - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(B, 1\)"):
        ContinuousEmbedding([0.0], [1.0], 4)(torch.zeros(3))
    with pytest.raises(ValueError, match="positive"):
        ContinuousEmbedding([0.0], [0.0], 4)
