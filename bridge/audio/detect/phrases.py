"""Splits the audio of one party at its pauses, so that each phrase can be transcribed by itself."""

from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.audio.detect.vad import Vad
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS

PAUSE_SECONDS: Final = 0.7
"""Silence that ends a phrase."""
MARGIN_SECONDS: Final = 0.3
"""Audio before the first and after the last loud frame that belongs to a phrase."""
MIN_LOUD_SECONDS: Final = 0.1
"""Shorter noises are no phrase."""
_PAUSE: Final = round(PAUSE_SECONDS / FRAME_SECONDS)
_MARGIN: Final = round(MARGIN_SECONDS / FRAME_SECONDS)
_MIN_LOUD: Final = round(MIN_LOUD_SECONDS / FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class SpokenPhrase:
    """The audio of a phrase, 16 kHz mono."""

    start: float
    """Seconds since the beginning of the audio."""
    pcm: bytes

    @property
    def end(self) -> float:
        """Seconds since the beginning of the audio."""
        return self.start + len(self.pcm) / FRAME_BYTES * FRAME_SECONDS


class SplitterSnapshot(msgspec.Struct, frozen=True):
    """A track that goes on elsewhere."""

    frames: bytes = b""
    loud: int = 0
    quiet: int = 0
    count: int = 0


NEW_TRACK: Final = SplitterSnapshot()


class PhraseSplitter:
    """Finds the phrases of one track."""

    def __init__(self, *, max_seconds: float, before: SplitterSnapshot = NEW_TRACK) -> None:
        """A phrase that is longer than `max_seconds` is cut."""
        self._max_frames = max(_PAUSE + _MARGIN, round(max_seconds / FRAME_SECONDS))
        self._vad = Vad()
        starts = range(0, len(before.frames), FRAME_BYTES)
        self._frames = [before.frames[start : start + FRAME_BYTES] for start in starts]
        """Of the current phrase, or the last ones before the next."""
        self._loud = before.loud
        self._quiet = before.quiet
        """Frames since the last loud one."""
        self._count = before.count

    def snapshot(self) -> SplitterSnapshot:
        """Return the track as it stands, with its current phrase."""
        return SplitterSnapshot(b"".join(self._frames), self._loud, self._quiet, self._count)

    def push(self, pcm: bytes) -> list[SpokenPhrase]:
        """Process whole frames; return the phrases that end in them."""
        starts = range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
        ended = (self._push(pcm[start : start + FRAME_BYTES]) for start in starts)
        return [phrase for phrase in ended if phrase is not None]

    def flush(self) -> list[SpokenPhrase]:
        """Return the phrase that the end of the audio cuts, if there is one."""
        phrase = self._end() if self._loud else None
        return [] if phrase is None else [phrase]

    def _push(self, frame: bytes) -> SpokenPhrase | None:
        loud = self._vad.push(frame)
        self._count += 1
        self._frames.append(frame)
        if loud:
            self._loud += 1
            self._quiet = 0
        else:
            self._quiet += 1
        if not self._loud:
            del self._frames[:-_MARGIN]
            return None
        if self._quiet >= _PAUSE or len(self._frames) >= self._max_frames:
            return self._end()
        return None

    def _end(self) -> SpokenPhrase | None:
        first = self._count - len(self._frames)
        spare = max(0, self._quiet - _MARGIN)
        said = self._frames[: len(self._frames) - spare]
        enough = self._loud >= _MIN_LOUD
        # The pause is also what comes before the next phrase.
        self._frames = self._frames[len(said) :][-_MARGIN:]
        self._loud = self._quiet = 0
        return SpokenPhrase(first * FRAME_SECONDS, b"".join(said)) if enough else None
