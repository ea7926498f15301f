"""Exports spans in small batches, and drops them if the collector does not keep up.

Batches are sent one at a time by a thread of the pool for blocking calls. A slow or dead collector costs spans, nothing else: they
are counted (`bridge_telemetry_spans_total`), and the log has one line when an outage begins and one when it ends.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from bridge.backoff import Backoff
from bridge.telemetry.span import Span

log = logging.getLogger(__name__)

MAX_QUEUED: Final = 2048
"""Size of the queue; beyond it the oldest span is dropped."""
BATCH: Final = 64
"""Maximum batch: serializing more would hold the interpreter long enough to delay audio."""
PAUSE_SECONDS: Final = 1.0
"""Delay from the first span of a batch to its sending."""
BACKOFF: Final = Backoff(1.0, 30.0)
"""Retry interval while the collector fails."""
FLUSH_SECONDS: Final = 2.0


class Collector(Protocol):
    """Receives batches of spans."""

    def send(self, spans: Sequence[Span]) -> bool:
        """Send a batch, with a timeout; return whether it was accepted. Runs in a thread; never raises."""

    def close(self) -> None:
        """Abort a request in progress."""


class Count(Protocol):
    """Counts spans by outcome: `exported`, `dropped` or `failed`."""

    def __call__(self, outcome: str, /, *, amount: float = 1) -> None:
        """Add `amount` to the count of an outcome."""


class Exporter:
    """The queue of one node's spans for the collector."""

    def __init__(self, collector: Collector, *, count: Count) -> None:
        self._collector = collector
        self._count = count
        self._queue: deque[Span] = deque()
        self._woken = asyncio.Event()
        self._failures = 0
        self._sending = asyncio.Lock()

    def take(self, span: Span) -> None:
        """Queue a span."""
        if len(self._queue) >= MAX_QUEUED:
            self._queue.popleft()
            self._count("dropped")
        self._queue.append(span)
        self._woken.set()

    async def run(self) -> None:
        """Send what is queued, until cancelled."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            self._woken.clear()
            while self._queue:
                await self._send()
                if self._failures:
                    await asyncio.sleep(BACKOFF.after(self._failures))

    async def aclose(self) -> None:
        """Send what is left within `FLUSH_SECONDS`; drop the rest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                while self._queue and not self._failures:
                    await self._send()
        if self._queue:
            self._count("dropped", amount=len(self._queue))
            self._queue.clear()
        self._collector.close()

    async def _send(self) -> None:
        async with self._sending:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            if not batch:
                return
            sent = False
            try:
                sent = await asyncio.to_thread(self._collector.send, batch)
            finally:
                self._count("exported" if sent else "failed", amount=len(batch))
        if not sent and not self._failures:
            log.warning("telemetry.collector_lost")
        elif sent and self._failures:
            log.info("telemetry.collector_back", extra={"attempts": self._failures})
        self._failures = 0 if sent else self._failures + 1
