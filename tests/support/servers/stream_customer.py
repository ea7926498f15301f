"""A customer's media stream server, on `websockets`: what Wavix's and Twilio's references have in common."""

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.waiting import until

RATE = 24_000
CHUNK = 960
"""Bytes of 20 ms at 24 kHz."""


class Customer:
    """One connection of the bridge, and all it said."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        assert connection.request is not None
        self.headers = connection.request.headers
        """Of the handshake."""
        self.messages: list[dict[str, Any]] = []
        self.arrived: list[float] = []
        """The loop's time of each message."""
        self.closed = asyncio.Event()
        self.code: int | None = None
        """With which the bridge closed."""
        self.reads = asyncio.Event()
        """Cleared while the customer is stuck."""
        self.reads.set()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    def data(self, track: str = "inbound") -> bytes:
        """All sound of a track, as it is written."""
        chunks = [m["media"] for m in self.of("media") if m["media"]["track"] == track]
        return b"".join(base64.b64decode(chunk["payload"]) for chunk in chunks)

    def sound(self, track: str = "inbound") -> np.ndarray:
        """All sound of a track of an s16le stream."""
        return np.frombuffer(self.data(track), "<i2")

    async def say(self, event: str, **more: Any) -> None:
        await self._connection.send(json.dumps({"event": event, **more}))

    async def send_raw(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def play(self, pcm: bytes, **more: Any) -> None:
        payload = base64.b64encode(pcm).decode()
        await self.say("media", media={"payload": payload}, **more)

    async def close(self, code: int = 1000) -> None:
        await self._connection.close(code)

    def break_off(self) -> None:
        """Let go of the connection without a word, as a process that dies does."""
        self._connection.transport.abort()

    async def follow(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self.reads.wait()
                text = await self._connection.recv()
                self.messages.append(json.loads(text))
                self.arrived.append(loop.time())
        except ConnectionClosed:
            self.code = self._connection.close_code
            self.closed.set()


class CustomerServer:
    """Where the bridge dials."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/media"
        self.customers: list[Customer] = []
        self.refuse: Callable[[], None]
        """Accepts no more connections."""

    async def customer(self, number: int = 0) -> Customer:
        await until(lambda: len(self.customers) > number)
        return self.customers[number]


@asynccontextmanager
async def customer_server(port: int = 0):
    customers: list[Customer] = []

    async def serve_one(connection: ServerConnection) -> None:
        customer = Customer(connection)
        customers.append(customer)
        await customer.follow()

    # A small queue, so that a customer that is stuck is stuck: else the library reads on.
    async with serve(serve_one, "127.0.0.1", port, max_queue=4, close_timeout=1) as server:
        [listener] = server.sockets
        here = CustomerServer(listener.getsockname()[1])
        here.customers = customers
        here.refuse = partial(server.close, close_connections=False)
        yield here
