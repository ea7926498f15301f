"""Two nodes of one bridge in the test's own process, joined as two processes or two machines would be."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from bridge.app.bridge import Bridge
from bridge.call.model import Direction
from bridge.cluster.membership import Supervised, new_boot
from bridge.cluster.sockets import listen, node_socket_path, socket_path
from bridge.http import local_token
from bridge.http.listener import Listeners
from bridge.rtc.config import Timeouts
from bridge.settings.model import Cluster, Data, Rtc, Settings
from bridge.stores.directory import FOLDER
from bridge.stores.nodes import Member
from tests.support import inprocess
from tests.support.databases import write_empty_database
from tests.support.described import Described
from tests.support.inprocess import BridgeServer, Client, built, free_udp_ports, settings


@dataclass(frozen=True, slots=True)
class Node:
    """One of the nodes, and HTTP to it."""

    bridge: Bridge
    http: TestClient[Any, Any]
    folder: Path
    """Of the nodes' sockets."""
    members: Supervised

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.http.get(path, **more)

    async def metrics(self) -> str:
        """Return its metrics, as a program on its machine reads them."""
        token = local_token.find(self.folder.parent)
        return await (await self.http.get("/metrics", headers={"token": token})).text()


@pytest.fixture(
    params=["one_node", "wrong_machine", pytest.param("wrong_node", marks=pytest.mark.long)]
)
def nodes(request, monkeypatch):
    """Let a test that runs a bridge do so alone, and asking a node that has no calls.

    That is on another machine: `make test-all`, and of each face one test in `make test`, marked `quick`. The same over
    the Unix sockets of one machine is left to `make test-long`.
    """
    if request.param != "one_node":
        run = partial(wrong_node, machines=request.param == "wrong_machine")
        monkeypatch.setattr(inprocess, "run", run)
    return request.param


SECRET = "the secret of two machines in tests"
one_node_only = pytest.mark.parametrize("nodes", ["one_node"], indirect=True)
"""For tests whose folder runs all twice, but that would tell nothing new: say why beside it."""


@asynccontextmanager
async def two_nodes(
    chosen: Settings | None = None,
    timeouts: Timeouts | None = None,
    *,
    routes: Any = (),
    machines: bool = False,
    secrets: tuple[str, str] = (SECRET, SECRET),
    public_urls: tuple[str, str] = ("", ""),
    apart: bool = False,
) -> AsyncIterator[tuple[Node, Node]]:
    """Run two nodes for the length of a `with`; nothing of them is left afterwards.

    Args:
        chosen: what can be set; the second node's media ports are made up.
        timeouts: of ICE, DTLS and silent peers.
        routes: more routes that both nodes have.
        machines: whether they reach each other by `cluster.url`. They share files all the same,
        apart: unless this is set: each has a data folder; what can be set names the database.
        secrets: what each machine signs with.
        public_urls: where clients reach each machine itself.
    """
    async with AsyncExitStack() as stack:
        doors = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        both = [_member(node, door if machines else None) for node, door in enumerate(doors)]
        chosen = chosen or settings()
        short = stack.enter_context(TemporaryDirectory(prefix="bridge-"))
        folder = _data_folder(chosen, Path(short))
        data = msgspec.structs.replace(chosen.data, dir=folder)
        own = msgspec.structs.replace(chosen, data=data)
        known = zip(secrets, public_urls, doors, strict=True)
        clusters = [_cluster(*each) if machines else Cluster() for each in known]

        async def run(chosen: Settings, node: int) -> Node:
            chosen = msgspec.structs.replace(chosen, cluster=clusters[node])
            members = Supervised(both[node], [both[1 - node]], launch_id=short)
            started = await _run(stack, chosen, members, timeouts, routes)
            if machines:
                await _open_door(stack, started, doors[node])
            return started

        first = await run(own, 0)
        more = free_udp_ports()
        rtc = Rtc(bind=["127.0.0.1"], ports=f"{more}-{more + 39}")
        other = msgspec.structs.replace(own, rtc=rtc)
        if apart:
            elsewhere = Path(short) / "elsewhere"
            (elsewhere / FOLDER).mkdir(parents=True)
            data = msgspec.structs.replace(own.data, dir=str(elsewhere))
            other = msgspec.structs.replace(other, data=data)
        yield first, await run(other, 1)


@asynccontextmanager
async def wrong_node(
    chosen: Settings, timeouts: Timeouts | None, *, machines: bool = False
) -> AsyncIterator[Client]:
    """Run two nodes: all calls are on the first, all requests go to the second."""
    async with two_nodes(chosen, timeouts, machines=machines) as (first, second):

        async def choose(**_: object) -> int:
            return 0

        # Begun by the second, every call would be its own as long as it has few.
        vars(second.bridge.cluster.placement)["choose"] = choose
        counted = second.bridge.node.metrics.calls
        begun, count = list[Direction](), counted.started

        def started(direction: Direction) -> None:
            begun.append(direction)
            count(direction)

        vars(counted)["started"] = started
        data = first.folder.parent
        yield Client(first.bridge, second.http, owner=first.http, data=data)
        assert not begun, f"requests were not passed on: {len(begun)} calls began where they came"


def _data_folder(chosen: Settings, short: Path) -> str:
    """Return a path for the data that is short enough for sockets; pytest's own folders are not."""
    folder = short / "data"
    if chosen.data.dir == Data().dir:
        folder.mkdir()
        write_empty_database(folder)
    else:
        Path(chosen.data.dir).mkdir(parents=True, exist_ok=True)
        folder.symlink_to(Path(chosen.data.dir).absolute())
    (folder / FOLDER).mkdir(exist_ok=True)
    return str(folder)


def _member(node: int, door: socket.socket | None) -> Member:
    if door is None:
        return Member(node=node, boot=new_boot())
    return Member(node=node, boot=new_boot(), machine=f"machine {node}", url=_url(door))


def _url(door: socket.socket) -> str:
    return f"http://127.0.0.1:{door.getsockname()[1]}"


def _cluster(secret: str, public_url: str, door: socket.socket) -> Cluster:
    return Cluster(url=_url(door), secret=secret, public_url=public_url)


async def _open_door(stack: AsyncExitStack, node: Node, door: socket.socket) -> None:
    """Accept what the other machine sends to `cluster.url`."""
    gate, runner = node.bridge.cluster.sibling_gate, node.http.server.runner
    assert gate is not None
    assert runner is not None
    assert runner.server is not None
    gate.open([door])
    listeners = Listeners(runner.server, connections=gate.connections)
    listeners.start([door.dup()])
    stack.push_async_callback(listeners.aclose)


def members_of_one(node: int) -> Supervised:
    """Return the two nodes of one machine as one of them knows them."""
    return Supervised(_member(node, None), [_member(1 - node, None)], launch_id=new_boot())


def restarted(former: Supervised) -> Supervised:
    """Return the nodes as a process knows them that its supervisor starts anew."""
    own = Member(node=former.own.node, boot=new_boot())
    return Supervised(own, former.others(), launch_id=former.launch_id)


async def _run(
    stack: AsyncExitStack,
    chosen: Settings,
    members: Supervised,
    timeouts: Timeouts | None,
    routes: Any,
) -> Node:
    bridge = built(chosen, timeouts, members=members)
    bridge.application.add_routes(routes)
    stack.callback(Described(bridge.application).check)
    stack.push_async_callback(bridge.release)
    http = await stack.enter_async_context(TestClient(BridgeServer(bridge.application)))
    stack.push_async_callback(bridge.aclose)
    runner = http.server.runner
    assert runner is not None
    folder, node = Path(chosen.data.dir) / FOLDER, members.own.node
    await web.SockSite(runner, listen(socket_path(folder, node))).start()
    assert bridge.node_application is not None
    asked = web.AppRunner(bridge.node_application)
    await asked.setup()
    stack.push_async_callback(asked.cleanup)
    await web.SockSite(asked, listen(node_socket_path(folder, node))).start()
    return Node(bridge, http, folder, members)
