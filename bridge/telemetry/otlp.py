"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, by OpenTelemetry's SDK.

The only module that imports it; it is imported by a bridge with `telemetry.endpoint` alone.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from bridge import __version__
from bridge.telemetry.span import Span

PATH: Final = "/v1/traces"
"""Default path of a collector's endpoint (OTLP over HTTP)."""
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSET: Final = Status()


class OtlpCollector:
    """A collector (`exporter.Collector`)."""

    def __init__(
        self, endpoint: str, *, headers: Mapping[str, str], seconds: float, service: str
    ) -> None:
        """`seconds` is the timeout of a batch, retries included."""
        # The SDK logs each failed attempt; `exporter` counts and logs failures instead.
        for name in ("opentelemetry", "urllib3.connectionpool"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._resource = Resource({"service.name": service, "service.version": __version__})
        self._scope = InstrumentationScope("webrtc-media-bridge", __version__)
        session = requests.Session()
        # Ignore proxies and .netrc: the settings alone say where spans go, and with what key.
        session.trust_env = False
        self._exporter = OTLPSpanExporter(
            endpoint=endpoint_of(endpoint),
            headers=dict(headers),
            timeout=seconds,
            compression=Compression.NoCompression,
            session=session,
        )

    def send(self, spans: Sequence[Span]) -> bool:
        """Send a batch; return whether it was accepted."""
        try:
            found = self._exporter.export([self._readable(span) for span in spans])
        except Exception:  # whatever the library does, no more than spans is lost
            return False
        return found is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Abort a request in progress, and close the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        parent = None
        if span.parent_id:
            parent = SpanContext(span.trace_id, span.parent_id, span.is_parent_remote, _SAMPLED)
        attributes = {name: value for name, value in span.attributes.items() if value != ""}
        if span.error:
            attributes["error.type"] = span.error
        return ReadableSpan(
            span.name,
            context=SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=_SAMPLED),
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            events=[
                Event(one.name, dict(one.attributes), _nanoseconds(one.at)) for one in span.events
            ],
            kind=SpanKind[span.kind.name],
            instrumentation_scope=self._scope,
            status=Status(StatusCode.ERROR) if span.error else _UNSET,
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
        )


def endpoint_of(endpoint: str) -> str:
    """Return the URL that traces are posted to: the endpoint, with `PATH` appended unless it has a path."""
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + PATH


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1000
