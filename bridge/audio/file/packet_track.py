"""One recorded track of Opus packets: forwarded ones as they came, others from frames; gaps are filled.

Each source's positions are mapped to the time since the track began, at its first packet. Where nothing
is, there are packets that ask the decoder to conceal a loss (RFC 7845 §4.1), or of silence in longer gaps,
because players play packets one after the other, whatever their granule positions say.
"""

import math
from collections import deque
from collections.abc import Hashable, Iterable
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.encoding import Encoding
from bridge.audio.codec.opus import Application, Decoder, EncoderSettings, Opus
from bridge.audio.codec.opus_packet import BUS_RATIO, frame_duration
from bridge.audio.detect.level import QUIET
from bridge.audio.file.ogg import RATE
from bridge.audio.frame import FRAME_SAMPLES, SILENCE, Frame
from bridge.errors import RemoteProtocolError

FRAME: Final = FRAME_SAMPLES * BUS_RATIO
"""20 ms; all durations here are in samples at 48 kHz."""
REORDERING: Final = RATE // 5
"""How long a packet waits for an earlier one."""
STALL: Final = 3 * RATE
"""How long a gap stays open at the end of the track; packets that come later are too late."""
CONCEALED: Final = RATE // 10
"""A longer gap is silence, after a concealment that fades."""
PAUSED: Final = RATE
"""The same after a packet of a sender that pauses (DTX)."""
FADE: Final = 2 * FRAME
BEHIND: Final = 60 * RATE // 1000
AHEAD: Final = 60 * RATE // 1000
FAR_AHEAD: Final = 200 * RATE // 1000
"""How far a source's packets may lie before and after the time they came, as clocks differ."""
LEAP: Final = STALL
"""A delay that changes by more is a source that restarted its clock."""
WINDOW: Final = RATE
"""How long the least delay is taken of."""
STOPPED: Final = RATE // 2
"""After so long without a packet it is taken anew: many may come at once, all of them late."""
WARMUP: Final = 5
ENCODER: Final = EncoderSettings(Application.VOIP, bitrate=32_000, complexity=0)
"""Of frames: more bits than wideband speech needs, so that a low complexity suffices."""

_MIN_FILL: Final = 480
_MAX_DTX: Final = 2
_SILENCES: Final = (
    (FRAME, b"\xf8\xff\xfe"),
    (480, b"\xf0\xff\xfe"),
    (240, b"\xe8\xff\xfe"),
    (120, b"\xe0\xff\xfe"),
)
"""Packets of digital silence (CELT, RFC 6716 §4.3), which need no state of the decoder."""


class PacketItem(NamedTuple):
    """A packet or frame that has its place."""

    position: int
    samples: int
    payload: bytes
    """A packet, or the samples of a frame."""
    is_frame: bool


_position = attrgetter("position")


class PacketTrackSnapshot(msgspec.Struct, frozen=True):
    """A track that goes on elsewhere, whose sources begin anew there."""

    end: int = 0
    late: int = 0
    pending: tuple[PacketItem, ...] = ()
    placed_end: int = 0
    recent: tuple[bytes, ...] = ()
    last: bytes = b""


NEW_TRACK: Final = PacketTrackSnapshot()


class PacketTrack:
    """Puts what a track takes into its order, and fills what is missing."""

    def __init__(self, opus: Opus, before: PacketTrackSnapshot = NEW_TRACK) -> None:
        self._opus = opus
        self.end = before.end
        """Samples of all packets returned."""
        self.late = before.late
        """Packets dropped: duplicates, too late, or ahead of a clock that is too slow."""
        self._pending = list(before.pending)
        self._epoch: Hashable = object()
        self._offset = 0
        self._placed_end = before.placed_end
        self._delay = 0
        self._least = math.inf
        self._measured_from = 0
        self._arrived = 0
        self._encoding: Encoding | None = None
        self._decoder: Decoder | None = None
        self._recent: deque[bytes] = deque(before.recent, maxlen=WARMUP)
        """The latest packets, from which an encoder goes on."""
        self._encoded_end = -1
        """Where the latest frame ended that was encoded."""
        self._last = before.last

    def snapshot(self) -> PacketTrackSnapshot:
        """Return the track as it stands."""
        pending, recent = tuple(self._pending), tuple(self._recent)
        placed, last = self._placed_end, self._last
        return PacketTrackSnapshot(self.end, self.late, pending, placed, recent, last)

    def add(self, taken: Iterable[tuple[float, EncodedPacket | Frame]]) -> None:
        """Place packets and frames, each with the seconds since the track began."""
        for seconds, one in taken:
            arrived = round(seconds * RATE)
            if isinstance(one, Frame):
                position, samples, quiet = one.pts * BUS_RATIO, FRAME, False
                payload = one.pcm
            else:
                position, samples = one.position, one.samples
                payload, quiet = one.payload, one.level_dbov < QUIET
            placed = self._place(one.epoch, position, samples, arrived, quiet=quiet)
            is_frame = isinstance(one, Frame)
            # Silence needs no encoder.
            if placed and not (is_frame and payload == SILENCE):
                self._pending.append(
                    PacketItem(position + self._offset, samples, payload, is_frame)
                )
        if len(self._pending) > 1:
            self._pending.sort(key=_position)

    def until(self, seconds: float) -> list[tuple[bytes, int]]:
        """Return the packets that go on from those before, with their durations.

        The last of them are held back for those that may still come.
        """
        now = round(seconds * RATE)
        ready = [item for item in self._pending if item.position + item.samples <= now - REORDERING]
        del self._pending[: len(ready)]
        packets = self._emit(ready)
        waiting = self._pending[0].position if self._pending else now
        self._fill(min(waiting, now - STALL) - self.end, packets)
        return packets

    def finish(self, length: int) -> list[tuple[bytes, int]]:
        """Return the rest, at least up to `length`."""
        packets = self._emit([item for item in self._pending if item.position < length])
        self._pending.clear()
        missing = length - self.end
        if missing > 0:
            self._fill(missing + -missing % _SILENCES[-1][0], packets, exactly=True)
        return packets

    def _place(
        self, epoch: Hashable, position: int, samples: int, arrived: int, *, quiet: bool
    ) -> bool:
        """Place a packet or frame at `position + self._offset`; False if it is left out."""
        delay = arrived - (position + self._offset)
        if epoch != self._epoch or abs(delay - self._delay) > LEAP:
            self._epoch = epoch
            self._offset = max(arrived, self._placed_end) - position
            delay = arrived - (position + self._offset)
            self._least, self._measured_from = math.inf, arrived
        if arrived - self._arrived > STOPPED:
            self._least, self._measured_from = math.inf, arrived
        self._arrived = arrived
        self._delay = delay
        self._least = min(self._least, delay)
        if arrived - self._measured_from >= WINDOW:
            if self._least > BEHIND:
                self._offset += int(self._least)
                self._delay -= int(self._least)
            self._least, self._measured_from = math.inf, arrived
        elif delay < -FAR_AHEAD or (quiet and delay < -AHEAD):
            self._offset -= samples
            self._delay += samples
            self._least += samples
            self.late += 1
            return False
        self._placed_end = max(self._placed_end, position + self._offset + samples)
        return True

    def _emit(self, items: Iterable[PacketItem]) -> list[tuple[bytes, int]]:
        packets: list[tuple[bytes, int]] = []
        for item in items:
            gap = item.position - self.end
            if gap < -item.samples // 2:
                self.late += 1
                continue
            if gap >= _MIN_FILL:
                self._fill(gap, packets)
            payload = self._encode(item.payload) if item.is_frame else item.payload
            if not item.is_frame:
                self._recent.append(payload)
            self._last = payload
            packets.append((payload, item.samples))
            self.end += item.samples
            if item.is_frame:
                self._encoded_end = self.end
        return packets

    def _fill(self, gap: int, packets: list[tuple[bytes, int]], *, exactly: bool = False) -> None:
        """Fill a gap, to 2.5 ms; a shorter one that is concealed to whole frames, unless `exactly`."""
        if gap < _MIN_FILL and not exactly:
            return
        if self._last:
            limit = PAUSED if len(self._last) <= _MAX_DTX else CONCEALED
            one = frame_duration(self._last)
            count = (gap if gap <= limit else min(FADE, gap)) // one
            lost = bytes((self._last[0] & 0xFC,))
            packets.extend([(lost, one)] * count)
            self.end += count * one
            gap -= count * one
            if gap < _MIN_FILL and not exactly:
                return
            if gap > 0:
                self._last = b""
                self._recent.clear()
        for samples, payload in _SILENCES:
            count = gap // samples if gap > 0 else 0
            packets.extend([(payload, samples)] * count)
            self.end += count * samples
            gap -= count * samples

    def _encode(self, pcm: bytes) -> bytes:
        if self._encoding is None:
            self._encoding = Encoding(self._opus, ENCODER)
        if self._encoded_end != self.end:
            self._encoding.continue_from(self._decoded() or (SILENCE,))
        self._recent.clear()
        return self._encoding.encode(pcm)

    def _decoded(self) -> list[bytes]:
        """Decode the latest packets, so that the encoder continues them without a break."""
        if self._decoder is None:
            self._decoder = Decoder(self._opus)
        self._decoder.reset()
        decoded = []
        for payload in self._recent:
            try:
                decoded.append(self._decoder.decode(payload))
            except RemoteProtocolError:
                continue
        return decoded
