"""The packets that come just as expected, nearly all of them, taken with the fewest steps.

Most of what a packet costs is code that has gone cold since the one before. So what can wait is
only written down here - statistics, totals, places in the sequence - and made up for by `Incoming`,
for many packets at once, when somebody asks or something unexpected comes.
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
"""So many packets at most are written down before they are made up for."""

_NONE: Final = -1
_TOO_SHORT: Final = (0, -2, 0, 0)  # no packet of any run
_ANY_MARKER: Final = 0xFFFF - MARKER
_RATIO: Final = 3  # from 48 kHz to the bus


class Expected(NamedTuple):
    """What the packets of a run have in common, and what the first one must be."""

    form: int
    """First two bytes of the header, without the marker."""
    ssrc: int
    sequence: int
    timestamp: int
    samples: int
    """Of each packet, at 48 kHz; where frames are wanted it is one frame."""
    place: int
    """Of the first packet on the timeline, at 48 kHz and in whole samples of the bus."""
    timeline: Hashable
    renumbering: int
    """From the peer's numbers to those passed on."""
    packets: int
    """How long the run may get."""


class FastPath:
    """One run of packets after another; anything else goes to `otherwise`, which begins the next.

    Args:
        decoder: Of the source.
        meter: Tells the level of packets that are passed on.
        undecoded: Keeps packets that nobody wants decoded.
        otherwise: Takes every packet that is not the one expected.
        moved: Takes a packet that was expected, when passing it on has ended the run.
        mend: Makes up sound (samples at 48 kHz) for a packet that libopus refused.
    """

    __slots__ = (
        "_decoder",
        "_form",
        "_kept",
        "_mend",
        "_meter",
        "_moved",
        "_next",
        "_octets",
        "_otherwise",
        "_place",
        "_push",
        "_relay",
        "_renumbering",
        "_samples",
        "_ssrc",
        "_stop",
        "_timeline",
        "_timestamp",
        "_undecoded",
        "arrivals",
    )

    def __init__(
        self,
        *,
        decoder: Decoder,
        meter: LevelMeter,
        undecoded: DecoderWarmup,
        otherwise: Callable[[bytes, float], None],
        moved: Callable[[OpusPacket, int, int, float], None],
        mend: Callable[[int], bytes],
    ) -> None:
        self.arrivals: list[float] = []
        """When each packet of the run came that has not been made up for."""
        self._octets = 0
        self._decoder = decoder
        self._meter = meter
        self._undecoded = undecoded
        self._kept = undecoded.kept
        self._otherwise = otherwise
        self._moved = moved
        self._mend = mend
        self._next = self._stop = _NONE
        self._form = self._ssrc = self._timestamp = self._samples = self._place = 0
        self._renumbering = 0
        self._timeline: Hashable = None
        self._push: Push | None = None
        self._relay: Callable[[OpusPacket, float], None] | None = None

    def begin(self, expected: Expected, push: Push | None, relay: Relay | None) -> None:
        """Begin a run: packets go to `relay`, their frames to `push`; at least one is there."""
        self._form, self._ssrc = expected.form, expected.ssrc
        self._next, self._timestamp = expected.sequence, expected.timestamp
        self._stop = (expected.sequence + expected.packets) & 0xFFFF
        self._samples, self._place = expected.samples, expected.place
        self._timeline, self._renumbering = expected.timeline, expected.renumbering
        self._push = push
        self._relay = None if relay is None else relay.__call__

    def end(self) -> None:
        """End the run: the next packet goes to `otherwise`, whatever it is."""
        self._next = _NONE

    def settle(
        self, receiver: ReorderBuffer, reception: ReceptionStatistics, tally: ReceiveCounters
    ) -> int:
        """Make up for what was written down; the run may go on.

        Returns:
            How many packets that were.
        """
        packets, first = len(self.arrivals), receiver.expected()
        if first is None:
            return 0
        receiver.follow_run(packets, self.arrivals[-1])
        reception.count_run(self.arrivals, first[1], self._samples)
        tally.packets += packets
        tally.octets += self._octets
        if self._push is None:
            self._undecoded.kept_run(packets)
        else:
            tally.frames += packets
        self.arrivals.clear()
        self._octets = 0
        return packets

    def receive(self, data: bytes, now: float) -> None:
        """Take an unprotected RTP packet."""
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
            otherwise = self._otherwise
            otherwise(data, now)
            return
        relay, place = self._relay, self._place
        if relay is not None:
            number = (sequence + self._renumbering) & 0xFFFF
            level = self._meter.level_dbov
            packet = OpusPacket(payload, samples, number, place, self._timeline, level)
            relay(packet, now)
            if self._next != sequence:
                self._moved(packet, sequence, timestamp, now)
                return
        self._next = (sequence + 1) & 0xFFFF
        self._timestamp = (timestamp + samples) & 0xFFFF_FFFF
        self._place = place + samples
        self._octets += len(payload)
        self.arrivals.append(now)
        push = self._push
        if push is None:
            self._kept.append(payload)
            return
        try:
            pcm = self._decoder.decode(payload)
        except RemoteProtocolError:
            pcm = self._mend(samples)
        push(Frame(pcm, place // _RATIO, self._timeline), now)
