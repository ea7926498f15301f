import asyncio
import logging
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from bridge.telemetry.otlp import OtlpCollector, endpoint_of
from bridge.telemetry.span import Span, SpanEvent, SpanKind
from tests.support.servers.collector import collecting

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SPAN = Span(
    name="leg webrtc",
    kind=SpanKind.CLIENT,
    trace_id=0xABC,
    span_id=0xDEF,
    parent_id=0x123,
    start=NOW,
    end=NOW + timedelta(milliseconds=1500),
    attributes={"text": "a", "number": 3, "flag": True, "share": 0.5, "nothing": ""},
    error="timeout",
    events=[SpanEvent("call.problem", NOW + timedelta(seconds=1), {"code": "bot_silent"})],
)


@pytest.mark.parametrize(
    ("endpoint", "posted"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://example.com/otlp/v1/traces", "https://example.com/otlp/v1/traces"),
    ],
)
def test_a_collector_without_a_path_takes_traces_where_collectors_do(endpoint, posted):
    assert endpoint_of(endpoint) == posted


async def test_a_span_arrives_as_it_was_with_the_headers_of_the_settings():
    async with collecting() as server:
        collector = OtlpCollector(
            server.url, headers={"X-Key": "secret"}, seconds=2.0, service="sales bridge"
        )
        assert await asyncio.to_thread(collector.send, [SPAN])
        collector.close()
    [found] = server.spans
    assert (found.name, found.failed, found.kind) == ("leg webrtc", True, 3)
    assert (found.trace_id, found.span_id, found.parent) == (
        f"{0xABC:032x}",
        f"{0xDEF:016x}",
        f"{0x123:016x}",
    )
    assert (found.end - found.start, found.start) == (1_500_000_000, int(NOW.timestamp() * 1e9))
    assert found.attributes == {
        "text": "a",
        "number": 3,
        "flag": True,
        "share": 0.5,
        "error.type": "timeout",
    }
    second = int(NOW.timestamp() * 1e9) + 1_000_000_000
    assert found.events == [("call.problem", second, {"code": "bot_silent"})]
    assert server.headers[0]["x-key"] == "secret"
    assert server.resource["service.name"] == "sales bridge"


async def test_a_collector_that_refuses_is_no_exception_and_not_logged(caplog):
    async with collecting() as server:
        server.status = 400
        collector = OtlpCollector(server.url, headers={}, seconds=1.0, service="x")
        assert not await asyncio.to_thread(collector.send, [SPAN])
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


@pytest.mark.full
@pytest.mark.parametrize("answers", ["hangs", "refuses connections"])
def test_a_dead_collector_has_its_time_and_no_more(answers, caplog):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers == "hangs":
            listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        collector = OtlpCollector(url, headers={}, seconds=0.3, service="x")
        began = time.monotonic()
        assert not collector.send([SPAN])
        assert time.monotonic() - began < 10.0  # without a limit a minute
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
