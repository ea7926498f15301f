"""A bridge whose line answers inbound calls into a stream, and a caller who rings it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bridge.call.model import LineName
from bridge.node.lines import InboundMode, LineConfig
from bridge.node.runner import CallRunner
from bridge.settings.model import Line, Net, Stream
from tests.support.clients.caller import Caller, call_in
from tests.support.clients.raw_socket import RawSocket, raw_server
from tests.support.inprocess import Client, running, settings
from tests.support.published import Published
from tests.support.servers.stream_customer import Customer, customer_server
from tests.support.waiting import until

LINE = LineName("demo")
LOCAL = Net(allow=["127.0.0.0/8"])


class StreamLine:
    """The bridge, and what it publishes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.bridge = client.bridge
        self.manager = client.bridge.manager
        self.published = Published()
        self.manager.publisher.subscribe(self.published.events.append)

    async def ring(self) -> tuple[Caller, CallRunner]:
        """Let a caller ring, who is answered at once."""
        return await call_in(self.manager)

    async def ended(self) -> dict[str, object]:
        """Wait for the end of the only stream; return its event's data."""
        await until(lambda: self.published.of("stream.ended"), timeout=30.0)
        [ended] = self.published.of("stream.ended")
        return ended

    async def fallback(self) -> dict[str, object]:
        """Wait for the fallback; return its event's data."""
        await until(lambda: self.published.of("stream.fallback"), timeout=30.0)
        [fallback] = self.published.of("stream.fallback")
        return fallback


@asynccontextmanager
async def stream_line(
    url: str, *, stream: Stream | None = None, **more: Any
) -> AsyncIterator[StreamLine]:
    """Run a bridge whose line streams its inbound calls to a URL; `more` are settings."""
    line = Line(keys=["demo"], stream=stream or Stream())
    chosen = settings(**({"lines": {LINE: line}, "net": LOCAL} | more))
    async with running(chosen) as client:
        lines = client.bridge.lines.lines
        await lines.put(LINE, LineConfig(mode=InboundMode.STREAM, stream_url=url))
        await lines.connect(LINE)
        yield StreamLine(client)


@asynccontextmanager
async def streamed_call(
    stream: Stream | None = None, **more: Any
) -> AsyncIterator[tuple[StreamLine, Caller, CallRunner, Customer]]:
    """Have a call in a stream, with its server."""
    async with customer_server() as server, stream_line(server.url, stream=stream, **more) as line:
        caller, runner = await line.ring()
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        yield line, caller, runner, customer


@asynccontextmanager
async def raw_streamed() -> AsyncIterator[tuple[StreamLine, CallRunner, RawSocket]]:
    """Have a call in a stream whose server is a raw socket that reads on and answers pings."""
    async with raw_server() as server, stream_line(server.url) as line:
        _, runner = await line.ring()
        ws = await server.accept()
        reading = asyncio.create_task(_read_on(ws))
        await until(lambda: line.published.of("stream.started"))
        try:
            yield line, runner, ws
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read_on(ws: RawSocket) -> None:
    while True:
        await ws.message()
