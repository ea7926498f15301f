"""Leases: what continues a stream can be processed by a compiled packet path instead of this package.

A receiver leases its source, a sender its sink. The state of a leased stream is copied to the lease and is stale
here until it is settled (copied back; the lease goes on) or released (the lease ends). Everything but the
expected packet comes back to the session untouched, which releases what it concerns and goes on from there. So a
lease changes when something is computed, but not what.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bridge.audio.detect.echo import Run
from bridge.audio.frame import Push
from bridge.call.bus.ends import Take
from bridge.wire.rtp.reception import ReceptionState
from bridge.wire.rtp.stream import StreamState


class SinkMode(IntEnum):
    """What a sink is leased for."""

    IDLE = 0
    FRAMES = 1
    """To encode and send."""
    PACKETS = 2
    """To relay."""


class MeterState(Protocol):
    """Fields of a `LevelMeter`."""

    level_dbov: float
    silent_seconds: float
    quiet_since: float
    """NaN while it is not quiet."""
    levels: int
    quiet: int
    measured: int
    clipped: int


class SinkState(StreamState, Protocol):
    """Fields of an `OutgoingStream` and its `RtpSender`."""

    relayed_packets: int
    max_samples: int
    steady: int
    covered: float
    generation: int
    """Raised with every lease."""

    @property
    def meter(self) -> MeterState:
        """Of what is sent."""


class SourceState(ReceptionState, Protocol):
    """Fields of a `FastPath` and of what its `settle` writes to."""

    form: int
    ssrc: int
    sequence: int
    timestamp: int
    samples: int
    ticks: int
    position: int
    renumbering: int
    level_id: int
    reported: int
    warmup_count: int
    recorded: int
    """Packets that have not been settled."""
    octets: int
    frames: int
    concealed_samples: int
    refused: int
    unmeasured: int

    @property
    def meter(self) -> MeterState:
        """Of what is received."""


class SinkLease(Protocol):
    """The sink of one association; `begin` after its state has been filled in."""

    @property
    def state(self) -> SinkState:
        """What is sent next, and what has been."""

    @property
    def mode(self) -> SinkMode:
        """What it is leased for."""

    def begin(self, mode: SinkMode, encoder: object) -> None:
        """Begin a lease; `encoder` is the handle of libopus' encoder, for frames."""

    def push(self, pcm: bytes, pts: int, now: float) -> bool:
        """Encode and send a frame; False, with nothing changed, unless it continues the stream."""

    def take_sizes(self) -> Run:
        """Return the packets relayed since this was last called, with their times."""

    def kept(self) -> list[bytes]:
        """Return the newest frames or payloads of the lease, which warm up a coder."""

    def end(self) -> None:
        """End the lease; safe to repeat."""


class Outputs(NamedTuple):
    """What is done with the packets of a leased source."""

    relay: SinkLease | None = None
    """Relays them."""
    push: SinkLease | None = None
    """Sends their frames."""
    taps: tuple[Take, ...] = ()
    """Take copies of them, later."""
    take_frame: Push | None = None
    """Takes their frames."""


class SourceLease(Protocol):
    """The source of one association; `begin` after its state has been filled in."""

    @property
    def state(self) -> SourceState:
        """What is expected next, and what came."""

    @property
    def active(self) -> bool:
        """Whether it is leased."""

    def begin(self, outputs: Outputs, *, decoder: object, timeline: object) -> None:
        """Begin a lease; `decoder` is the handle of libopus' decoder."""

    def deliver_copies(self) -> None:
        """Deliver to the taps the packets of which `take_sizes` would return the sizes."""

    def take_sizes(self) -> Run:
        """Return the packets that came since this was last called, with their times; at least one."""

    def kept(self) -> list[bytes]:
        """Return the newest payloads of the lease that were not decoded."""

    def end(self) -> None:
        """End the lease; safe to repeat."""


class Leases(Protocol):
    """The two leases of one association."""

    @property
    def source(self) -> SourceLease:
        """Of what it receives."""

    @property
    def sink(self) -> SinkLease:
        """Of what it sends."""


@runtime_checkable
class Leasable(Protocol):
    """A sender whose stream can be leased; the owner of the methods `push` and `take`."""

    @property
    def leasable(self) -> bool:
        """Whether `lease` can succeed once the stream continues what it is asked for."""

    def lease(self, mode: SinkMode, timeline: object) -> SinkLease | None:
        """Lease the stream for what continues it on this timeline; None while that is not possible."""


def leasable_owner(taker: Callable[..., Any] | None) -> Leasable | None:
    """Return the sender that a bound method belongs to, if its stream can be leased."""
    owner = getattr(taker, "__self__", None)
    return owner if isinstance(owner, Leasable) and owner.leasable else None
