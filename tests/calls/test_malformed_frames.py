"""Whole calls with sockets whose other end breaks the WebSocket protocol itself."""

import asyncio
import logging
import random
from contextlib import suppress

import pytest

from bridge.call.model import LegKind
from bridge.settings.model import Net
from tests.support.clients.pcm_client import pcm_client, url_of
from tests.support.clients.raw_socket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Closed,
    RawServer,
    RawSocket,
    frame_of,
    raw_client,
    raw_server,
)
from tests.support.inprocess import running, settings
from tests.support.sound.speech_compare import clearness
from tests.support.sound.voices import words
from tests.support.waiting import until

ECHO = "15550100001"
FIN = 0x80

pytestmark = pytest.mark.call


def malformed(*, masked: bool) -> list[bytes]:
    """What RFC 6455 forbids, from an end that masks its frames or does not."""

    def frame(payload: bytes, opcode: int, first: int = FIN) -> bytes:
        return frame_of(payload, opcode, masked=masked, first=first)

    return [
        frame_of(b"hello", TEXT, masked=not masked),
        frame(b"", BINARY, FIN | 0x40),
        frame(b"", BINARY, FIN | 0x70),
        frame(b"?", 3),
        frame(b"?", 11),
        frame(bytes(126), PING),
        frame(b"", PING, 0),
        frame(b"", 0),
        frame(b"begun", TEXT, 0) + frame(b"anew", TEXT),
        frame(b"\xff\xfe\xc0", TEXT),
        frame(b"\x03", CLOSE),
        frame((999).to_bytes(2), CLOSE),
        frame(b"\x03\xe8\xff", CLOSE),
        bytes((FIN | BINARY, (0x80 if masked else 0) | 127)) + b"\xff" * 8,
        bytes((FIN | BINARY, (0x80 if masked else 0) | 127)) + (2**40).to_bytes(8),
    ]


def harmless(dice: random.Random, *, masked: bool) -> bytes:
    """Frames that may come in any order, of any length, with any content."""
    opcode = dice.choice([TEXT, BINARY, PING, PONG])
    most = 125 if opcode in (PING, PONG) else 70_000
    payload = dice.randbytes(dice.choice([0, 1, 3, most, dice.randrange(most)]))
    if opcode == TEXT:
        payload = payload.hex().encode()
    elif opcode == BINARY:
        payload = payload[:2000]
    return frame_of(payload, opcode, masked=masked)


async def provoke(socket: RawSocket, data: bytes) -> None:
    """Send it, then read until the bridge has had enough; hang up when it has not."""
    with suppress(Closed, TimeoutError):
        await socket.write(data)
        async with asyncio.timeout(1.5):
            while True:
                await socket.frame()
    socket.close()


async def at_the_sockets(client, call_id: str) -> None:
    paths = [
        f"/call/{call_id}/stream?token=demo",
        f"/api/v1/sessions/demo/calls/{call_id}/media?token=demo",
    ]
    for number, data in enumerate(malformed(masked=True)):
        async with raw_client(url_of(client.http, paths[number % 2])) as socket:
            await provoke(socket, data)
    dice = random.Random(11)
    for path in paths:
        async with raw_client(url_of(client.http, path)) as socket:
            for _ in range(100):
                await socket.write(harmless(dice, masked=True))


async def at_the_streams(client, call_id: str) -> None:
    dice = random.Random(12)
    async with raw_server() as server:
        for data in malformed(masked=False):
            await provoke(await dialled(client, server, call_id), data)
        customer = await dialled(client, server, call_id)
        for _ in range(100):
            await customer.write(harmless(dice, masked=False))


async def dialled(client, server: RawServer, call_id: str) -> RawSocket:
    body = {"stream_url": server.url, "stream_type": "twoway", "stream_channel": "inbound"}
    async with asyncio.timeout(5):
        while True:
            # Refused while the stream before it has not quite ended.
            path = f"/v1/call/{call_id}/streams?appid=demo"
            if (await client.http.post(path, json=body)).status == 200:
                return await server.accept()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("where", [at_the_sockets, at_the_streams])
async def test_frames_that_no_library_sends_end_their_socket_and_nothing_else(where, caplog):
    said = words(0, 3.0)
    async with running(settings(net=Net(allow=["127.0.0.0/8"]))) as client:
        call_id = await client.dial(ECHO)
        async with pcm_client(client.http, f"/call/{call_id}/stream?token=demo") as healthy:
            await until(lambda: healthy.sound)
            async with asyncio.timeout(60):
                await where(client, call_id)
            assert await client.state(call_id) == "active"
            await until(lambda: sockets(client) == 1, timeout=15)
            began, at = len(healthy.sound), asyncio.get_running_loop().time()
            await healthy.send(said.astype("<i2").tobytes())
            await until(lambda: len(healthy.sound) > began + 60)
            took = asyncio.get_running_loop().time() - at
        heard = healthy.heard()[began * 960 :]
    assert clearness(said, heard) > 0.9
    assert took == pytest.approx(61 * 0.06, abs=0.6)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def sockets(client) -> int:
    """How many media sockets and streams the call has."""
    [runner] = client.bridge.manager.calls()
    kinds = (LegKind.SOCKET, LegKind.STREAM)
    return sum(leg.kind in kinds for leg in runner.legs())
