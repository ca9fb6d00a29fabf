"""``emulant studio``: serve the studio on this machine."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass

from emulant.errors import PASS, InputError

__all__ = ["StudioConfig", "run"]


@dataclass(frozen=True, kw_only=True)
class StudioConfig:
    """Try every application in a browser: move its knobs, see its samples, fetch its files."""

    host: str = "127.0.0.1"
    """Address to listen at. Only this machine can reach the default; there is no password."""
    port: int = 8765
    """Port to listen at; 0: any that is free."""
    megabytes: float = 25.0
    """Largest file that can be given, in MB."""
    minutes: float = 15.0
    """Longest time of one job, in minutes."""
    open: bool = True
    """Open a browser."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port: must be between 0 and 65535, got {self.port}")
        for name, value in (("--megabytes", self.megabytes), ("--minutes", self.minutes)):
            if not 0 < value < 1e6:
                raise InputError(f"{name}: must be above 0, got {value:g}")
        if self.host != "localhost":
            try:
                ipaddress.ip_address(self.host)
            except ValueError as error:
                raise InputError(f"--host: must be an IP address, got {self.host!r}") from error


def run(config: StudioConfig) -> int:
    """Serve until Ctrl-C."""
    try:
        from emulant.studio.server import serve
    except ModuleNotFoundError as error:
        raise InputError(
            f"the studio needs the package '{error.name}'; pip install 'emulant[studio]'"
        ) from error

    def said(address: str) -> None:
        sys.stdout.write(f"studio: {address} (Ctrl-C ends it)\n")
        sys.stdout.flush()

    serve(config, said)
    return PASS
