"""A STUN Binding request (RFC 8489), to check that UDP packets leave and responses arrive."""

import asyncio
import errno
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from typing_extensions import override

from bridge.errors import SettingsError, SetupError
from bridge.http.resolver import Dns

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


async def server_address(url: str, version: int, dns: Dns) -> tuple[str, int]:
    """Return the address, of this IP version, and the port of a STUN server.

    Raises:
        LookupFailed: its name has no address.
        SettingsError: none of its addresses is of this version.
    """
    name, port = server_of(url)
    for address in await dns.resolve(name):
        if address.version == version:
            return str(address), port
    raise SettingsError(f"{name} (rtc.stun_urls) has no IPv{version} address, and rtc.bind is one")


class Reflexive(NamedTuple):
    """Where a server sees packets of ours come from."""

    address: str
    port: int


async def reflexive_address(
    server: tuple[str, int], *, local: tuple[str, int], tries: Sequence[float] = TRIES
) -> Reflexive:
    """Return our server-reflexive address, as `server` sees what comes from `local`.

    Raises:
        OSError: the server's name is unknown, or the local port is taken.
        SetupError: no answer came.
    """
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Reflexive] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Responses(transaction, found), local_addr=local, remote_addr=server
    )
    try:
        for seconds in tries:
            transport.sendto(_HEADER.pack(REQUEST, 0, MAGIC, transaction))
            await asyncio.wait([found], timeout=seconds)
            if found.done():
                return found.result()
    finally:
        transport.close()
        found.cancel()
    raise SetupError(f"no answer came over UDP from {server[0]}:{server[1]}")


async def ask_from_free_port(
    server: tuple[str, int], *, address: str, ports: Iterable[int]
) -> tuple[int, Reflexive]:
    """Ask from the first port of `address` that is free; return it, and where the server sees it.

    Raises:
        OSError: the server cannot be sent to.
        SettingsError: no port can be used.
        SetupError: no answer came.
    """
    for port in ports:
        try:
            return port, await reflexive_address(server, local=(address, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise SettingsError(f"no port of rtc.ports can be used on {address} (rtc.bind)")


def read_response(datagram: bytes, transaction: bytes) -> Reflexive | None:
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


def _address(value: bytes, transaction: bytes) -> Reflexive | None:
    size = {_IPV4: 4, _IPV6: 16}.get(value[1] if len(value) > 1 else 0, 0)
    if not size or len(value) < 4 + size:
        return None
    mask = (MAGIC.to_bytes(4, "big") + transaction)[:size]
    address = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
    port = int.from_bytes(value[2:4], "big") ^ (MAGIC >> 16)
    return Reflexive(str(ipaddress.ip_address(address)), port)


class _Responses(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes, found: asyncio.Future[Reflexive]) -> None:
        self._transaction = transaction
        self._found = found

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        address = read_response(data, self._transaction)
        if address is not None and not self._found.done():
            self._found.set_result(address)
