"""One leg on the bus, and the forwarder of its packets to others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.audio.buffer.backlog import FrameBacklog
from bridge.audio.buffer.playout import Playout
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.detect.level import QUIET
from bridge.audio.ducking import Ducking
from bridge.audio.frame import Push
from bridge.call.bus.ends import FanOut, PacketSink, Takers, TimedSource
from bridge.call.model import DeliveryPath, LegId

RETURN_SECONDS: Final = 5.0
"""For how long a sink must have needed no frames before packets are forwarded to it again."""
PAUSE_SECONDS: Final = 2.0
"""How much longer to wait for a pause of speech."""

_PASSTHROUGH: Final = DeliveryPath.PASSTHROUGH  # bound once: compared for every packet


@dataclass(slots=True, eq=False)
class BusParty:
    """One leg on the bus; what its ends can do is looked up once, when it joins."""

    timed: TimedSource | None
    pull: Callable[[], bytes | None] | None
    push: Push | None
    packets: PacketSink | None
    always_clocked: bool
    batched: bool
    """Whether the sink can be served by `catch_up`, and be a tap of packets (`call.bus.ends.Takers`)."""
    ducking_gain: float
    """Applied to voices beside the source."""
    duckable: bool
    """Whether the source is such a voice."""
    hears: tuple[LegId, ...] = ()
    path: DeliveryPath = DeliveryPath.PCM
    passthrough_at: float = -math.inf
    """When packets may be forwarded to the sink again."""
    epoch: int = 0
    """Counts the sink's times on the clock, each of which is a media epoch of its own."""
    playout: Playout | None = None
    """The source's buffer, while a clocked sink hears it."""
    backlog: FrameBacklog = field(default_factory=FrameBacklog)
    """Frames for the buffer, while the bus is batched."""
    ducking: Ducking | None = None
    """The gain of voices for the sink, while it may be below 1."""

    @property
    def clocked(self) -> bool:
        """Whether the sink is served by `tick`."""
        return self.path is DeliveryPath.CLOCK

    @property
    def takes_late(self) -> bool:
        """Whether the sink takes single frames with their arrival times, but in batches."""
        return self.batched and bool(self.hears) and self.path is DeliveryPath.PCM


class PacketForwarder:
    """Passes one source's packets on, and switches sinks between packets and frames."""

    __slots__ = ("_packets", "_sinks", "_switched")

    def __init__(self, parties: list[BusParty], switched: Callable[[], None]) -> None:
        self._packets = [(party, party.packets) for party in parties if party.packets is not None]
        # Bound once: called for every packet.
        self._sinks = [(party, packets.take) for party, packets in self._packets]
        self._switched = switched

    def __call__(self, packet: EncodedPacket, now: float) -> None:
        """Pass a packet on (`call.bus.ends.Forwarder`)."""
        switched = False
        for party, take in self._sinks:
            forwarded = party.path is _PASSTHROUGH
            if not forwarded and (party.passthrough_at > now or self._speaks(packet, party, now)):
                continue
            taken = take(packet, now)
            if not taken:
                party.passthrough_at = now + RETURN_SECONDS
            if taken is not forwarded:
                party.path = DeliveryPath.PASSTHROUGH if taken else DeliveryPath.PCM
                switched = True
        if switched:
            self._switched()

    @staticmethod
    def _speaks(packet: EncodedPacket, party: BusParty, now: float) -> bool:
        """Whether to wait for a pause before packets are forwarded again."""
        return packet.level_dbov >= QUIET and now < party.passthrough_at + PAUSE_SECONDS

    @property
    def loss_ratio(self) -> float:
        """The greatest loss that a sink served by the forwarder reports, 0 to 1."""
        forwarded = [
            packets for party, packets in self._packets if party.path is DeliveryPath.PASSTHROUGH
        ]
        return max((packets.loss_ratio for packets in forwarded), default=0.0)

    @property
    def takers(self) -> Takers | None:
        """Who takes the packets (`call.bus.ends.Forwarder`)."""
        sinks = [take for party, take in self._sinks if not party.batched]
        if len(sinks) > 1 or any(party.path is not _PASSTHROUGH for party, _ in self._sinks):
            return None
        taps = tuple(take for party, take in self._sinks if party.batched)
        return Takers(sinks[0] if sinks else None, taps)


def fan_out(sinks: Sequence[Push], late: Sequence[Push]) -> Push | None:
    """Return a push to all of them, to `late` in batches; None if there are none."""
    if not late and len(sinks) <= 1:
        return sinks[0] if sinks else None
    return FanOut(sinks, late[0] if len(late) == 1 else FanOut(late, None) if late else None)
