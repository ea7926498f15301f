"""A relay between the bridge and a stream server, which keeps every message of both."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Side: TypeAlias = Literal["bridge", "server"]


@dataclass(frozen=True, slots=True)
class Passed:
    """A message that went through."""

    by: Side
    """Who sent it."""
    at: float
    """The loop's time."""
    message: dict[str, Any]


class StreamRelay:
    """Where the bridge connects to, and what both said."""

    def __init__(self, target: str) -> None:
        """Pass on to the URL `target`."""
        self.url = ""
        self.passed: list[Passed] = []
        self.closed = asyncio.Event()
        """Set when either side has closed."""
        self._target = target
        self._more = asyncio.Event()

    def of(self, by: Side, event: str) -> list[Passed]:
        """Return what a side said of this kind."""
        return [one for one in self.passed if one.by == by and one.message["event"] == event]

    async def wait(self, by: Side, event: str, *, count: int = 1, timeout: float = 20.0) -> Passed:
        """Wait until a side has said something of this kind; return the latest.

        Raises:
            TimeoutError: it did not; the text is what it said.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(found := self.of(by, event)) < count:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            events = sorted({(one.by, one.message["event"]) for one in self.passed})
            raise TimeoutError(f"no {event} by the {by}; there was: {events}") from None
        return found[-1]

    async def serve_one(self, bridge: ServerConnection) -> None:
        """Relay one connection until either side closes."""
        try:
            async with connect(self._target) as server, asyncio.TaskGroup() as group:
                group.create_task(self._pass("bridge", bridge, server))
                group.create_task(self._pass("server", server, bridge))
        finally:
            self.closed.set()

    async def _pass(self, by: Side, source: Any, target: Any) -> None:
        with suppress(ConnectionClosed):
            async for text in source:
                now = asyncio.get_running_loop().time()
                self.passed.append(Passed(by, now, json.loads(text)))
                self._more.set()
                await target.send(text)
        await target.close()


@asynccontextmanager
async def stream_relay(target: str) -> AsyncIterator[StreamRelay]:
    """Run a relay to the URL of a stream server."""
    relay = StreamRelay(target)
    async with serve(relay.serve_one, "127.0.0.1", 0, close_timeout=1) as server:
        [listener] = server.sockets
        relay.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        yield relay
