"""Several machines with a bridge each, a database, a load balancer and a webhook receiver."""

import json
import re
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.machines import front, tally
from tests.machines.callers import KEY
from tests.machines.database import PORT, SLOW_PORT, DatabaseServer, create
from tests.machines.front import Front
from tests.machines.network import Host, Network, network
from tests.machines.programs import Program, wait_until
from tests.machines.small_disk import small_disk
from tests.machines.tally import Delivered
from tests.support.machine import free_port

MACHINES = ("a", "b", "c")
HTTP_PORT = 8080
NODE_PORT = 8081
SECRET = "of-the-cluster-under-test-0123456789"
ADMIN = "admin-of-the-cluster-under-test-0123"
NODE_LOST_SECONDS = 12.0
DISK_MB = 64


class Machine(Program):
    """One machine's bridge."""

    @property
    def url(self) -> str:
        """Where clients reach it without the load balancer."""
        return f"http://{self.host.address}:{HTTP_PORT}"

    @property
    def nodes(self) -> set[int]:
        """The node bytes its processes have had."""
        return {int(found) for found in re.findall(r"node\.ready node=(\d+)", self.log)}

    def pid_of(self, node: int) -> int:
        """Return the process that has a node byte."""
        return int(re.findall(rf"node\.ready node={node}\b.* pid=(\d+)", self.log)[-1])

    def owns(self, call_id: str) -> bool:
        """Whether the call is, or was, one of this machine's."""
        return int(call_id[:2], 16) in self.nodes

    def get(self, path: str) -> Any:
        """Ask this machine for JSON, out of the native envelope if it has one."""
        request = urllib.request.Request(f"{self.url}{path}", headers={"token": KEY})
        with urllib.request.urlopen(request, timeout=10) as response:
            reply = json.load(response)
        return reply["data"] if isinstance(reply, dict) and reply.get("success") else reply

    def is_ready(self) -> bool:
        """Whether it takes calls."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def wait_ready(self) -> None:
        """Wait until it takes calls."""
        wait_until(
            lambda: self.is_ready() or not self.running, f"{self.host} not ready:\n{self.log}", 60
        )
        assert self.running, self.log[-5000:]

    def pause(self) -> None:
        """Stop all its processes in the middle of whatever they do."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self.send(signal.SIGCONT)


@dataclass(slots=True)
class Cluster:
    """All of it."""

    network: Network
    machines: list[Machine]
    front: Front
    received: Path
    database: DatabaseServer | None = None
    database_delay: Path = field(default_factory=Path)
    """The file with the seconds by which a slow database's answers are late."""

    def delivered(self) -> list[Delivered]:
        """Return the webhooks so far."""
        return tally.read(self.received)

    def owner(self, call_id: str) -> Machine:
        """Return the machine that a call is on."""
        return next(machine for machine in self.machines if machine.owns(call_id))


@contextmanager
def running_cluster(
    *,
    machines: int = 3,
    postgresql: bool = True,
    slow: bool = False,
    small_disks: Sequence[str] = (),
    each: Mapping[str, Mapping[str, str]] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run it for the length of a `with`; nothing of it is left afterwards.

    Args:
        machines: How many.
        postgresql: Whether they share a database; else each has its SQLite file.
        slow: Whether the database can be slowed down: it is then reached through a proxy.
        small_disks: Names of machines whose data folder is a disk of its own that a test may fill.
        each: More environment of one machine, by its name.
        settings: By environment name without `BRIDGE_`, for all machines.
    """
    names = MACHINES[:machines]
    with ExitStack() as stack:
        # Short, as paths of Unix sockets are, and open to the database's user.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cl-")))
        folder.chmod(0o755)
        net = stack.enter_context(network([*names, *(["db"] if postgresql else [])]))
        server = _database(stack, net, folder) if postgresql else None
        delay = folder / "delay"
        if slow and server is not None:
            _slow_down(stack, server, delay)
        received = folder / "received.jsonl"
        receiver = free_port(net.outside.address)
        hook = [sys.executable, "-m", "tests.machines.receiver", net.outside.address]
        customer = Program(net.outside, [*hook, str(receiver), str(received)], folder / "receiver")
        customer.start()
        stack.callback(_end, customer)
        running = []
        for name in names:
            if name in small_disks:
                stack.enter_context(small_disk(folder / name / "data", megabytes=DISK_MB))
            own = _settings(net.hosts[name], folder / name, server, net.outside, slow=slow)
            environment = own | {f"BRIDGE_{key}": value for key, value in (settings or {}).items()}
            machine = Machine(
                net.hosts[name],
                (sys.executable, "-m", "bridge"),
                folder / name,
                environment | dict((each or {}).get(name, {})),
            )
            machine.start()
            stack.callback(_end, machine)
            running.append(machine)
        for machine in running:
            machine.wait_ready()
        balancer = _front(stack, net.outside, running, folder / "nginx")
        _register(running[0], f"http://{net.outside.address}:{receiver}/hook")
        yield Cluster(net, running, balancer, received, server, delay)


def _database(stack: ExitStack, net: Network, folder: Path) -> DatabaseServer:
    server = create(net.hosts["db"], folder / "postgresql")
    stack.callback(_end, server)
    return server


def _slow_down(stack: ExitStack, server: DatabaseServer, delay: Path) -> None:
    delay.write_text("0")
    words = [str(SLOW_PORT), server.host.address, str(PORT), str(delay)]
    command = [sys.executable, "-m", "tests.machines.slow_proxy", *words]
    proxy = Program(server.host, command, delay.parent / "proxy")
    proxy.start()
    stack.callback(_end, proxy)


def _front(stack: ExitStack, host: Host, machines: Sequence[Machine], folder: Path) -> Front:
    addresses = [f"{machine.host.address}:{HTTP_PORT}" for machine in machines]
    balancer = front.run(host, addresses, folder)
    stack.callback(_end, balancer)
    return balancer


def _settings(
    host: Host, folder: Path, server: DatabaseServer | None, clients: Host, *, slow: bool
) -> dict[str, str]:
    line = {"keys": [KEY], "numbers": ["15550109000"]}
    wanted = {
        "HTTP__HOST": "0.0.0.0",
        "HTTP__PORT": str(HTTP_PORT),
        "HTTP__ALLOWED_HOSTS": json.dumps([host.address, clients.address]),
        "DATA__DIR": str(folder / "data"),
        "LINES": json.dumps({"main": line}),
        "RTC__BIND": json.dumps([host.address]),
        "RTC__PORTS": "20000-20199",
        "RTC__STUN_URLS": "[]",
        "NET__ALLOW": json.dumps(["10.232.0.0/16"]),
        "SIMULATOR__RING_SECONDS": "0.1",
        "LIMITS__OVERLOAD_SECONDS": "0",  # the machine may be busy with other tests
    }
    if server is not None:
        url = server.url_at(SLOW_PORT) if slow else server.url
        wanted |= {
            "DATA__URL": url,
            "CLUSTER__URL": f"http://{host.address}:{NODE_PORT}",
            "CLUSTER__SECRET": SECRET,
        }
    return {f"BRIDGE_{name}": value for name, value in wanted.items()}


def _register(machine: Machine, url: str) -> None:
    """Register the receiver's webhook for the line."""
    request = urllib.request.Request(
        f"{machine.url}/webhook",
        data=json.dumps({"url": url}).encode(),
        headers={"token": KEY, "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


def _end(program: Program) -> None:
    """End a program whatever state it is in, and what it has started."""
    if program.process is None:
        return
    program.send(signal.SIGCONT)
    program.send(signal.SIGKILL)
    program.process.wait()
