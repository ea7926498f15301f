"""Wavix's callbacks: the call object with an `event_type`, and what is sent after a call.

https://docs.wavix.com/api-reference/call-webhooks/create-a-call-webhook.
"""

from typing import Any, Final

from bridge.wire import call_id
from bridge.wire.iso8601 import iso8601
from bridge.wire.notice import Call, Notice

EVENT_TYPES: Final = {
    "call.initiated": "call_setup",
    "call.ringing": "ringing",
    "call.answered": "answered",
    "playback.started": "on_call_event",
    "playback.completed": "on_call_event",
    "digits.started": "on_call_event",
    "digits.collected": "on_call_event",
    "digits.failed": "on_call_event",
}
STREAM_ENDED: Final = "stream.ended"
STREAM_FAILURES: Final = frozenset({"unreachable", "blocked", "slow", "failed"})
"""Ends of a stream that neither side asked for; our definition, as their event is."""
ENDS: Final = {"busy": "busy", "canceled": "cancelled", "rejected": "rejected"}
DISPOSITIONS: Final = {
    "hangup": "answered",
    "remote_hangup": "answered",
    "busy": "busy",
    "no_answer": "noanswer",
    "canceled": "noanswer",
}
IF_ANSWERED: Final = frozenset({"media_timeout", "node_lost", "drained"})


def name(notice: Notice) -> str | None:
    """The event's type; None for what Wavix does not tell."""
    if notice.call is None:
        return None
    if notice.type == "call.ended":
        return ENDS.get(notice.call.reason, "completed")
    if notice.type == STREAM_ENDED:
        return "on_call_event" if notice.data.get("reason") in STREAM_FAILURES else None
    return EVENT_TYPES.get(notice.type)


def body(notice: Notice) -> dict[str, Any]:
    """The call object of a callback.

    Raises:
        ValueError: it is about no call.
    """
    call = _call_of(notice)
    identity = call_id.wavix(call.id)
    return {
        "uuid": identity,
        "id": identity,
        "direction": call.direction,
        "event_type": name(notice),
        "event_time": iso8601(notice.at),
        "event_payload": _payload(notice),
        "from": call.from_,
        "to": call.to,
        "call_started": iso8601(call.started_at),
        "call_answered": iso8601(call.answered_at),
        "call_completed": iso8601(call.ended_at),
        "machine_detected": False,
        "tag": call.tag or None,
    }


def post_call_name(notice: Notice) -> str | None:
    """The only event after a call."""
    return "post-call" if notice.call is not None and notice.type == "call.ended" else None


def post_call(notice: Notice) -> dict[str, Any]:
    """What is sent once a call is over; it costs nothing here.

    Raises:
        ValueError: it is about no call.
    """
    call = _call_of(notice)
    talked = 0.0
    if call.answered_at is not None and call.ended_at is not None:
        talked = (call.ended_at - call.answered_at).total_seconds()
    return {
        "uuid": call_id.wavix(call.id),
        "direction": call.direction,
        "destination": call.to,
        "duration": round(talked),
        "charge": "0.0",
        "date": iso8601(call.started_at),
        "disposition": _disposition(call),
        "from": call.from_,
        "to": call.to,
        "per_minute": "0.0",
    }


def _call_of(notice: Notice) -> Call:
    if notice.call is None:
        raise ValueError("Wavix tells of calls only")
    return notice.call


def _payload(notice: Notice) -> dict[str, Any] | None:
    if name(notice) != "on_call_event":
        return None
    if notice.type == STREAM_ENDED:
        told = {"stream_id": notice.data.get("streamId"), "status": "failed"}
        return {"type": "stream", "payload": told | {"reason": notice.data.get("reason")}}
    kind, _, status = notice.type.partition(".")
    data = notice.data
    if kind == "playback":
        content = {"status": status, "playback_id": data.get("playbackId")}
        return {"type": "audio", "payload": content}
    word = "completed" if status == "collected" else status
    return {"type": "collect", "payload": {"digits": data.get("digits"), "status": word}}


def _disposition(call: Call) -> str:
    if call.reason in IF_ANSWERED and call.answered_at is not None:
        return "answered"
    return DISPOSITIONS.get(call.reason, "failed")
