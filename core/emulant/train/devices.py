"""Where a training run happens: one device, or the processes that ``torchrun`` started."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from emulant.errors import InputError
from emulant.train.plan import Precision

__all__ = ["gather"]


def gather(device: str, precision: Precision) -> Fabric:
    """Return the Fabric of this process, launched.

    Raises
    ------
    InputError
        This machine has no such device.
    """
    kind, index = _device(device)
    if not TorchElasticEnvironment.detect():
        fabric = Fabric(
            accelerator=kind,
            devices=1 if index is None or kind != "cuda" else [index],
            precision=precision,
            plugins=[LightningEnvironment()],
        )
    else:
        environment = TorchElasticEnvironment()
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        fabric = Fabric(
            accelerator=kind,
            strategy="ddp" if environment.world_size() > 1 else "auto",
            devices=local,
            num_nodes=environment.world_size() // local,
            precision=precision,
        )
    fabric.launch()
    return fabric


def _device(name: str) -> tuple[str, int | None]:
    """Return the kind of device, and its number where it has one."""
    if name == "auto":
        return ("cuda" if torch.cuda.is_available() else "cpu"), None
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}: unknown; use auto, cpu, cuda, cuda:1 or mps") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise InputError(f"device {name!r}: this machine has none; use --device auto or cpu")
    return device.type, device.index
