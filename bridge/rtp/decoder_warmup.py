"""The newest packets of a source that is not being decoded, kept to warm the decoder.

A decoder that resumes after a pause starts with a dip that is audible for 80 ms. The packets kept
here are decoded and discarded when frames are wanted again, and now and then to measure the level.
"""

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from bridge.audio.codec.coders import AudioDecoder
from bridge.audio.detect.level import LEVEL_EVERY
from bridge.errors import RemoteProtocolError
from bridge.rtp.level_meter import LevelMeter
from bridge.rtp.offload import SourceState
from bridge.wire.rtp.packet import RtpPacket, read_level

WARMUP_PACKETS: Final = 5
"""Enough that a cold decoder or encoder sounds as if it had always run."""

REPORTED_EVERY: Final = LEVEL_EVERY
"""Packets between two readings of a reported level."""
_MEASURED_EVERY: Final = 43
"""Packets between two measurements when the peer reports no level."""
_MEASURE_PACKETS: Final = 3
"""Packets decoded for a measurement; with fewer the cold decoder distorts it."""


def decode_warmup(decoder: AudioDecoder, payloads: Iterable[bytes]) -> list[bytes]:
    """Decode payloads for the state that they leave; those that the decoder refuses are left out."""
    decoded = []
    for payload in payloads:
        with suppress(RemoteProtocolError):
            decoded.append(decoder.decode(payload))
    return decoded


class DecoderWarmup:
    """What went undecoded since frames were last wanted."""

    __slots__ = ("_count", "_decoder", "_level_id", "_meter", "_reported", "kept")

    def __init__(self, decoder: AudioDecoder, meter: LevelMeter) -> None:
        self._decoder = decoder
        self._meter = meter
        self.kept: deque[bytes] = deque(maxlen=WARMUP_PACKETS)
        """The newest payloads; code that appends directly must call `count_kept`."""
        self._count = 0
        self._level_id: int | None = None
        self._reported = False

    def switch_to(self, decoder: AudioDecoder) -> None:
        """Drop what was kept: other payloads follow, for another decoder."""
        self._decoder = decoder
        self.clear()

    def set_level_extension(self, level_id: int | None) -> None:
        """Set the id of the header extension with the peer's levels (RFC 6464)."""
        self._level_id = level_id
        self._reported = False

    def clear(self) -> None:
        """Drop what was kept: the next packet does not continue it."""
        self.kept.clear()
        self._count = 0

    def warm(self) -> bool:
        """Decode what was kept, discarding the audio; return False if there was nothing."""
        if not self._count:
            return False
        if self._count > WARMUP_PACKETS:
            self._decoder.reset()
        decode_warmup(self._decoder, self.kept)
        self.clear()
        return True

    @property
    def spare(self) -> int:
        """How many of the next packets only need to be kept."""
        phase = self._count % _MEASURED_EVERY
        unmeasured = (
            _MEASURED_EVERY if self._reported else _MEASURED_EVERY - _MEASURE_PACKETS - phase
        )
        if self._level_id is None:
            return max(0, unmeasured)
        return max(0, min(unmeasured, REPORTED_EVERY - 1 - self._count % REPORTED_EVERY))

    def export_state(self, state: SourceState) -> None:
        """Copy what each payload that is kept changes to an offload."""
        state.level_id = -1 if self._level_id is None else self._level_id
        state.reported, state.warmup_count = self._reported, self._count

    def import_state(self, state: SourceState) -> None:
        """Copy it back; the payloads are appended to `kept` when the offload ends."""
        self._reported, self._count = bool(state.reported), state.warmup_count

    def count_kept(self, packets: int) -> None:
        """Count packets that were appended to `kept`, at most `spare`."""
        self._count += packets

    def keep(self, payload: bytes, now: float, packet: RtpPacket | None = None) -> None:
        """Keep a payload, and measure its level, or read it from `packet`, when it is time to.

        Raises:
            RemoteProtocolError: The decoder refused it when it was decoded for its level.
        """
        self.kept.append(payload)
        self._count = count = self._count + 1
        if self._level_id is not None and count % REPORTED_EVERY == 0:
            reported = None if packet is None else read_level(packet, self._level_id)
            self._reported = reported is not None
            if reported is not None:
                self._meter.record(reported, now)
        phase = count % _MEASURED_EVERY
        if self._reported or 0 < phase <= _MEASURED_EVERY - _MEASURE_PACKETS:
            return
        pcm = self._decoder.decode(payload)
        if phase == 0:
            self._meter.measure(pcm, now)
