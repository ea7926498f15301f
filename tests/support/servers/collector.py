"""A collector of traces for tests: takes OTLP over HTTP, and reads it with OpenTelemetry's own messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Exported:
    """A span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    """Empty for none."""
    start: int
    end: int
    failed: bool
    kind: int
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    """Name, time and attributes of each."""


@dataclass
class SpanCollector:
    """What came, and what is answered."""

    url: str = ""
    raw: bytes = b""
    """Every body and header, one after the other."""
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Exported] = field(default_factory=list)
    status: int = 200
    requests: int = 0
    resource: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> list[Exported]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Exported:
        [found] = self.named(name)
        return found

    def names(self) -> set[str]:
        return {span.name for span in self.spans}

    def children(self, of: Exported) -> set[str]:
        return {span.name for span in self.spans if span.parent == of.span_id}

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests += 1
        self.raw += body
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.status == 200:
            self._read(body)
        return web.Response(status=self.status)

    def _read(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = {
                one.key: one.value.string_value for one in resource.resource.attributes
            }
            for scope in resource.scope_spans:
                self.spans += map(_exported, scope.spans)


def _exported(span: Any) -> Exported:
    return Exported(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        span.kind,
        _values(span.attributes),
        [(one.name, one.time_unix_nano, _values(one.attributes)) for one in span.events],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[SpanCollector]:
    """Run a collector on loopback."""
    collector = SpanCollector()
    application = web.Application()
    application.router.add_post("/v1/traces", collector.handle)
    async with TestServer(application) as server:
        collector.url = str(server.make_url("")).rstrip("/")
        yield collector
