"""A reader of server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse

from tests.support.inprocess import KEY, Client

SECONDS = 20.0


class EventStream:
    """One open stream."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.last_id = ""
        self.heard: list[Any] = []

    async def next(self) -> Any:
        """Return the next event; None at the end of the stream."""
        while line := await self.line():
            name, _, value = line.partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "data":
                self.heard.append(json.loads(value))
                return self.heard[-1]
        return None

    async def until_type(self, kind: str) -> Any:
        """Return the next event of a type."""
        while (event := await self.next()) is not None:
            if event["type"] == kind:
                return event
        raise AssertionError(f"no {kind} among {[event['type'] for event in self.heard]}")

    async def rest(self) -> list[Any]:
        """Return all events until the stream ends."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events

    async def line_that_begins(self, text: str) -> str:
        """Return the next line that begins so."""
        while line := await self.line():
            if line.startswith(text):
                return line
        raise AssertionError(f"no line begins with {text}")

    async def line(self) -> str:
        """Return the next line that is not empty; "" at the end."""
        async with asyncio.timeout(SECONDS):
            while raw := await self.response.content.readline():
                if text := raw.decode().strip():
                    return text
        return ""


@asynccontextmanager
async def listening(
    client: Client, path: str, *, headers: dict[str, str] | None = None
) -> AsyncIterator[EventStream]:
    """Listen for the length of a `with`; the key is sent unless `headers` is empty or has one."""
    sent = KEY if headers is None else ({} if not headers else KEY | headers)
    response = await client.get(path, headers=sent)
    assert response.status == 200, await response.text()
    stream = EventStream(response)
    try:
        assert await stream.line() == "retry: 2000"
        yield stream
    finally:
        response.close()
