"""Locating SIP servers: SRV and address records, in order of failover (RFC 3263 section 4).

There are no NAPTR queries: a trunk's transport is a setting, or that of the first SRV records it has.
"""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Final, Protocol

from bridge.http.resolver import Address, LookupFailed, Service
from bridge.settings.sip import DEFAULT_PORTS
from bridge.sip.boundary import Target, Transport

FRESH_SECONDS: Final = 30.0
"""How long addresses are cached; older ones are used only when the lookup fails."""
FAILED_SECONDS: Final = 30.0
"""How long an address that failed is tried last."""
MAX_HOSTS: Final = 256
"""Kept; the oldest is dropped. Peers' Contact headers name hosts, too."""
MAX_FAILED: Final = 1024
MAX_TARGETS: Final = 16
"""Addresses of one host that are tried."""

_SERVICES: Final[dict[Transport, str]] = {
    "udp": "_sip._udp",
    "tcp": "_sip._tcp",
    "tls": "_sips._tcp",
}
"""In the order in which they are asked for where no transport is set."""


class SipResolver(Protocol):
    """Looks up addresses and SRV records (`http.resolver.Dns`)."""

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name, at least one, or raise `LookupFailed`."""

    async def services(self, name: str) -> list[Service]:
        """Return the SRV records of a name, at least one, or raise `LookupFailed`."""


class SipTargets:
    """Looks up where a host's messages go, and remembers which of its addresses failed."""

    def __init__(
        self,
        resolver: SipResolver,
        *,
        now: Callable[[], float],
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        """`below` returns a random number from 0 up to its argument, exclusive."""
        self._resolver = resolver
        self._now = now
        self._below = below
        self._known: dict[tuple[Transport | None, str, int], tuple[float, list[Target]]] = {}
        self._failed: dict[Target, float] = {}

    async def find(self, transport: Transport | None, host: str, port: int = 0) -> list[Target]:
        """Return the targets of a host in the order to try them; never empty.

        An IP address is used as it is; with a port no SRV records are looked up. Without a transport, that of
        the first SRV records found is used, else UDP.

        Raises:
            LookupFailed: the host has no address, or no name server answered and nothing is cached.
        """
        bare = host.strip("[]")
        try:
            ip_address(bare)
        except ValueError:
            found = await self._look_up(transport, bare.rstrip(".").lower(), port)
        else:
            found = [_target(transport or "udp", bare, port)]
        targets = list(dict.fromkeys(found))
        targets.sort(key=self._has_failed)
        return targets[:MAX_TARGETS]

    def failed(self, target: Target) -> None:
        """Note that an address did not answer, or refused for now: it is tried last for 30 s."""
        self._failed.pop(key := replace(target, connection=0), None)
        self._failed[key] = self._now() + FAILED_SECONDS
        if len(self._failed) > MAX_FAILED:
            del self._failed[next(iter(self._failed))]

    def answered(self, target: Target) -> None:
        """Note that an address answers."""
        self._failed.pop(replace(target, connection=0), None)

    def _has_failed(self, target: Target) -> bool:
        until = self._failed.get(target)
        return until is not None and until > self._now()

    async def _look_up(self, transport: Transport | None, host: str, port: int) -> list[Target]:
        key = (transport, host, port)
        at, targets = self._known.get(key, (float("-inf"), []))
        if self._now() - at < FRESH_SECONDS:
            return targets
        try:
            targets = await self._resolve(transport, host, port)
        except LookupFailed:
            if not targets:
                raise
            return targets
        self._known.pop(key, None)
        self._known[key] = (self._now(), targets)
        if len(self._known) > MAX_HOSTS:
            del self._known[next(iter(self._known))]
        return targets

    async def _resolve(self, transport: Transport | None, host: str, port: int) -> list[Target]:
        """Return the addresses of each host in the order of its SRV records."""
        if port:
            return await self._addresses(transport or "udp", host, port)
        for each in [transport] if transport else _SERVICES:
            if services := await self._services(each, host):
                return await self._hosts(each, services)
        return await self._addresses(transport or "udp", host, 0)

    async def _hosts(self, transport: Transport, services: list[Service]) -> list[Target]:
        targets: list[Target] = []
        failure = LookupFailed("the name has no address", outcome="nothing")
        for service in in_order(services, self._below):
            try:
                targets += await self._addresses(transport, service.host, service.port)
            except LookupFailed as error:
                failure = error
        if not targets:
            raise failure
        return targets

    async def _services(self, transport: Transport, host: str) -> list[Service]:
        try:
            return await self._resolver.services(f"{_SERVICES[transport]}.{host}")
        except LookupFailed as error:
            if error.outcome == "nothing":
                return []
            raise

    async def _addresses(self, transport: Transport, host: str, port: int) -> list[Target]:
        return [
            _target(transport, str(address), port) for address in await self._resolver.resolve(host)
        ]


def in_order(services: Iterable[Service], below: Callable[[int], int]) -> list[Service]:
    """Return the hosts of a service in the order to try them: by priority, then at random by weight (RFC 2782)."""
    # Of one priority, those without weight come first, so that they are rarely chosen.
    left = sorted(services, key=lambda service: (service.priority, service.weight))
    ordered: list[Service] = []
    while left:
        equal = [service for service in left if service.priority == left[0].priority]
        chosen = _choose(equal, below)
        ordered.append(chosen)
        left.remove(chosen)
    return ordered


def _choose(services: list[Service], below: Callable[[int], int]) -> Service:
    reached, wanted = 0, below(sum(service.weight for service in services) + 1)
    for service in services:
        reached += service.weight
        if reached >= wanted:
            return service
    return services[-1]


def _target(transport: Transport, host: str, port: int) -> Target:
    return Target(transport, host, port or DEFAULT_PORTS[transport])
