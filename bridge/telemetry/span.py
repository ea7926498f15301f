"""A finished span, before it is converted to the SDK's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from yarl import URL

AttributeValue: TypeAlias = str | bool | int | float
MAX_TEXT: Final = 200
"""Maximum characters of an attribute."""


class SpanKind(StrEnum):
    """The kinds of span that are used here, as in OpenTelemetry."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span."""

    name: str
    at: datetime
    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span of a trace."""

    name: str
    kind: SpanKind
    trace_id: int
    span_id: int
    parent_id: int = 0
    """0 if it has none."""
    is_parent_remote: bool = False
    start: datetime
    end: datetime
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    error: str = ""
    """The class of the error (`error.type`); empty if there was none."""
    events: Sequence[SpanEvent] = ()


def request_attributes(method: str, url: str) -> dict[str, AttributeValue]:
    """Return the attributes of a request: only the origin of its URL, since path and query may contain keys and numbers."""
    try:
        parsed = URL(url)
        origin = str(parsed.origin())
    except ValueError:
        return {}
    found: dict[str, AttributeValue] = {
        "http.request.method": method,
        "url.full": f"{origin}/",
        "server.address": parsed.host or "",
    }
    return found | ({"server.port": parsed.port} if parsed.port else {})
