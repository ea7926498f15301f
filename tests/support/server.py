"""The bridge as its users run it: a process of its own, with its own ports and data folder."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.http import local_token
from tests.support.machine import free_port

READY_SECONDS = 90.0
"""Generous: the machine may be busy with other tests."""
STOP_SECONDS = 15.0
MEDIA_PORTS = 20
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Server:
    """A bridge that takes calls."""

    url: str
    port: int
    key: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def local(self) -> str:
        """What programs on its machine send instead of a key."""
        return local_token.find(self.folder / "data")

    def get(self, path: str) -> Any:
        """Return the JSON of a reply, out of the native envelope if it has one."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON and return the JSON of the reply, as `get` does."""
        return self._ask("POST", path, body)

    def text(self, path: str) -> str:
        """Return a reply as it is."""
        return self._read("GET", path, None).decode()

    def content(self, path: str) -> bytes:
        """Return a reply as it is, byte by byte."""
        return self._read("GET", path, None)

    def end_calls(self) -> None:
        """Hang up whatever is going on, and wait until nothing of it is left.

        Raises:
            AssertionError: something was left after `STOP_SECONDS`.
        """
        deadline = time.monotonic() + STOP_SECONDS
        while (calls := self.get("/call/status")["calls"]) or self._legs():
            for call in calls:
                with suppress(urllib.error.HTTPError):  # it may have ended by itself
                    self.post("/call/hangup", {"callId": call["callId"]})
            if time.monotonic() > deadline:
                raise AssertionError(f"calls were left on the bridge:\n{self.log()}")
            time.sleep(0.02)

    def _legs(self) -> float:
        rows = [row for row in self.text("/metrics").splitlines() if row.startswith("bridge_legs{")]
        return sum(float(row.split()[-1]) for row in rows)

    def log(self) -> str:
        """What the bridge has written so far."""
        return (self.folder / "log.txt").read_text(errors="replace")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        reply = json.loads(self._read(method, path, body))
        return reply["data"] if isinstance(reply, dict) and reply.get("success") else reply

    def _read(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"token": self.local if path == "/metrics" else self.key},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            content: bytes = response.read()
            return content


@contextmanager
def running(
    folder: Path, *, key: str = "demo", command: Sequence[str] = (), **settings: str
) -> Iterator[Server]:
    """Run a bridge; it has to end by itself when asked to, or the test fails.

    Args:
        folder: Takes the data and the log.
        key: The key that the test uses; "demo" needs no line.
        command: More arguments of the command line.
        settings: By environment name without `BRIDGE_`, such as `SIMULATOR__RING_SECONDS="0.2"`.
    """
    with running_command(
        (sys.executable, "-m", "bridge", *command), PROJECT, folder, settings, key
    ) as server:
        yield server


@contextmanager
def running_command(
    command: Sequence[str], cwd: Path, folder: Path, settings: Mapping[str, str], key: str = "demo"
) -> Iterator[Server]:
    """Run a bridge by another command, started in the folder `cwd`; otherwise as `running`."""
    port = free_port()
    wanted = {
        "HTTP__PORT": str(port),
        "DATA__DIR": str(folder / "data"),
        "RTC__PORTS": free_media_ports(),
        "RTC__STUN_URLS": "[]",
        "LIMITS__OVERLOAD_SECONDS": "0",  # the machine may be busy with other tests
        **settings,
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    environment |= {f"BRIDGE_{name}": value for name, value in wanted.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", port, key, folder, process)
    try:
        _wait_until_ready(server)
        yield server
    except BaseException:
        process.kill()
        process.wait()
        raise
    stop(server)


def stop(server: Server) -> None:
    """Ask the bridge to end, as an operator would; harmless when it has ended already."""
    if server.process.poll() is not None:
        return
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise AssertionError(f"the bridge did not end on SIGTERM:\n{server.log()}") from None


def free_media_ports(count: int = MEDIA_PORTS) -> str:
    """Return a range of UDP ports that are all free, below those the kernel hands out itself."""
    for _ in range(100):
        first = random.randrange(10_000, 32_000 - count)
        try:
            with ExitStack() as probes:
                for port in range(first, first + count):
                    probe = probes.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                    probe.bind(("", port))
        except OSError:
            continue
        return f"{first}-{first + count - 1}"
    raise AssertionError(f"no {count} free UDP ports in a row")


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the bridge ended while it started:\n{server.log()}")
        try:
            server.text("/readyz")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the bridge was not ready in {READY_SECONDS} s:\n{server.log()}")
