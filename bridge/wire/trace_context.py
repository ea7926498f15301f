"""W3C Trace Context: parse and write the headers `traceparent` and `tracestate`."""

import re
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SAMPLED: Final = 0x01
MAX_STATE: Final = 512
"""Maximum characters of `tracestate`; a longer one is dropped, as is one with more than `MAX_MEMBERS`."""
MAX_MEMBERS: Final = 32
MAX_PARENT: Final = 256
"""Maximum characters of a `traceparent` of an unknown version."""

_PARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/]{0,255}(?:@[a-z][a-z0-9_\-*/]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,256}"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace context of a request; empty if it has none."""

    traceparent: str = ""
    tracestate: str = ""
    """Passed on unchanged, never exported."""

    @property
    def trace_id(self) -> int:
        """The trace, 128 bits; 0 for none."""
        return int(self.traceparent[3:35] or "0", 16)

    @property
    def span_id(self) -> int:
        """The span that is the parent, 64 bits; 0 for none."""
        return int(self.traceparent[36:52] or "0", 16)

    def headers(self) -> dict[str, str]:
        """Return the headers as they were received."""
        found = {TRACEPARENT: self.traceparent, TRACESTATE: self.tracestate}
        return {name: value for name, value in found.items() if value}


NONE: Final = TraceContext()


def read(traceparent: str, tracestate: str = "") -> TraceContext:
    """Return the context of a request's headers; a malformed `traceparent` empties it, a malformed `tracestate` is dropped."""
    found = _PARENT.fullmatch(traceparent.strip()) if len(traceparent) <= MAX_PARENT else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return NONE
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return NONE
    # Additions of later versions are ignored, and unknown flags cleared.
    flags = int(found["flags"], 16) & SAMPLED
    return TraceContext(
        f"00-{found['trace']}-{found['span']}-{flags:02x}", _state(tracestate.strip())
    )


def traceparent(trace_id: int, span_id: int) -> str:
    """Return the `traceparent` of a recorded span."""
    return f"00-{trace_id:032x}-{span_id:016x}-{SAMPLED:02x}"


def _state(text: str) -> str:
    members = [one.strip() for one in text.split(",") if one.strip()]
    if len(text) > MAX_STATE or len(members) > MAX_MEMBERS:
        return ""
    return ",".join(members) if all(map(_MEMBER.fullmatch, members)) else ""
