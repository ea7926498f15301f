"""The traces of calls: which are recorded, the ids of their spans, and the spans of requests made for a call.

All ids are derived from the call's id and the trace context of its request, so that no state is needed: another process, another
machine, and a webhook that is delivered a day later use the same trace.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, TypeAlias

from bridge.telemetry.span import (
    MAX_TEXT,
    AttributeValue,
    Span,
    SpanKind,
    request_attributes,
)
from bridge.wire.trace_context import NONE, TRACEPARENT, TRACESTATE, TraceContext, traceparent

Take: TypeAlias = Callable[[Span], None]
"""Receives a finished span; never blocks, never raises."""
_HALF: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of one call."""

    call_id: str = ""
    context: TraceContext = NONE
    """The trace context of the request that began the call."""
    take: Take | None = None
    """None if the trace is not recorded."""

    @property
    def trace_id(self) -> int:
        """The customer's trace id, or else the call's id."""
        return self.context.trace_id or int(self.call_id, 16)

    @property
    def root_id(self) -> int:
        """The id of the call's span."""
        return self.span_id("call")

    def span_id(self, *names: str) -> int:
        """Return the id of a span by its names, which are unique within the call."""
        text = "\n".join((self.call_id, *names)).encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") or 1

    def leg_id(self, leg_id: str) -> int:
        """Return the id of a leg's span, or of the call's if `leg_id` is empty."""
        return self.span_id("leg", leg_id) if leg_id else self.root_id

    def headers(self, span_id: int) -> dict[str, str]:
        """Return the headers that propagate a span; for a call that is not recorded, those of its request."""
        if self.take is None:
            return self.context.headers()
        found = {TRACEPARENT: traceparent(self.trace_id, span_id)}
        return found | ({TRACESTATE: self.context.tracestate} if self.context.tracestate else {})

    def request(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        *,
        method: str = "POST",
        url: str = "",
        leg_id: str = "",
    ) -> "OpenSpan":
        """Begin the span of a request, as a child of a leg's span or of the call's; `url` is that of an HTTP request."""
        if self.take is None:
            return OpenSpan(self, name, {}, leg_id)
        found = request_attributes(method, url) if url else {}
        return OpenSpan(self, name, found | dict(attributes), leg_id)


UNTRACED: Final = Trace()


class OpenSpan:
    """The span of a request in progress; a context manager that ends with the request."""

    def __init__(
        self, trace: Trace, name: str, attributes: dict[str, AttributeValue], leg_id: str
    ) -> None:
        self._trace = trace
        self._name = name
        self._leg_id = leg_id
        self.attributes = attributes
        """May be extended until the end."""
        self.error = ""
        """The class of an error that is not raised as an exception."""
        self._id = secrets.randbits(64) or 1 if trace.take else 0
        self.headers: Mapping[str, str] = trace.headers(self._id)
        """Headers to be sent with the request."""
        self._start = datetime.now(UTC)
        self._began = 0.0

    def __enter__(self) -> "OpenSpan":
        if self._id:
            self._start, self._began = datetime.now(UTC), asyncio.get_running_loop().time()
        return self

    def answered(self, status: int) -> None:
        """Record the status of the response."""
        self.attributes["http.response.status_code"] = status
        if status >= 400:
            self.error = str(status)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        trace = self._trace
        if trace.take is None:
            return
        if isinstance(error, asyncio.CancelledError):
            self.attributes["bridge.cancelled"] = True
        elif error is not None and not isinstance(error, GeneratorExit) and not self.error:
            self.error = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
        seconds = asyncio.get_running_loop().time() - self._began
        trace.take(
            Span(
                name=self._name[:MAX_TEXT],
                kind=SpanKind.CLIENT,
                trace_id=trace.trace_id,
                span_id=self._id,
                parent_id=trace.leg_id(self._leg_id),
                start=self._start,
                end=self._start + timedelta(seconds=seconds),
                attributes=self.attributes,
                error=self.error,
            )
        )


class Tracer:
    """Decides which calls are traced."""

    def __init__(self, take: Take | None = None, *, ratio: float = 1.0) -> None:
        """`take` receives all spans; None: nothing is traced. `ratio` is the share of calls that are recorded."""
        self._take = take
        self._below = round(ratio * (_HALF + 1))

    @property
    def enabled(self) -> bool:
        """Whether calls are traced at all."""
        return self._take is not None

    def of(self, call_id: str, context: TraceContext) -> Trace:
        """Return the trace of a call; its trace id alone decides whether it is recorded."""
        if self._take is None:
            return UNTRACED
        trace = Trace(call_id, context, self._take)
        if trace.trace_id & _HALF < self._below:
            return trace
        return Trace(call_id, context)


OFF: Final = Tracer()
