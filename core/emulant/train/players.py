"""The players at the table: who owns which parameter, and how one of them moves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from emulant.methods.game import Method
from emulant.train.plan import Optimiser

__all__ = ["DivergenceError", "Player", "only", "seat"]


class DivergenceError(RuntimeError):
    """A loss or a gradient is not finite; the parameters are those before that turn."""


class Player:
    """A player's trainable parameters, by their names in the method, and its optimiser."""

    def __init__(
        self, name: str, parameters: Mapping[str, nn.Parameter], settings: Optimiser
    ) -> None:
        self.name = name
        self.parameters = dict(parameters)
        self.settings = settings
        self.adam = torch.optim.AdamW(
            list(self.parameters.values()),
            fused=all(p.device.type in ("cpu", "cuda") for p in self.parameters.values()),
            lr=settings.lr,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )

    def move(self, fabric: Fabric, bill: Tensor, learning_rate: float) -> float:
        """Pay ``bill``, a scalar: move the parameters against its gradient.

        Several processes move by the mean of their gradients. Returns the gradient's norm.

        Raises
        ------
        DivergenceError
            The bill or its gradient is not finite.
        """
        self.adam.zero_grad()
        fabric.backward(bill)
        parameters = list(self.parameters.values())
        average_gradients(fabric, parameters)
        limit = math.inf if self.settings.clip is None else self.settings.clip
        norm = float(nn.utils.clip_grad_norm_(parameters, limit))
        if not (math.isfinite(norm) and math.isfinite(bill.item())):
            raise DivergenceError(f"player '{self.name}' pays {bill.item()}, gradient norm {norm}")
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        self.adam.step()
        self.adam.zero_grad()
        return norm

    def state(self) -> dict[str, Tensor]:
        """Return the optimiser's memory, flat: ``parameter/quantity`` -> tensor."""
        return {
            f"{name}/{quantity}": value
            for name, parameter in self.parameters.items()
            for quantity, value in self.adam.state.get(parameter, {}).items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what :meth:`state` returned."""
        memory: dict[int, dict[str, Tensor]] = {}
        order = {name: index for index, name in enumerate(self.parameters)}
        for key, value in state.items():
            name, quantity = key.rsplit("/", 1)
            memory.setdefault(order[name], {})[quantity] = value
        groups = self.adam.state_dict()["param_groups"]
        self.adam.load_state_dict({"state": memory, "param_groups": groups})


def seat(method: Method, optimisers: Mapping[str, Optimiser]) -> dict[str, Player]:
    """Return the players of ``method``, after checking that each parameter has one owner."""
    modules = method.players()
    if set(modules) != set(optimisers) or not set(method.turns) <= set(modules):
        raise ValueError(
            f"'optimisers' must name the players {sorted(modules)} that take the turns "
            f"{list(method.turns)}, got {sorted(optimisers)}"
        )
    owner: dict[nn.Parameter, str] = {}
    for player, module in modules.items():
        for parameter in module.parameters():
            if owner.setdefault(parameter, player) != player:
                raise ValueError(f"'{owner[parameter]}' and '{player}' share a parameter")
    trainable = {name: p for name, p in method.named_parameters() if p.requires_grad}
    for name, parameter in trainable.items():
        if parameter not in owner:
            raise ValueError(f"'players' must own every trainable parameter, none owns {name!r}")
    return {
        player: Player(
            player, {k: p for k, p in trainable.items() if owner[p] == player}, optimisers[player]
        )
        for player in modules
    }


@contextmanager
def only(player: Player, players: Mapping[str, Player]) -> Iterator[None]:
    """Let gradients reach the parameters of ``player`` and of nobody else."""
    for other in players.values():
        for parameter in other.parameters.values():
            parameter.requires_grad_(other is player)
    try:
        yield
    finally:
        for other in players.values():
            for parameter in other.parameters.values():
                parameter.requires_grad_(True)


def average_gradients(fabric: Fabric, parameters: Sequence[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one message."""
    if fabric.world_size == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    mean = fabric.all_reduce(flat, reduce_op="mean")
    if not isinstance(mean, Tensor):
        raise TypeError(f"all_reduce must return a tensor, got {type(mean)}")
    pieces = torch.split(mean, [gradient.numel() for gradient in gradients])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)
