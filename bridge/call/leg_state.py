"""How a leg's connection stands: what `LegStatistics` has beside the audio's totals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bridge.audio.detect.level import SILENT

FailedPart: TypeAlias = Literal["provider", "trunk", "account", "codec"]
"""What failed: a SIP trunk, the line's account there, or the choice of a codec; else the provider."""
IceStage: TypeAlias = Literal["new", "checking", "connected", "failed"]


# Not frozen: one is made for every leg once a second, and a frozen one takes eight times as long to make.
@dataclass(slots=True)
class TransportState:
    """The set-up of a peer's transport, and its reports."""

    described: bool = False
    """Whether both sides have each other's description, so that checks may be expected."""
    ice: IceStage = "new"
    dtls: IceStage = "new"
    failure: str = ""
    """Why either failed: the reasons of `bridge_transport_failures_total`; empty if neither did."""
    checks_received: int = 0
    """Authentic connectivity checks of the peer (RFC 8445 §7.3)."""
    responses_received: int = 0
    """Authentic responses to ours."""
    public_candidates: bool = False
    """Whether the peer has offered an address that is neither private nor a name."""
    plain: bool = False
    """Whether there is neither ICE nor DTLS to wait for: packets flow once both sides are described."""
    held: bool = False
    """Whether the peer has put us on hold."""
    codec: str = ""
    """Of the audio, as `a=rtpmap` has it; empty before it is agreed."""
    sends: bool = True
    """Whether the peer's description says that it sends audio."""
    reports: int = 0
    """RTCP sender and receiver reports of the peer."""
    reports_about_us: int = 0
    """Of those, the ones that say that more of our stream has come."""


@dataclass(frozen=True, slots=True)
class ProviderFailure:
    """Why a provider did not do what it was asked."""

    refused: bool
    """Else it does not answer, or fails."""
    reason: str
    number: int = 0
    """Meta's, or the code of a trunk's response; 0 for none."""
    fix: str = ""
    """What to do about a refusal."""
    what: FailedPart = "provider"


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A request that a provider has answered, or not."""

    began: float
    """Monotonic seconds."""
    seconds: float
    error: str = ""
    """Why it failed; empty if it did not."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How a leg's provider takes its requests."""

    asked_at: float | None = None
    """When the request was sent that it has yet to answer; monotonic seconds."""
    failure: ProviderFailure | None = None
    """How the last request failed; None if it succeeded."""
    latest: tuple[ProviderRequest, ...] = ()
    """The latest that are over."""


@dataclass(frozen=True, slots=True)
class SocketState:
    """Faults of the party at a WebSocket."""

    expected: str
    """The sample encoding that was agreed."""
    sample_rate: int
    second_bytes: int
    """Bytes of one second in the agreed format."""
    looks_like: str = ""
    """The encoding that its audio is in instead (`audio.codec.sample_encoding`); empty while it looks right."""
    dropped_seconds: float = 0.0
    """Of audio for it that was dropped since it reads too slowly."""
    pace: float | None = None
    """Seconds of its audio that arrive per second (`audio.buffer.pace`); None while unknown."""
    pace_seconds: float = 0.0
    """How long it has been sending without a gap."""
    waiting_dbov: float = SILENT
    """Level of the buffered audio, in dBov."""


@dataclass(frozen=True, slots=True)
class StreamCondition:
    """The state of a media stream's connection."""

    twoway: bool = True
    """Whether its server may send audio."""
    asked_at: float | None = None
    """When it began to connect, in monotonic seconds; None once it is connected."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """Messages of its server that were ignored, by reason."""
    function: str = ""
    """The function of its model that has been running longest; empty if none runs."""
    function_at: float = 0.0
    """When that function was called."""
