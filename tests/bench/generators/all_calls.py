"""Calls of all kinds at one bridge at once, and what their parties hear and notice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from aiortc import RTCCertificate
from typing_extensions import override

from tests.bench.generators.signal import make_loop, make_telephone_loop
from tests.bench.generators.trunk import PCMU, Trunk, trunk
from tests.support.machine import free_port
from tests.support.peers.light_peer import Arrival, LightPeer
from tests.support.peers.meta_peer import LightMeta
from tests.support.peers.signalling import HttpExchange
from tests.support.peers.stock_peer import StockPeer
from tests.support.server import Server
from tests.support.sound.speech_compare import tone
from tests.support.virtual_time import monotonic
from tests.support.whatsapp import gateway_double, graph_double
from tests.support.whatsapp.gateway_double import ZuckZapGoDouble
from tests.support.whatsapp.graph_double import GraphDouble

ECHO, TALKER = "15550100001", "15550100002"
TELEPHONE: Final = "493012345678"
PASSED, REOPENED = "passed", "opened again"
_HANDSHAKE: Final = 22
"""Content type of DTLS records."""


@dataclass
class Ear:
    """Somebody who hears."""

    name: str
    times: Callable[[], list[float]]
    """When each packet came (monotonic seconds)."""
    kind: str = PASSED
    """What becomes of its call's media sockets at an upgrade."""
    usual: float = 0.02
    """Seconds between two packets."""
    numbers: Callable[[], Iterable[tuple[int, int]]] = tuple
    """SSRC and sequence number of each packet."""
    connected: Callable[[], bool] = lambda: True
    handshakes: int = 0
    """DTLS handshake records that came once it was connected."""
    states: list[str] = field(default_factory=list)
    """That its connection has had since."""


@dataclass
class Placed:
    """A call."""

    kind: str
    call_id: str
    line: str


class HeardMeta(LightMeta):
    """Keeps the head of each packet."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        super().__init__()

    @override
    def _hear(self, data: bytes) -> None:
        super()._hear(data)
        if not 192 <= data[1] <= 223:
            sequence, ssrc = int.from_bytes(data[2:4], "big"), int.from_bytes(data[8:12], "big")
            self.arrivals.append(Arrival(monotonic(), sequence, 0, False, 0, ssrc, b""))


class Scene:
    """The calls of one bridge; its lines are named after what they reach, and so are their keys."""

    def __init__(
        self,
        server: Server,
        http: aiohttp.ClientSession,
        stack: AsyncExitStack,
        *,
        graph: GraphDouble,
        trunks: dict[str, Trunk],
        engine: ZuckZapGoDouble,
    ) -> None:
        """`trunks` are by the names of their lines."""
        self.server = server
        self.calls: list[Placed] = []
        self.ears: list[Ear] = []
        self.late = 0.0
        """By how many seconds parties have spoken late at most: what they hear is noted as late."""
        self._http, self._stack = http, stack
        self._graph, self._trunks, self._engine = graph, trunks, engine
        self._certificate = RTCCertificate.generateCertificate()
        self._voice, self._telephone = make_loop(seconds=2), make_telephone_loop(seconds=2)
        self._speakers: list[Callable[[int], object]] = []
        graph.webhook = f"{server.url}/whatsapp/webhook"
        graph.webhooks.retries = 20

    async def fill(self, count: int) -> None:
        """Begin so many calls, of each kind in turn."""
        kinds: list[Callable[[], Awaitable[object]]] = [
            lambda: self._simulated("echo", ECHO),
            lambda: self._whatsapp(inbound=False),
            lambda: self._trunk("udp"),
            self._gateway,
            lambda: self._simulated("talker", TALKER),
            self._held,
            lambda: self._whatsapp(inbound=True),
            self._muted,
            lambda: self._trunk("tcp"),
            self._stock,
        ]
        for number in range(count):
            await kinds[number % len(kinds)]()

    async def speak(self) -> None:
        """Let all parties talk, until cancelled."""
        loop, number = asyncio.get_running_loop(), 0
        begun = loop.time()
        while True:
            await asyncio.sleep(begun + number * 0.02 - loop.time())
            self.late = max(self.late, loop.time() - begun - number * 0.02)
            for speaker in self._speakers:
                with suppress(Exception):  # a party that has gone, as its ear says
                    speaker(number)
            number += 1

    def connected(self) -> int:
        """Return how many parties are."""
        return sum(ear.connected() for ear in self.ears)

    async def loosen(self) -> None:
        """End what is held or muted, so that all hear each other."""
        for call in self.calls:
            with suppress(ConnectionError):  # a call that has ended is counted
                if call.kind == "held":
                    await self._post(call, "unhold")
                elif call.kind == "muted":
                    await self._post(call, "mute", muted=False)

    async def hang_up(self) -> None:
        """End all calls that are left."""
        for call in self.calls:
            with suppress(ConnectionError):
                await self._post(call, "hangup")

    async def _post(self, call: Placed, action: str, **more: Any) -> None:
        await self._ask(call.line, f"/call/{action}", {"callId": call.call_id} | more)

    async def _ask(self, line: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request until it is served: what passes to another process at the moment is to be asked again."""
        method, url = ("GET" if body is None else "POST"), self.server.url + path
        async with asyncio.timeout(30):
            while True:
                async with self._http.request(
                    method, url, json=body, headers={"token": line}
                ) as answer:
                    if answer.status == 200:
                        return (await answer.json())["data"]
                    if answer.status != 503:
                        raise ConnectionError(f"{path}: {answer.status} {await answer.text()}")
                await asyncio.sleep(0.2)

    async def _dial(self, kind: str, line: str, phone: str, **more: str) -> Placed:
        body = {"phone": phone} | more
        placed = Placed(kind, (await self._ask(line, "/call/dial", body))["callId"], line)
        self.calls.append(placed)
        return placed

    def _exchange(self, call: Placed) -> HttpExchange:
        return HttpExchange(self._http.post, self.server.url, call_id=call.call_id, key=call.line)

    async def _browser(self, call: Placed, ear: str = PASSED) -> LightPeer:
        peer = LightPeer(certificate=self._certificate)
        await self._stack.enter_async_context(peer)
        await peer.call(self._exchange(call), timeout=30)
        self._speakers.append(lambda number: peer.send(self._voice.payload(number)))
        self._add_peer(f"browser of {call.kind}", peer, peer.arrivals, ear)
        return peer

    def _add_peer(self, name: str, peer: LightPeer, arrivals: list[Arrival], kind: str) -> None:
        ear = Ear(
            name,
            times=lambda: [one.time for one in arrivals],
            kind=kind,
            numbers=lambda: ((one.ssrc, one.sequence) for one in arrivals),
            connected=lambda: not peer.closed,
        )
        link: Any = peer._gatherer.link
        received = link.data_received

        def count(data: bytes, component: int) -> None:
            ear.handshakes += data[0] == _HANDSHAKE
            received(data, component)

        link.data_received = count
        peer.dtls.on("statechange", lambda: ear.states.append(f"DTLS {peer.dtls.state}"))
        peer._ice.on("statechange", lambda: ear.states.append(f"ICE {peer._ice.state}"))
        self.ears.append(ear)

    async def _simulated(self, kind: str, contact: str) -> Placed:
        call = await self._dial(kind, "demo", contact)
        await self._browser(call)
        return call

    async def _held(self) -> None:
        await self._post(await self._simulated("held", ECHO), "hold")

    async def _muted(self) -> None:
        await self._post(await self._simulated("muted", ECHO), "mute", muted=True)

    async def _stock(self) -> None:
        call = await self._dial("stock", "demo", ECHO)
        peer = await self._stack.enter_async_context(StockPeer(tone(2, 440), repeat=True))
        await peer.call(self._exchange(call), timeout=30)
        ear = Ear(
            "stock browser",
            times=lambda: [at for at, _ in peer.ear.times],
            connected=lambda: peer.connected,
        )
        connection = peer.connection
        connection.on(
            "connectionstatechange", lambda: ear.states.append(connection.connectionState)
        )
        self.ears.append(ear)

    async def _whatsapp(self, *, inbound: bool) -> None:
        user = f"1555020{len(self.calls):04d}"
        if inbound:
            there = await self._graph.ring(user=user)
            while not (ringing := await self._rings("whatsapp")):
                await asyncio.sleep(0.05)
            call = Placed("WhatsApp, inbound", ringing[0]["callId"], "whatsapp")
            self.calls.append(call)
            await self._browser(call)
            await self._post(call, "answer")
            await there.media.wait_connected(30)
        else:
            call = await self._dial("WhatsApp, outbound", "whatsapp", user)
            await self._browser(call)
            there = self._graph.last
            await there.media.wait_connected(30)
            await self._graph.pick_up(there)
        media: HeardMeta = there.media
        self._speakers.append(lambda number: media.say(self._voice.payload(number)))
        self._add_peer(f"user of {call.kind}", media._light, media.arrivals, PASSED)

    async def _rings(self, line: str) -> list[dict[str, Any]]:
        listed = (await self._ask(line, "/call/status"))["calls"]
        return [one for one in listed if one["state"] == "ringing"]

    async def _trunk(self, line: str) -> None:
        call = await self._dial(f"SIP over {line}", line, TELEPHONE, channel="pstn")
        party = await self._trunks[line].called()
        await self._browser(call)
        self._speakers.append(lambda number: party.send(self._telephone.payload(number)))
        self.ears.append(
            Ear(
                f"telephone of {call.kind}",
                times=lambda: [one.time for one in party.arrivals],
                numbers=lambda: ((one.ssrc, one.sequence) for one in party.arrivals),
            )
        )

    async def _gateway(self) -> None:
        call = await self._dial("gateway", "gateway", f"1555030{len(self.calls):04d}")
        there = list(self._engine.calls.values())[-1]
        await self._browser(call, REOPENED)
        self.ears.append(
            Ear("user of gateway", times=lambda: there.heard_at, kind=REOPENED, usual=0.06)
        )


def settings_of(graph_url: str, engine_url: str, ports: dict[str, int], listen: int) -> str:
    """Return settings (TOML) with a line for each kind of far party; `ports` are those of the trunks."""
    lines = [
        *("[lines.demo]", 'keys = ["demo"]', "[sip]"),
        f'listen = ["udp:127.0.0.1:{listen}", "tcp:127.0.0.1:{listen}"]',
        *("[lines.whatsapp]", 'keys = ["whatsapp"]', f'numbers = ["{graph_double.BUSINESS}"]'),
        *("[lines.whatsapp.whatsapp]", 'provider = "cloud"', f'base_url = "{graph_url}"'),
        f'phone_number_id = "{graph_double.NUMBER_ID}"',
        f'access_token = "{graph_double.TOKEN}"',
        f'app_secret = "{graph_double.SECRET}"',
        f'verify_token = "{graph_double.VERIFY}"',
        *("[lines.gateway]", 'keys = ["gateway"]', "[lines.gateway.whatsapp]"),
        *('provider = "gateway"', f'url = "{engine_url}"'),
        f'token = "{gateway_double.TOKEN}"',
    ]
    for number, (transport, port) in enumerate(ports.items()):
        lines += [
            f"[lines.{transport}]",
            f'keys = ["{transport}"]',
            f'numbers = ["49301000{number}"]',
            f"[lines.{transport}.sip]",
            f'trunk = "sip:127.0.0.1:{port};transport={transport}"',
            *('codecs = ["pcmu"]', 'allow_prefixes = ["+4930"]', "calls_per_minute = 10000"),
        ]
    return "\n".join(lines)


@asynccontextmanager
async def far_parties() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Run what the lines reach; gives the settings of a bridge, and what `Scene` takes."""
    ports = {"udp": free_port(), "tcp": free_port()}
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(GraphDouble(media=HeardMeta))
        engine = await stack.enter_async_context(ZuckZapGoDouble())
        trunks = {
            name: await stack.enter_async_context(
                trunk(PCMU, port, first_ssrc=0x8000 + 0x100 * at, stream=name == "tcp")
            )
            for at, (name, port) in enumerate(ports.items())
        }
        text = settings_of(graph.url, engine.url, ports, free_port())
        yield text, {"graph": graph, "engine": engine, "trunks": trunks}
        await graph.wait_idle()
