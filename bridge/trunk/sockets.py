"""The sockets of SIP: listeners, and sockets and connections to trunks.

Nothing listens unless `sip.listen` is set. A trunk without a listener of its transport is reached from a UDP socket
or connection of its own, over which it can call back.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.errors import SettingsError
from bridge.http.connections import Connections
from bridge.http.interfaces import default_address
from bridge.http.listener import Listeners, open_listeners
from bridge.settings.sip import DEFAULT_PORTS
from bridge.sip.boundary import Local, Target, Transport
from bridge.trunk.connections import MAX_ACCEPTED, Destination, SipConnections
from bridge.trunk.datagrams import SipDatagrams
from bridge.trunk.rate import SipRate

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to take SIP on."""

    transport: Transport
    host: str
    """An IP address."""
    port: int


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS contexts; None where there is no TLS, or for the system's authorities."""

    client: ssl.SSLContext | None = None
    server: ssl.SSLContext | None = None


class SipSockets:
    """All sockets of one node's SIP."""

    shared = False

    def __init__(
        self,
        listen: Sequence[Listen] = (),
        *,
        tls: Tls = Tls(),
        external: str = "",
        rate: SipRate | None = None,
        count_drop: Callable[[str], None] = lambda _: None,
        set_connections: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make them; `run` opens the listeners.

        Args:
            listen: where to take SIP; `tls` there needs a context of the server.
            tls: how TLS connections are made and accepted.
            external: the public address to name, behind 1:1 NAT; empty for none.
            rate: the limits of each address, which come before anything else, and which are trunks'; these
                may have more connections. None for no limits.
            count_drop: counts messages and connections that are dropped, by reason.
            set_connections: is given how many accepted connections are open.
        """
        self.on_message: Callable[[bytes, Target], None] = lambda _data, _source: None
        """Takes each whole message."""
        self.on_failure: Callable[[Target], None] = lambda _target: None
        """Takes each target that could not be reached, or whose connection was lost."""
        self._listen = tuple(listen)
        self._tls = tls
        self._external = external
        self._rate = rate
        known = rate.known if rate is not None else lambda _: False
        self._count_drop = count_drop
        self._accepted = Connections(
            limit=MAX_ACCEPTED, set_open=set_connections, count_cut=count_drop, trusted=known
        )
        self._connections = SipConnections(
            received=self._received,
            failed=lambda target: self.on_failure(target),
            count_drop=count_drop,
            client_tls=tls.client,
            accepted=self._accepted,
            known=known,
        )
        self._datagrams: dict[int, SipDatagrams] = {}
        """By number; those of listeners first."""
        self._own: dict[tuple[str, bool], int] = {}
        """Sockets of trunks, by owner and whether they are of IPv6."""
        self._closed = False

    @property
    def connections(self) -> SipConnections:
        """Those of TCP and TLS."""
        return self._connections

    async def run(self, opened: Callable[[], None] = lambda: None) -> None:
        """Take messages until cancelled; calls `opened` once all listeners are open.

        Raises:
            SettingsError: an address of `listen` cannot be bound.
        """
        listeners: list[Listeners] = []
        try:
            for each in self._listen:
                self._open(each, listeners)
            opened()
            await self._connections.run()
        finally:
            self._closed = True
            for listener in listeners:
                await listener.aclose()
            for datagrams in self._datagrams.values():
                datagrams.close()
            self._datagrams.clear()

    async def connect(self, target: Target, *, owner: str, name: str) -> Target:
        """Return a target with the socket or connection by which to reach it, opened if need be.

        Args:
            target: where to.
            owner: the trunk that a socket or connection of its own is for.
            name: whom a TLS certificate must name: the trunk's host as it is set.

        Raises:
            OSError: it refuses connections, cannot be reached, or has no certificate that can be trusted;
                or `run` has ended.
        """
        if self._closed:
            raise OSError(None, "SIP is shutting down")
        if target.transport == "udp":
            return replace(target, connection=self._datagrams_to(target, owner))
        destination = Destination(target.transport, target.host, target.port, name, owner)
        stream = await self._connections.reach(destination)
        return replace(target, connection=stream.number)

    def send(self, data: bytes, target: Target) -> None:
        """Send a message; a lost connection of ours is reopened. Failures are reported by `on_failure`, later.

        Nothing is sent once `run` has ended.
        """
        if self._closed:
            return
        if target.transport != "udp":
            self._connections.send(data, target)
            return
        try:
            number = self._datagrams_to(target, "")
        except OSError:
            asyncio.get_running_loop().call_soon(self.on_failure, target)
            return
        self._datagrams[number].send(data, (target.host, target.port))

    def keep(self, target: Target) -> None:
        """Note that a connection is in use, though it has no messages: a call lasts."""
        if (stream := self._connections.find(target.connection)) is not None:
            stream.used_at = asyncio.get_running_loop().time()

    def local(self, target: Target) -> Local:
        """Return how to name ourselves to a target: where it can reach us."""
        if target.transport == "udp":
            found = self._datagrams.get(target.connection)
            host, port = (found.host, found.port) if found is not None else ("", 0)
        else:
            stream = self._connections.find(target.connection)
            host, port = (stream.local_host, stream.local_port) if stream is not None else ("", 0)
            port = self._listening_port(target) or port
        six = ":" in target.host
        if self._external and (":" in self._external) == six:
            host = self._external
        elif not host or host in _WILDCARDS:
            host = source_address(target.host)
        return Local(host, port or DEFAULT_PORTS[target.transport])

    def adopt(self, _tag: str) -> None:
        """Do nothing: all messages come here."""

    def mark_trusted(self, source: Target) -> None:
        """Note that an accepted connection is of somebody who may call, and is to be kept."""
        stream = self._connections.find(source.connection)
        if source.transport != "udp" and stream is not None and stream.accepted:
            self._accepted.mark_authenticated(stream.transport)

    def _received(self, data: bytes, source: Target) -> None:
        now = asyncio.get_running_loop().time()
        if self._rate is None or self._rate.admits(data, source.host, now):
            self.on_message(data, source)
        else:
            self._count_drop("rate")

    def _open(self, listen: Listen, listeners: list[Listeners]) -> None:
        if listen.transport == "udp":
            try:
                self._open_datagrams(listen.host, listen.port)
            except OSError as error:
                raise SettingsError(
                    f"sip.listen: cannot listen on udp {listen.host}:{listen.port}: {error.strerror}"
                ) from error
            return
        tls = self._tls.server if listen.transport == "tls" else None
        accepting = Listeners(
            lambda: self._connections.accept(tls=tls is not None),
            connections=self._accepted,
            tls=tls,
        )
        listeners.append(accepting)
        accepting.start(open_listeners(listen.host, listen.port, settings="sip.listen"))

    def _open_datagrams(self, host: str, port: int) -> int:
        number = len(self._datagrams) + 1
        self._datagrams[number] = SipDatagrams(
            host,
            port,
            received=lambda data, address: self._received(data, Target("udp", *address, number)),
            unreachable=lambda address: self.on_failure(Target("udp", *address, number)),
            count_drop=self._count_drop,
        )
        return number

    def _datagrams_to(self, target: Target, owner: str) -> int:
        """Return the number of a target's socket: the one it names, a listener's, or the owner's own."""
        six = ":" in target.host
        if target.connection in self._datagrams:
            return target.connection
        for number in self._datagrams.keys() - self._own.values():
            if self._datagrams[number].six == six:
                return number
        if (owner, six) not in self._own:
            anywhere = "::" if six else "0.0.0.0"  # noqa: S104 - a port of its own
            self._own[owner, six] = self._open_datagrams(anywhere, 0)
        return self._own[owner, six]

    def _listening_port(self, target: Target) -> int:
        six = ":" in target.host
        return next(
            (
                each.port
                for each in self._listen
                if each.transport == target.transport and (":" in each.host) == six
            ),
            0,
        )


def source_address(host: str) -> str:
    """Return the address of ours from which the kernel sends to a host; sends nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return default_address()
        return str(probe.getsockname()[0])
