"""A stream's server that floods, as a process of its own: `python -m tests.calls.streams.flooding_server KIND RATE`.

It prints its port, and then sends the message of a kind as often as is said each second, 0 for as often as it can.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1

from tests.support.clients.raw_socket import BINARY, PING, TEXT, frame_of

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
AT_ONCE = 100_000
"""Bytes."""


def _media(seconds: float) -> bytes:
    payload = base64.b64encode(bytes(round(seconds * 48_000))).decode()
    return json.dumps({"event": "media", "media": {"payload": payload}}).encode()


def _text(payload: bytes) -> bytes:
    return frame_of(payload, TEXT, masked=False)


MESSAGES = {
    "mark": _text(b'{"event":"mark","mark":{"name":"m"}}'),
    "junk": _text(b"{{{{{{{"),
    "audio": _text(_media(0.02)),
    "large audio": _text(_media(15.6)),
    "binary": frame_of(bytes(100), BINARY, masked=False),
    "ping": frame_of(b"x", PING, masked=False),
    "fragment": frame_of(b"", 0, masked=False, first=0),
}


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, rate: float
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    [key] = [
        line.split(b":", 1)[1].strip()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    ]
    accept = base64.b64encode(sha1(key + GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    reading = asyncio.create_task(_read(reader))
    if kind == "fragment":
        writer.write(frame_of(b"x", TEXT, masked=False, first=0))
    message, began, sent = MESSAGES[kind], time.monotonic(), 0
    most = max(1, AT_ONCE // len(message))
    try:
        while not reading.done():
            due = round((time.monotonic() - began) * rate) - sent if rate else most
            writer.write(message * min(due, most))
            sent += min(due, most)
            await writer.drain()
            await asyncio.sleep(0.001 if rate else 0)
    except OSError:
        reading.cancel()


async def _read(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


async def _main(kind: str, rate: float) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, kind, rate), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@asynccontextmanager
async def flooding_server(kind: str, rate: float = 0.0) -> AsyncIterator[str]:
    """Run it for the length of a `with`; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, kind, str(rate), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"ws://127.0.0.1:{int(await process.stdout.readline())}/media"
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2])))
