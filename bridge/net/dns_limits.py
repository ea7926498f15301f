"""Who may look up how many names at a time, and which names failed a moment ago.

Each line has its own: a customer whose name server is silent keeps that customer's look-ups waiting.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from bridge.net.resolver import RESOLVE_SECONDS, Address, LookupFailed, Resolver

MAX_AT_ONCE: Final = 16
"""Look-ups of one line on one node."""
MAX_WAITING: Final = 128
"""More of one line fail at once."""
FAILED_SECONDS: Final = 10.0
"""For so long a name that failed is not asked for again, for the same line."""
MAX_FAILED: Final = 256
"""Names that are remembered of one line; the oldest is dropped."""

OPERATOR: Final = "operator"
CUSTOMER: Final = "customer"


CountLookup: TypeAlias = Callable[[str, str], None]
"""Counts a look-up, of who asked and the outcome (`metrics.outgoing`)."""


class OperatorLookups:
    """The names in the operator's own settings: no customer's look-ups hold them up."""

    def __init__(self, resolver: Resolver, count: CountLookup) -> None:
        self._resolver = resolver
        self._count = count

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name (`Resolver`).

        Raises:
            LookupFailed: it has none, or nobody says so in time.
        """
        return await _counted(self._resolver, self._count, OPERATOR, host)


class LineLookups:
    """The names in the URLs of one line's customers."""

    def __init__(self, resolver: Resolver, count: CountLookup) -> None:
        self._resolver = resolver
        self._count = count
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0
        self._failed: dict[str, float] = {}

    async def resolve(self, host: str) -> list[Address]:
        """Return the addresses of a name (`Resolver`).

        Raises:
            LookupFailed: it has none, nobody says so in time, or the line looks up too much at a time.
        """
        self._check(host)
        if self._waiting >= MAX_WAITING:
            self._count(CUSTOMER, "refused")
            raise LookupFailed("the line looks up too many names at a time", outcome="failed")
        self._waiting += 1
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            self._count(CUSTOMER, "refused")
            raise LookupFailed(
                "other look-ups of the line took too long", outcome="failed"
            ) from None
        finally:
            self._waiting -= 1
        try:
            self._check(host)
            return await _counted(self._resolver, self._count, CUSTOMER, host)
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
            raise LookupFailed("the name could not be looked up a moment ago", outcome="failed")
        del self._failed[host]

    def _remember(self, host: str) -> None:
        if host in self._failed:
            return
        self._failed[host] = asyncio.get_running_loop().time() + FAILED_SECONDS
        if len(self._failed) > MAX_FAILED:
            del self._failed[next(iter(self._failed))]


async def _counted(resolver: Resolver, count: CountLookup, asker: str, host: str) -> list[Address]:
    try:
        found = await resolver.resolve(host)
    except LookupFailed as error:
        count(asker, error.outcome)
        raise
    count(asker, "found")
    return found
