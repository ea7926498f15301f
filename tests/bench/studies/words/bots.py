"""The bots of the study: each says the probe as early as it can, and ends the call in its own way."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect

from bridge.agent.script import AgentMode
from bridge.audio.file.wav import make_header
from bridge.node.runner import CallRunner
from bridge.node.streams.streams import StreamOrder
from bridge.wire.stream.media_stream import Channel, StreamProtocol, StreamType
from bridge.wire.stream.protocols import PROTOCOLS
from tests.bench.studies.words.probe import PARTS, probe
from tests.support.inprocess import Client
from tests.support.servers.provider_double import ProviderDouble, providing
from tests.support.servers.realtime_double import (
    Call,
    RealtimeServer,
    Say,
    Script,
    realtime_server,
)
from tests.support.servers.stream_customer import CustomerServer, customer_server
from tests.support.sip.telephone import ulaw

MAX_CALLS = 10_000
CALL_SECONDS = 60.0
LOOK_SECONDS = 0.01
KINDS = ("socket", "native", "twilio", "realtime", "agent")


@dataclass
class Servers:
    """Where bots are."""

    customers: CustomerServer
    model: RealtimeServer
    providers: ProviderDouble


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Run the servers of all bots."""
    said: Sequence[Say | Call] = [
        *(Say(seconds, hertz) for hertz, seconds in PARTS),
        Call("hang_up"),
    ]
    script = Script(MAX_CALLS * [said], interrupts=False)
    async with customer_server() as customers, realtime_server(script) as model, providing() as own:
        pcm = probe(16_000).tobytes()
        own.answers["tts"] = make_header(len(pcm)) + pcm
        yield Servers(customers, model, own)


class Bots:
    """Begins one bot of each kind, which says the probe at once and then ends the call in its own way."""

    def __init__(self, client: Client, where: Servers) -> None:
        self._client = client
        self._where = where
        self.kinds: dict[str, Callable[[CallRunner], Coroutine[Any, Any, None]]] = {
            "socket": self.socket,
            "native": self.native,
            "twilio": self.twilio,
            "realtime": self.realtime,
            "agent": self.agent,
        }

    async def socket(self, runner: CallRunner, *, hangs_up: bool = True) -> None:
        """A media socket, connected while the call still rings."""
        call_id = runner.facts.call_id
        url = str(self._client.http.make_url(f"/call/{call_id}/stream?token=demo"))
        async with connect(url.replace("http", "ws", 1)) as ws:
            await ws.send(probe(16_000).tobytes())
            await _answered(runner)
            if hangs_up:
                await self._hang_up(runner)
            await ws.wait_closed()

    async def native(self, runner: CallRunner) -> None:
        """A two-way stream of ours; its server says all and closes."""
        await self._stream(runner, StreamProtocol.NATIVE, probe(24_000).tobytes())

    async def twilio(self, runner: CallRunner) -> None:
        """The same in Twilio's protocol."""
        await self._stream(runner, StreamProtocol.TWILIO, ulaw(probe(8000)), streamSid="any")

    async def realtime(self, runner: CallRunner) -> None:
        """A speech-to-speech model, which calls its function `hang_up`."""
        await self._begin(runner, StreamProtocol.OPENAI_REALTIME, "")

    async def agent(self, runner: CallRunner) -> None:
        """The bridge's own, which says its greeting and leaves."""
        await _answered(runner)
        self._client.bridge.control.agents.start(runner, AgentMode.BOT)

    async def _stream(
        self, runner: CallRunner, protocol: StreamProtocol, said: bytes, **more: str
    ) -> None:
        server = self._where.customers
        number = len(server.customers)
        await self._begin(runner, protocol, server.url)
        await when(lambda: len(server.customers) > number)
        customer = server.customers[number]
        await when(lambda: bool(customer.of("start")))
        if more:
            more = {"streamSid": customer.of("start")[0]["streamSid"]}
        await customer.play(said, **more)
        await customer.close()
        await self._hang_up(runner)

    async def _begin(self, runner: CallRunner, protocol: StreamProtocol, url: str) -> None:
        await _answered(runner)
        order = StreamOrder(
            url, StreamType.TWOWAY, Channel.INBOUND, PROTOCOLS[protocol].media, protocol=protocol
        )
        await self._client.bridge.media.streams.start(runner, order, runner.facts.call_id)

    async def _hang_up(self, runner: CallRunner) -> None:
        body = {"callId": runner.facts.call_id, "after": "speech"}
        await self._client.data("/call/hangup", body)


async def when(condition: Callable[[], bool]) -> None:
    """Wait until something is true, looking seldom: a thousand calls are held."""
    async with asyncio.timeout(CALL_SECONDS):
        while not condition():
            await asyncio.sleep(LOOK_SECONDS)


async def ended(runner: CallRunner) -> None:
    """Wait for the end of a call."""
    await when(lambda: not runner.live)


async def _answered(runner: CallRunner) -> None:
    await when(lambda: runner.machine.answered_at is not None)
