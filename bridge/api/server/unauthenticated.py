"""Limits on unauthenticated requests of an address: how many at once, and how many wrong keys.

A request with a valid key is never delayed or refused for what others do from the same address.
"""

import asyncio
import logging
from typing import Final, TypeVar

from aiohttp import web

from bridge.api.server.proxies import Proxies
from bridge.api.server.rate import RateLimit
from bridge.errors import RateLimited
from bridge.metrics.network import HttpMetrics

log = logging.getLogger(__name__)

WRONG_KEYS_PER_MINUTE: Final = 20
MAX_ADDRESSES: Final = 4096
"""The address seen longest ago is forgotten first."""
LOG_SECONDS: Final = 60.0

Key = TypeVar("Key")
Value = TypeVar("Value")


class UnauthenticatedLimit:
    """Counts the unauthenticated requests and wrong keys of each address."""

    def __init__(self, *, requests: int, proxies: Proxies, metrics: HttpMetrics) -> None:
        """Limit each address to `requests` in progress."""
        self._requests = requests
        self._proxies = proxies
        self._metrics = metrics
        self._wrong_key_limit = RateLimit(WRONG_KEYS_PER_MINUTE)
        self._in_progress: dict[str, int] = {}
        self._wrong_keys: dict[str, tuple[float, float]] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def count(self, request: web.Request) -> bool:
        """Count a request against its address until its answer has been written.

        Call it in the request's own task, which also writes the answer. Return whether the address
        has too many requests in progress.
        """
        address = self._proxies.client(request)
        others = self._in_progress.get(address, 0)
        if (task := asyncio.current_task()) is not None:
            self._in_progress[address] = others + 1
            task.add_done_callback(lambda _: self._leave(address))
        return others >= self._requests

    def _leave(self, address: str) -> None:
        self._in_progress[address] -= 1
        if not self._in_progress[address]:
            del self._in_progress[address]

    def refuse(self, request: web.Request, reason: str, *, event: str = "request.refused") -> None:
        """Count a refused request, and log it at most once a minute for each address and event.

        `reason` is one of `metrics.network.UNAUTHENTICATED_REASONS`.
        """
        self._metrics.unauthenticated_refused(reason)
        address, now = self._proxies.client(request), asyncio.get_running_loop().time()
        before = self._logged.get((event, address))
        if before is None or now - before >= LOG_SECONDS:
            _remember(self._logged, (event, address), now)
            log.warning(event, extra={"address": address, "reason": reason})

    def wrong_key(self, request: web.Request) -> None:
        """Count a wrong key.

        Raises:
            RateLimited: the address has sent too many.
        """
        address, now = self._proxies.client(request), asyncio.get_running_loop().time()
        try:
            bucket = self._wrong_key_limit.take(self._wrong_keys.get(address), now)
        except RateLimited as error:
            self.refuse(request, "too_many_wrong_keys")
            raise RateLimited(
                "too many wrong keys from this address", retry_after=error.retry_after or 1
            ) from None
        _remember(self._wrong_keys, address, bucket)
        self.refuse(request, "wrong_key")


def _remember(memory: dict[Key, Value], key: Key, value: Value) -> None:
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > MAX_ADDRESSES:
        del memory[next(iter(memory))]
