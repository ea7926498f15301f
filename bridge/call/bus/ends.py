"""The two ends of a leg's media path, as the bus sees them.

A source either pushes frames as they arrive or is pulled by the clock; a leg that says nothing has
none, and a leg that hears nothing has no sink.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from bridge.audio.codec.codec import Codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.frame import Frame, Push

Take: TypeAlias = Callable[[EncodedPacket, float], bool]
"""`PacketSink.take`."""


class Takers(NamedTuple):
    """The sinks of a forwarder, while packets do nothing but pass to them."""

    sink: Take | None
    """Takes each packet when it comes; None if only taps do."""
    taps: tuple[Take, ...]
    """Take every packet, possibly late, but then with the time at which it came."""


class FanOut:
    """Pushes the frames of one source to several takers."""

    __slots__ = ("_all", "late", "sinks")

    def __init__(self, sinks: Sequence[Push], late: Push | None) -> None:
        self.sinks = sinks
        """Take each frame when it comes."""
        self.late = late
        """Takes every frame, possibly late, but then with the time at which it came (`TimedSource.flush`)."""
        self._all = tuple(sinks) if late is None else (*sinks, late)

    def __call__(self, frame: Frame, now: float) -> None:
        """Push a frame to all."""
        for take in self._all:
            take(frame, now)


class Forwarder(Protocol):
    """Where a source sends its packets undecoded."""

    def __call__(self, packet: EncodedPacket, now: float) -> None:
        """Pass a packet on; may call the source's `attach`, when frames are needed from now on."""

    @property
    def loss_ratio(self) -> float:
        """The greatest share of packets that a receiver of the forwarder reports lost, 0 to 1."""

    @property
    def takers(self) -> Takers | None:
        """Who takes the packets; None if several sinks are no taps, or while any of them takes frames."""


@runtime_checkable
class TimedSource(Protocol):
    """Pushes frames as they arrive, with the timing of RTP."""

    @property
    def passthrough_codec(self) -> Codec | None:
        """The codec of packets that can also be passed on undecoded; None if none can."""

    def attach(self, push: Push | None, forward: Forwarder | None = None) -> None:
        """Set where audio goes as it arrives.

        Args:
            push: takes each frame; None: nobody wants frames.
            forward: takes each packet, before `push` takes its frames; None without a `passthrough_codec`.
        """

    def flush(self) -> None:
        """Deliver what has come to taps that take it late; `attach` does that too, before anything else."""


class PulledSource(Protocol):
    """Asked for a frame by the clock."""

    def pull(self) -> bytes | None:
        """Return the next 640 bytes, called once every 20 ms; None is silence."""


Source: TypeAlias = TimedSource | PulledSource


class Sink(Protocol):
    """Takes the frames that one party hears."""

    @property
    def always_clocked(self) -> bool:
        """Whether the clock must feed the sink even when it hears one source only."""

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame; never waits, never raises."""


@runtime_checkable
class PacketSink(Protocol):
    """A sink that also takes packets undecoded."""

    @property
    def passthrough_codec(self) -> Codec | None:
        """The codec of packets that it takes; None if it takes none."""

    def take(self, packet: EncodedPacket, now: float) -> bool:
        """Take a packet; False when it does not fit and its frames are needed instead."""

    @property
    def loss_ratio(self) -> float:
        """The share of packets that the leg's peer reports lost, 0 to 1."""
