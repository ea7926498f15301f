"""WADial's webhooks and event stream: `{id, type, createdAt, sessionId, data}`.

https://docs.wadial.com/guides/configure-webhooks. `call.ended` and `call.recording.ready` are
documented; the other names are ours, spelt alike.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.wire.iso8601 import iso8601
from bridge.wire.notice import Call, Notice, jid

SIGNATURE: Final = "wadial-signature"
STATE_WORDS: Final = {"initiated": "initiating", "held": "active"}
DIRECTION_WORDS: Final = {"outbound": "outgoing", "inbound": "incoming"}


def name(notice: Notice) -> str:
    """The event's name: all of a call's begin with `call.`."""
    if notice.call is None or notice.type.startswith("call."):
        return notice.type
    return f"call.{notice.type}"


def headers(notice: Notice) -> Mapping[str, str]:
    """The headers beside the signature."""
    return {"wadial-event-id": notice.id, "wadial-event-type": name(notice)}


def body(notice: Notice) -> dict[str, Any]:
    """The event, to be sent or streamed."""
    call = notice.call
    data: dict[str, Any] = {}
    if call is not None:
        data = _snapshot(call) if notice.type.startswith("call.") else {"callId": call.id}
    return {
        "id": notice.id,
        "type": name(notice),
        "createdAt": iso8601(notice.at),
        "sessionId": notice.line,
        "data": data | notice.data,
    }


def _snapshot(call: Call) -> dict[str, Any]:
    told = {
        "callId": call.id,
        "peerJid": jid(call.peer),
        "direction": DIRECTION_WORDS.get(call.direction, call.direction),
        "mediaType": "audio",
        "state": STATE_WORDS.get(call.state, call.state),
        "transport": "webrtc" if call.browser else "websocket",
        "audioMuted": call.muted,
        "startedAt": iso8601(call.started_at),
        "answeredAt": iso8601(call.answered_at),
        "endedAt": iso8601(call.ended_at),
    }
    return told | ({"reason": call.reason} if call.reason else {})
