"""A short path for packets that arrive exactly as expected, which is nearly all of them.

Most of a packet's cost is code that has left the caches since the one before. So statistics, totals
and reorder state are not updated per packet: only arrival times are recorded, and `settle` accounts
for many packets at once when somebody asks or something unexpected arrives.
"""

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from bridge.audio.frame import Frame, Push
from bridge.audio.opus import Decoder
from bridge.audio.opus_packet import DURATIONS, OpusPacket
from bridge.audio.reorder import ReorderBuffer
from bridge.call.ends import Relay
from bridge.errors import RemoteProtocolError
from bridge.rtp.counters import ReceiveCounters
from bridge.rtp.decoder_warmup import DecoderWarmup
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.reception import ReceptionStatistics
from bridge.wire.rtp import EXTENDED, HEADER_BYTES, MARKER, after_extension, read_form

MAX_RUN: Final = 64
"""Most packets recorded before they are settled."""

_NO_SEQUENCE: Final = -1
_TOO_SHORT: Final = (0, -2, 0, 0)  # matches no run
_ANY_MARKER: Final = 0xFFFF - MARKER
_RATIO: Final = 3  # from 48 kHz to the bus


class Expected(NamedTuple):
    """What the packets of a run have in common, and the values of the first one."""

    form: int
    """First two bytes of the header, without the marker."""
    ssrc: int
    sequence: int
    timestamp: int
    samples: int
    """Of each packet, at 48 kHz; where frames are wanted, one frame."""
    position: int
    """On the timeline, at 48 kHz and in whole samples of the bus."""
    timeline: Hashable
    renumbering: int
    """Added to the peer's sequence numbers when relaying."""
    packets: int
    """Most packets of the run."""


class FastPath:
    """One run of packets after another; all others go to `slow_path`, which begins the next run.

    Args:
        decoder: Of the source.
        meter: Has the level of relayed packets.
        warmup: Keeps packets that are not decoded.
        slow_path: Takes every packet that is not the expected one.
        interrupted: Takes an expected packet when relaying it has ended the run.
        conceal: Returns audio (of so many samples at 48 kHz) for a packet that libopus refused.
    """

    __slots__ = (
        "_conceal",
        "_decoder",
        "_form",
        "_interrupted",
        "_kept",
        "_meter",
        "_next",
        "_octets",
        "_position",
        "_push",
        "_relay",
        "_renumbering",
        "_samples",
        "_slow_path",
        "_ssrc",
        "_stop",
        "_timeline",
        "_timestamp",
        "_warmup",
        "arrivals",
    )

    def __init__(
        self,
        *,
        decoder: Decoder,
        meter: LevelMeter,
        warmup: DecoderWarmup,
        slow_path: Callable[[bytes, float], None],
        interrupted: Callable[[OpusPacket, int, int, float], None],
        conceal: Callable[[int], bytes],
    ) -> None:
        self.arrivals: list[float] = []
        """When each packet came that has not been settled."""
        self._octets = 0
        self._decoder = decoder
        self._meter = meter
        self._warmup = warmup
        self._kept = warmup.kept
        self._slow_path = slow_path
        self._interrupted = interrupted
        self._conceal = conceal
        self._next = self._stop = _NO_SEQUENCE
        self._form = self._ssrc = self._timestamp = self._samples = self._position = 0
        self._renumbering = 0
        self._timeline: Hashable = None
        self._push: Push | None = None
        self._relay: Callable[[OpusPacket, float], None] | None = None

    def begin(self, expected: Expected, push: Push | None, relay: Relay | None) -> None:
        """Begin a run: packets go to `relay`, their frames to `push`; at least one is not None."""
        self._form, self._ssrc = expected.form, expected.ssrc
        self._next, self._timestamp = expected.sequence, expected.timestamp
        self._stop = (expected.sequence + expected.packets) & 0xFFFF
        self._samples, self._position = expected.samples, expected.position
        self._timeline, self._renumbering = expected.timeline, expected.renumbering
        self._push = push
        self._relay = None if relay is None else relay.__call__

    def end(self) -> None:
        """End the run: the next packet takes the slow path, whatever it is."""
        self._next = _NO_SEQUENCE

    def settle(
        self, reorder: ReorderBuffer, reception: ReceptionStatistics, counters: ReceiveCounters
    ) -> int:
        """Account for the recorded packets and return how many they were; the run may go on."""
        packets, first = len(self.arrivals), reorder.expected()
        if first is None:
            return 0
        reorder.follow_run(packets, self.arrivals[-1])
        reception.count_run(self.arrivals, first[1], self._samples)
        counters.packets += packets
        counters.octets += self._octets
        if self._push is None:
            self._warmup.count_kept(packets)
        else:
            counters.frames += packets
        self.arrivals.clear()
        self._octets = 0
        return packets

    def receive(self, data: bytes, now: float) -> None:
        """Process an unprotected RTP packet."""
        form, sequence, timestamp, ssrc = (
            read_form(data) if len(data) > HEADER_BYTES else _TOO_SHORT
        )
        samples = self._samples
        if (
            sequence != self._next
            or timestamp != self._timestamp
            or ssrc != self._ssrc
            or form & _ANY_MARKER != self._form
            or sequence == self._stop
            or not (payload := data[after_extension(data) if form & EXTENDED else HEADER_BYTES :])
            or DURATIONS[payload[0]] != samples
        ):
            slow_path = self._slow_path
            slow_path(data, now)
            return
        relay, position = self._relay, self._position
        if relay is not None:
            number = (sequence + self._renumbering) & 0xFFFF
            level = self._meter.level_dbov
            packet = OpusPacket(payload, samples, number, position, self._timeline, level)
            relay(packet, now)
            if self._next != sequence:
                self._interrupted(packet, sequence, timestamp, now)
                return
        self._next = (sequence + 1) & 0xFFFF
        self._timestamp = (timestamp + samples) & 0xFFFF_FFFF
        self._position = position + samples
        self._octets += len(payload)
        self.arrivals.append(now)
        push = self._push
        if push is None:
            self._kept.append(payload)
            return
        try:
            pcm = self._decoder.decode(payload)
        except RemoteProtocolError:
            pcm = self._conceal(samples)
        push(Frame(pcm, position // _RATIO, self._timeline), now)
