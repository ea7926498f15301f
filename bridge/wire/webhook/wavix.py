"""Wavix's callbacks: the call object with an `event_type`, and what is sent after a call.

https://docs.wavix.com/api-reference/call-webhooks/create-a-call-webhook.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.wire import call_id
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.iso8601 import iso8601
from bridge.wire.stream.media_stream import STREAM_FAILURES

ON_CALL: Final = "on_call_event"
NAMES: Final[Mapping[str, str]] = {
    EventType.CALL_INITIATED: "call_setup",
    EventType.CALL_RINGING: "ringing",
    EventType.CALL_ANSWERED: "answered",
    EventType.CALL_ENDED: "completed",
    EventType.PLAYBACK_STARTED: ON_CALL,
    EventType.PLAYBACK_COMPLETED: ON_CALL,
    EventType.DIGITS_STARTED: ON_CALL,
    EventType.DIGITS_COLLECTED: ON_CALL,
    EventType.DIGITS_FAILED: ON_CALL,
    EventType.STREAM_ENDED: ON_CALL,
    EventType.CALL_MACHINE_DETECTED: ON_CALL,
    EventType.TRANSCRIPT_READY: ON_CALL,
    EventType.TRANSCRIPT_FAILED: ON_CALL,
    EventType.CALL_PROBLEM: ON_CALL,
    EventType.CALL_PROBLEM_CLEARED: ON_CALL,
}
TRANSCRIPTS: Final[Mapping[str, str]] = {
    EventType.TRANSCRIPT_READY: "completed",
    EventType.TRANSCRIPT_FAILED: "failed",
}
"""The status of a transcription."""
PROBLEMS: Final[Mapping[str, str]] = {
    EventType.CALL_PROBLEM: "started",
    EventType.CALL_PROBLEM_CLEARED: "completed",
}
"""The status in the payload of type `problem`; our definition."""
PROBLEM_FIELDS: Final = ("code", "hop", "severity", "summary", "fix")
ENDS: Final = {"busy": "busy", "canceled": "cancelled", "rejected": "rejected"}
DISPOSITIONS: Final = {"busy": "busy", "no_answer": "noanswer", "canceled": "noanswer"}
"""Of calls that were not completed."""


def name(event: CallEvent) -> str | None:
    """Return the event's type; None if Wavix has no such event."""
    if event.call is None:
        return None
    if event.type == EventType.STREAM_ENDED and event.data.get("reason") not in STREAM_FAILURES:
        return None
    if event.type == EventType.CALL_ENDED and event.call.reason in ENDS:
        return ENDS[event.call.reason]
    return NAMES.get(event.type)


def body(event: CallEvent) -> dict[str, Any]:
    """Return the call object of a callback.

    Raises:
        ValueError: The event has no call.
    """
    call = _call_of(event)
    identity = call_id.wavix(call.id)
    return {
        "uuid": identity,
        "id": identity,
        "direction": call.direction,
        "event_type": name(event),
        "event_time": iso8601(event.at),
        "event_payload": _payload(event),
        "from": call.from_,
        "to": call.to,
        "call_started": iso8601(call.started_at),
        "call_answered": iso8601(call.answered_at),
        "call_completed": iso8601(call.ended_at),
        "machine_detected": call.answered_by == "machine",
        "tag": call.tag or None,
    }


def post_call_name(event: CallEvent) -> str | None:
    """Return the name of the post-call event; None for any other event."""
    return "post-call" if event.call is not None and event.type == EventType.CALL_ENDED else None


def post_call(event: CallEvent) -> dict[str, Any]:
    """Return the post-call report; charges are 0.

    Raises:
        ValueError: The event has no call.
    """
    call = _call_of(event)
    return {
        "uuid": call_id.wavix(call.id),
        "direction": call.direction,
        "destination": call.to,
        "duration": call.talk_seconds or 0,
        "charge": "0.0",
        "date": iso8601(call.started_at),
        "disposition": "answered" if call.completed else DISPOSITIONS.get(call.reason, "failed"),
        "from": call.from_,
        "to": call.to,
        "per_minute": "0.0",
    }


def transcription_name(event: CallEvent) -> str | None:
    """Return the name of the end of a transcription; None for any other event."""
    return "transcription" if event.call is not None and event.type in TRANSCRIPTS else None


def transcription(event: CallEvent) -> dict[str, Any]:
    """Return what is sent to the `webhook_url` of a request for a transcription.

    Raises:
        ValueError: The event has no call.
    """
    status = TRANSCRIPTS[event.type]
    return {"uuid": call_id.wavix(_call_of(event).id), "status": status}


def _call_of(event: CallEvent) -> CallSnapshot:
    if event.call is None:
        raise ValueError("Wavix has events of calls only")
    return event.call


def _payload(event: CallEvent) -> dict[str, Any] | None:
    if name(event) != ON_CALL:
        return None
    if event.type == EventType.STREAM_ENDED:
        failed = {"stream_id": event.data.get("streamId"), "status": "failed"}
        return {"type": "stream", "payload": failed | {"reason": event.data.get("reason")}}
    if event.type == EventType.CALL_MACHINE_DETECTED:
        found = {"result": event.data.get("result"), "beep_at": event.data.get("beepAt")}
        return {"type": "machine_detection", "payload": {"status": "completed"} | found}
    if event.type in TRANSCRIPTS:
        return {"type": "transcription", "payload": {"status": TRANSCRIPTS[event.type]}}
    if event.type in PROBLEMS:
        fields = {key: event.data.get(key) for key in PROBLEM_FIELDS}
        return {"type": "problem", "payload": {"status": PROBLEMS[event.type]} | fields}
    kind, _, status = event.type.partition(".")
    data = event.data
    if kind == "playback":
        content = {"status": status, "playback_id": data.get("playbackId")}
        return {"type": "audio", "payload": content}
    word = "completed" if status == "collected" else status
    return {"type": "collect", "payload": {"digits": data.get("digits"), "status": word}}
