"""What tracing calls costs: CPU of a trace beside that of its call, and what it does to the event loop.

    python -m tests.bench.studies.telemetry [--seconds 20] [--rate 5]

Calls end at a steady rate, and their spans go through observer, queue, SDK and HTTP to a collector that is another process. A
call is that of two WebRTC or SIP legs, or one with an agent that answers ten times in a minute, each time with a request to
three providers.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import uvloop

from bridge.call.leg_state import TransportState
from bridge.call.model import (
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    LineName,
    Party,
    State,
)
from bridge.call.setup_timings import SetupTimings
from bridge.call.view import snapshot_of
from bridge.telemetry.exporter import Exporter
from bridge.telemetry.observer import CallObserver
from bridge.telemetry.otlp import OtlpCollector
from bridge.telemetry.trace import Tracer
from bridge.wire.call_event import CallEvent
from bridge.wire.trace_context import NONE

CALL_SECONDS: Final = 60
CPU_OF_A_CALL: Final = {
    "passthrough": CALL_SECONDS / 497,
    "pcm": CALL_SECONDS / 150,
    "agent": CALL_SECONDS * 0.021,
}
"""Seconds: of two legs by how many a core carries (docs/performance.md); with the demonstration's agent as it was measured."""
TURNS: Final = 10
TICK_SECONDS: Final = 0.001
LINE: Final = LineName("sales")
SETUP: Final = SetupTimings(
    offer=0.01, answer=0.02, ice=0.2, dtls=0.3, first_received=0.4, first_sent=0.35
)
COLLECTOR: Final = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(slots=True)
class Cost:
    """What the traces of some calls cost."""

    calls: int = 0
    spans: int = 0
    cpu: float = 0.0
    """Seconds, of the whole process."""
    late: float = 0.0
    """How late timers of the event loop ran at p99, in milliseconds."""

    def per_call(self) -> float:
        """Return CPU milliseconds of one trace."""
        return self.cpu / max(1, self.calls) * 1e3


@contextmanager
def collecting() -> Iterator[str]:
    """Run a collector in another process; yield its URL."""
    program = [sys.executable, "-c", COLLECTOR]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.kill()


def ended(number: int) -> CallRecord:
    """Return a call of two legs that ends now."""
    now = datetime.now(UTC)
    transport = TransportState(described=True, ice="connected", dtls="connected", codec="opus")
    legs = tuple(
        LegFigures(
            LegId(f"leg_{number}_{party}"),
            kind,
            party,
            LegStatistics(setup=SETUP, transport=transport),
            joined=0.0,
        )
        for kind, party in ((LegKind.WEBRTC, Party.NEAR), (LegKind.SIP, Party.FAR))
    )
    return CallRecord(
        facts=CallFacts(
            CallId(f"{number:032X}"), LINE, "15550100001", now - timedelta(seconds=CALL_SECONDS)
        ),
        direction=Direction.OUTBOUND,
        state=State.ENDED,
        reason=EndReason.HANGUP,
        seconds=CALL_SECONDS,
        legs=legs,
        answered_at=now - timedelta(seconds=CALL_SECONDS - 2),
        ended_at=now,
    )


def event(kind: str, record: CallRecord, **data: Any) -> CallEvent:
    """Return an event of a call."""
    call = snapshot_of(record)
    return CallEvent(id="evt", type=kind, line=LINE, at=datetime.now(UTC), call=call, data=data)


def trace_call(
    number: int,
    observer: CallObserver,
    tracer: Tracer,
    records: dict[CallId, CallRecord],
    *,
    agent: bool,
):
    """Do what tracing does in a call."""
    record = records[CallId(f"{number:032X}")] = ended(number)
    trace, leg_id = tracer.of(record.facts.call_id, NONE), record.legs[0].leg_id
    for turn in range(TURNS if agent else 0):
        for operation in ("speech_to_text", "chat", "text_to_speech"):
            asked = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "openai"}
            with trace.request(
                operation, asked, url="http://127.0.0.1:9/v1/x", leg_id=leg_id
            ) as span:
                span.answered(200)
        parts = {"endOfSpeech": 200, "toBot": 20, "bot": 500, "queue": 20, "toCaller": 80}
        observer.on_event(event("agent.replied", record, legID=leg_id, sttMs=200, llmMs=300))
        observer.on_event(
            event(
                "turn",
                record,
                turn=turn,
                legID=leg_id,
                bot="agent",
                parts=parts,
                startedAt="2026-03-01T09:00:10.000Z",
                speechMs=900,
                waitMs=800,
            )
        )
    observer.on_event(event("call.ended", record))
    del records[record.facts.call_id]


async def measure(
    url: str | None,
    work: Callable[[int, CallObserver, Tracer, dict[CallId, CallRecord]], None],
    seconds: float,
    rate: float,
) -> Cost:
    """Let calls end at a rate; without a collector nothing is traced."""
    found, records = Cost(), dict[CallId, CallRecord]()
    exporter = task = None
    tracer = Tracer()

    def count(outcome: str, *, amount: float = 1) -> None:
        found.spans += int(amount) if outcome == "exported" else 0

    if url:
        collector = OtlpCollector(url, headers={}, seconds=2.0, service="bench")
        exporter = Exporter(collector, count=count)
        tracer = Tracer(exporter.take)
        task = asyncio.create_task(exporter.run())
    observer = CallObserver(tracer, lambda _, call_id: records[call_id])
    loop, late = asyncio.get_running_loop(), list[float]()
    began, began_cpu = loop.time(), time.process_time()
    while (now := loop.time()) < began + seconds:
        if found.calls < (now - began) * rate:
            found.calls += 1
            work(found.calls, observer, tracer, records)
        due = loop.time() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        late.append(loop.time() - due)
    if exporter is not None and task is not None:
        task.cancel()
        await exporter.aclose()
    found.cpu = time.process_time() - began_cpu
    found.late = statistics.quantiles(late, n=100)[98] * 1e3
    return found


def report(seconds: float, rate: float) -> Iterator[str]:
    """Measure, and yield the lines of the report."""
    run = partial(measure, seconds=seconds, rate=rate)
    with collecting() as url:
        for name, agent, compared in (
            ("two legs", False, ("passthrough", "pcm")),
            ("an agent, ten turns", True, ("agent",)),
        ):
            work = partial(trace_call, agent=agent)
            before, traced = uvloop.run(run(None, work)), uvloop.run(run(url, work))
            own = traced.per_call() - before.per_call()
            yield (
                f"{name}: {traced.spans / traced.calls:.0f} spans, {own:.2f} ms of CPU a call; timers late at p99 "
                f"{before.late:.2f} ms without traces, {traced.late:.2f} ms with"
            )
            for kind in compared:
                call = CPU_OF_A_CALL[kind] * 1e3
                yield f"  of the CPU of a call of kind {kind} of {CALL_SECONDS} s ({call:.0f} ms): {own / call:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=5.0, help="calls a second")
    options = parser.parse_args()
    for line in report(options.seconds, options.rate):
        print(line, flush=True)


if __name__ == "__main__":
    main()
