"""Two nodes of one bridge in the test's own process, joined as two processes would be."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.app.build import Bridge, NodePosition, build
from bridge.net.directory import FOLDER
from bridge.net.siblings import listen, node_socket_path, socket_path
from bridge.rtc.config import Timeouts
from bridge.settings.model import Data, Rtc, Settings
from tests.support import inprocess
from tests.support.described import Described
from tests.support.inprocess import Client, free_udp_ports, settings


@dataclass(frozen=True, slots=True)
class Node:
    """One of the nodes, and HTTP to it."""

    bridge: Bridge
    http: TestClient[Any, Any]


@pytest.fixture(params=["one_node", "wrong_node"])
def nodes(request, monkeypatch):
    """Let a test that runs a bridge do so twice: alone, and asking the node that has no calls."""
    if request.param == "wrong_node":
        monkeypatch.setattr(inprocess, "run", wrong_node)
    return request.param


one_node_only = pytest.mark.parametrize("nodes", ["one_node"], indirect=True)
"""For tests whose folder runs all twice, but that would tell nothing new: say why beside it."""


@asynccontextmanager
async def two_nodes(
    chosen: Settings | None = None, timeouts: Timeouts | None = None, *, routes: Any = ()
) -> AsyncIterator[tuple[Node, Node]]:
    """Run two nodes for the length of a `with`; nothing of them is left afterwards.

    Args:
        chosen: what can be set; the second node's media ports are made up.
        timeouts: of ICE, DTLS and silent peers.
        routes: more routes that both nodes have.
    """
    async with AsyncExitStack() as stack:
        chosen = chosen or settings()
        short = stack.enter_context(TemporaryDirectory(prefix="bridge-"))
        own = msgspec.structs.replace(chosen, data=Data(dir=_data_folder(chosen, Path(short))))
        first = await _run(stack, own, NodePosition(0, 2), timeouts, routes)
        more = free_udp_ports()
        rtc = Rtc(bind=["127.0.0.1"], ports=f"{more}-{more + 39}")
        other = msgspec.structs.replace(own, rtc=rtc)
        yield first, await _run(stack, other, NodePosition(1, 2), timeouts, routes)


@asynccontextmanager
async def wrong_node(chosen: Settings, timeouts: Timeouts | None) -> AsyncIterator[Client]:
    """Run two nodes: all calls are on the first, all requests go to the second."""
    async with two_nodes(chosen, timeouts) as (first, second):

        async def choose_node(**_: object) -> int:
            return 0

        # Begun by the second, every call would be its own as long as it has few.
        vars(second.bridge.services.directory)["choose_node"] = choose_node
        yield Client(first.bridge, second.http, owner=first.http)


def _data_folder(chosen: Settings, short: Path) -> str:
    """Give a path for the data that is short enough for sockets; pytest's own folders are not."""
    folder = short / "data"
    if chosen.data == Data():
        folder.mkdir()
    else:
        Path(chosen.data.dir).mkdir(parents=True, exist_ok=True)
        folder.symlink_to(Path(chosen.data.dir).absolute())
    (folder / FOLDER).mkdir(exist_ok=True)
    return str(folder)


async def _run(
    stack: AsyncExitStack,
    chosen: Settings,
    position: NodePosition,
    timeouts: Timeouts | None,
    routes: Any,
) -> Node:
    bridge = build(chosen, timeouts=timeouts, position=position)
    bridge.application.add_routes(routes)
    stack.callback(Described(bridge.application).check)
    stack.push_async_callback(bridge.release)
    http = await stack.enter_async_context(TestClient(TestServer(bridge.application)))
    stack.push_async_callback(bridge.aclose)
    runner = http.server.runner
    assert runner is not None
    folder = Path(chosen.data.dir) / FOLDER
    await web.SockSite(runner, listen(socket_path(folder, position.index))).start()
    assert bridge.node_application is not None
    asked = web.AppRunner(bridge.node_application)
    await asked.setup()
    stack.push_async_callback(asked.cleanup)
    await web.SockSite(asked, listen(node_socket_path(folder, position.index))).start()
    return Node(bridge, http)
