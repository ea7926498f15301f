"""What the world is told of a call: webhooks, event streams and faces are made from these."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bridge.call.model import CallId, CallRecord, LineName


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One thing that happened on a line, most often to one of its calls; never holds audio."""

    type: str
    """A dotted word, such as `call.ended` or `recording.ready`."""
    line: LineName
    call_id: CallId | None
    """None for what happened to no call."""
    at: datetime
    """With zone UTC."""
    record: CallRecord | None = None
    """The call as it stood then."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to the type; JSON values only."""
