"""Chirp's webhooks: `{event, eventId, timestamp, data: {call, app}}`, events `calls.*`.

https://docs.buildwithchirp.com/calling/webhooks-setup. The names of ringing, of no answer and of
participants are ours; an end without an answer that has no event of its own is `calls.failed`.
"""

from collections.abc import Callable
from typing import Any, Final

from bridge.wire import call_id
from bridge.wire.iso8601 import iso8601
from bridge.wire.metadata import NOTHING
from bridge.wire.notice import Call, Notice

NAMES: Final = {
    "call.initiated": "calls.initiated",
    "call.ringing": "calls.ringing",
    "call.answered": "calls.answered",
    "leg.joined": "calls.participant.joined",
    "leg.left": "calls.participant.left",
    "party.invited": "calls.participant.invited",
    "party.missed": "calls.participant.missed",
    "transcript": "calls.transcript",
}
ENDED: Final = "call.ended"
READY: Final = "recording.ready"
COPIED: Final = "recording.copied"
WAV: Final = "wav"
ONCE: Final = frozenset({"call.initiated", "call.ringing", "call.answered", ENDED})
"""What happens to a call once at most, so that its name is enough to tell it apart."""
COMPLETED: Final = frozenset({"hangup", "remote_hangup"})
IF_ANSWERED: Final = frozenset({"media_timeout", "node_lost", "drained"})
END_WORDS: Final = {"remote_hangup": "hangup"}
PEOPLE: Final = frozenset({"leg.joined", "leg.left"})
PERSONS: Final = frozenset({"webrtc", "whatsapp", "gateway", "simulator"})
"""Kinds of leg that somebody speaks through; others record, play, stream or are programs."""
PARTICIPANTS: Final = frozenset({"leg.joined", "leg.left", "party.invited", "party.missed"})


def name(notice: Notice) -> str | None:
    """The event's name; None for what Chirp does not tell."""
    if notice.call is None:
        return None
    if notice.type == ENDED:
        return _end(notice.call)
    if notice.type in (READY, COPIED):
        return "calls.recording.completed" if _as_asked(notice) else None
    if notice.type in PEOPLE and notice.data.get("kind") not in PERSONS:
        return None
    return NAMES.get(notice.type)


def body(
    notice: Notice, *, test: bool, file_url: Callable[[str, str], str] = lambda *_: ""
) -> dict[str, Any]:
    """The event, to be sent.

    Args:
        notice: what happened.
        test: whether ids are spelt as a test key is shown them.
        file_url: returns a link to a recording, of which the id and the format are given; empty for
            none.

    Raises:
        ValueError: it is one that has no name.
    """
    event, call = name(notice), notice.call
    if event is None or call is None:
        raise ValueError("Chirp has no such event")
    identity = call_id.chirp(call.id, test=test)
    event_id = f"evt_{identity}_{event}"
    data: dict[str, Any] = {"call": _call(call, identity), "app": {"id": notice.line}}
    if notice.type in PARTICIPANTS:
        data["participant"] = notice.data
    elif notice.type in (READY, COPIED):
        data["recording"] = _recording(notice.data, identity, file_url)
    elif notice.type not in ONCE:
        data |= notice.data
    return {
        "event": event,
        "eventId": event_id if notice.type in ONCE else f"{event_id}_{notice.id}",
        "timestamp": iso8601(notice.at),
        "data": data,
    }


def _call(call: Call, identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "direction": call.direction,
        "from": call.from_,
        "to": call.to,
        "fromChannel": call.from_channel,
        "toChannel": call.to_channel,
        "livekitRoomName": call_id.room(call.id) if _joins_by_room(call) else None,
        "metadata": call.metadata if call.metadata != NOTHING else None,
        "endReason": END_WORDS.get(call.reason, call.reason) or None,
        "duration": _talked(call),
    }


def _talked(call: Call) -> int | None:
    """Seconds from the answer to the end; None until there is an end."""
    if call.ended_at is None:
        return None
    return round((call.ended_at - (call.answered_at or call.ended_at)).total_seconds())


def _as_asked(notice: Notice) -> bool:
    """Whether a recording can now be had in the format that was asked for."""
    if notice.type == READY:
        return str(notice.data.get("format", WAV)) == WAV
    return notice.data.get("askedFor") is True


def _recording(
    told: dict[str, Any], identity: str, file_url: Callable[[str, str], str]
) -> dict[str, Any]:
    """The recording object, as REST gives it."""
    recording_id, form = str(told.get("recordingId", "")), str(told.get("format", WAV))
    return {
        "id": recording_id,
        "callId": identity,
        "status": "completed",
        "format": form,
        "kind": told.get("kind"),
        "duration": round(told.get("durationMs", 0) / 1000),
        "fileUrl": file_url(recording_id, form) or None,
        "fileSize": told.get("sizeBytes"),
        "startedAt": told.get("startedAt"),
        "endedAt": told.get("endedAt"),
        "createdAt": told.get("startedAt"),
    }


def _joins_by_room(call: Call) -> bool:
    return call.browser or "webrtc" in (call.from_channel, call.to_channel)


def _end(call: Call) -> str:
    if call.reason == "no_answer":
        return "calls.no_answer"
    answered = call.answered_at is not None and call.reason in IF_ANSWERED
    return "calls.completed" if answered or call.reason in COMPLETED else "calls.failed"
