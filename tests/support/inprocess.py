"""A whole bridge inside the test's own process, on loopback and ports of its own."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.services import PortUsage
from bridge.app.build import Bridge, build
from bridge.rtc.config import Timeouts
from bridge.settings.model import Data, Limits, Rtc, Settings, Simulator
from tests.support.described import Described
from tests.support.signalling import HttpExchange

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
    """Find the first port of a range nobody uses now; tests running beside us look elsewhere."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        if first + count < 65536 and all(map(_free, range(first, first + count))):
            return first


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Client:
    """A bridge to talk to: HTTP through aiohttp's test client, the objects behind it at hand."""

    def __init__(
        self,
        bridge: Bridge,
        http: TestClient[Any, Any],
        described: Described | None = None,
        *,
        owner: TestClient[Any, Any] | None = None,
    ) -> None:
        self.bridge = bridge
        self.http = http
        self.described = described
        self.owner = owner or http
        """For what begins a call without a request of ours; of two nodes, the one with the calls."""

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return 1 if self.owner is self.http else 2

    @property
    def ports(self) -> PortUsage:
        """The bridge's UDP ports for media."""
        return self.bridge.services.media_ports()

    async def get(self, path: str, **more: Any) -> ClientResponse:
        return await self.http.get(path, **({"headers": KEY} | more))

    async def post(self, path: str, body: Any = None, **more: Any) -> ClientResponse:
        sent = {"json": body} if body is not None else {}
        return await self.http.post(path, **({"headers": KEY} | sent | more))

    async def data(self, path: str, body: Any) -> Any:
        """Post and give the payload of a success."""
        response = await self.post(path, body)
        assert response.status == 200, await response.text()
        return (await response.json())["data"]

    async def dial(self, phone: str) -> str:
        return str((await self.data("/call/dial", {"phone": phone}))["callId"])

    async def calls(self) -> list[dict[str, Any]]:
        response = await self.get("/call/status")
        listed: list[dict[str, Any]] = (await response.json())["data"]["calls"]
        return listed

    async def state(self, call_id: str) -> str:
        """The call's state, `gone` when it is not listed."""
        states = {call["callId"]: call["state"] for call in await self.calls()}
        return str(states.get(call_id, "gone"))

    async def quality(self, call_id: str) -> Any:
        response = await self.get(f"/call/{call_id}/quality")
        return (await response.json())["data"]

    async def total(self, metric: str) -> float:
        """Add up all series of a metric, over all nodes."""
        text = await (await self.get("/metrics")).text()
        rows = [row for row in text.splitlines() if row.startswith(metric)]
        assert rows, metric
        return sum(float(row.split()[-1]) for row in rows)

    def exchange(self, call_id: str, **more: str) -> HttpExchange:
        return HttpExchange(self.http.post, "", call_id=call_id, **more)


@asynccontextmanager
async def running(
    chosen: Settings | None = None, *, timeouts: Timeouts | None = None
) -> AsyncIterator[Client]:
    """Run a bridge for the length of a `with`; nothing of it is left afterwards."""
    async with run(chosen or settings(), timeouts) as client:
        yield client


@asynccontextmanager
async def one_node(chosen: Settings, timeouts: Timeouts | None) -> AsyncIterator[Client]:
    """Run a bridge as it is by default."""
    async with AsyncExitStack() as stack:
        if chosen.data == Data():
            folder = stack.enter_context(TemporaryDirectory(prefix="bridge-"))
            chosen = msgspec.structs.replace(chosen, data=Data(dir=folder))
        bridge = build(chosen, timeouts=timeouts)
        described = Described(bridge.application)
        stack.push_async_callback(bridge.release)
        http = await stack.enter_async_context(TestClient(TestServer(bridge.application)))
        stack.push_async_callback(bridge.aclose)
        yield Client(bridge, http, described)
        described.check()


run = one_node
"""How `running` does it; the fixture `nodes` puts `two_nodes.wrong_node` here."""


def with_limits(**limits: Any) -> Settings:
    """Settings with other limits."""
    return msgspec.structs.replace(
        settings(), limits=Limits(**({"overload_seconds": 0.0} | limits))
    )
