"""Logs every event at debug level, without personal data.

Digits, transcripts, identities, numbers, URLs and metadata are in events but never in the log: only the
fields in `LOGGED` are written, which hold ids, numbers of seconds and words of closed sets.
"""

import logging
from typing import Final

from bridge.wire.call_event import CallEvent

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
    fields = {LOGGED[name]: event.data[name] for name in LOGGED if name in event.data}
    call, state = (event.call.id, event.call.state) if event.call else ("", "")
    log.debug("event.published", extra={"type": event.type, "call": call, "state": state, **fields})
