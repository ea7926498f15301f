"""Stream servers that misbehave: the call goes on or its fallback takes over, and the event says what was wrong."""

import asyncio
import base64
import json
import socket
import struct
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.audio.codec.g711 import MULAW
from bridge.call.model import LegKind
from tests.support.clients.raw_socket import BINARY, CLOSE, TEXT, frame_of, raw_server
from tests.support.clients.stream_line import raw_streamed, stream_line
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

# The streams are the same on any node, and those that go through the wrong one are in test_media_streams.py.
pytestmark = [pytest.mark.call, one_node_only]

MARK = b'{"event":"mark","mark":{"name":"m"}}'
LARGEST = round(62.0 * 48_000 * 4 / 3)
"""Bytes of a message at 24 kHz."""


def case(name: str, *values):
    return pytest.param(*values, id=name)


def slow_case(name: str, *values):
    """A variant of a path that another case covers."""
    return pytest.param(*values, id=name, marks=pytest.mark.full)


def media(data: bytes) -> bytes:
    return json.dumps(
        {"event": "media", "media": {"payload": base64.b64encode(data).decode()}}
    ).encode()


def framed(payload: bytes, opcode: int = TEXT, first: int = 0x80) -> bytes:
    return frame_of(payload, opcode, masked=False, first=first)


def leg_of(runner):
    [leg] = [leg for leg in runner.legs() if leg.kind is LegKind.STREAM]
    return leg


async def alive(line, runner, ws) -> None:
    """Check that the stream goes on: audio that is sent now is taken."""
    before = leg_of(runner).statistics().received.packets
    await ws.send(media(bytes(960)), TEXT)
    await until(lambda: leg_of(runner).statistics().received.packets > before)
    assert runner.live
    assert line.published.of("stream.ended") == []


# Messages that mean nothing


@pytest.mark.parametrize(
    "frame",
    [
        case("binary", framed(b"\x00\x01\x02", BINARY)),
        slow_case("braces", framed(b"{" * 100_000)),
        case("nesting", framed(b"[" * 500_000 + b"]" * 500_000)),
        case(
            "not base64",
            framed(b'{"event":"media","media":{"payload":"' + b"!" * 1_000_000 + b'"}}'),
        ),
        slow_case("cut", framed(b'{"event":"media","media":{"payload":"AAA="}}'[:-4])),
        slow_case(
            "long mark",
            framed(json.dumps({"event": "mark", "mark": {"name": "x" * 5000}}).encode()),
        ),
        slow_case("wide", framed(b"{" + b'"a":1,' * 100_000 + b'"event":"dance"}')),
        slow_case("half sample", framed(media(bytes(961)))),
    ],
)
async def test_nonsense_is_counted_and_ignored(frame):
    async with raw_streamed() as (line, runner, ws):
        await ws.write(frame)
        await until(lambda: leg_of(runner).statistics().discarded["bad_message"] == 1)
        await alive(line, runner, ws)


async def test_a_message_in_fragments_with_a_ping_between_them_is_one_message():
    async with raw_streamed() as (line, runner, ws):
        text = media(bytes(960))
        await ws.write(framed(text[:10], TEXT, first=0))
        await ws.write(framed(b"p", 9))
        await ws.write(framed(text[10:500], 0, first=0))
        await ws.write(framed(text[500:], 0))
        await until(lambda: leg_of(runner).statistics().received.packets == 1)
        await alive(line, runner, ws)


async def test_a_megabyte_of_audio_is_played():
    async with raw_streamed() as (line, runner, ws):
        await ws.send(media(bytes(750_000)), TEXT)
        await until(lambda: leg_of(runner).statistics().received.bytes == 750_000)
        await alive(line, runner, ws)


@pytest.mark.full
async def test_more_than_a_minute_of_audio_is_bounded_and_what_is_dropped_is_counted():
    async with raw_streamed() as (line, runner, ws):
        for _ in range(3):
            await ws.send(media(bytes(30 * 48_000)), TEXT)
        await until(lambda: leg_of(runner).statistics().received.bytes == 90 * 48_000)
        assert leg_of(runner)._inbound.queue.buffered_seconds <= 60
        assert await line.client.total("bridge_socket_dropped_seconds_total") > 20
        await alive(line, runner, ws)


# Messages that end the stream


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        case("100 MB", b"\x81\x7f" + struct.pack("!Q", 100_000_000), "too_large"),
        slow_case(
            "above the limit", b"\x81\x7f" + struct.pack("!Q", LARGEST + 100) + b"x", "too_large"
        ),
        slow_case("negative length", b"\x81\x7f" + struct.pack("!Q", 2**63), "too_large"),
        slow_case("long ping", framed(b"x" * 126, 9), "protocol_error"),
        case("opcode 3", framed(b"x", 3), "protocol_error"),
        slow_case("compressed", framed(b"x", TEXT, first=0xC0), "protocol_error"),
        slow_case("no beginning", framed(b"x", 0), "protocol_error"),
        case("no UTF-8", framed(b"\xff\xfe"), "protocol_error"),
        slow_case("short close", framed(b"\x03", CLOSE), "protocol_error"),
        case("1000", framed(b"\x03\xe8", CLOSE), "closed"),
        slow_case("no code", framed(b"", CLOSE), "closed"),
        slow_case("1001", framed(b"\x03\xe9", CLOSE), "server_error"),
        case("1011", framed(b"\x03\xf3" + b"oops", CLOSE), "server_error"),
        slow_case("4000", framed(b"\x0f\xa0", CLOSE), "server_error"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_stream_with_its_reason(frame, reason):
    async with raw_streamed() as (line, runner, ws):
        await ws.write(frame)
        ended = await line.ended()
        assert ended["reason"] == reason
        assert bool(ended["error"]) is (reason != "closed")
        assert (await line.fallback())["reason"] == reason
        await until(lambda: not runner.live)


@pytest.mark.parametrize("linger", [True, False], ids=["RST", "FIN"])
async def test_a_server_that_dies_in_mid_word_ends_the_stream_as_failed(linger):
    async with raw_streamed() as (line, runner, ws):
        await ws.write(framed(media(bytes(48_000)))[:20_000])
        if linger:
            option = struct.pack("ii", 1, 0)
            ws._carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        ws.close()
        assert (await line.ended())["reason"] == "failed"
        await until(lambda: not runner.live)


async def test_a_server_that_reads_nothing_is_let_go_of():
    async with raw_server() as server, stream_line(server.url) as line:
        _, runner = await line.ring()
        await server.accept()
        ended = await line.ended()
        assert ended["reason"] == "slow"
        assert "too slowly for 10 s" in str(ended["error"])
        await until(lambda: not runner.live)


# Servers that cannot be connected


@asynccontextmanager
async def answering(answer: bytes | None):
    """A server that answers every request so; None: not at all. Gives its URL and how many it got."""
    requests: list[bytes] = []

    async def serve(reader, writer):
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media", requests


def response(status: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")


@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        slow_case("200", response("200 OK"), "unreachable", "answered 200"),
        case("401", response("401 Unauthorized"), "unreachable", "answered 401"),
        slow_case("500", response("500 Oops"), "unreachable", "answered 500"),
        slow_case(
            "no accept", response("101 Ok", *UPGRADE), "unreachable", "Invalid challenge response"
        ),
        case(
            "wrong accept",
            response("101 Ok", *UPGRADE, "Sec-WebSocket-Accept: x"),
            "unreachable",
            "challenge",
        ),
        slow_case("no upgrade", response("101 Ok"), "unreachable", "handshake is wrong"),
        slow_case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", "unreachable", "handshake"),
        slow_case("nothing", b"", "unreachable", "handshake"),
        case("silence", None, "unreachable", "no answer to the handshake within 2.6 s"),
        case(
            "to a private address",
            response("302 Found", "Location: http://10.0.0.7/"),
            "blocked",
            "net.allow",
        ),
        slow_case(
            "to a metadata service",
            response("302 Found", "Location: http://169.254.169.254/"),
            "blocked",
            "net.allow",
        ),
        slow_case(
            "in a circle", response("302 Found", "Location: /media"), "unreachable", "handshake"
        ),
    ],
)
async def test_a_handshake_that_fails_is_told_of_and_the_fallback_takes_over(answer, reason, says):
    async with answering(answer) as (url, requests), stream_line(url) as line:
        _, runner = await line.ring()
        ended = await line.ended()
        assert ended["reason"] == reason
        assert says in str(ended["error"])
        assert len(requests) % 3 == 0 if reason == "unreachable" else len(requests) == 1
        assert (await line.fallback())["error"] == ended["error"]
        await until(lambda: not runner.live)
        assert asyncio.get_running_loop().time() < 12


# Audio in another encoding


async def test_audio_in_another_encoding_is_told_of_once():
    async with raw_streamed() as (line, runner, ws):
        moments = np.arange(24_000 * 8) / 24_000
        tone = (9000 * np.sin(2 * np.pi * 300 * moments)).astype("<i2").tobytes()
        mulaw = MULAW.encode(tone)
        for begin in range(0, len(mulaw), 960):
            await ws.send(media(mulaw[begin : begin + 960]), TEXT)
            await asyncio.sleep(0.02)
        [told] = line.published.of("stream.error")
        assert told["code"] == "wrong_encoding"
        assert "mulaw" in str(told["message"])
        assert runner.live
