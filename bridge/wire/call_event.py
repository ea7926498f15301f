"""What can happen to a call or a line, and the one record of it, as stored and as each vendor's webhook is made from."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from bridge.wire.metadata import NOTHING


class EventType(StrEnum):
    """Everything that is published; the values are public names."""

    CALL_INITIATED = "call.initiated"
    CALL_RINGING = "call.ringing"
    CALL_DECISION_DUE = "call.decision_due"
    """The time for a server to decide about an inbound call is nearly over."""
    CALL_CONNECTING = "call.connecting"
    CALL_ANSWERED = "call.answered"
    CALL_ACTIVE = "call.active"
    CALL_HELD = "call.held"
    CALL_RESUMED = "call.resumed"
    CALL_MUTED = "call.muted"
    CALL_LATENCY = "call.latency"
    CALL_ENDED = "call.ended"

    LEG_JOINED = "leg.joined"
    LEG_CONNECTED = "leg.connected"
    LEG_SILENT = "leg.silent"
    LEG_RESUMED = "leg.resumed"
    LEG_LEFT = "leg.left"

    PARTY_INVITED = "party.invited"
    PARTY_MISSED = "party.missed"
    """An invited party has not joined in time."""
    PARTY_MUTED = "party.muted"
    """The far party muted itself, or unmuted."""

    DIGIT_RECEIVED = "digit.received"
    DIGITS_STARTED = "digits.started"
    DIGITS_COLLECTED = "digits.collected"
    DIGITS_FAILED = "digits.failed"

    PLAYBACK_STARTED = "playback.started"
    PLAYBACK_COMPLETED = "playback.completed"

    RECORDING_STARTED = "recording.started"
    RECORDING_PAUSED = "recording.paused"
    RECORDING_RESUMED = "recording.resumed"
    RECORDING_STOPPED = "recording.stopped"
    RECORDING_READY = "recording.ready"
    RECORDING_FAILED = "recording.failed"
    RECORDING_STORED = "recording.stored"
    RECORDING_COPIED = "recording.copied"

    STREAM_STARTED = "stream.started"
    STREAM_ENDED = "stream.ended"

    TRANSCRIPT = "transcript"
    AGENT_REPLIED = "agent.replied"
    AGENT_INTERRUPTED = "agent.interrupted"
    AGENT_TIMED_OUT = "agent.timed_out"
    AGENT_FAILED = "agent.failed"

    LINE_CREATED = "line.created"
    LINE_REMOVED = "line.removed"
    LINE_KEY_ADDED = "line.key_added"
    LINE_KEY_REMOVED = "line.key_removed"
    LINE_PAUSED = "line.paused"
    LINE_RESUMED = "line.resumed"


class CallSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call as it stood when something happened to it."""

    id: str
    """The native form."""
    direction: str
    state: str
    peer: str
    started_at: datetime
    reason: str = ""
    from_: str = msgspec.field(default="", name="from")
    """A number in E.164 with `+`, or an identifier; so is `to`."""
    to: str = ""
    from_channel: str = ""
    to_channel: str = ""
    metadata: msgspec.Raw = NOTHING
    tag: str = ""
    callback_url: str = ""
    """Where this event goes besides the line's webhooks; never sent."""
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    muted: bool = False
    browser: bool = False
    """Whether it has or had a WebRTC leg."""


class CallEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened on a line, usually to one of its calls; never holds audio."""

    id: str
    """The same in every delivery, so that receivers can drop duplicates."""
    type: str
    """An `EventType`; text, because the stored events of a newer version can be of a type unknown here."""
    line: str
    at: datetime
    """With zone UTC."""
    call: CallSnapshot | None = None
    """None for what happened to a line, or to a call that is no longer known."""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    """What belongs to the type; JSON values only."""


def jid(peer: str) -> str:
    """Return a peer as WhatsApp writes it."""
    return f"{peer}@s.whatsapp.net" if peer.isdigit() else peer
