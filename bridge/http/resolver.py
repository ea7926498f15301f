"""Resolves names on the event loop: /etc/hosts, then DNS.

`getaddrinfo` blocks a thread while a name server does not answer, and uvloop has two threads for it:
two dead names would stop all others. c-ares uses sockets on the loop, which are closed on cancellation.
Search domains and `ndots` are those of /etc/resolv.conf.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import pycares

Address: TypeAlias = IPv4Address | IPv6Address

HOSTS: Final = Path("/etc/hosts")
CHECK_SECONDS: Final = 5.0
"""How often that file is checked for changes."""
MAX_BYTES: Final = 256 * 1024
"""Read of the file; more would block the loop."""
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
_NEVER_FOUND: Final = ".invalid"
"""Names that no name server is asked for (RFC 6761 section 6.4)."""
_ADDRESS_RECORDS: Final = (pycares.QUERY_TYPE_A, pycares.QUERY_TYPE_AAAA)
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


class Hosts:
    """The names and addresses of a hosts(5) file, read again when it changes."""

    def __init__(self, path: Path = HOSTS, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._checked_at = float("-inf")
        self._seen: tuple[int, int] | None = None
        self._known: dict[str, list[Address]] = {}
        self.find("")  # a large file is read at the start, not within a call

    def find(self, name: str) -> list[Address]:
        """Return the addresses of a name, ignoring case; empty if the file does not have it."""
        now = self._now()
        if now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            self._read_if_changed()
        return self._known.get(name.lower(), [])

    def _read_if_changed(self) -> None:
        try:
            state = self._path.stat()
            seen = (state.st_mtime_ns, state.st_size)
            if seen == self._seen:
                return
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES).decode(errors="replace")
        except OSError:
            return
        self._seen = seen
        self._known = parse_hosts(text.splitlines())


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
        with suppress(ValueError):
            return [ip_address(host)]
        if host.lower().rstrip(".").endswith(_NEVER_FOUND):
            raise _no_address()
        found = await asyncio.gather(
            *(self._addresses(host, kind) for kind in _ADDRESS_RECORDS), return_exceptions=True
        )
        addresses = [address for answer in found if isinstance(answer, list) for address in answer]
        if addresses:
            return addresses[:MAX_ADDRESSES]
        # A server that failed for one kind of address may know one: that is not "no address".
        errors = [error for error in found if isinstance(error, BaseException)]
        failed = [error for error in errors if getattr(error, "outcome", "") != "nothing"]
        raise (failed or errors)[0]

    async def _addresses(self, host: str, kind: int) -> list[Address]:
        # Not by getaddrinfo: it would read all of /etc/hosts for each look-up, and the option that keeps it
        # from that (`lookups`) is read by c-ares after pycares has freed it.
        answer = await self._ask(
            lambda channel, finish: channel.search(host, kind, callback=finish)
        )
        found = [
            ip_address(record.data.addr)
            for record in answer[:MAX_ADDRESSES]
            if isinstance(record.data, pycares.ARecordData | pycares.AAAARecordData)
        ]
        if not found:
            raise _no_address()
        return found

    async def services(self, name: str) -> list[Service]:
        """Return the SRV records of a name such as `_sip._udp.example.com`, at least one.

        Raises:
            LookupFailed: it has none, the domain says that it does not offer the service (a record that
                names the root), or no name server answered in time.
        """
        if not 0 < len(name) <= MAX_NAME or "\0" in name:
            raise LookupFailed("this is not a host name", outcome="nothing")
        answer = await self._ask(
            lambda channel, finish: channel.query(name, pycares.QUERY_TYPE_SRV, callback=finish)
        )
        records = [record.data for record in answer[:MAX_ADDRESSES]]
        found = [
            Service(data.priority, data.weight, data.port, data.target.rstrip("."))
            for data in records
            if isinstance(data, pycares.SRVRecordData) and data.target.rstrip(".")
        ]
        if not found:
            raise _no_address()
        return found

    async def _ask(self, start: "_Start") -> list[pycares.DNSRecord]:
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
        self._over: asyncio.Future[list[pycares.DNSRecord]] = self._loop.create_future()
        self._channel = pycares.Channel(
            flags=_FLAGS,
            timeout=TRY_SECONDS,
            tries=TRIES,
            servers=nameservers or None,
            sock_state_cb=self._watch,
        )

    async def run(self, start: _Start) -> list[pycares.DNSRecord]:
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

    def _finish(self, found: pycares.DNSResult | None, error: int | None) -> None:
        if self._over.done():
            return
        if found is not None:
            self._over.set_result(found.answer)
        elif error in _NO_NAME:
            self._over.set_exception(_no_address())
        else:
            self._over.set_exception(LookupFailed("the name server failed", outcome="failed"))


def parse_hosts(lines: Iterable[str]) -> dict[str, list[Address]]:
    """Parse hosts(5) lines: an address, its name and aliases; invalid lines are skipped."""
    known: dict[str, list[Address]] = {}
    for line in lines:
        first, *names = line.partition("#")[0].split() or [""]
        try:
            address = ip_address(first.partition("%")[0])
        except ValueError:
            continue
        for name in names:
            known.setdefault(name.lower().rstrip("."), []).append(address)
    return known


def _no_address() -> LookupFailed:
    return LookupFailed("the name has no address", outcome="nothing")
