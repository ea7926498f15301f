"""Every event of a call in the log at debug level, without what it carries of people.

Digits, transcripts, identities, numbers, URLs and metadata are in events and never in the log: only
the fields of `LOGGED` are told, which hold ids and words of closed sets.
"""

import logging
from typing import Final

from bridge.call.notices import CallEvent

log: Final = logging.getLogger(__name__)

LOGGED: Final = {
    "legID": "leg",
    "kind": "kind",
    "party": "party",
    "reason": "reason",
    "status": "status",
    "format": "format",
    "muted": "muted",
    "playbackId": "playback",
    "recordingId": "recording",
    "streamId": "stream",
    "streamType": "stream_type",
    "durationMs": "duration_ms",
    "seconds": "seconds",
    "attempts": "attempts",
}
"""Fields of an event's data, and their names in the log."""


def trace(event: CallEvent) -> None:
    """Log an event, if the level is debug."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    told = {LOGGED[name]: event.data[name] for name in LOGGED if name in event.data}
    state = event.record.state.value if event.record is not None else ""
    log.debug(
        "event.published",
        extra={"type": event.type, "call": event.call_id or "", "state": state, **told},
    )
