"""What a leg asks of its provider, and how the provider takes it."""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Final, TypeVar

from bridge.call.diagnosis.incidents import failure_of
from bridge.call.leg_state import ProviderFailure, ProviderRequest, ProviderState
from bridge.errors import BridgeError

Answer = TypeVar("Answer")
MAX_REQUESTS: Final = 20
"""How many of the latest requests are kept."""


class ProviderRequests:
    """Follows the requests of one leg, which makes one at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None
        self._failure: ProviderFailure | None = None
        self._latest: deque[ProviderRequest] = deque(maxlen=MAX_REQUESTS)

    async def follow(self, request: Awaitable[Answer]) -> Answer:
        """Wait for the answer to a request.

        Raises:
            BridgeError: the request's own.
        """
        began = self._asked_at = self._loop.time()
        error = ""
        try:
            answer = await request
        except BridgeError as failed:
            self.note(failed)
            error = failed.code
            raise
        finally:
            self._asked_at = None
            self._latest.append(ProviderRequest(began, self._loop.time() - began, error))
        self._failure = None
        return answer

    def note(self, error: BridgeError | None) -> None:
        """Note how a request ended that was not followed; None for well."""
        self._failure = None if error is None else failure_of(error)

    def state(self) -> ProviderState:
        """Return how the provider takes the requests."""
        return ProviderState(self._asked_at, self._failure, tuple(self._latest))
