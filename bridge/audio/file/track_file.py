"""What is written to the file of a recorded track: 16 kHz WAV, or Ogg/Opus of packets as they came.

All times are seconds since the track began. `writes` may run in another thread than the rest, but not twice
at once, nor while `collect` or `written` run.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from bridge.audio.codec.codec import OPUS, Codec
from bridge.audio.codec.encoded_packet import EncodedPacket
from bridge.audio.codec.opus import Opus
from bridge.audio.file.formats import WAV
from bridge.audio.file.ogg import PRE_SKIP, RATE, OggWriter
from bridge.audio.file.packet_track import PacketTrack, PacketTrackSnapshot
from bridge.audio.file.track_assembler import MAX_BUFFERED, AssemblerSnapshot, TrackAssembler
from bridge.audio.file.wav import HEADER_BYTES, make_header
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE, Frame

Write: TypeAlias = tuple[int, bytes]
"""An offset in the file, and what to write there."""

_MILLISECOND: Final = RATE // 1000


class WavSnapshot(msgspec.Struct, frozen=True, tag=True):
    """A WAV that goes on elsewhere, with what has yet to be written."""

    track: AssemblerSnapshot = AssemblerSnapshot()
    written_bytes: int = 0
    """Of the audio."""


NEW_WAV: Final = WavSnapshot()


class OggSnapshot(msgspec.Struct, frozen=True, tag=True):
    """The same of an Ogg file."""

    serial: int
    track: PacketTrackSnapshot = PacketTrackSnapshot()
    pages: int = 0
    written_bytes: int = 0
    taken: int = 0


TrackSnapshot: TypeAlias = WavSnapshot | OggSnapshot


class WavFile:
    """Frames of the clock; what it skipped is silence."""

    write_seconds = 0.5
    """How often to write."""
    codec: Codec | None = None
    """Of packets that are taken undecoded; without one, the clock must feed it."""
    dropped = 0
    """Packets dropped: duplicates, too late, or of a source whose clock is ahead."""

    def __init__(self, before: WavSnapshot = NEW_WAV) -> None:
        self._track = TrackAssembler(before.track)
        self._due = b""
        self.audio_bytes = before.written_bytes
        """Bytes of audio that were written."""

    @property
    def overrun(self) -> bool:
        """Whether more came than is kept for a disk that stalls; the track ends there."""
        return self._track.overrun

    @property
    def taken(self) -> int:
        """Frames and packets taken."""
        return self._track.frames

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return self.audio_bytes + HEADER_BYTES

    @property
    def seconds(self) -> float:
        """Duration of the audio that was written."""
        return self.audio_bytes / FRAME_BYTES * FRAME_SECONDS

    def push(self, frame: Frame, at: float, *, silent: bool) -> None:
        """Take a frame, or silence in its place."""
        self._track.push(SILENCE if silent else frame.pcm, at)

    def take(self, packet: EncodedPacket, at: float) -> None:
        """Take no packet: there is no codec."""

    def skip(self, at: float) -> None:
        """Go on at this time: nothing was heard since the file was passed on."""
        self._track.skip(at)

    @property
    def heard_seconds(self) -> float:
        """Until when the track has audio, written or not."""
        return self._track.seconds

    def leap(self, at: float) -> None:
        """Leave a hole in the file up to this time; nothing may be yet to be written."""
        self.audio_bytes += self._track.leap(at) * FRAME_BYTES

    def snapshot(self) -> WavSnapshot:
        """Return the file as it stands, while nothing is being written."""
        return WavSnapshot(self._track.snapshot(), self.audio_bytes)

    def copy(self) -> WavSnapshot:
        """Return what is known of it without asking it what it has; at any time."""
        return WavSnapshot(AssemblerSnapshot(start=self._track.start))

    def collect(self, *, over: bool) -> bool:
        """Set apart what was taken, for `writes`; return whether there is anything to write."""
        if over:
            self._track.fill()
        self._due = self._track.drain()
        return bool(self._due or not self.audio_bytes)

    def writes(self, at: float, *, over: bool) -> Sequence[Write]:
        """Return what to write, with `over` for the last time: samples, then the header that includes them."""
        header = make_header(self.audio_bytes + len(self._due))
        return (self.audio_bytes + len(header), self._due), (0, header)

    def written(self) -> None:
        """Record that it has been written."""
        self.audio_bytes += len(self._due)


class OggFile:
    """Opus packets as they came, and frames that are encoded; as long as the track. The attributes are as `WavFile`'s."""

    write_seconds = 2.0
    codec: Codec | None = OPUS

    def __init__(self, opus: Opus, before: OggSnapshot) -> None:
        """The serial number of a new file is any of 32 bits."""
        self._track = PacketTrack(opus, before.track)
        self._pages = OggWriter(before.serial, before.pages, before.track.end)
        self._taken: list[tuple[float, EncodedPacket | Frame]] = []
        self._due: list[tuple[float, EncodedPacket | Frame]] = []
        self._begun = before.pages > 0
        self._made_bytes = self.audio_bytes = before.written_bytes
        self._made_end = self._end = before.track.end
        self.taken = before.taken
        self.overrun = False

    @property
    def dropped(self) -> int:
        """See `WavFile`."""
        return self._track.late

    @property
    def size_bytes(self) -> int:
        """See `WavFile`."""
        return self.audio_bytes

    @property
    def seconds(self) -> float:
        """See `WavFile`."""
        return max(0, self._end - PRE_SKIP) / RATE

    def push(self, frame: Frame, at: float, *, silent: bool) -> None:
        """Take a frame; in place of one that is silent, the gap is filled."""
        if not silent:
            self._append(frame, at)

    def take(self, packet: EncodedPacket, at: float) -> None:
        """Take a packet."""
        self._append(packet, at)

    def skip(self, at: float) -> None:
        """See `WavFile`; gaps are filled as ever."""

    @property
    def heard_seconds(self) -> float:
        """See `WavFile`."""
        return max(0, self._track.end - PRE_SKIP) / RATE

    def leap(self, at: float) -> None:
        """See `WavFile`; gaps are filled as ever."""

    def copy(self) -> OggSnapshot:
        """See `WavFile`."""
        return OggSnapshot(self._pages.serial, taken=self.taken)

    def snapshot(self) -> OggSnapshot:
        """See `WavFile`."""
        self._track.add(self._taken)
        self._taken = []
        track, pages = self._track.snapshot(), self._pages
        return OggSnapshot(pages.serial, track, pages.made, self.audio_bytes, self.taken)

    def collect(self, *, over: bool) -> bool:
        """Set apart what was taken."""
        self._due, self._taken = self._taken, []
        return True

    def writes(self, at: float, *, over: bool) -> Sequence[Write]:
        """Return the pages that follow."""
        self._track.add(self._due)
        self._due = []
        head = b"" if self._begun else self._pages.head()
        self._begun = True
        if over:
            end = round(at * 1000) * _MILLISECOND + PRE_SKIP
            pages = self._pages.pages(self._track.finish(end), end=end)
            self._made_end = end
        else:
            pages = self._pages.pages(self._track.until(at))
            self._made_end = self._pages.granule
        start = self._made_bytes
        self._made_bytes += len(head) + len(pages)
        return ((start, head + pages),)

    def written(self) -> None:
        """Record that they have been written."""
        self.audio_bytes, self._end = self._made_bytes, self._made_end

    def _append(self, one: EncodedPacket | Frame, at: float) -> None:
        if len(self._taken) >= MAX_BUFFERED:
            self.overrun = True
        if not self.overrun:
            self._taken.append((at, one))
            self.taken += 1


TrackFile: TypeAlias = WavFile | OggFile


def new_track_file(form: str, opus: Opus, serial: int) -> TrackFile:
    """Make the file of a track in a format of `RECORDED`; `serial` is any 32-bit number."""
    return restored(WavSnapshot() if form == WAV else OggSnapshot(serial), opus)


def restored(before: TrackSnapshot, opus: Opus) -> TrackFile:
    """Go on with the file of a track that another process has passed on."""
    return WavFile(before) if isinstance(before, WavSnapshot) else OggFile(opus, before)
