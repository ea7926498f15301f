"""The webhooks of ZuckZapGo (`v1.call.*`), and WaGo's, which carry the same in their form.

Their documents name the events (https://api-wuzapi.cpluschat.com.br/api/llm.txt) and not what is in
them: the bodies are our definition, in their style. `v1.call.recording`, `.transcript` and `.dtmf`
are ours altogether. An inbound call is announced by `v1.call.offer_notice` and rings with
`v1.call.offer`; clients take either for a call from outside, so outbound calls send neither.
"""

from typing import Any, Final

from bridge.wire.iso8601 import iso8601
from bridge.wire.notice import Call, Notice, jid

NAMES: Final = {
    "call.ringing": "v1.call.preaccept",
    "call.answered": "v1.call.accept",
    "call.active": "v1.call.transport",
    "call.latency": "v1.call.relay_latency",
    "recording.ready": "v1.call.recording",
    "transcript": "v1.call.transcript",
    "digit.received": "v1.call.dtmf",
}
INBOUND: Final = {"call.initiated": "v1.call.offer_notice", "call.ringing": "v1.call.offer"}
REJECTED: Final = frozenset({"rejected", "busy"})
STATE_WORDS: Final = {"initiated": "calling", "held": "active"}


def name(notice: Notice) -> str | None:
    """The event's name; None for what these vendors do not tell."""
    call = notice.call
    if call is None:
        return None
    if notice.type == "call.ended":
        return "v1.call.reject" if call.reason in REJECTED else "v1.call.terminate"
    if call.direction == "inbound" and notice.type in INBOUND:
        return INBOUND[notice.type]
    return NAMES.get(notice.type)


def body(notice: Notice) -> dict[str, Any]:
    """The event as ZuckZapGo sends it, with what is new under `v1`."""
    told = _told(notice)
    return {"type": name(notice), "event": told, "v1": {"id": notice.id, **told}}


def wago_body(notice: Notice) -> dict[str, Any]:
    """The event as it stands in the field `jsonData` of WaGo's form."""
    told = _told(notice)
    call_id = told.pop("callId", None)
    return {
        "type": "Call",
        "id": notice.id,
        "event": {"Type": name(notice), "CallID": call_id} | told,
    }


def _told(notice: Notice) -> dict[str, Any]:
    call = notice.call
    told: dict[str, Any] = {} if call is None else _call(call)
    return told | {"timestamp": iso8601(notice.at), "data": notice.data}


def _call(call: Call) -> dict[str, Any]:
    told = {
        "callId": call.id,
        "peer": jid(call.peer),
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "state": STATE_WORDS.get(call.state, call.state),
        "video": False,
        "startedAt": iso8601(call.started_at),
    }
    return told | ({"reason": call.reason} if call.reason else {})
