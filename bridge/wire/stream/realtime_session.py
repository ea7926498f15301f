"""How a realtime session is set up: `session.update`, in the form of today and of the beta.

Source: OpenAI, "Realtime API: client events". Servers of other makers often still speak the beta's form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from bridge.wire.stream.media_format import Encoding, MediaFormat

REALTIME: Final = MediaFormat(Encoding.S16LE, 24_000, 20)
"""The only PCM format of the interface; a message each 20 ms delays a caller's voice least."""
SESSION_EVENT: Final = "session"
"""The `event_id` of `session.update`, by which a server's error names it."""

_FORMAT: Final = {"type": "audio/pcm", "rate": REALTIME.sample_rate}
_TURN_DETECTION: Final = {
    "type": "server_vad",
    "create_response": True,
    "interrupt_response": True,
}


class RealtimeTool(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A function that the model may call, as it is written in `session.update`."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """A JSON Schema."""


@dataclass(frozen=True, slots=True)
class RealtimeSession:
    """What a model is told at first; empty texts are left to the server."""

    instructions: str = ""
    greeting: str = ""
    """What the model says first; without it the caller speaks first."""
    voice: str = ""
    tools: Sequence[RealtimeTool] = field(default=())


def session_update(session: RealtimeSession, *, beta: bool) -> bytes:
    """Write the message that sets the session up."""
    fields = _beta(session) if beta else _current(session)
    if session.instructions:
        fields["instructions"] = session.instructions
    if session.tools:
        fields["tools"] = session.tools
        fields["tool_choice"] = "auto"
    update = {"type": "session.update", "event_id": SESSION_EVENT, "session": fields}
    return msgspec.json.encode(update)


def speaks_beta(session: Mapping[str, Any]) -> bool:
    """Whether a session, as its server shows it, is in the beta's form."""
    return "input_audio_format" in session and "audio" not in session


def interrupts(session: Mapping[str, Any]) -> bool:
    """Whether the server ends a reply by itself when the caller speaks; as requested where it does not say."""
    inner = session
    for name in () if speaks_beta(session) else ("audio", "input"):
        found = inner.get(name)
        inner = found if isinstance(found, dict) else {}
    if "turn_detection" not in inner:
        return True
    detection = inner["turn_detection"]
    return isinstance(detection, dict) and detection.get("interrupt_response") is not False


def _current(session: RealtimeSession) -> dict[str, Any]:
    output: dict[str, Any] = {"format": _FORMAT}
    if session.voice:
        output["voice"] = session.voice
    return {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": _FORMAT, "turn_detection": _TURN_DETECTION},
            "output": output,
        },
    }


def _beta(session: RealtimeSession) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "modalities": ["audio", "text"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": _TURN_DETECTION,
    }
    return fields | ({"voice": session.voice} if session.voice else {})
