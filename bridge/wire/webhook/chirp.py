"""Chirp's webhooks: `{event, eventId, timestamp, data: {call, app}}`, events `calls.*`.

https://docs.buildwithchirp.com/calling/webhooks-setup. The names of ringing, of no answer, of
participants and of a voicemail's transcription are ours; any other end without an answer is `calls.failed`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.audio.file.formats import CONTENT_TYPES, WAV
from bridge.audio.file.wav import file_bytes
from bridge.wire import call_id
from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.iso8601 import iso8601
from bridge.wire.metadata import NOTHING

RECORDING: Final = "calls.recording.completed"
VOICEMAIL: Final = "calls.voicemail.received"
NAMES: Final[Mapping[str, str]] = {
    EventType.CALL_INITIATED: "calls.initiated",
    EventType.CALL_RINGING: "calls.ringing",
    EventType.CALL_ANSWERED: "calls.answered",
    EventType.LEG_JOINED: "calls.participant.joined",
    EventType.LEG_LEFT: "calls.participant.left",
    EventType.PARTY_INVITED: "calls.participant.invited",
    EventType.PARTY_MISSED: "calls.participant.missed",
    EventType.RECORDING_READY: RECORDING,
    EventType.RECORDING_COPIED: RECORDING,
    EventType.TRANSCRIPT: "calls.transcript",
    EventType.TRANSCRIPT_READY: "calls.transcript.completed",
    EventType.TRANSCRIPT_FAILED: "calls.transcript.failed",
    EventType.CALL_MACHINE_DETECTED: "calls.machine_detected",
    EventType.VOICEMAIL_RECEIVED: VOICEMAIL,
    EventType.VOICEMAIL_TRANSCRIBED: "calls.voicemail.transcribed",
}
"""The name of an end depends on its reason."""
COMPLETED_NAME, FAILED_NAME, NO_ANSWER_NAME = "calls.completed", "calls.failed", "calls.no_answer"
ALL: Final = frozenset({*NAMES.values(), COMPLETED_NAME, FAILED_NAME, NO_ANSWER_NAME})
ONCE: Final = frozenset(
    {
        EventType.CALL_INITIATED,
        EventType.CALL_RINGING,
        EventType.CALL_ANSWERED,
        EventType.CALL_ENDED,
        EventType.VOICEMAIL_RECEIVED,
    }
)
"""Events that happen at most once per call, so that the name alone identifies them."""
END_WORDS: Final = {"remote_hangup": "hangup"}


def name(event: CallEvent) -> str | None:
    """Return the event's name; None if Chirp has no such event."""
    if event.call is None:
        return None
    if event.type == EventType.CALL_ENDED:
        return _end(event.call)
    if event.type in (EventType.LEG_JOINED, EventType.LEG_LEFT):
        # Of a person: not of a service of the bridge, nor of a program at a media socket.
        sent = event.data.get("party") != "service" and event.data.get("kind") != "socket"
    else:
        sent = NAMES.get(event.type) != RECORDING or _in_requested_format(event)
    return NAMES.get(event.type) if sent else None


def body(event: CallEvent, *, test: bool, file_url: Callable[[str, str], str]) -> dict[str, Any]:
    """Return the event in Chirp's format; `test` and `file_url` are as in `webhook.Receiver`.

    Raises:
        ValueError: Chirp has no such event.
    """
    event_name, call = name(event), event.call
    if event_name is None or call is None:
        raise ValueError("Chirp has no such event")
    identity = call_id.chirp(call.id, test=test)
    event_id = f"evt_{identity}_{event_name}"
    data: dict[str, Any] = {"call": call_object(call, identity), "app": {"id": event.line}}
    if event_name.startswith("calls.participant."):
        data["participant"] = event.data
    elif event_name == RECORDING:
        data["recording"] = _recording(event.data, identity, file_url)
    elif event_name.startswith("calls.voicemail."):
        data["voicemail"] = _voicemail(event.data, call, test=test, file_url=file_url)
    elif event.type not in ONCE:
        data |= event.data
    return {
        "event": event_name,
        "eventId": event_id if event.type in ONCE else f"{event_id}_{event.id}",
        "timestamp": iso8601(event.at),
        "data": data,
    }


def call_object(call: CallSnapshot, identity: str) -> dict[str, Any]:
    """Return the call in an event; `identity` is its id in Chirp's form."""
    by_room = call.browser or "webrtc" in (call.from_channel, call.to_channel)
    return {
        "id": identity,
        "direction": call.direction,
        "from": call.from_,
        "to": call.to,
        "fromChannel": call.from_channel,
        "toChannel": call.to_channel,
        "livekitRoomName": call_id.room(call.id) if by_room else None,
        "metadata": call.metadata if call.metadata != NOTHING else None,
        "endReason": END_WORDS.get(call.reason, call.reason) or None,
        "duration": call.talk_seconds,
    }


def _in_requested_format(event: CallEvent) -> bool:
    """Return whether the recording is now available in the requested format."""
    if event.type == EventType.RECORDING_READY:
        return str(event.data.get("format", WAV)) == WAV
    return event.data.get("askedFor") is True


def _recording(
    data: dict[str, Any], identity: str, file_url: Callable[[str, str], str]
) -> dict[str, Any]:
    """Return the recording object of the REST API."""
    recording_id, file_format = str(data.get("recordingId", "")), str(data.get("format", WAV))
    return {
        "id": recording_id,
        "callId": identity,
        "status": "completed",
        "format": file_format,
        "kind": data.get("kind"),
        "duration": round(data.get("durationMs", 0) / 1000),
        "fileUrl": file_url(recording_id, file_format) or None,
        "fileSize": _file_bytes(data, file_format),
        "transcription": None,
        "startedAt": data.get("startedAt"),
        "endedAt": data.get("endedAt"),
        "createdAt": data.get("startedAt"),
    }


def _file_bytes(data: dict[str, Any], file_format: str) -> int | None:
    """Return the size of the file; of a WAV that is made on demand, the one it will have."""
    if file_format == WAV and data.get("contentType", CONTENT_TYPES[WAV]) != CONTENT_TYPES[WAV]:
        return file_bytes(int(data.get("durationMs", 0)) / 1000)
    return data.get("sizeBytes")


def _voicemail(
    data: dict[str, Any], call: CallSnapshot, *, test: bool, file_url: Callable[[str, str], str]
) -> dict[str, Any]:
    """Return the voicemail object of the REST API."""
    recording_id = str(data.get("recordingId", ""))
    return {
        "id": call_id.chirp_voicemail(call.id, test=test),
        "callId": call_id.chirp(call.id, test=test),
        "callerNumber": data.get("callerNumber"),
        "callerChannel": data.get("callerChannel"),
        "duration": round(data.get("durationMs", 0) / 1000),
        "isRead": data.get("isRead"),
        "transcription": data.get("transcription"),
        "recordingId": recording_id,
        "createdAt": data.get("createdAt"),
        "fileUrl": file_url(recording_id, WAV) or None,
    }


def _end(call: CallSnapshot) -> str:
    if call.reason == "no_answer":
        return NO_ANSWER_NAME
    return COMPLETED_NAME if call.completed else FAILED_NAME
