"""What the peers of a node share."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.codec.opus import Opus
from bridge.rtc import trace
from bridge.rtc.limits import CheckBudget
from bridge.rtc.packet_path import PacketPath
from bridge.rtc.ports import PortPool
from bridge.rtp.config import SessionConfig
from bridge.wire.rtp.stream import StreamStart
from bridge.wire.rtp.used_numbers import Ledger
from bridge.wire.sdp.description import RemoteAudio
from bridge.wire.sdp.dialect import BROWSER, SdpDialect


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a connection, in seconds of `clock`."""

    ice: float = 15.0
    dtls: float = 10.0
    setup: float = 20.0
    """ICE and DTLS together."""
    peer_timeout: float = 15.0
    """Without anything authenticated for this long, the peer is gone."""
    consent: tuple[float, float] = (4.0, 6.0)
    """Minimum and maximum interval between consent checks."""
    linger: float = 0.5
    """How long a connection still receives after an ICE restart has replaced it."""
    clock: Callable[[], float] = time.monotonic
    """Exact, where the loop's own time may be rounded to milliseconds."""


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """What all peers of a node, or all of one dialect, share."""

    bind: tuple[str, ...]
    """Addresses to receive media on; each leg has a socket on each."""
    ports: PortPool
    external_address: str = ""
    """Advertised in place of the bound address of the same IP version."""
    probe_private: bool = False
    """Whether to send checks to offered candidates that are not public, and to all of them before the
    peer has sent one."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    passthrough: bool = True
    """Whether packets may pass undecoded between two peers."""
    unverified_checks: CheckBudget = field(default_factory=CheckBudget)
    """Limits the STUN checks from unverified addresses."""
    encoder_budget: EncoderBudget = field(default_factory=EncoderBudget)
    """Limits the cost of encoding."""
    packet_path: PacketPath | None = None
    """The compiled packet path; None: packets take the Python path."""
    dialect: SdpDialect = BROWSER
    ledger: Ledger | None = None
    """As that of their sessions."""

    def session_config(self, opus: Opus, *, continuous: bool) -> SessionConfig:
        """Return how the sessions of these peers encode and send; `continuous` as there."""
        budget = self.encoder_budget
        return SessionConfig(
            opus,
            budget,
            passthrough=self.passthrough,
            continuous=continuous,
            on_encoder=lambda chosen: trace.encoder_chosen(chosen, budget.level),
            ledger=self.ledger,
        )


class Reload(NamedTuple):
    """A reloaded page whose transport is not up yet."""

    offer: RemoteAudio
    start: StreamStart


def new_start() -> StreamStart:
    """Return random first numbers of a stream (RFC 3550 §5.1)."""
    return StreamStart(
        ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32)
    )
