"""What is looked at once a second to tell why a call has no audio."""

from dataclasses import dataclass
from enum import StrEnum

from bridge.call.diagnosis.bot_sound import BotFigures
from bridge.call.model import LegId, LegKind, LegStatistics, Party, State


class Microphone(StrEnum):
    """What a client says of its microphone."""

    LIVE = "live"
    MUTED = "muted"
    ENDED = "ended"
    """Unplugged, or taken away by the operating system."""
    DENIED = "denied"
    NONE = "none"


class Speaker(StrEnum):
    """What a client says of its audio element."""

    PLAYING = "playing"
    BLOCKED = "blocked"
    """Autoplay is not allowed before a gesture."""
    PAUSED = "paused"
    NONE = "none"


class OutputDevice(StrEnum):
    """Where a client plays the call."""

    DEFAULT = "default"
    SELECTED = "selected"
    MISSING = "missing"
    """The selected one is gone, and nothing is heard."""


class CandidateType(StrEnum):
    """The types of ICE candidates (RFC 8445 §5.1.1)."""

    HOST = "host"
    SRFLX = "srflx"
    PRFLX = "prflx"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class ClientHints:
    """What a leg's own client reports; untrusted, so it only changes what is said of that leg."""

    microphone: Microphone | None = None
    microphone_dbov: float | None = None
    microphone_filtered: bool = False
    """Whether echo cancellation or noise suppression is on."""
    speaker: Speaker | None = None
    output_device: OutputDevice | None = None
    turn_error: int | None = None
    """The code of the browser's `icecandidateerror` for a TURN server."""
    candidate_types: frozenset[CandidateType] = frozenset()
    """Of the candidates that the browser has gathered."""
    path: str = ""
    """The selected pair, such as `relay over udp`; empty before there is one."""
    ice: str = ""
    """The browser's `iceConnectionState`."""
    dtls: str = ""
    """The browser's `RTCDtlsTransport.state`."""
    jitter_buffer_ms: float | None = None
    concealed_ratio: float = 0.0
    """Share of the played audio that had to be concealed over the last seconds, without silence."""
    hidden: bool = False
    """Whether the page is in the background, where phones take the microphone away."""

    @property
    def evidence(self) -> dict[str, object]:
        """What helps to explain a problem of the network."""
        found: dict[str, object] = {
            "clientIce": self.ice,
            "clientDtls": self.dtls,
            "clientPath": self.path,
            "turnError": self.turn_error,
            "jitterBufferMs": self.jitter_buffer_ms,
            "pageHidden": self.hidden,
        }
        return {name: told for name, told in found.items() if told}

    @property
    def microphone_evidence(self) -> dict[str, object]:
        """What helps to explain a microphone whose sound does not arrive here."""
        level = self.microphone_dbov
        told: dict[str, object] = {} if level is None else {"clientLevelDbov": level}
        return told | ({"pageHidden": True} if self.hidden else {})


class BotKind(StrEnum):
    """What a bot is connected as: what its author has to do depends on it."""

    AGENT = "agent"
    SOCKET = "socket"
    NATIVE = "native"
    TWILIO = "twilio"
    REALTIME = "openai-realtime"
    PEER = "webrtc"


@dataclass(slots=True)
class BotObservation:
    """A leg's bot as it stands now."""

    kind: BotKind
    heard: bool = True
    """Whether anybody is routed to hear it."""
    sound: BotFigures | None = None
    """None where its turns are not measured."""
    held: bool = False
    """Whether what it says is held, because it may not be heard yet (`call.bots.speech_gates`)."""


# Not frozen, nor that of a call: one is made for every leg once a second, and a frozen one takes eight times
# as long to make.
@dataclass(slots=True)
class LegObservation:
    """A leg as it stands now."""

    leg_id: LegId
    kind: LegKind
    party: Party
    statistics: LegStatistics
    connected: bool
    muted: bool = False
    hints: ClientHints | None = None
    bot: BotObservation | None = None
    """None for a leg that is no bot."""


@dataclass(slots=True)
class CallObservation:
    """A call as it stands now."""

    state: State
    legs: tuple[LegObservation, ...]
    muted: bool = False
    """Whether all near legs are muted."""
    expects_party: bool = False
    """Whether it is being transferred to a party that has yet to join."""
    turn: bool = False
    """Whether a TURN server is configured."""
    announced_until: float = 0.0
    """Until when Meta may announce that it records the call, in the far party's place; in monotonic seconds."""
    lag_seconds: float = 0.0
    """How late the event loop ran its timers in the last second, at worst."""

    @property
    def answered(self) -> bool:
        """Whether the far party has answered."""
        return self.state in (State.CONNECTING, State.ACTIVE, State.HELD)
