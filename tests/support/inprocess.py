"""A whole bridge inside the test's own process, on loopback and ports of its own."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from typing_extensions import override

from bridge.api.server.services import PortUsage
from bridge.app.bridge import Bridge
from bridge.app.build import build
from bridge.http import local_token
from bridge.rtc.config import Timeouts
from bridge.serve import CLOSE_SECONDS
from bridge.settings.model import Data, Limits, Rtc, Settings, Simulator
from tests.support.databases import write_empty_database
from tests.support.described import Described
from tests.support.peers.signalling import HttpExchange
from tests.support.virtual_time import VirtualTimeLoop, monotonic
from tests.support.waiting import until_answer

KEY = {"token": "demo"}


def settings(**changed: Any) -> Settings:
    """Settings for a test: loopback media on free ports, contacts that ring for no time."""
    first = free_udp_ports()
    chosen: dict[str, Any] = {
        "rtc": Rtc(bind=["127.0.0.1"], ports=f"{first}-{first + 39}"),
        "simulator": Simulator(ring_seconds=0.0),
        "limits": Limits(overload_seconds=0.0),
    }
    return Settings(**(chosen | changed))


def free_udp_ports(count: int = 40) -> int:
    """Find the first port of a range nobody uses now, below those that the kernel hands out: to a test's own peers, say."""
    while True:
        first = random.SystemRandom().randrange(10_000, 32_000 - count)
        if all(map(_free, range(first, first + count))):
            return first


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class BridgeServer(TestServer):
    """Serves a bridge as `bridge.serve` does: a handler runs on when its client has gone."""

    @override
    async def _make_runner(self, **chosen: Any) -> web.AppRunner:
        chosen |= {"handler_cancellation": False, "shutdown_timeout": CLOSE_SECONDS}
        return web.AppRunner(self.app, access_log=None, **chosen)


class Client:
    """A bridge to talk to: HTTP through aiohttp's test client, the objects behind it at hand."""

    def __init__(
        self,
        bridge: Bridge,
        http: TestClient[Any, Any],
        described: Described | None = None,
        *,
        owner: TestClient[Any, Any] | None = None,
        data: Path,
    ) -> None:
        self.bridge = bridge
        self.http = http
        self.described = described
        self.owner = owner or http
        """For what begins a call without a request of ours; of two nodes, the one with the calls."""
        self.data_folder = data

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return 1 if self.owner is self.http else 2

    @property
    def ports(self) -> PortUsage:
        """The bridge's UDP ports for media."""
        return self.bridge.node.media_ports()

    @property
    def local(self) -> dict[str, str]:
        """What programs on the bridge's machine send instead of a key."""
        return {"token": local_token.find(self.data_folder)}

    async def get(self, path: str, **more: Any) -> ClientResponse:
        key = self.local if path == "/metrics" else KEY
        return await self.http.get(path, **({"headers": key} | more))

    async def post(self, path: str, body: Any = None, **more: Any) -> ClientResponse:
        sent = {"json": body} if body is not None else {}
        return await self.http.post(path, **({"headers": KEY} | sent | more))

    async def data(self, path: str, body: Any) -> Any:
        """Post, and return the payload of a success."""
        response = await self.post(path, body)
        assert response.status == 200, await response.text()
        return (await response.json())["data"]

    async def data_of(self, path: str) -> Any:
        """Return the payload of a GET that succeeds."""
        response = await self.get(path)
        assert response.status == 200, await response.text()
        return (await response.json())["data"]

    async def dial(self, phone: str, **more: str) -> str:
        return str((await self.data("/call/dial", {"phone": phone} | more))["callId"])

    async def calls(self) -> list[dict[str, Any]]:
        response = await self.get("/call/status")
        listed: list[dict[str, Any]] = (await response.json())["data"]["calls"]
        return listed

    async def state(self, call_id: str) -> str:
        """The call's state, `gone` when it is not listed."""
        states = {call["callId"]: call["state"] for call in await self.calls()}
        return str(states.get(call_id, "gone"))

    async def until_state(self, call_id: str, state: str, *, timeout: float = 5.0) -> None:
        """Wait until the call is in a state, or `gone`."""

        async def reached() -> bool:
            return await self.state(call_id) == state

        await until_answer(reached, timeout=timeout)

    async def quality(self, call_id: str) -> Any:
        response = await self.get(f"/call/{call_id}/quality")
        return (await response.json())["data"]

    async def total(self, metric: str) -> float:
        """Add up all series of a metric, over all nodes."""
        found: dict[str, float] = {}
        for http in {self.http, self.owner}:  # the nodes of one machine tell the same
            text = await (await http.get("/metrics", headers=self.local)).text()
            rows = [row.rsplit(" ", 1) for row in text.splitlines() if row.startswith(metric)]
            found |= {series: float(value) for series, value in rows}
        assert found, metric
        return sum(found.values())

    def exchange(self, call_id: str, **more: Any) -> HttpExchange:
        return HttpExchange(self.http.post, "", call_id=call_id, **more)


@asynccontextmanager
async def running(
    chosen: Settings | None = None, *, timeouts: Timeouts | None = None
) -> AsyncIterator[Client]:
    """Run a bridge for the length of a `with`; nothing of it is left afterwards."""
    async with run(chosen or settings(), timeouts) as client:
        yield client


@asynccontextmanager
async def one_node(
    chosen: Settings, timeouts: Timeouts | None, *, warm_decoder: bool = False
) -> AsyncIterator[Client]:
    """Run a bridge as it is by default."""
    async with AsyncExitStack() as stack:
        if chosen.data.dir == Data().dir:
            folder = stack.enter_context(TemporaryDirectory(prefix="bridge-"))
            write_empty_database(Path(folder))
            data = msgspec.structs.replace(chosen.data, dir=folder)
            chosen = msgspec.structs.replace(chosen, data=data)
        bridge = built(chosen, timeouts, warm_decoder=warm_decoder)
        described = Described(bridge.application)
        stack.push_async_callback(bridge.release)
        http = await stack.enter_async_context(TestClient(BridgeServer(bridge.application)))
        stack.push_async_callback(bridge.aclose)
        yield Client(bridge, http, described, data=Path(chosen.data.dir))
        described.check()


def built(
    chosen: Settings, timeouts: Timeouts | None, *, warm_decoder: bool = False, **more: Any
) -> Bridge:
    """Make a bridge; a virtual clock stands still while its database is busy."""
    timeouts = replace(timeouts or Timeouts(), clock=monotonic)
    bridge = build(chosen, timeouts=timeouts, warm_decoder=warm_decoder, **more)
    loop, database = asyncio.get_running_loop(), bridge.events.database
    if isinstance(loop, VirtualTimeLoop):
        directory = bridge.cluster.directory
        loop.stand_still_while(lambda: database.busy or (directory is not None and directory.busy))
    return bridge


run = one_node
"""How `running` does it; the fixture `nodes` puts `two_nodes.wrong_node` here."""


def with_limits(**limits: Any) -> Settings:
    """Settings with other limits."""
    return msgspec.structs.replace(
        settings(), limits=Limits(**({"overload_seconds": 0.0} | limits))
    )
