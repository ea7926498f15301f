"""Exports spans in small batches, and drops them where the collector does not keep up.

A batch is sent by a thread of the pool for what waits, one at a time. What a collector does costs no more than spans: they are
counted (`bridge_telemetry_spans_total`), and the log has a line when an outage begins and one when it ends.
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
"""Spans that wait; then the oldest is dropped."""
BATCH: Final = 64
"""Spans sent at once: what serializes more holds the interpreter long enough to be heard."""
PAUSE_SECONDS: Final = 1.0
"""Between the first span of a batch and its sending."""
BACKOFF: Final = Backoff(1.0, 30.0)
"""Between attempts while the collector fails."""
FLUSH_SECONDS: Final = 2.0


class Collector(Protocol):
    """Where spans go."""

    def send(self, spans: Sequence[Span]) -> bool:
        """Send them, in a thread, within a time limit; return whether they were taken. Never raises."""

    def close(self) -> None:
        """Give up what is under way."""


class Count(Protocol):
    """Counts spans by what became of them: `exported`, `dropped` or `failed`."""

    def __call__(self, outcome: str, /, *, amount: float = 1) -> None:
        """Count so many."""


class Exporter:
    """The spans of one node on their way to the collector."""

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
        """Send what is left, for at most `FLUSH_SECONDS`; the rest is dropped."""
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
