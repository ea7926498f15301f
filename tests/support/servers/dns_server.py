"""A name server on loopback: it answers, says that there is no such name, fails, or keeps silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

from typing_extensions import override

A, AAAA, SRV = 1, 28, 33
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
TRUNCATED = 0x0200


class DnsServer(asyncio.DatagramProtocol):
    """One server, and what it was asked."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        """What it knows; any other name does not exist."""
        self.services: dict[str, list[tuple[int, int, int, str]]] = {}
        """SRV records: priority, weight, port and host."""
        self.dead: set[str] = set()
        """Names ending so are never answered."""
        self.broken: set[str] = set()
        self.fails_for: dict[str, int] = {}
        """By name the kind of record for which it fails."""
        self.truncates: set[str] = set()
        self.asked: list[str] = []
        self.where = ""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        name, question, kind = _question(data)
        self.asked.append(name)
        if name.endswith(tuple(self.dead)):
            return
        code, known = NO_ERROR, self.names.get(name)
        if name.endswith(tuple(self.broken)) or self.fails_for.get(name) == kind:
            code, known = SERVER_FAILURE, []
        elif known is None:
            code, known = NO_ERROR if name in self.services else NO_SUCH_NAME, []
        records = [_record(text) for text in known if _kind(text) == kind]
        if kind == SRV:
            records = [_service(*service) for service in self.services.get(name, [])]
        flags = 0x8180 | code | (TRUNCATED if name in self.truncates else 0)
        counts = (1, len(records), 0, 0)
        head = data[:2] + flags.to_bytes(2) + b"".join(n.to_bytes(2) for n in counts)
        self._transport.sendto(head + question + b"".join(records), addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(DnsServer, local_addr=("127.0.0.1", 0))
    server.where = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    try:
        yield server
    finally:
        transport.close()


def _question(data: bytes) -> tuple[str, bytes, int]:
    labels, place = [], 12
    while length := data[place]:
        labels.append(data[place + 1 : place + 1 + length].decode())
        place += 1 + length
    return ".".join(labels), data[12 : place + 5], int.from_bytes(data[place + 1 : place + 3])


def _kind(text: str) -> int:
    return A if ip_address(text).version == 4 else AAAA


def _record(text: str) -> bytes:
    packed = ip_address(text).packed
    kind = _kind(text).to_bytes(2)
    return b"\xc0\x0c" + kind + b"\0\1\0\0\0\x3c" + len(packed).to_bytes(2) + packed


def _service(priority: int, weight: int, port: int, host: str) -> bytes:
    labels = b"".join(len(label).to_bytes(1) + label.encode() for label in host.split(".") if label)
    data = b"".join(n.to_bytes(2) for n in (priority, weight, port)) + labels + b"\0"
    return b"\xc0\x0c" + SRV.to_bytes(2) + b"\0\1\0\0\0\x3c" + len(data).to_bytes(2) + data
