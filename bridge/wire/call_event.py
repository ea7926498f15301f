"""What can happen to a call or a line, and the one record of it, as stored and as each vendor's webhook is made from."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from bridge.wire.iso8601 import iso8601
from bridge.wire.metadata import NOTHING
from bridge.wire.trace_context import NONE, TraceContext

HUNG_UP: Final = frozenset({"hangup", "remote_hangup"})
CUT_OFF: Final = frozenset({"media_timeout", "node_lost", "drained"})
"""Ends that complete a call only if it had been answered."""


def end_id(call_id: str) -> str:
    """Return the id of a call's end, which a call has one of, whoever reports it."""
    return f"evt_{call_id.lower()}_ended"


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
    CALL_MACHINE_DETECTED = "call.machine_detected"
    """Whether a person or an answering machine answered; a second time when the machine has beeped."""
    CALL_PROBLEM = "call.problem"
    """Something is heard worse, or not at all."""
    CALL_PROBLEM_CLEARED = "call.problem_cleared"
    CALL_DRAINING = "call.draining"
    """The bridge is about to end the call, because it is being stopped."""
    CALL_RECOVERED = "call.recovered"
    """Another process of the machine goes on with the call."""
    CALL_ENDED = "call.ended"

    LEG_JOINED = "leg.joined"
    LEG_CONNECTED = "leg.connected"
    LEG_SILENT = "leg.silent"
    LEG_RESUMED = "leg.resumed"
    LEG_HELD = "leg.held"
    """Its party has put us on hold."""
    LEG_UNHELD = "leg.unheld"
    LEG_RESTARTED = "leg.restarted"
    """Its client has changed the network, and restarted ICE."""
    LEG_LEFT = "leg.left"

    PARTY_INVITED = "party.invited"
    PARTY_MISSED = "party.missed"
    """An invited party has not joined in time."""
    PARTY_MUTED = "party.muted"
    """The far party muted itself, or unmuted."""
    PARTY_HELD = "party.held"
    """Our side holds one party, or no longer."""

    TRANSFER_STARTED = "transfer.started"
    TRANSFER_COMPLETED = "transfer.completed"
    TRANSFER_FAILED = "transfer.failed"

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

    VOICEMAIL_RECEIVED = "voicemail.received"
    """A caller has left a message, which can be had from now on."""
    VOICEMAIL_TRANSCRIBED = "voicemail.transcribed"

    STREAM_STARTED = "stream.started"
    STREAM_ERROR = "stream.error"
    """The server of a stream reports an error; the stream goes on."""
    STREAM_ENDED = "stream.ended"
    STREAM_FALLBACK = "stream.fallback"
    """A call has lost the stream that it was answered into, and its line's fallback takes over."""

    TRANSCRIPT = "transcript"
    """Something that was said: to an agent or by it, or a phrase of a call that is transcribed live."""
    TRANSCRIPT_READY = "transcript.ready"
    """The whole transcript of a call."""
    TRANSCRIPT_FAILED = "transcript.failed"
    AGENT_REPLIED = "agent.replied"
    AGENT_INTERRUPTED = "agent.interrupted"
    AGENT_TIMED_OUT = "agent.timed_out"
    AGENT_FAILED = "agent.failed"
    TURN = "turn"
    """What the caller waited for a bot's answer; webhooks get it only where they name it."""
    OVERLAP_STARTED = "overlap.started"
    """A caller speaks while a bot does. Webhooks get this and the next one only if they name them."""
    OVERLAP_ENDED = "overlap.ended"

    DISCLOSURE_SPOKEN = "disclosure.spoken"
    """Persons have heard the line's disclosure."""
    DISCLOSURE_FAILED = "disclosure.failed"
    """The disclosure could not be spoken."""

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
    """Where its events go besides the line's webhooks; never sent."""
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    seconds: float = 0.0
    muted: bool = False
    browser: bool = False
    """Whether it has or had a WebRTC leg."""
    answered_by: str = ""
    """`person`, `machine` or `unknown`; empty where nobody asked."""
    disclosed_at: datetime | None = None
    """When somebody had first heard that machines speak in it; stored, not sent."""
    trace: TraceContext = NONE
    """The trace context of its request; never sent."""

    @property
    def jid(self) -> str:
        """The far party as WhatsApp writes it; digits alone for a telephone."""
        return jid(
            self.peer, self.to_channel if self.direction == "outbound" else self.from_channel
        )

    @property
    def talk_seconds(self) -> int | None:
        """Seconds from answer to end; None before the end."""
        if self.ended_at is None:
            return None
        return round((self.ended_at - (self.answered_at or self.ended_at)).total_seconds())

    @property
    def completed(self) -> bool:
        """Whether it was hung up, or cut off after its answer: to vendors such a call has not failed."""
        answered = self.answered_at is not None
        return self.reason in HUNG_UP or (answered and self.reason in CUT_OFF)

    def native(self) -> dict[str, Any]:
        """Return the call as our own webhooks and event streams show it."""
        fields: dict[str, Any] = {
            "callId": self.id,
            "peer": self.jid,
            "from": self.from_,
            "to": self.to,
            "direction": self.direction,
            "state": self.state,
            "muted": self.muted,
            "startedAt": iso8601(self.started_at),
            "answeredAt": iso8601(self.answered_at),
            "endedAt": iso8601(self.ended_at),
            "endReason": self.reason or None,
            "seconds": round(self.seconds, 3),
        }
        if self.answered_by:
            fields["answeredBy"] = self.answered_by
        if self.metadata != NOTHING:
            fields["metadata"] = self.metadata
        return fields | ({"tag": self.tag} if self.tag else {})


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
    callback_url: str = ""
    """Where this event goes instead of its call's callback; never sent."""


def jid(peer: str, channel: str = "whatsapp") -> str:
    """Return a peer as WhatsApp writes it; digits alone for a telephone."""
    return f"{peer}@s.whatsapp.net" if peer.isdigit() and channel != "pstn" else peer
