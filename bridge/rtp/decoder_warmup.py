"""The packets of a peer that nobody wants to hear: kept to warm the decoder, looked at for the meter.

A decoder that has stood still begins with a dip that can be heard for 80 ms. So the last packets
are kept, and decoded unheard the moment frames are wanted again.
"""

from collections import deque
from contextlib import suppress
from typing import Final

from bridge.audio.opus import Decoder
from bridge.errors import RemoteProtocolError
from bridge.rtp.level_meter import LevelMeter
from bridge.wire.audio_level import read_level
from bridge.wire.rtp import RtpPacket

WARMING_PACKETS: Final = 5
"""So many packets make a cold decoder or encoder sound as if it had always run."""

TOLD_EVERY: Final = 25
"""Every so many packets the level that somebody else tells is taken: twice a second."""
_METER_EVERY: Final = 50
"""The last of so many packets is measured where the peer tells no level."""
_METER_PACKETS: Final = 3
"""So many are decoded for it: fewer, and the decoder is too cold to tell the level."""


class DecoderWarmup:
    """What went undecoded since frames were wanted last."""

    __slots__ = ("_count", "_decoder", "_level_id", "_meter", "_told", "kept")

    def __init__(self, decoder: Decoder, meter: LevelMeter) -> None:
        self._decoder = decoder
        self._meter = meter
        self.kept: deque[bytes] = deque(maxlen=WARMING_PACKETS)
        """The newest payloads; what is added here must be told by `kept_run`."""
        self._count = 0
        self._level_id: int | None = None
        self._told = False

    def expect_levels(self, level_id: int | None) -> None:
        """Set the id of the header extension in which the peer tells levels (RFC 6464)."""
        self._level_id = level_id
        self._told = False

    def forget(self) -> None:
        """Begin anew: what comes next does not join on to what was kept."""
        self.kept.clear()
        self._count = 0

    def warm(self) -> bool:
        """Decode what was kept, unheard; False when nothing was."""
        if not self._count:
            return False
        if self._count > WARMING_PACKETS:
            self._decoder.reset()
        for payload in self.kept:
            with suppress(RemoteProtocolError):
                self._decoder.decode(payload)
        self.forget()
        return True

    @property
    def spare(self) -> int:
        """How many of the next packets need nothing but to be kept."""
        place = self._count % _METER_EVERY
        unmeasured = _METER_EVERY if self._told else _METER_EVERY - _METER_PACKETS - place
        if self._level_id is None:
            return max(0, unmeasured)
        return max(0, min(unmeasured, TOLD_EVERY - 1 - self._count % TOLD_EVERY))

    def kept_run(self, packets: int) -> None:
        """Take note of packets that were only kept, no more of them than could be spared."""
        self._count += packets

    def keep(self, payload: bytes, now: float, packet: RtpPacket | None = None) -> None:
        """Keep a packet's payload; its level is the peer's word, or measured now and then.

        Args:
            payload: An Opus packet.
            now: Monotonic seconds.
            packet: What it came in, where that may hold the peer's word.

        Raises:
            RemoteProtocolError: it was decoded for its level, and libopus refused it.
        """
        self.kept.append(payload)
        self._count = count = self._count + 1
        if self._level_id is not None and count % TOLD_EVERY == 0:
            told = None if packet is None else read_level(packet, self._level_id)
            self._told = told is not None
            if told is not None:
                self._meter.note(told, now)
        place = count % _METER_EVERY
        if self._told or 0 < place <= _METER_EVERY - _METER_PACKETS:
            return
        pcm = self._decoder.decode(payload)
        if place == 0:
            self._meter.measure(pcm, now)
