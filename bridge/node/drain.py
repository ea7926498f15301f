"""The drain of a node: no new calls, the live ones go on until they end or the time is over.

A node drains once, and then exits. What belongs to a live call still arrives: requests, sockets, offers, ICE
restarts, also those that other nodes forward.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge.node.manager import Manager
from bridge.tasks import Tasks, wait_set

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
ANNOUNCE_SECONDS: Final = 10.0
"""How long the end may be announced to the parties of the calls that are left."""


async def _announce_nothing() -> None:
    pass


class Drain:
    """The drain of one node; idle until it `begin`s."""

    def __init__(
        self,
        manager: Manager,
        *,
        usual_seconds: float = 0.0,
        others: Callable[[], bool] = lambda: False,
        finish_seconds: float = 0.0,
    ) -> None:
        """Must be called within the running loop.

        `usual_seconds` is `limits.drain_seconds`; `others` says whether other nodes take new calls; then
        requests that came before the drain may begin their calls for `finish_seconds`.
        """
        self._manager = manager
        self._usual_seconds = usual_seconds
        self._finish_seconds = finish_seconds
        self._others = others
        self.announce: Callable[[], Awaitable[object]] = _announce_nothing
        """Announces the end to the parties that are left when the time is over."""
        self.uncommitted: Callable[[], int] = lambda: 0
        """Counts calls that are no longer here, but that the process must not leave yet."""
        self.on_begin: list[Callable[[], None]] = []
        """Called when it begins."""
        self.reason = ""
        """Why it began; empty before."""
        self.done = asyncio.Event()
        """Set once the process is to end what is left, and exit."""
        self._until: float | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()

    @property
    def active(self) -> bool:
        """Whether it has begun."""
        return bool(self.reason)

    @property
    def calls(self) -> int:
        """How many calls are left."""
        return len(list(self._manager.calls())) + self.uncommitted()

    @property
    def seconds_left(self) -> float | None:
        """Until live calls are ended; None for never, or before it begins."""
        return None if self._until is None else max(0.0, self._until - self._loop.time())

    def request(self, seconds: float | None) -> None:
        """Begin as requested, by default for the usual time, or without a limit where that is 0."""
        chosen = self._usual_seconds or None if seconds is None else seconds
        self.begin(chosen, "request")

    def begin(self, seconds: float | None, reason: str) -> None:
        """Begin, or change when it is over; 0 seconds end the calls at once, None never does."""
        self._until = None if seconds is None else self._loop.time() + seconds
        log.info("node.draining", extra={"reason": reason, "seconds": seconds, "calls": self.calls})
        begun, self.reason = self.active, self.reason or reason
        if seconds == 0:
            self.end(reason)
        if begun:
            return
        admission = self._manager.admission
        admission.draining = True
        admission.finishing = self._others()
        for observer in self.on_begin:
            observer()
        self._tasks.spawn(self._run(), name="drain")

    def end(self, reason: str) -> None:
        """End what is left at once."""
        self.reason = self.reason or reason
        self._manager.admission.draining = True
        self.done.set()

    async def aclose(self) -> None:
        """Stop waiting."""
        await self._tasks.aclose()

    async def _run(self) -> None:
        if self._manager.admission.finishing:
            left = self.seconds_left
            await wait_set(
                self.done, self._finish_seconds if left is None else min(self._finish_seconds, left)
            )
            self._manager.admission.finishing = False
        while self.calls and self.seconds_left != 0.0 and not self.done.is_set():
            await wait_set(self.done, POLL_SECONDS)
        if self.calls and not self.done.is_set():
            log.info("node.drain_timeout", extra={"calls": self.calls})
            try:
                async with asyncio.timeout(ANNOUNCE_SECONDS):
                    await self.announce()
            except TimeoutError:
                pass  # the announcement is longer
            except Exception:  # the calls are ended all the same
                log.exception("node.drain_announcement_failed")
        self.done.set()
