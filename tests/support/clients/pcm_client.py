"""A program at a media socket, on the independent library `websockets`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.peers.stock_peer import Pcm
from tests.support.virtual_time import monotonic

FRAME = 1920


class PcmClient:
    """Sends and collects messages; everything that came is in `sound` and `texts`."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.sound: list[bytes] = []
        self.texts: list[dict[str, Any]] = []
        self.times: list[float] = []
        """When each message of sound came (monotonic seconds)."""
        self.code: int | None = None
        """With which the socket was closed."""

    async def listen(self) -> None:
        """Collect until the socket is closed."""
        with suppress(ConnectionClosed):
            async for message in self.ws:
                if isinstance(message, str):
                    self.texts.append(json.loads(message))
                else:
                    self.sound.append(message)
                    self.times.append(monotonic())
        self.code = self.ws.close_code

    async def send(self, message: bytes | str) -> None:
        await self.ws.send(message)

    async def speak(self, speech: Pcm) -> None:
        """Send speech as a softphone does: 1920 bytes every 60 ms."""
        pcm, began = speech.astype("<i2").tobytes(), monotonic()
        for number, begin in enumerate(range(0, len(pcm), FRAME)):
            await asyncio.sleep(max(0.0, began + 0.06 * number - monotonic()))
            await self.send(pcm[begin : begin + FRAME])

    def heard(self) -> Pcm:
        """All sound of an s16le socket."""
        return np.frombuffer(b"".join(self.sound), "<i2").astype(np.int16)

    def heard_floats(self) -> Pcm:
        """All sound of an f32le socket."""
        floats = np.frombuffer(b"".join(self.sound), "<f4")
        sound: Pcm = np.rint(floats * 32768).astype(np.int16)
        return sound

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The texts of one type."""
        return [text for text in self.texts if text["type"] == kind]


def url_of(http: Any, path: str) -> str:
    """Return the WebSocket URL of a path at aiohttp's `TestClient`."""
    return str(http.make_url(path)).replace("http", "ws", 1)


@asynccontextmanager
async def pcm_client(http: Any, path: str, **more: Any) -> AsyncIterator[PcmClient]:
    """Connect to a path of a bridge and listen for the length of a `with`."""
    async with connect(url_of(http, path), compression=None, max_size=None, **more) as ws:
        client = PcmClient(ws)
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            await ws.close()
            await listening
