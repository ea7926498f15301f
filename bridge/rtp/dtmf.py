"""Sending DTMF as telephone-events, one packet every 20 ms (RFC 4733)."""

from collections import deque
from collections.abc import Mapping
from typing import Final

from bridge.wire.rtp.packet import CLOCK_RATE
from bridge.wire.rtp.stream import OutgoingStream
from bridge.wire.rtp.telephone_event import (
    DIGIT_SECONDS,
    DIGITS,
    GAP_SECONDS,
    PACKET_SECONDS,
    DigitPacket,
    digit_packets,
)
from bridge.wire.snapshot.session import DtmfSnapshot

MAX_QUEUED: Final = 64

_TICKS_PER_DIGIT: Final = round((DIGIT_SECONDS + GAP_SECONDS) / PACKET_SECONDS)
# Ticks closer together than this are one.
_MIN_TICK: Final = PACKET_SECONDS / 2


class DtmfSender:
    """A bounded queue of digits, and the packets of the digit being sent."""

    __slots__ = ("_clock_rate", "_last", "_packets", "_payload_type", "_queue", "_ticks", "pending")

    def __init__(self) -> None:
        self._queue: deque[str] = deque()
        self._packets: deque[DigitPacket] = deque()
        self._ticks = 0
        self._last = float("-inf")
        self._payload_type = -1
        self._clock_rate = CLOCK_RATE
        self.pending = False
        """Whether a digit is being sent or queued; `next_packet` must then be called every 20 ms."""

    def renegotiate(
        self, telephone_events: Mapping[int, int], audio_rate: int = CLOCK_RATE
    ) -> None:
        """Set the payload types that the peer accepts, with their clock rates.

        The clock of the audio, `audio_rate`, is preferred. If there are none, queued digits are dropped.
        """
        self._payload_type = -1
        for payload_type, clock_rate in telephone_events.items():
            if self._payload_type < 0 or clock_rate == audio_rate:
                self._payload_type, self._clock_rate = payload_type, clock_rate
        if self._payload_type < 0:
            self._queue.clear()
            self._packets.clear()
            self._ticks = 0
            self.pending = False

    def add(self, digits: str) -> bool:
        """Queue digits (0-9, *, #, A-D), ignoring other characters.

        Each takes 160 ms, during which no audio is sent.

        Returns:
            False, with nothing queued, when the peer accepts no digits or the queue would exceed
            `MAX_QUEUED`.
        """
        wanted = [digit for digit in digits.upper() if digit in DIGITS]
        if self._payload_type < 0 or len(self._queue) + len(wanted) > MAX_QUEUED:
            return False
        self._queue.extend(wanted)
        self.pending = self._ticks > 0 or bool(self._queue)
        return True

    def snapshot(self) -> DtmfSnapshot:
        """Return the digits that are not sent yet."""
        return DtmfSnapshot(
            queue="".join(self._queue),
            packets=[*self._packets],
            ticks=self._ticks,
            last=self._last,
        )

    def restore(self, snapshot: DtmfSnapshot) -> None:
        """Go on with another's digits, if the peer accepts any."""
        if self._payload_type >= 0:
            self._queue.extend(snapshot.queue)
            self._packets.extend(snapshot.packets)
            self._ticks, self._last = snapshot.ticks, snapshot.last
            self.pending = self._ticks > 0 or bool(self._queue)

    def next_packet(self, stream: OutgoingStream, now: float) -> bytes | None:
        """Return the packet to send now; None between digits and when called too early."""
        if now - self._last < _MIN_TICK:
            return None
        if self._ticks == 0:
            if not self._queue:
                return None
            digit = self._queue.popleft()
            self._packets.extend(digit_packets(digit, clock_rate=self._clock_rate))
            self._ticks = _TICKS_PER_DIGIT
        self._last = now
        self._ticks -= 1
        self.pending = self._ticks > 0 or bool(self._queue)
        if not self._packets:
            return None
        packet = self._packets.popleft()
        header = stream.stamp_event(
            self._payload_type, begin=packet.begin, samples=packet.samples, now=now
        )
        if header is None:
            return None
        stream.count_payload(len(packet.payload))
        return header + packet.payload
