r"""Gated recurrent units that are fed one token at a time, for saying: no gradients, and quick.

Notation: h state, u the token's row of a table with what stands beside it, ~ rounding to float16,

    r = σ(W_r [h~, u~] + b_r),  z = σ(W_z [h~, u~] + b_z),
    n = tanh(V_n u~ + c_n + r (W_n h~ + b_n)),  h' = (1 - z) n + z h,

the same cell as :class:`torch.nn.GRU`, but that, in networks of LEAST units and more, states and
weights are rounded before, and products after they are summed, in float32. What the table adds is
computed once for each token, exactly. Processors that multiply float16 numbers do so many times
sooner; on others the same numbers are multiplied as float32, so that the answers differ by the
order of the sums alone. There oneDNN multiplies, which knows the widest registers of every
processor; the library that torch asks by itself leaves half of them idle on some.

- Micikevicius et al., Mixed Precision Training, 2017, https://arxiv.org/abs/1710.03740
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["Stepper"]

LEAST = 128
"""Units from which on numbers are rounded: smaller networks gain nothing by it."""


@functools.cache
def _multiplies(device: str) -> bool:
    """Return whether the machine itself multiplies float16 numbers."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # none in older ones
    return device != "cpu" or bool(known.get("amx_fp16") or known.get("avx512_fp16"))


def _has_onednn() -> bool:
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # torch's
    return found


class _Weights:
    """A matrix that rows are multiplied by, all numbers ``rounded`` to float16, or none."""

    def __init__(self, matrix: Tensor, rounded: bool, native: bool) -> None:
        self.rounded, self.native = rounded, native
        kept = matrix.half() if rounded else matrix
        self.matrix = (kept if native else kept.float()).contiguous()
        self.packed = rounded and not native and _has_onednn()
        if self.packed:
            self.matrix = self.matrix.to_mkldnn()

    def read(self, x: Tensor) -> Tensor:
        """Return rows as :meth:`times` takes them."""
        return x.half() if self.rounded else x

    def times(self, x: Tensor) -> Tensor:
        """Return the products (B, K) of rows ``x``."""
        if self.native or not self.rounded:
            return linear(x, self.matrix)
        if self.packed:
            return linear(x.float().to_mkldnn(), self.matrix).to_dense().half()
        return linear(x.float(), self.matrix).half()


@dataclass(frozen=True)
class _Layer:
    """One layer: what is added for each token, or for all, (V or 1, ...), and the matrices."""

    gates: Tensor
    """Of r and z, beside each other, (V or 1, 2 H)."""
    new: Tensor
    """(V or 1, H)."""
    gates_by: _Weights
    """Of the state and what stands beside the token, W_r over W_z."""
    state_by: _Weights
    """W_n."""
    state_bias: Tensor
    """b_n."""
    beside_by: _Weights | None
    """V_n, but for the columns of the table; None where there are no others."""

    def after(self, rows: Tensor | None, beside: Tensor | None, state: Tensor) -> Tensor:
        """Return h' (B, H) of a state (B, H), rows of the tokens (B,) and numbers beside them."""
        seen = known = self.state_by.read(state)
        if beside is not None:
            beside = self.state_by.read(beside)
            seen = torch.cat([known, beside], 1)
        gates, new = (
            part if rows is None else part.index_select(0, rows) for part in (self.gates, self.new)
        )
        r, z = torch.sigmoid_(gates + self.gates_by.times(seen)).chunk(2, 1)
        if self.beside_by is not None and beside is not None:
            new = new + self.beside_by.times(beside)
        n = _tanh(torch.addcmul(new, r, self.state_by.times(known) + self.state_bias))
        return torch.lerp(n, state, z)


def _tanh(x: Tensor) -> Tensor:
    """Return tanh x = 2 σ(2x) - 1 in place of x: σ takes a tenth of the time of torch's tanh."""
    return torch.sigmoid_(x.mul_(2)).mul_(2).sub_(1)


class Stepper:
    """A GRU that reads a token's row of a table, and numbers beside it, one token at a time.

    Arguments
    ---------
    cells : the network, of one layer or of several; its parameters are read now.
    table : rows (V, E) of the tokens, the first E columns of the input.
    native : whether the machine is to multiply float16 numbers; None: if it can.

    Examples
    --------
    >>> step = Stepper(nn.GRU(5, 8, batch_first=True), torch.zeros(3, 4))
    >>> h, memory = step(torch.tensor([0, 2]), torch.ones(2, 1), torch.zeros(1, 2, 8))
    >>> h.shape, memory.shape
    (torch.Size([2, 8]), torch.Size([1, 2, 8]))
    """

    def __init__(self, cells: nn.GRU, table: Tensor, native: bool | None = None) -> None:
        with torch.no_grad():
            self.layers = [_layer(cells, k, table, native) for k in range(cells.num_layers)]

    def __call__(
        self, tokens: Tensor, beside: Tensor | None, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the highest state (B, H) after one token of each row, and all states.

        Parameters
        ----------
        tokens
            Rows of the table, shape (B,).
        beside
            The rest of the input, shape (B, F); None where the table is all.
        memory
            States of all layers, shape (L, B, H).
        """
        rows: Tensor | None = tokens
        below = beside
        states = []
        with torch.no_grad():
            for layer, state in zip(self.layers, memory.float(), strict=True):
                states.append(layer.after(rows, below, state))
                rows, below = None, states[-1]
        return states[-1], torch.stack(states)


def _layer(cells: nn.GRU, k: int, table: Tensor, native: bool | None) -> _Layer:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    of_input, of_state, bias, state_bias = (
        getattr(cells, f"{name}_l{k}").detach().float().chunk(3) for name in names
    )
    known = table.shape[1] if k == 0 else 0
    rows = table.float() if k == 0 else table.new_zeros(1, 0)
    others = [part[:, known:] for part in of_input]
    reset, update, new = (
        rows @ part[:, :known].T + own for part, own in zip(of_input, bias, strict=True)
    )
    weights = functools.partial(
        _Weights,
        rounded=cells.hidden_size >= LEAST,
        native=_multiplies(table.device.type) if native is None else native,
    )
    return _Layer(
        torch.cat([reset + state_bias[0], update + state_bias[1]], 1),
        new,
        weights(torch.cat([torch.cat(of_state[:2]), torch.cat(others[:2])], 1)),
        weights(of_state[2]),
        state_bias[2],
        weights(others[2]) if others[2].shape[1] else None,
    )
