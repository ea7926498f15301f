"""A SIP trunk made of a few lines: it answers every call at once, and sends and notes RTP.

It shares no code with the bridge. Nothing is repeated or timed out: it is on the same machine.
"""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from struct import Struct
from typing import Any, Final

from typing_extensions import override

from tests.support.peers.light_peer import Address, Arrival, Departure

PCMU, OPUS = "PCMU", "opus"
_TYPES: Final = {PCMU: 0, OPUS: 111}
_RTPMAPS: Final = {PCMU: "PCMU/8000", OPUS: "opus/48000/2"}
_TICKS: Final = {PCMU: 6, OPUS: 1}
"""Ticks at 48 kHz for each of the RTP clock."""
_HEADER = Struct("!BBHII")
_MEDIA = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_CONNECTION = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.MULTILINE | re.IGNORECASE)
_MAPPED = re.compile(r"^a=rtpmap:(\d+) opus/48000/2", re.MULTILINE | re.IGNORECASE)


class PlainParty(asyncio.DatagramProtocol):
    """Who was called: one leg of plain RTP."""

    def __init__(self, codec: str, offer: str, *, ssrc: int) -> None:
        media, connection = _MEDIA.search(offer), _CONNECTION.search(offer)
        mapped = _MAPPED.search(offer)
        if media is None or connection is None or (codec == OPUS and mapped is None):
            raise ConnectionError(f"the bridge's offer is of no use:\n{offer}")
        self.codec = codec
        self.arrivals: list[Arrival] = []
        self.acknowledged = asyncio.Event()
        self.times: dict[str, float] = {}
        """When its INVITE came, and when the answer was acknowledged (`invite`, `answer`, `ack`)."""
        self._payload_type = int(mapped[1]) if codec == OPUS and mapped else _TYPES[codec]
        self._remote: Address = (connection[1], int(media[1]))
        self._ssrc = ssrc
        self._sequence, self._timestamp = 1000, 48_000
        self._marker = True
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(self) -> None:
        """Take a port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]

    def describe(self) -> str:
        """Return the answer to the offer."""
        kind = self._payload_type
        lines = [
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
            f"m=audio {self.port} RTP/AVP {kind}", f"a=rtpmap:{kind} {_RTPMAPS[self.codec]}",
            "a=ptime:20", "a=sendrecv",
        ]  # fmt: skip
        if self.codec == OPUS:
            lines.append(f"a=fmtp:{kind} minptime=10;useinbandfec=1")
        return "\r\n".join(lines) + "\r\n"

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        now = time.monotonic()
        if len(data) > _HEADER.size and not 192 <= data[1] <= 223:
            _, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
            self.arrivals.append(
                Arrival(now, sequence, timestamp, kind > 127, kind & 127, ssrc, data[12:])
            )

    def send(self, payload: bytes) -> Departure:
        """Send one packet of 20 ms at once."""
        departure = Departure(time.monotonic(), self._sequence, self._timestamp)
        stamp = self._timestamp // _TICKS[self.codec] & 0xFFFF_FFFF
        kind = self._payload_type | (0x80 if self._marker else 0)
        header = _HEADER.pack(0x80, kind, self._sequence & 0xFFFF, stamp, self._ssrc)
        if self._transport is not None:
            self._transport.sendto(header + payload, self._remote)
        self._marker = False
        self.skip()
        return departure

    def skip(self) -> None:
        """Go on as if a packet had been sent and was lost."""
        self._sequence += 1
        self._timestamp += 960

    def pause(self, samples: int) -> None:
        """Let time pass without packets; `samples` at 48 kHz."""
        self._timestamp += samples
        self._marker = True

    async def close(self) -> None:
        """Free the port."""
        if self._transport is not None:
            self._transport.close()


class Trunk(asyncio.DatagramProtocol):
    """The far end of a bridge's trunk; every INVITE makes a party of `codec`."""

    _parameters = ""
    """Of its Contact."""

    def __init__(self, codec: str, *, first_ssrc: int) -> None:
        self._codec = codec
        self._first_ssrc = first_ssrc
        self.parties: list[PlainParty] = []
        self._by_call: dict[str, PlainParty] = {}
        self._called: asyncio.Queue[PlainParty] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, port: int) -> None:
        """Listen on a port of loopback."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", port), family=socket.AF_INET
        )

    async def called(self) -> PlainParty:
        """Wait for the next call that was answered and acknowledged."""
        async with asyncio.timeout(10):
            party = await self._called.get()
            await party.acknowledged.wait()
        return party

    @override
    def datagram_received(self, data: bytes, addr: Any) -> None:
        now = time.monotonic()
        head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
        start, *fields = head.split("\r\n")
        method = start.partition(" ")[0]
        if not fields or method == "SIP/2.0":
            return
        party = self._by_call.get(_field(fields, "call-id"))
        if method == "ACK":
            if party is not None and not party.acknowledged.is_set():
                party.times["ack"] = now
                party.acknowledged.set()
        elif method == "INVITE":
            task = asyncio.get_running_loop().create_task(self._answer(fields, body, addr, now))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._reply(fields, addr)

    async def _answer(self, fields: list[str], offer: str, address: Address, now: float) -> None:
        call_id = _field(fields, "call-id")
        if call_id in self._by_call:
            return
        party = PlainParty(self._codec, offer, ssrc=self._first_ssrc + len(self.parties))
        self._by_call[call_id] = party
        self.parties.append(party)
        await party.open()
        party.times |= {"invite": now, "answer": time.monotonic()}
        self._reply(fields, address, sdp=party.describe())
        self._called.put_nowait(party)

    def _reply(self, fields: list[str], address: Address, *, sdp: str = "") -> None:
        """Send 200, with an answer if there is one."""
        copied = [each for each in fields if _name(each) in ("via", "from", "call-id", "cseq")]
        to = _field(fields, "to")
        tagged = to if ";tag=" in to else f"{to};tag=trunk"
        host, port = self._local()
        lines = ["SIP/2.0 200 OK", *copied, f"To: {tagged}"]
        lines.append(f"Contact: <sip:{host}:{port}{self._parameters}>")
        if sdp:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(sdp)}")
        self._send(("\r\n".join(lines) + "\r\n\r\n" + sdp).encode(), address)

    def _send(self, data: bytes, address: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, address)

    def _local(self) -> Address:
        assert self._transport is not None
        name: Address = self._transport.get_extra_info("sockname")
        return name

    async def close(self) -> None:
        """Free all ports."""
        for party in self.parties:
            await party.close()
        if self._transport is not None:
            self._transport.close()


class StreamTrunk(Trunk):
    """The same over TCP: it answers over the connection that a request came by."""

    _parameters = ";transport=tcp"

    def __init__(self, codec: str, *, first_ssrc: int) -> None:
        super().__init__(codec, first_ssrc=first_ssrc)
        self.connections = 0
        """How many were accepted."""
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: dict[Any, asyncio.StreamWriter] = {}

    @override
    async def open(self, port: int) -> None:
        self._port = port
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")
        self.connections += 1
        self._writers[address] = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
                length = _LENGTH.search(head)
                if head:
                    body = await reader.readexactly(int(length[1]) if length else 0)
                    self.datagram_received(head + body, address)
        del self._writers[address]
        writer.close()

    @override
    def _send(self, data: bytes, address: Address) -> None:
        if (writer := self._writers.get(address)) is not None:
            writer.write(data)

    @override
    def _local(self) -> Address:
        return "127.0.0.1", self._port

    @override
    async def close(self) -> None:
        await super().close()
        for writer in self._writers.values():
            writer.close()
        if self._server is not None:
            self._server.close()


@asynccontextmanager
async def trunk(
    codec: str, port: int, *, first_ssrc: int = 0x8000, stream: bool = False
) -> AsyncIterator[Trunk]:
    """Run a trunk on a port of loopback until the block is left; with `stream` over TCP."""
    far_end = (StreamTrunk if stream else Trunk)(codec, first_ssrc=first_ssrc)
    await far_end.open(port)
    try:
        yield far_end
    finally:
        await far_end.close()


def settings(port: int, codec: str) -> str:
    """Return settings (TOML) of a bridge whose line `demo` has this trunk."""
    return f"""
[lines.demo]
keys = ["demo"]
numbers = ["493010000"]

[lines.demo.sip]
trunk = "sip:127.0.0.1:{port};transport=udp"
codecs = ["{codec.lower()}"]
allow_prefixes = ["+4930"]
calls_per_minute = 1000000
"""


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def _field(fields: list[str], name: str) -> str:
    return next((each.partition(":")[2].strip() for each in fields if _name(each) == name), "")
