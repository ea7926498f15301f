"""WADial's webhooks and event stream: `{id, type, createdAt, sessionId, data}`.

https://docs.wadial.com/guides/configure-webhooks. `call.ended` and `call.recording.ready` are
documented; the other names are ours, spelt alike.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.iso8601 import iso8601

OTHERS: Final = frozenset(
    {"session.created", "session.deleted", "connection.state", "auth.qr", "auth.paired"}
    | {f"message.{word}" for word in ("received", "sent", "receipt", "failed")}
    | {"stanza.error", "stream.failure"}
)
"""Documented events that this bridge has none of."""
ALL: Final = OTHERS | {
    one if one.startswith("call.") else f"call.{one}" for one in map(str, EventType)
}
SIGNATURE: Final = "wadial-signature"
STATE_WORDS: Final = {"initiated": "initiating", "held": "active"}
DIRECTION_WORDS: Final = {"outbound": "outgoing", "inbound": "incoming"}


def name(event: CallEvent) -> str:
    """Return the event's name; all those of a call begin with `call.`."""
    if event.call is None or event.type.startswith("call."):
        return event.type
    return f"call.{event.type}"


def headers(event: CallEvent) -> Mapping[str, str]:
    """Return the headers besides the signature."""
    return {"wadial-event-id": event.id, "wadial-event-type": name(event)}


def body(event: CallEvent) -> dict[str, Any]:
    """Return the event in WADial's format."""
    call = event.call
    data: dict[str, Any] = {}
    if call is not None:
        data = snapshot(call) if event.type.startswith("call.") else {"callId": call.id}
    return {
        "id": event.id,
        "type": name(event),
        "createdAt": iso8601(event.at),
        "sessionId": event.line,
        "data": data | event.data,
    }


def snapshot(call: CallSnapshot) -> dict[str, Any]:
    """Return a call as WADial shows it, with the reason of its end."""
    fields = {
        "callId": call.id,
        "peerJid": call.jid,
        "direction": DIRECTION_WORDS.get(call.direction, call.direction),
        "mediaType": "audio",
        "state": STATE_WORDS.get(call.state, call.state),
        "transport": "webrtc" if call.browser else "websocket",
        "audioMuted": call.muted,
        "startedAt": iso8601(call.started_at),
        "answeredAt": iso8601(call.answered_at),
        "endedAt": iso8601(call.ended_at),
    }
    return fields | ({"reason": call.reason} if call.reason else {})
