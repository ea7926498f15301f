"""Ports of loopback for the bridge of a rehearsal and for bots, below those that the kernel hands out for outgoing connections."""

import secrets
import socket
from contextlib import suppress
from typing import Final

from bridge.rehearse.scenario_file import ScenarioError

FIRST, LAST = 20_000, 32_000
MEDIA_PORTS: Final = 400
ATTEMPTS: Final = 100


def free_port(first: int = FIRST, last: int = LAST) -> int:
    """Return a TCP port that nobody uses now, nor gets by chance before the bot listens.

    Raises:
        ScenarioError: none was found.
    """
    for _ in range(ATTEMPTS):
        port = first + secrets.randbelow(last - first)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise ScenarioError(f"no TCP port between {first} and {last} is free")


def media_ports() -> str:
    """Return a range of UDP ports; the bridge skips those in use."""
    first = FIRST + secrets.randbelow(LAST - FIRST - MEDIA_PORTS)
    return f"{first}-{first + MEDIA_PORTS - 1}"
