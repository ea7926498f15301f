"""What `machine.CallMachine.handle` takes, in the past tense; what is published of it is `wire.call_event.CallEvent`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from bridge.audio.detect.answerer import Detection
from bridge.call.disclosure_wording import Wording
from bridge.call.model import EndReason, LegId, LegKind, LegOwner
from bridge.call.routing import LegRole
from bridge.errors import BridgeError
from bridge.wire.call_event import EventType


@dataclass(frozen=True, slots=True)
class LegAdded:
    """A leg joined the call; it is not connected yet."""

    leg_id: LegId
    kind: LegKind
    role: LegRole


@dataclass(frozen=True, slots=True)
class LegDialled:
    """The provider has accepted the dial; the first event of a leg that rings its party."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegRinging:
    """The far party's device rings."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegEarlyMedia:
    """The far party's network sends audio before it answers: its own ring-back tone, or an announcement."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """The far party accepted the call."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegConnected:
    """The leg's media is up, both ways."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegSilent:
    """A leg that was sending has sent nothing for 2 s. An observation, never an end."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegResumed:
    """A silent leg sends again."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegHeld:
    """The party has put us on hold."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegUnheld:
    """The party has ended its hold."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegRenegotiated:
    """A party that is connected and we have agreed anew where and how audio goes; nobody is told."""

    leg_id: LegId


@dataclass(frozen=True, slots=True)
class LegTransferRequested:
    """The party asks us to call somebody else in its place; answer with `legs.base.Transferable`."""

    leg_id: LegId
    target: str
    """The number; never logged."""
    uri: str
    replaces: str = ""
    """The dialog that the new one is to take over (RFC 3891); empty for none."""


@dataclass(frozen=True, slots=True)
class LegTransferProgressed:
    """How far the party is with the transfer that we asked it for."""

    leg_id: LegId
    code: int
    """A SIP status code: 1xx progress, 2xx success, else failure."""
    final: bool


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """The party pressed a key: one of 0-9, *, #, A-D."""

    leg_id: LegId
    digit: str


@dataclass(frozen=True, slots=True)
class AnswererDetected:
    """Who answered is known, or the machine that answered has beeped."""

    leg_id: LegId
    detection: Detection


@dataclass(frozen=True, slots=True)
class LegReported:
    """A leg reports what is to be published of it, such as `playback.started`; changes nothing."""

    leg_id: LegId
    type: EventType
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DisclosureSpoken:
    """A leg has spoken the line's disclosure to its end."""

    leg_id: LegId
    wording: Wording


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The leg is over by itself: the party left, or its connection failed."""

    leg_id: LegId
    reason: EndReason
    error: BridgeError | None = None
    """With what its provider refused to ring the party."""
    waited: bool = False
    """Whether its party was waited for as long as it may take to come back."""


@dataclass(frozen=True, slots=True)
class AnswerRequested:
    """Our side accepts an inbound call."""


@dataclass(frozen=True, slots=True)
class HangupRequested:
    """Our side ends the call."""

    reason: EndReason = EndReason.HANGUP
    after_speech: bool = False
    """Whether an answered call goes on until its last words have been heard (`call.bus.last_words`)."""


@dataclass(frozen=True, slots=True)
class CloseRequested:
    """Our side ends a near leg or a service, or a browser; None means all WebRTC legs."""

    leg_id: LegId | None = None
    owner: LegOwner | None = None
    """Whose legs only; None means everybody's."""
    may_return: bool = False
    """Whether legs that this owner made may come back for a while, as a reloaded page does."""
    after_speech: bool = False
    """Whether a bot first finishes what it has queued; it hears nobody meanwhile."""


@dataclass(frozen=True, slots=True)
class MuteRequested:
    """Mute or unmute a leg; None means all near legs, for the far parties."""

    muted: bool
    leg_id: LegId | None = None


@dataclass(frozen=True, slots=True)
class HoldRequested:
    """Our side holds a party, or the call with all its far parties, or resumes it."""

    held: bool
    leg_id: LegId | None = None
    """None means the call."""


@dataclass(frozen=True, slots=True)
class DigitsRequested:
    """Our side sends digits to the far party."""

    digits: str


@dataclass(frozen=True, slots=True)
class InviteRequested:
    """Our side asks a party in a browser to join, and to take the near legs' place once it has come.

    The last one that was asked is waited for, as long as a call may ring.
    """

    identity: str


@dataclass(frozen=True, slots=True)
class LeaveRequested:
    """Our side leaves the call to its far parties, as at the end of an attended transfer."""

    leg_id: LegId
    """Whom the others are transferred to."""


@dataclass(frozen=True, slots=True)
class ReferRequested:
    """Our side asks the far party to call somebody else in our place."""

    target: str
    """The number; never logged."""


@dataclass(frozen=True, slots=True)
class CallUsed:
    """A request of the call's line named it and changed something."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The machine's `deadline` is reached."""


LegEvent: TypeAlias = (
    LegDialled
    | LegRinging
    | LegEarlyMedia
    | LegAnswered
    | LegConnected
    | LegSilent
    | LegResumed
    | LegHeld
    | LegUnheld
    | LegRenegotiated
    | LegTransferRequested
    | LegTransferProgressed
    | DigitReceived
    | AnswererDetected
    | DisclosureSpoken
    | LegReported
    | LegEnded
)
Request: TypeAlias = (
    AnswerRequested
    | HangupRequested
    | CloseRequested
    | MuteRequested
    | HoldRequested
    | DigitsRequested
    | InviteRequested
    | LeaveRequested
    | ReferRequested
)
Event: TypeAlias = LegAdded | LegEvent | Request | CallUsed | TimePassed
