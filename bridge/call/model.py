"""The records of a call: ids, states, end reasons, parties, and the figures that a leg reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from bridge.call.disclosure_wording import Wording
from bridge.call.leg_state import ProviderState, SocketState, StreamCondition, TransportState
from bridge.call.setup_timings import SetupTimings
from bridge.call.transcript import Transcribe
from bridge.wire.trace_context import NONE, TraceContext

CallId = NewType("CallId", str)
"""32 upper-case hexadecimal digits; the first two name the node that owns the call."""

LegId = NewType("LegId", str)
LineName = NewType("LineName", str)


class State(StrEnum):
    """State of a call."""

    INITIATED = "initiated"
    RINGING = "ringing"
    CONNECTING = "connecting"
    """Answered; the far party's media is not up yet."""
    ACTIVE = "active"
    HELD = "held"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a call or a leg ended."""

    HANGUP = "hangup"
    REMOTE_HANGUP = "remote_hangup"
    REJECTED = "rejected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    MEDIA_TIMEOUT = "media_timeout"
    NODE_LOST = "node_lost"
    DRAINED = "drained"


class Direction(StrEnum):
    """Direction of a call: an inbound one is made by the far party."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Party(StrEnum):
    """Which side of the call a leg is: one far party, any number of near ones, and services."""

    FAR = "far"
    NEAR = "near"
    SERVICE = "service"
    """Added by the bridge: playback, recorder, stream, agent."""


@dataclass(frozen=True, slots=True)
class LegOwner:
    """Whose ticket made a leg; other tickets of the same party and identity own it too."""

    party: str
    """As a ticket names it: `near`, `far` or `transfer`."""
    identity: str


class LegKind(StrEnum):
    """The kinds of leg, as they appear in metrics; `traits` says what each one is."""

    WEBRTC = "webrtc"
    SIMULATOR = "simulator"
    WHATSAPP = "whatsapp"
    GATEWAY = "gateway"
    SIP = "sip"
    SOCKET = "socket"
    STREAM = "stream"
    PLAYBACK = "playback"
    RECORDER = "recorder"
    AGENT = "agent"
    MACHINE_DETECTOR = "machine_detector"
    VOICEMAIL = "voicemail"
    TRANSCRIBER = "transcriber"

    @property
    def traits(self) -> "LegTraits":
        """What every leg of the kind is."""
        return LEG_TRAITS[self]


@dataclass(frozen=True, slots=True)
class LegTraits:
    """What the rest of the bridge asks about a kind of leg."""

    carries_rtp: bool = False
    """Has a media port, and packet loss, jitter and MOS."""
    browser: bool = False
    """Answers by connecting, sends further offers, and may come back after it has left."""
    person: bool = False
    """Somebody who talks: in a browser, or at a telephone."""
    channel: str = ""
    """Of a far party, the channel that it is reached over: `whatsapp` or `pstn`."""
    simulated: bool = False
    """Stands for a party on its channel; nobody is reached."""
    hop: str = ""
    """Of a service, the station of the audio that it is (`call.diagnosis.problems.Hop`); empty for none."""
    takes_digits: bool = False
    batched: bool = False
    """Can be served many frames late and at once."""
    exclusive: str = ""
    """Exclusivity group: with `recording.exclusive`, a call may have legs of one group only; empty: no
    restriction."""

    def clashes_with(self, other: "LegTraits") -> bool:
        """Whether both cannot be in one call where `recording.exclusive` is set."""
        return bool(self.exclusive and other.exclusive) and self.exclusive != other.exclusive


LEG_TRAITS: Final[Mapping[LegKind, LegTraits]] = {
    LegKind.WEBRTC: LegTraits(carries_rtp=True, browser=True, person=True, takes_digits=True),
    LegKind.SIMULATOR: LegTraits(
        person=True, channel="whatsapp", simulated=True, takes_digits=True
    ),
    LegKind.WHATSAPP: LegTraits(
        carries_rtp=True, person=True, channel="whatsapp", takes_digits=True
    ),
    LegKind.GATEWAY: LegTraits(person=True, channel="whatsapp"),
    LegKind.SIP: LegTraits(carries_rtp=True, person=True, channel="pstn", takes_digits=True),
    LegKind.SOCKET: LegTraits(hop="socket", exclusive="streaming"),
    LegKind.STREAM: LegTraits(hop="stream", exclusive="streaming"),
    LegKind.PLAYBACK: LegTraits(),
    LegKind.RECORDER: LegTraits(hop="recording", batched=True, exclusive="recording"),
    LegKind.AGENT: LegTraits(hop="agent"),
    LegKind.MACHINE_DETECTOR: LegTraits(),
    LegKind.VOICEMAIL: LegTraits(),
    LegKind.TRANSCRIBER: LegTraits(),
}


class DeliveryPath(StrEnum):
    """How a sink is served what it hears."""

    PASSTHROUGH = "relay"
    """Packets, undecoded."""
    PCM = "pcm"
    """Frames, each as it arrives."""
    CLOCK = "clock"
    """A frame every 20 ms."""


class Cadence(StrEnum):
    """How often the sinks on a bus's clock are to be served."""

    NEVER = "never"
    """There are none."""
    EVERY_FRAME = "every frame"
    BATCHED = "batched"
    """Many frames at once are enough for all of them."""


# The figures of legs are not frozen: they are made for every leg once a second, and frozen ones take
# eight times as long to make.
@dataclass(slots=True)
class LevelCounts:
    """How often audio was quiet, and how often clipped."""

    noted: int = 0
    """Levels measured or received (RFC 6464)."""
    quiet: int = 0
    """Of those, the ones below -60 dBov."""
    measured_frames: int = 0
    """Frames checked for clipping, about ten a second."""
    clipped_frames: int = 0
    """Of those, the ones that reach full scale."""


@dataclass(slots=True)
class ReceivedAudio:
    """What a leg has received; all counts are totals since the leg began."""

    packets: int = 0
    bytes: int = 0
    """RTP payload bytes."""
    lost: int = 0
    """RFC 3550 §6.4.1; shrinks when a late packet arrives."""
    late: int = 0
    """Dropped: they came after their frame had been concealed, or twice."""
    reordered: int = 0
    concealed_frames: int = 0
    fec_frames: int = 0
    """Recovered from in-band FEC or redundancy; not in `concealed_frames`."""
    frames: int = 0
    """20 ms frames pushed to the bus, concealed ones included."""
    jitter_seconds: float = 0.0
    """Interarrival jitter, RFC 3550 §6.4.1."""
    peak_jitter_seconds: float = 0.0
    """The deviation between two packets that this second and the one before have reached."""
    level_dbov: float = -127.0
    """Last level: 0 is full scale, -127 digital silence."""
    silent_seconds: float = 0.0
    """For how long the level has been below -60 dBov."""
    levels: LevelCounts = field(default_factory=LevelCounts)
    held_seconds: float = 0.0
    """How long speech of a bot was held because the far party would not have heard it (`call.bots.speech_gates`)."""
    held_dropped_seconds: float = 0.0
    """How much of it was dropped: beyond the limit, or because the call ended."""


@dataclass(slots=True)
class SentAudio:
    """What a leg has sent, and what its peer reported about it."""

    packets: int = 0
    bytes: int = 0
    forwarded_packets: int = 0
    """Of `packets`, those relayed undecoded."""
    dropped_frames: int = 0
    """Frames and packets whose timestamp or number had already been sent."""
    reported_packets: int | None = None
    """Of `packets`, those until the newest that the peer reports received; None before it reports."""
    remote_lost: int = 0
    """Packets that the peer reports lost."""
    remote_loss_ratio: float = 0.0
    """Of its last report, 0 to 1."""
    remote_jitter_seconds: float = 0.0
    fec: bool = False
    """Whether in-band FEC is being sent."""
    level_dbov: float = -127.0
    levels: LevelCounts = field(default_factory=LevelCounts)


@dataclass(frozen=True, slots=True)
class ReplyTiming:
    """How soon an agent replied to its caller, and how long each step took."""

    at: float
    """When its first audio was played; monotonic seconds."""
    first_audio: float
    """Seconds since the end of the caller's utterance."""
    overhead: float
    """Of these, the ones that belong to no step."""
    steps: Mapping[str, float]
    """Seconds until the first result of each step: `stt`, `llm`, `tts`."""


@dataclass(slots=True)
class LegStatistics:
    """A leg's figures."""

    received: ReceivedAudio = field(default_factory=ReceivedAudio)
    sent: SentAudio = field(default_factory=SentAudio)
    round_trip_seconds: float | None = None
    """From the peer's last receiver report; None before the first."""
    discarded: dict[str, int] = field(default_factory=dict)
    """Dropped datagrams by reason (`metrics.media.DISCARD_REASONS`)."""
    echo_seconds: float | None = None
    """Delay after which the party sends back what it is sent; None if it does not."""
    replies: tuple[ReplyTiming, ...] | None = None
    """The latest of an agent; None for every other leg."""
    transport: TransportState | None = None
    """None for a leg that carries no RTP."""
    socket: SocketState | None = None
    """None for a leg that is no media socket, and no stream."""
    stream: StreamCondition | None = None
    """None for a leg that is no stream."""
    provider: ProviderState | None = None
    """None for a leg that makes no requests to a provider."""
    setup: SetupTimings | None = None
    """None for a leg that has no peer and no provider."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The two parties as the request named them; empty where it did not."""

    from_: str = ""
    to: str = ""
    from_channel: str = ""
    """`whatsapp`, `webrtc` or `pstn`."""
    to_channel: str = ""


class MachineDetection(StrEnum):
    """Whether to find out if a person or an answering machine answers."""

    OFF = "off"
    REPORT = "report"
    HANGUP = "hangup"
    """Report it, and hang up on a machine."""


@dataclass(frozen=True, slots=True)
class CallDetails:
    """What the request for a call, or its provider, attached to it."""

    parties: Parties = field(default_factory=Parties)
    metadata: bytes = b""
    """A JSON object, encoded (`wire.metadata`); empty for none."""
    tag: str = ""
    callback_url: str = ""
    """Receives this call's events besides the line's webhooks; empty for none."""
    ring_seconds: float = 0.0
    """Ring timeout below the operator's; 0 for the operator's."""
    talk_seconds: float = 0.0
    """Longest duration from the answer on; 0 for the operator's limits."""
    record: bool = False
    """Whether to record from the answer on, whatever the line's setting."""
    machine_detection: MachineDetection = MachineDetection.OFF
    transcribe: Transcribe = Transcribe.OFF
    test: bool = False
    """Whether a client tests its connection: such a call has no events, is not listed, and is forgotten at its end."""
    trace: TraceContext = NONE
    """The trace that the request belongs to."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What does not change during a call."""

    call_id: CallId
    line: LineName
    peer: str
    """The far party's number, digits only, or an identifier; never logged."""
    started_at: datetime
    """With zone UTC."""
    details: CallDetails = field(default_factory=CallDetails)


@dataclass(slots=True)
class LegFigures:
    """A leg and its figures, live or ended."""

    leg_id: LegId
    kind: LegKind
    party: Party
    statistics: LegStatistics
    path: DeliveryPath | None = None
    """None when it hears nobody, or is gone."""
    identity: str = ""
    """Of the ticket that made it; empty where a key did."""
    joined: float = 0.0
    """Seconds of the call."""
    left: float | None = None
    """Seconds of the call; None while it is in the call."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as others see it, live or ended."""

    facts: CallFacts
    direction: Direction
    state: State
    reason: EndReason | None
    seconds: float
    """Duration so far."""
    legs: tuple[LegFigures, ...]
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    muted: bool = False
    """Whether all near legs are muted."""
    timed_out: bool = False
    """Whether a time limit ended it."""
    answered_by: str = ""
    """Of `audio.detect.answerer.Answerer`; empty until it is known, and where nobody asked."""
    disclosed_at: datetime | None = None
    """When somebody had first heard a whole disclosure, of `disclosure`."""
    disclosure: Wording | None = None

    @property
    def has_browser(self) -> bool:
        """Whether a browser is or was in the call."""
        return any(leg.kind.traits.browser for leg in self.legs)

    @property
    def at_voicemail(self) -> bool:
        """Whether its caller is leaving a message now, or is about to."""
        kinds = [leg.kind for leg in self.legs if leg.left is None]
        return LegKind.VOICEMAIL in kinds

    @property
    def sent_to_voicemail(self) -> bool:
        """Whether its caller is or was at voicemail."""
        return any(leg.kind is LegKind.VOICEMAIL for leg in self.legs)
