"""What WhatsApp engines with REST and a PCM socket say, in two dialects: ZuckZapGo's and WADial's.

Sources: ZuckZapGo's "Calls API" guide (§4, §6) and WADial's "Live calls" pages. What they leave open
is read generously: an unknown state word, field or message changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from bridge.errors import RemoteProtocolError

SAMPLE_RATE: Final = 16_000
"""Of both dialects' sockets, mono."""
FORM: Final = "application/x-www-form-urlencoded"

_DEEPEST: Final = 8
"""Levels of a webhook's body that are looked through."""
_MAX_WORDS: Final = 500


class Phase(StrEnum):
    """Where a call stands on the engine."""

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
"""ZuckZapGo's words, WADial's, and those of the same family that WADial does not document."""
_RINGS: Final = frozenset({Phase.CALLING, Phase.RINGING, Phase.CONNECTING})
_INBOUND: Final = frozenset({"inbound", "incoming"})


@dataclass(frozen=True, slots=True)
class EngineCall:
    """A call as the engine lists it."""

    call_id: str
    """The engine's own, as it is written there."""
    peer: str
    """Digits, or the engine's name for a party whose number it hides; never logged."""
    inbound: bool
    phase: Phase

    @property
    def rings_us(self) -> bool:
        """Whether it is a call from outside that nobody has answered yet."""
        return self.inbound and self.phase in _RINGS


@dataclass(frozen=True, slots=True)
class Ready:
    """The socket is open; `fits` when its sound is the one we speak."""

    fits: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of our sound waits on the engine, in seconds."""

    buffered: float
    pause: float
    """At so much we are to stop sending,"""
    resume: float
    """and near so much we may go on."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The call's state has changed."""

    phase: Phase


@dataclass(frozen=True, slots=True)
class Complained:
    """The engine reports an error on the socket."""

    code: str


SocketMessage: TypeAlias = Ready | Backlog | Moved | Complained


@dataclass(frozen=True, slots=True)
class Webhook:
    """What can be told from an event of the engine: its type, and what may be a call's id."""

    kind: str
    """The last part of its type, such as `offer` of `v1.call.offer`."""
    words: frozenset[str]
    """Every text in the event, among them the id of the call that it is about."""


def read_calls(listed: object, *, id_field: str = "callId") -> list[EngineCall]:
    """Read a list of calls of either dialect; entries that are no calls are left out."""
    if not isinstance(listed, list):
        return []
    found = (read_call(entry, id_field=id_field) for entry in listed)
    return [call for call in found if call is not None]


def read_call(entry: object, *, id_field: str = "callId") -> EngineCall | None:
    """Read one call; None when it has no id."""
    if not isinstance(entry, dict):
        return None
    call_id = entry.get(id_field)
    if not isinstance(call_id, str) or not call_id:
        return None
    peer = entry.get("peer") or entry.get("peerJid") or ""
    return EngineCall(
        call_id,
        number_of(str(peer)),
        inbound=str(entry.get("direction", "")).lower() in _INBOUND,
        phase=phase_of(entry.get("state")),
    )


def phase_of(word: object) -> Phase:
    """Understand a state's name."""
    return _PHASES.get(str(word).lower(), Phase.UNKNOWN)


def number_of(jid: str) -> str:
    """Give the digits of a phone's JID; another JID as it is."""
    user, at, server = jid.partition("@")
    number = user.split(":")[0].lstrip("+")
    return number if number.isdigit() and (not at or server == "s.whatsapp.net") else jid


def read_message(text: str) -> SocketMessage | None:
    """Read a text message of WADial's media socket; None when it tells us nothing."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    if not isinstance(message, dict):
        return None
    match message.get("type"):
        case "ready":
            return Ready(_fits(message.get("media")))
        case "buffer":
            return _backlog(message)
        case "call_state":
            call = message.get("call")
            return Moved(phase_of(call.get("state"))) if isinstance(call, dict) else None
        case "ended":
            return Moved(Phase.ENDED)
        case "error":
            return Complained(str(message.get("code", "")))
        case _:
            return None


def read_webhook(body: bytes, content_type: str) -> Webhook:
    """Read an event: JSON, or a form with the JSON in its field `jsonData`.

    Raises:
        RemoteProtocolError: it is neither.
    """
    raw: bytes | str = body
    if content_type == FORM:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), max_num_fields=50))
        raw = form.get("jsonData", "")
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RemoteProtocolError("the event is not JSON") from None
    words = _words(event)
    kinds = (word.rpartition(".")[2] for word in sorted(words) if "call." in word)
    return Webhook(next(kinds, ""), frozenset(words))


def _fits(media: object) -> bool:
    """Whether the format is Float32LE at 16 kHz, mono; what is not said is taken to fit."""
    told: Mapping[str, Any] = media if isinstance(media, dict) else {}
    return (
        str(told.get("encoding", "float32le")).lower() == "float32le"
        and told.get("sampleRate", SAMPLE_RATE) == SAMPLE_RATE
        and told.get("channels", 1) == 1
    )


def _backlog(message: Mapping[str, Any]) -> Backlog | None:
    values = [message.get(name) for name in ("bufferedMs", "pauseMs", "resumeMs")]
    numbers = [value / 1000 for value in values if isinstance(value, int | float)]
    return Backlog(*numbers) if len(numbers) == len(values) else None


def _words(event: object) -> set[str]:
    """Collect the texts of an event, whatever its shape."""
    found: set[str] = set()
    level: list[object] = [event]
    for _ in range(_DEEPEST):
        found.update(value for value in level if isinstance(value, str))
        level = [inner for value in level for inner in _inside(value)][:_MAX_WORDS]
    return found


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
