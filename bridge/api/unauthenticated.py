"""Requests without a right key: how many one address may have under way, and how often it may guess.

A right key is never delayed or refused because of what others do from the same address.
"""

import asyncio
import logging
from typing import Final, TypeVar

from aiohttp import web

from bridge.api.proxies import Proxies
from bridge.api.rate import RateLimit
from bridge.errors import RateLimited
from bridge.metrics.http import HttpMetrics

log = logging.getLogger(__name__)

WRONG_KEYS_PER_MINUTE: Final = 20
MAX_ADDRESSES: Final = 4096
"""So many addresses are remembered; the one that was heard of first is forgotten."""
LOG_SECONDS: Final = 60.0

Key = TypeVar("Key")
Value = TypeVar("Value")


class UnauthenticatedLimit:
    """What is remembered of addresses that have shown no right key."""

    def __init__(self, *, requests: int, proxies: Proxies, metrics: HttpMetrics) -> None:
        """Take the rules.

        Args:
            requests: how many requests an address may have under way.
            proxies: say which address a request comes from.
            metrics: count what is refused.
        """
        self._requests = requests
        self._proxies = proxies
        self._metrics = metrics
        self._guesses = RateLimit(WRONG_KEYS_PER_MINUTE)
        self._under_way: dict[str, int] = {}
        self._guessed: dict[str, tuple[float, float]] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def address(self, request: web.Request) -> str:
        """Return the address that a request is counted under."""
        return self._proxies.client(request)

    def count(self, request: web.Request) -> bool:
        """Count a request against its address until its answer has been taken.

        To be called in the request's own task, which is also the one that writes the answer.
        Returns whether the address has too many under way.
        """
        address = self.address(request)
        others = self._under_way.get(address, 0)
        if (task := asyncio.current_task()) is not None:
            self._under_way[address] = others + 1
            task.add_done_callback(lambda _: self._leave(address))
        return others >= self._requests

    def _leave(self, address: str) -> None:
        self._under_way[address] -= 1
        if not self._under_way[address]:
            del self._under_way[address]

    def refuse(self, request: web.Request, reason: str, *, event: str = "stranger.refused") -> None:
        """Count a refused request, and log it: one line for an address, event and minute.

        Args:
            request: what was asked.
            reason: a word of `metrics.http.STRANGER_REASONS`.
            event: what the log calls it.
        """
        self._metrics.stranger_refused(reason)
        address, now = self.address(request), asyncio.get_running_loop().time()
        before = self._logged.get((event, address))
        if before is None or now - before >= LOG_SECONDS:
            _remember(self._logged, (event, address), now)
            log.warning(event, extra={"address": address, "reason": reason})

    def wrong_key(self, request: web.Request) -> None:
        """Take note of a key that is not known.

        Raises:
            RateLimited: the address has guessed too often lately.
        """
        address, now = self.address(request), asyncio.get_running_loop().time()
        try:
            bucket = self._guesses.take(self._guessed.get(address), now)
        except RateLimited as error:
            self.refuse(request, "too_many_wrong_keys")
            raise RateLimited(
                "too many wrong keys from this address", retry_after=error.retry_after or 1
            ) from None
        _remember(self._guessed, address, bucket)
        self.refuse(request, "wrong_key")


def _remember(memory: dict[Key, Value], key: Key, value: Value) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > MAX_ADDRESSES:
        del memory[next(iter(memory))]
