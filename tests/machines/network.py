"""Machines in network namespaces, joined by a switch that can cut any two of them apart; needs root.

The test itself is the host `outside`, in the namespace it was started in.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_TRIES = 50


@dataclass(frozen=True, slots=True)
class Host:
    """A machine of the network."""

    name: str
    """Of its namespace; empty for `outside`."""
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before a command that make it run here; they start no process of their own."""
        return ("ip", "netns", "exec", self.name) if self.name else ()


@dataclass(slots=True)
class Network:
    """All hosts, and the switch between them."""

    switch: str
    outside: Host
    hosts: dict[str, Host]
    _cuts: set[tuple[str, str]] = field(default_factory=set)

    def cut(self, one: Host, other: Host) -> None:
        """Lose every packet between two hosts from now on; neither is told."""
        for pair in ((one.address, other.address), (other.address, one.address)):
            if pair not in self._cuts:
                self._cuts.add(pair)
                self._rule("add", *pair)

    def mend(self, one: Host, other: Host) -> None:
        """Let two hosts reach each other again."""
        for pair in ((one.address, other.address), (other.address, one.address)):
            if pair in self._cuts:
                self._cuts.discard(pair)
                self._rule("del", *pair)

    def _rule(self, verb: str, source: str, target: str) -> None:
        words = ("pref", "1", "from", source, "to", target, "blackhole")
        run("ip", "-n", self.switch, "rule", verb, *words)


@contextmanager
def network(names: Sequence[str]) -> Iterator[Network]:
    """Make a network of these hosts, and take it away afterwards."""
    number = _free_number()
    switch = f"bsw{number}"
    made = [switch]
    try:
        run("ip", "-n", switch, "link", "set", "lo", "up")
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        run("ip", "netns", "exec", switch, "sh", "-c", forward)
        outside = _cable(switch, number, 0, "")
        hosts = {}
        for place, name in enumerate(names, start=1):
            inside = f"b{name}{number}"
            run("ip", "netns", "add", inside)
            made.append(inside)
            run("ip", "-n", inside, "link", "set", "lo", "up")
            hosts[name] = _cable(switch, number, place, inside)
        yield Network(switch, outside, hosts)
    finally:
        with suppress(subprocess.CalledProcessError):
            run("ip", "link", "del", f"bc{number}o0")
        for name in made:
            with suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", name)


def available() -> bool:
    """Whether this process may make network namespaces."""
    if os.geteuid() or not shutil.which("ip"):
        return False
    name = f"probe{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    run("ip", "netns", "del", name)
    return True


def _free_number() -> int:
    """Return a number that no other network has, having made its switch."""
    for _ in range(_TRIES):
        number = random.randrange(1, 250)
        with suppress(subprocess.CalledProcessError):
            run("ip", "netns", "add", f"bsw{number}")
            return number
    raise AssertionError("no network namespace could be made")


def _cable(switch: str, number: int, place: int, inside: str) -> Host:
    """Lay a cable from the switch to a host and return the host."""
    outer, inner = f"bc{number}s{place}", f"bc{number}o{place}"
    gateway, address = (f"10.232.{number}.{4 * place + end}" for end in (1, 2))
    at_switch = ("ip", "-n", switch)
    at_host = ("ip", "-n", inside) if inside else ("ip",)
    peer = ("type", "veth", "peer", "name", inner)
    run(*at_switch, "link", "add", outer, *peer, *(("netns", inside) if inside else ()))
    if not inside:
        run(*at_switch, "link", "set", inner, "netns", str(os.getpid()))
    run(*at_switch, "addr", "add", f"{gateway}/30", "dev", outer)
    run(*at_switch, "link", "set", outer, "up")
    run(*at_host, "addr", "add", f"{address}/30", "dev", inner)
    run(*at_host, "link", "set", inner, "up")
    run(*at_host, "route", "add", f"10.232.{number}.0/24", "via", gateway)
    return Host(inside, address)


def run(*command: str) -> str:
    """Run a command and return what it writes.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
