"""Resolves names on the event loop: /etc/hosts, then DNS.

`getaddrinfo` blocks a thread while a name server does not answer, and uvloop has two threads for it:
two dead names would stop all others. c-ares uses sockets on the loop, which are closed on cancellation.
Search domains and `ndots` are those of /etc/resolv.conf.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Protocol, TypeAlias

import pycares

from bridge.http.hosts import Address as Address
from bridge.http.hosts import Hosts

RESOLVE_SECONDS: Final = 5.0
"""For one look-up, with all retries and search domains."""
TRY_SECONDS: Final = 1.0
"""Timeout of the first query; it grows with each retry."""
TRIES: Final = 3
MAX_NAME: Final = 253
"""Characters of a host name (RFC 1035 section 2.3.4, as text)."""
MAX_ADDRESSES: Final = 32
"""Of one name; more are ignored."""

_FLAGS: Final = pycares.ARES_FLAG_EDNS | pycares.ARES_FLAG_IGNTC
"""No TCP: parsing an answer of 64 kB with 3900 addresses would block the loop for 100 ms."""
_NO_SORT: Final = 1 << 7
"""`ARES_AI_NOSORT`, which pycares does not define: sorting costs a socket for each address."""
_NO_NAME: Final = frozenset(
    {pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA, pycares.errno.ARES_EBADNAME}
)


class LookupFailed(OSError):
    """A name could not be resolved; `outcome` is `nothing` if it has no address, else `failed`."""

    def __init__(self, message: str, *, outcome: str) -> None:
        super().__init__(None, message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Service:
    """A host that offers a service: an SRV record (RFC 2782)."""

    priority: int
    """The lowest is asked first."""
    weight: int
    """Its share among those of the same priority."""
    port: int
    host: str


class Resolver(Protocol):
    """Resolves names."""

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name, at least one.

        Raises:
            LookupFailed: it has none, or no name server answered in time.
        """
        ...


class Dns:
    """Resolves names with the machine's name servers, or those of the setting `net.nameservers`."""

    def __init__(self, nameservers: Sequence[str] = (), *, hosts: Hosts | None = None) -> None:
        self._nameservers = tuple(nameservers)
        self._hosts = hosts or Hosts()

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name (`Resolver`); a cancelled look-up closes its sockets."""
        if not 0 < len(host) <= MAX_NAME or "\0" in host:
            raise LookupFailed("this is not a host name", outcome="nothing")
        if known := self._hosts.find(host):
            return known
        info: pycares.AddrInfoResult = await self._ask(
            lambda channel, finish: channel.getaddrinfo(
                host,
                None,
                family=socket.AF_UNSPEC,
                type=socket.SOCK_STREAM,
                flags=_NO_SORT,
                callback=finish,
            )
        )
        if not info.nodes:
            raise _no_address()
        return [_address(node.addr[0]) for node in info.nodes[:MAX_ADDRESSES]]

    async def services(self, name: str) -> list[Service]:
        """Return the SRV records of a name such as `_sip._udp.example.com`, at least one.

        Raises:
            LookupFailed: it has none, the domain says that it does not offer the service (a record that
                names the root), or no name server answered in time.
        """
        if not 0 < len(name) <= MAX_NAME or "\0" in name:
            raise LookupFailed("this is not a host name", outcome="nothing")
        result: pycares.DNSResult = await self._ask(
            lambda channel, finish: channel.query(name, pycares.QUERY_TYPE_SRV, callback=finish)
        )
        records = [record.data for record in result.answer[:MAX_ADDRESSES]]
        found = [
            Service(data.priority, data.weight, data.port, data.target.rstrip("."))
            for data in records
            if isinstance(data, pycares.SRVRecordData) and data.target.rstrip(".")
        ]
        if not found:
            raise _no_address()
        return found

    async def _ask(self, start: "_Start") -> Any:  # noqa: ANN401 - what the kind of query returns
        query = _Query(self._nameservers)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                return await query.run(start)
        except TimeoutError:
            raise LookupFailed("no name server answered in time", outcome="failed") from None
        except (pycares.AresError, UnicodeError):
            raise LookupFailed("this is not a host name", outcome="nothing") from None
        finally:
            query.close()


_Start: TypeAlias = Callable[[pycares.Channel, Callable[[Any, int | None], None]], None]


class _Query:
    """One look-up with its own sockets, so that it can be cancelled alone."""

    def __init__(self, nameservers: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[Any] = self._loop.create_future()
        self._channel = pycares.Channel(
            flags=_FLAGS,
            timeout=TRY_SECONDS,
            tries=TRIES,
            servers=nameservers or None,
            lookups="b",  # DNS alone; c-ares would read all of /etc/hosts for each look-up
            sock_state_cb=self._watch,
        )

    async def run(self, start: _Start) -> Any:  # noqa: ANN401 - what the kind of query returns
        start(self._channel, self._finish)
        self._set_timer()
        return await self._over

    def close(self) -> None:
        """Cancel the look-up and close its sockets."""
        self._over.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._channel.cancel()
        for descriptor in tuple(self._sockets):
            self._watch(descriptor, readable=False, writable=False)
        self._channel.close()

    def _watch(self, descriptor: int, readable: bool, writable: bool) -> None:  # noqa: FBT001
        # Called by c-ares for each socket it opens, wants to write to, and is about to close.
        self._sockets.add(descriptor)
        if readable:
            self._loop.add_reader(descriptor, self._channel.process_read_fd, descriptor)
        else:
            self._loop.remove_reader(descriptor)
        if writable:
            self._loop.add_writer(descriptor, self._channel.process_write_fd, descriptor)
        else:
            self._loop.remove_writer(descriptor)
        if not (readable or writable):
            self._sockets.discard(descriptor)

    def _set_timer(self) -> None:
        if not self._over.done():
            pause = self._channel.timeout() or TRY_SECONDS  # type: ignore[no-untyped-call]
            self._timer = self._loop.call_later(pause, self._retry)

    def _retry(self) -> None:
        self._channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        self._set_timer()

    def _finish(self, found: object, error: int | None) -> None:
        if self._over.done():
            return
        if found is not None:
            self._over.set_result(found)
        elif error in _NO_NAME:
            self._over.set_exception(_no_address())
        else:
            self._over.set_exception(LookupFailed("the name server failed", outcome="failed"))


def _no_address() -> LookupFailed:
    return LookupFailed("the name has no address", outcome="nothing")


def _address(text: bytes | str) -> Address:
    plain = text.decode() if isinstance(text, bytes) else text
    return ip_address(plain.partition("%")[0])
