"""Webhooks of ZuckZapGo (`v1.call.*`) and of WaGo, which sends the same events in a form.

Their documents name the events (https://api-wuzapi.cpluschat.com.br/api/llm.txt) and not what is in
them: the bodies are our definition, in their style. `v1.call.recording`, `.transcript`, `.transcript_ready`,
`.transcript_failed`, `.dtmf`, `.machine_detected`, `.voicemail`, `.problem` and `.problem_cleared` are ours altogether. An inbound call rings with `v1.call.offer`. Clients take `v1.call.offer_notice` for
a ring too, and their documents say nothing of when it comes: only who names it and not `offer` is sent it. So it is with
`v1.call.unknown`, any event of a call that has no name of its own. Outbound calls send no offer.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.wire.call_event import CallEvent, CallSnapshot, EventType
from bridge.wire.iso8601 import iso8601

NAMES: Final[Mapping[str, str]] = {
    EventType.CALL_RINGING: "v1.call.preaccept",
    EventType.CALL_ANSWERED: "v1.call.accept",
    EventType.CALL_ACTIVE: "v1.call.transport",
    EventType.CALL_LATENCY: "v1.call.relay_latency",
    EventType.CALL_ENDED: "v1.call.terminate",
    EventType.RECORDING_READY: "v1.call.recording",
    EventType.TRANSCRIPT: "v1.call.transcript",
    EventType.TRANSCRIPT_READY: "v1.call.transcript_ready",
    EventType.TRANSCRIPT_FAILED: "v1.call.transcript_failed",
    EventType.DIGIT_RECEIVED: "v1.call.dtmf",
    EventType.CALL_MACHINE_DETECTED: "v1.call.machine_detected",
    EventType.VOICEMAIL_RECEIVED: "v1.call.voicemail",
    EventType.CALL_PROBLEM: "v1.call.problem",
    EventType.CALL_PROBLEM_CLEARED: "v1.call.problem_cleared",
}
OFFER: Final = "v1.call.offer"
OFFER_NOTICE: Final = "v1.call.offer_notice"
UNKNOWN: Final = "v1.call.unknown"
INBOUND: Final[Mapping[str, str]] = {
    EventType.CALL_INITIATED: OFFER_NOTICE,
    EventType.CALL_RINGING: OFFER,
}
REJECT: Final = "v1.call.reject"
SUBSCRIPTIONS: Final = frozenset(
    {"Message", "ReadReceipt", "Presence", "ChatPresence", "HistorySync", "Newsletter", "LoggedOut"}
    | {"Call", "All"}
)
"""Documented kinds of events, of which this bridge has `Call`."""
ALL: Final = frozenset({*NAMES.values(), *INBOUND.values(), REJECT, UNKNOWN})
BY_NAME: Final = frozenset({OFFER_NOTICE, UNKNOWN})
"""Sent only to who names them."""
REJECTED: Final = frozenset({"rejected", "busy"})
STATE_WORDS: Final = {"initiated": "calling", "held": "active"}


def name(event: CallEvent) -> str | None:
    """Return the event's name; None if these vendors have no such event."""
    call = event.call
    if call is None:
        return None
    if event.type == EventType.CALL_ENDED and call.reason in REJECTED:
        return REJECT
    if call.direction == "inbound" and event.type in INBOUND:
        return INBOUND[event.type]
    return NAMES.get(event.type, UNKNOWN)


def body(event: CallEvent) -> dict[str, Any]:
    """Return the event in ZuckZapGo's format, with additions under `v1`."""
    fields = _fields(event)
    return {"type": name(event), "event": fields, "v1": {"id": event.id, **fields}}


def wago_body(event: CallEvent) -> dict[str, Any]:
    """Return the event for the field `jsonData` of WaGo's form."""
    fields = _fields(event)
    call_id = fields.pop("callId", None)
    return {
        "type": "Call",
        "id": event.id,
        "event": {"Type": name(event), "CallID": call_id} | fields,
    }


def _fields(event: CallEvent) -> dict[str, Any]:
    call = event.call
    fields: dict[str, Any] = {} if call is None else _call(call)
    return fields | {"timestamp": iso8601(event.at), "data": event.data}


def _call(call: CallSnapshot) -> dict[str, Any]:
    fields = {
        "callId": call.id,
        "peer": call.jid,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "state": STATE_WORDS.get(call.state, call.state),
        "video": False,
        "startedAt": iso8601(call.started_at),
    }
    return fields | ({"reason": call.reason} if call.reason else {})
