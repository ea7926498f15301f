"""Messages of WhatsApp gateways with REST and a PCM socket, in the ZuckZapGo and WADial dialects.

Sources: ZuckZapGo's "Calls API" guide (§4, §6) and WADial's "Live calls" pages. Unknown states,
fields and messages are ignored.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from bridge.errors import RemoteProtocolError

SAMPLE_RATE: Final = 16_000
"""Of both dialects' sockets; mono."""
FORM: Final = "application/x-www-form-urlencoded"

_MAX_DEPTH: Final = 8
"""Levels of a webhook's body that are searched."""
_MAX_TEXTS: Final = 500


class Phase(StrEnum):
    """State of a call on the gateway."""

    UNKNOWN = "unknown"
    CALLING = "calling"
    RINGING = "ringing"
    CONNECTING = "connecting"
    ACTIVE = "active"
    ENDED = "ended"


_PHASES: Final = {phase.value: phase for phase in Phase} | {
    "initiating": Phase.CALLING,
    "initiated": Phase.CALLING,
    "incoming": Phase.RINGING,
    "answered": Phase.ACTIVE,
    "in_progress": Phase.ACTIVE,
}
"""The states of ZuckZapGo and WADial, documented or not."""
_UNANSWERED: Final = frozenset({Phase.CALLING, Phase.RINGING, Phase.CONNECTING})
_INBOUND: Final = frozenset({"inbound", "incoming"})


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A call as the gateway lists it."""

    call_id: str
    """The gateway's id."""
    peer: str
    """Digits, or the gateway's id for a party whose number it hides; never logged."""
    inbound: bool
    phase: Phase

    @property
    def awaits_answer(self) -> bool:
        """Whether it is an inbound call that has not been answered yet."""
        return self.inbound and self.phase in _UNANSWERED


@dataclass(frozen=True, slots=True)
class Ready:
    """The socket is open; `supported` tells whether its media format is."""

    supported: bool


@dataclass(frozen=True, slots=True)
class BufferStatus:
    """How much of our audio the gateway has buffered, and its watermarks, in seconds."""

    buffered: float
    pause: float
    resume: float


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The call's state has changed."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class ErrorReported:
    """The gateway reports an error on the socket."""

    code: str


SocketMessage: TypeAlias = Ready | BufferStatus | StateChanged | ErrorReported


@dataclass(frozen=True, slots=True)
class Webhook:
    """An event of the gateway: its type, and every text that may be a call's id."""

    kind: str
    """The last part of its type, such as `offer` of `v1.call.offer`."""
    texts: frozenset[str]


def read_calls(listed: object) -> list[EngineCall]:
    """Parse a list of calls in either dialect; invalid entries are skipped."""
    if not isinstance(listed, list):
        return []
    return [call for call in map(read_call, listed) if call is not None]


def read_call(entry: object) -> EngineCall | None:
    """Parse one call; None if it has no id."""
    if not isinstance(entry, dict):
        return None
    call_id = entry.get("callId")
    if not isinstance(call_id, str) or not call_id:
        return None
    peer = entry.get("peer") or entry.get("peerJid") or ""
    return EngineCall(
        call_id,
        phone_number(str(peer)),
        inbound=str(entry.get("direction", "")).lower() in _INBOUND,
        phase=parse_phase(entry.get("state")),
    )


def parse_phase(name: object) -> Phase:
    """Map a state's name to a phase."""
    return _PHASES.get(str(name).lower(), Phase.UNKNOWN)


def phone_number(jid: str) -> str:
    """Return the digits of a phone's JID; any other JID unchanged."""
    user, at, server = jid.partition("@")
    number = user.split(":")[0].lstrip("+")
    return number if number.isdigit() and (not at or server == "s.whatsapp.net") else jid


def read_message(text: str) -> SocketMessage | None:
    """Parse a text message of WADial's media socket; None if it is not recognized."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    if not isinstance(message, dict):
        return None
    match message.get("type"):
        case "ready":
            return Ready(_is_supported(message.get("media")))
        case "buffer":
            return _buffer_status(message)
        case "call_state":
            call = message.get("call")
            return StateChanged(parse_phase(call.get("state"))) if isinstance(call, dict) else None
        case "ended":
            return StateChanged(Phase.ENDED)
        case "error":
            return ErrorReported(str(message.get("code", "")))
        case _:
            return None


def read_webhook(body: bytes, content_type: str) -> Webhook:
    """Parse an event: JSON, or a form with JSON in its field `jsonData`.

    Raises:
        RemoteProtocolError: It is neither.
    """
    raw: bytes | str = body
    if content_type == FORM:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=50))
        raw = form.get("jsonData", "")
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RemoteProtocolError("the event is not JSON") from None
    texts = _texts(event)
    kinds = (text.rpartition(".")[2] for text in sorted(texts) if "call." in text)
    return Webhook(next(kinds, ""), frozenset(texts))


def _is_supported(media: object) -> bool:
    """Return whether the format is Float32LE at 16 kHz, mono; missing fields are assumed so."""
    given: Mapping[str, Any] = media if isinstance(media, dict) else {}
    return (
        str(given.get("encoding", "float32le")).lower() == "float32le"
        and given.get("sampleRate", SAMPLE_RATE) == SAMPLE_RATE
        and given.get("channels", 1) == 1
    )


def _buffer_status(message: Mapping[str, Any]) -> BufferStatus | None:
    values = [message.get(name) for name in ("bufferedMs", "pauseMs", "resumeMs")]
    numbers = [value / 1000 for value in values if isinstance(value, int | float)]
    return BufferStatus(*numbers) if len(numbers) == len(values) else None


def _texts(event: object) -> set[str]:
    """Collect the strings of an event of any shape."""
    found: set[str] = set()
    level: list[object] = [event]
    for _ in range(_MAX_DEPTH):
        found.update(value for value in level if isinstance(value, str))
        level = [inner for value in level for inner in _inside(value)][:_MAX_TEXTS]
    return found


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
