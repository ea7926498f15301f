"""The two ends of the audio road, each with frames or with packets: what joins a bus is of these."""

from typing import Protocol

from bridge.audio.frame import Frame, Push
from bridge.audio.opus_packet import OpusPacket


class Relay(Protocol):
    """Where a source sends its packets undecoded."""

    def __call__(self, packet: OpusPacket, now: float) -> None:
        """Pass a packet on; may call the source's `attach`, when frames are needed from now on."""
        ...

    @property
    def loss_ratio(self) -> float:
        """The greatest share of packets that a far end of the relay reports lost, 0 to 1."""
        ...


class Source(Protocol):
    """Gives frames: what one party says."""

    @property
    def timed(self) -> bool:
        """Whether frames come by themselves, with the timing of RTP; else the clock pulls them."""
        ...

    @property
    def relays(self) -> bool:
        """Whether a timed source can send its packets undecoded."""
        ...

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Set where a timed source sends what arrives.

        Args:
            push: takes each frame; None: nobody wants frames.
            relay: takes each packet, before `push` takes its frames; None unless `relays`.
        """
        ...

    def pull(self) -> bytes | None:
        """Give the next 640 bytes of an untimed source, called once every 20 ms; None is silence."""
        ...


class PacketSink(Protocol):
    """Takes packets as they are."""

    def take(self, packet: OpusPacket, now: float) -> bool:
        """Take a packet; False when it does not fit and its frames are needed instead."""
        ...

    @property
    def loss_ratio(self) -> float:
        """The share of packets that the far end reports lost, 0 to 1."""
        ...


class Sink(Protocol):
    """Takes frames: what one party hears."""

    @property
    def steady(self) -> bool:
        """Whether the sink must be fed by the clock even when it hears one source only."""
        ...

    @property
    def packets(self) -> PacketSink | None:
        """Takes packets in place of frames; None when the sink cannot."""
        ...

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame; never waits, never raises."""
        ...
