"""A STUN Binding request (RFC 8489), to check that UDP packets leave and responses arrive."""

import asyncio
import ipaddress
import secrets
from struct import Struct
from typing import Final

from typing_extensions import override

from bridge.errors import SetupError

MAGIC: Final = 0x2112A442
REQUEST: Final = 0x0001
SUCCESS: Final = 0x0101
XOR_MAPPED_ADDRESS: Final = 0x0020
TRIES: Final = (0.5, 1.0, 1.5)
"""Timeout of each request, in seconds."""
DEFAULT_PORT: Final = 3478

_HEADER = Struct("!HHI12s")
_ATTRIBUTE = Struct("!HH")
_IPV4, _IPV6 = 1, 2


def server_of(url: str) -> tuple[str, int]:
    """Return the host and port of a `stun:` URL."""
    place = url.partition(":")[2].partition("?")[0]
    host, _, port = place.rpartition(":")
    if host and port.isdecimal():
        return host.strip("[]"), int(port)
    return place.strip("[]"), DEFAULT_PORT


async def reflexive_address(server: tuple[str, int], *, local: tuple[str, int]) -> str:
    """Return our server-reflexive address.

    Args:
        server: host and port.
        local: address and port to send from.

    Raises:
        OSError: the server's name is unknown, or the local port is taken.
        SetupError: no answer came.
    """
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Responses(transaction, found), local_addr=local, remote_addr=server
    )
    try:
        for seconds in TRIES:
            transport.sendto(_HEADER.pack(REQUEST, 0, MAGIC, transaction))
            await asyncio.wait([found], timeout=seconds)
            if found.done():
                return found.result()
    finally:
        transport.close()
        found.cancel()
    raise SetupError(f"no answer came over UDP from {server[0]}:{server[1]}")


def read_response(datagram: bytes, transaction: bytes) -> str | None:
    """Return the mapped address of a success response to this request, else None."""
    if len(datagram) < _HEADER.size:
        return None
    kind, _, magic, answered = _HEADER.unpack_from(datagram)
    if (kind, magic, answered) != (SUCCESS, MAGIC, transaction):
        return None
    place = _HEADER.size
    while place + _ATTRIBUTE.size <= len(datagram):
        name, length = _ATTRIBUTE.unpack_from(datagram, place)
        value = datagram[place + _ATTRIBUTE.size : place + _ATTRIBUTE.size + length]
        if name == XOR_MAPPED_ADDRESS:
            return _address(value, transaction)
        place += _ATTRIBUTE.size + length + -length % 4
    return None


def _address(value: bytes, transaction: bytes) -> str | None:
    size = {_IPV4: 4, _IPV6: 16}.get(value[1] if len(value) > 1 else 0, 0)
    if not size or len(value) < 4 + size:
        return None
    mask = (MAGIC.to_bytes(4, "big") + transaction)[:size]
    return str(ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))))


class _Responses(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes, found: asyncio.Future[str]) -> None:
        self._transaction = transaction
        self._found = found

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        address = read_response(data, self._transaction)
        if address is not None and not self._found.done():
            self._found.set_result(address)
