import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from bridge.telemetry.exporter import BATCH, FLUSH_SECONDS, MAX_QUEUED, Exporter
from bridge.telemetry.span import Span, SpanKind

pytestmark = pytest.mark.virtual_time


def span(number: int) -> Span:
    now = datetime.now(UTC)
    return Span(name="x", kind=SpanKind.INTERNAL, trace_id=1, span_id=number, start=now, end=now)


class Collector:
    """A collector that can be dead."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.largest = self.attempts = 0
        self.dead = self.closed = False

    def send(self, spans):
        self.attempts += 1
        self.largest = max(self.largest, len(spans))
        if not self.dead:
            self.taken += [one.span_id for one in spans]
        return not self.dead

    def close(self):
        self.closed = True


@asynccontextmanager
async def exporting():
    collector, counts = Collector(), Counter[str]()

    def count(outcome, amount=1):
        counts[outcome] += amount

    exporter = Exporter(collector, count=count)
    task = asyncio.create_task(exporter.run())
    yield exporter, collector, counts
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_spans_are_sent_in_order_and_few_at_once():
    async with exporting() as (exporter, collector, counts):
        for number in range(100):
            exporter.take(span(number))
        await asyncio.sleep(5)
        assert collector.taken == list(range(100))
        assert collector.largest == BATCH
        assert counts == {"exported": 100}


async def test_of_too_many_that_wait_the_oldest_are_dropped_and_counted():
    async with exporting() as (exporter, collector, counts):
        for number in range(MAX_QUEUED + 10):
            exporter.take(span(number))
        await asyncio.sleep(30)
        assert collector.taken == list(range(10, MAX_QUEUED + 10))
        assert counts == {"dropped": 10, "exported": MAX_QUEUED}


@pytest.mark.full
async def test_a_dead_collector_is_tried_ever_more_rarely_and_logged_twice(caplog):
    caplog.set_level(logging.INFO)
    async with exporting() as (exporter, collector, counts):
        collector.dead = True
        for number in range(600):
            exporter.take(span(number))
            await asyncio.sleep(6 if number % 10 else 0)
        assert 50 < collector.attempts < 3240 / 30 + 10
        assert counts["exported"] == 0
        assert len(caplog.records) == 1
        collector.dead = False
        await asyncio.sleep(120)
        assert collector.taken[-1] == 599
        assert sum(counts.values()) == 600
    assert [one.message for one in caplog.records] == [
        "telemetry.collector_lost",
        "telemetry.collector_back",
    ]


async def test_at_the_end_what_waits_is_sent():
    async with exporting() as (exporter, collector, counts):
        exporter.take(span(1))
        await exporter.aclose()
        assert (collector.taken, collector.closed, counts) == ([1], True, {"exported": 1})


async def test_at_the_end_a_collector_that_fails_is_not_tried_again():
    async with exporting() as (exporter, collector, counts):
        collector.dead = True
        began = asyncio.get_running_loop().time()
        for number in range(3 * BATCH):
            exporter.take(span(number))
        await exporter.aclose()
        assert asyncio.get_running_loop().time() - began <= FLUSH_SECONDS
        assert (collector.attempts, collector.closed) == (1, True)
        assert counts == {"failed": BATCH, "dropped": 2 * BATCH}
