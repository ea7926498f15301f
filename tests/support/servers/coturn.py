"""Debian's coturn, started with the configuration that the project ships."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import free_port

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "coturn" / "turnserver.conf"
ALLOWED_IN_FILE = "192.0.2.10"
"""The bridge's address in the shipped file, to be replaced by the real one."""


@dataclass(frozen=True, slots=True)
class Coturn:
    """A running TURN server."""

    address: str
    port: int
    secret: str
    log: Path

    def urls(self) -> list[str]:
        """Its TURN URLs, over UDP and over TCP."""
        base = f"turn:{self.address}:{self.port}"
        return [f"{base}?transport=udp", f"{base}?transport=tcp"]


@contextlib.contextmanager
def running_coturn(folder: Path, address: str, *, peer: str, secret: str) -> Iterator[Coturn]:
    """Run coturn on `address`, relaying to `peer` only, until the block is left."""
    text = CONFIGURATION.read_text()
    assert f"allowed-peer-ip={ALLOWED_IN_FILE}\n" in text
    configuration = folder / "turnserver.conf"
    configuration.write_text(
        text.replace(f"allowed-peer-ip={ALLOWED_IN_FILE}", f"allowed-peer-ip={peer}")
    )
    port = free_port(address)
    command = [
        *("turnserver", "-c", str(configuration)),
        *("--listening-ip", address, "--relay-ip", address, "--listening-port", str(port)),
        *("--static-auth-secret", secret, "--userdb", str(folder / "turndb")),
        *("--pidfile", str(folder / "turnserver.pid")),
    ]
    log = folder / "turnserver.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder) as process,
    ):
        try:
            _wait_until_it_listens(process, address, port, log)
            yield Coturn(address, port, secret, log)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_listens(
    process: subprocess.Popen[bytes], address: str, port: int, log: Path
) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"coturn does not listen:\n{log.read_text(errors='replace')[-2000:]}")
