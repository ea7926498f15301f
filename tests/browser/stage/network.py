"""A network of its own for a browser, which a test may cut, mend and renumber; needs root."""

import ctypes
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machines import network as namespaces

_NETWORK = 0x40000000  # CLONE_NEWNET
_TRIES = 20
_CARRIER_SECONDS = 5.0


@dataclass(slots=True)
class Namespace:
    """A network namespace and the cable (veth) between it and the machine."""

    name: str
    inner: str
    outer: str
    subnet: str
    """The first three numbers of its addresses."""
    host: int = 2

    @property
    def gateway(self) -> str:
        """The machine's end of the cable: where a bridge for this browser listens."""
        return f"{self.subnet}.1"

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before a command that make it run in here."""
        return ("ip", "netns", "exec", self.name)

    def socket(self, address: Any) -> socket.socket:
        """Make a socket in here; the thread is back outside when this returns."""
        family, kind, protocol, _, _ = address
        libc = ctypes.CDLL(None, use_errno=True)
        with (
            Path("/proc/thread-self/ns/net").open() as home,
            Path("/run/netns", self.name).open() as inside,
        ):
            if libc.setns(inside.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                made = socket.socket(family, kind, protocol)
            finally:
                libc.setns(home.fileno(), _NETWORK)
        made.setblocking(False)
        return made

    def unplug(self) -> None:
        """Pull the cable out: the browser's machine notices at once."""
        _run("ip", "link", "set", self.outer, "down")

    def plug(self) -> None:
        """Put the cable back; returns when the browser's machine has its carrier."""
        _run("ip", "link", "set", self.outer, "up")
        deadline = time.monotonic() + _CARRIER_SECONDS
        while " state UP " not in _run("ip", "-n", self.name, "link", "show", self.inner):
            assert time.monotonic() < deadline, "the cable has no carrier"
            time.sleep(0.02)

    def black_hole(self) -> None:
        """Lose every packet, both ways, while the cable looks fine."""
        self._queue("add", "pfifo", "limit", "0")  # a queue without room drops all

    def block_udp(self) -> None:
        """Let no UDP out, as many company networks do."""
        _run("ip", "-n", self.name, "rule", "add", "pref", "1", "ipproto", "udp", "blackhole")

    def restore(self) -> None:
        """End the black hole."""
        self._queue("del")

    def _queue(self, verb: str, *kind: str) -> None:
        _run("tc", "qdisc", verb, "dev", self.outer, "root", *kind)
        _run("tc", "-n", self.name, "qdisc", verb, "dev", self.inner, "root", *kind)

    def move(self) -> None:
        """Change the browser's address, as another Wi-Fi does."""
        old, self.host = self.host, self.host + 1
        inside = ("ip", "-n", self.name)
        _run(*inside, "addr", "del", f"{self.subnet}.{old}/24", "dev", self.inner)
        _run(*inside, "addr", "add", f"{self.subnet}.{self.host}/24", "dev", self.inner)
        _run(*inside, "route", "replace", "default", "via", self.gateway)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a network namespace with one cable to the machine, and take it away afterwards."""
    made = _make()
    try:
        yield made
    finally:
        with suppress(subprocess.CalledProcessError):
            _run("ip", "link", "del", made.outer)
        _run("ip", "netns", "del", made.name)


def available() -> bool:
    """Whether this process may make network namespaces and shape their traffic."""
    return bool(shutil.which("tc")) and namespaces.available()


def _make() -> Namespace:
    for _ in range(_TRIES):
        number = random.randrange(1, 250)
        made = Namespace(f"wb{number}", f"wbi{number}", f"wbo{number}", f"10.231.{number}")
        try:
            _run("ip", "netns", "add", made.name)
        except subprocess.CalledProcessError:
            continue  # another test has it
        inside = ("ip", "-n", made.name)
        _run("ip", "link", "add", made.outer, "type", "veth", "peer", "name", made.inner)
        _run("ip", "link", "set", made.inner, "netns", made.name)
        _run("ip", "addr", "add", f"{made.gateway}/24", "dev", made.outer)
        _run("ip", "link", "set", made.outer, "up")
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "addr", "add", f"{made.subnet}.{made.host}/24", "dev", made.inner)
        _run(*inside, "link", "set", made.inner, "up")
        _run(*inside, "route", "add", "default", "via", made.gateway)
        return made
    raise AssertionError("no network namespace could be made")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
