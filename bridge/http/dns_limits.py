"""Limits of DNS look-ups, and a cache of failed ones, for each line.

A name server that does not answer delays the look-ups of that line only.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from bridge.http.resolver import RESOLVE_SECONDS, Address, LookupFailed, Resolver

MAX_AT_ONCE: Final = 16
"""Concurrent look-ups of one line on one node."""
MAX_WAITING: Final = 128
"""Queued look-ups of one line; more fail at once."""
FAILED_SECONDS: Final = 10.0
"""How long a failed look-up is cached for the line."""
MAX_FAILED: Final = 256
"""Cached failures of one line; the oldest is dropped."""

OPERATOR: Final = "operator"
CUSTOMER: Final = "customer"

CountLookup: TypeAlias = Callable[[str, str], None]
"""Counts a look-up by who asked and outcome (`metrics.network.LOOKUP_OUTCOMES`)."""


class CountedLookups:
    """Resolves names without limits, and counts outcomes by who asked."""

    def __init__(self, resolver: Resolver, count: CountLookup, asker: str) -> None:
        self._resolver = resolver
        self._count = count
        self._asker = asker

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name (`Resolver`)."""
        try:
            found = await self._resolver.resolve(host)
        except LookupFailed as error:
            self._count(self._asker, error.outcome)
            raise
        self._count(self._asker, "found")
        return found


class LineLookups:
    """Resolves the names in customers' URLs of one line."""

    def __init__(self, resolver: Resolver, count: CountLookup) -> None:
        self._resolver = CountedLookups(resolver, count, CUSTOMER)
        self._count = count
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0
        self._failed: dict[str, float] = {}

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name (`Resolver`).

        Raises:
            LookupFailed: as `Resolver.resolve`, or the line has too many look-ups.
        """
        self._check(host)
        if self._waiting >= MAX_WAITING:
            self._count(CUSTOMER, "refused")
            raise LookupFailed("the line has too many DNS lookups in progress", outcome="failed")
        self._waiting += 1
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            self._count(CUSTOMER, "refused")
            raise LookupFailed("the line's DNS lookups timed out", outcome="failed") from None
        finally:
            self._waiting -= 1
        try:
            self._check(host)
            return await self._resolver.resolve(host)
        except LookupFailed:
            self._remember(host)
            raise
        finally:
            self._slots.release()

    def _check(self, host: str) -> None:
        until = self._failed.get(host)
        if until is None:
            return
        if until > asyncio.get_running_loop().time():
            self._count(CUSTOMER, "remembered")
            raise LookupFailed("a DNS lookup of this name failed a moment ago", outcome="failed")
        del self._failed[host]

    def _remember(self, host: str) -> None:
        if host in self._failed:
            return
        self._failed[host] = asyncio.get_running_loop().time() + FAILED_SECONDS
        if len(self._failed) > MAX_FAILED:
            del self._failed[next(iter(self._failed))]
