"""The tracks of a stream: what takes their audio, and what is counted of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame
from bridge.call.leg_state import StreamCondition
from bridge.call.model import SentAudio
from bridge.wire.stream.media_stream import IGNORED_REASONS, Channel, StreamFacts, StreamType


class TrackMessage(NamedTuple):
    """A message of audio to the customer."""

    track: Channel
    data: bytes
    timestamp: int
    """Of its first sample, in milliseconds since the stream's start."""


class TrackSink:
    """The sink of one track."""

    always_clocked = True

    def __init__(self, push: Callable[[Channel, Frame, float], None], track: Channel) -> None:
        self._push = push
        self._track = track
        self.last = SILENCE

    def push(self, frame: Frame, now: float) -> None:
        """Take a frame (`call.bus.ends.Sink`)."""
        self.last = frame.pcm
        self._push(self._track, frame, now)


class StreamTimeline:
    """The time of a stream's audio since its start, over all its connections."""

    def __init__(self, began_at: float | None = None) -> None:
        """Go on with a stream that began at a time, or begin with the first frame."""
        self.began_at = began_at
        self._first_pts: int | None = None
        """Of a frame at the stream's start."""

    def end_of(self, frame: Frame, now: float) -> float:
        """Return when a frame ends that is pushed now, in milliseconds."""
        if self._first_pts is None:
            self.began_at = now if self.began_at is None else self.began_at
            self._first_pts = frame.pts - round((now - self.began_at) * SAMPLE_RATE)
        return (frame.pts - self._first_pts) * 1000 / SAMPLE_RATE + FRAME_SECONDS * 1000


class StreamFigures(msgspec.Struct):
    """What is counted of a stream, over all its connections."""

    sent: dict[Channel, int]
    """Messages of each track."""
    dropped: dict[Channel, int]
    ignored: dict[str, int]
    errors: int = 0

    @classmethod
    def of(cls, tracks: Sequence[Channel]) -> "StreamFigures":
        """Return those of a stream that begins."""
        return cls(
            dict.fromkeys(tracks, 0), dict.fromkeys(tracks, 0), dict.fromkeys(IGNORED_REASONS, 0)
        )

    def of_track(self, track: Channel, facts: StreamFacts, last: bytes) -> SentAudio:
        """Return the figures of a track whose last frame is given."""
        return SentAudio(
            packets=self.sent[track],
            bytes=self.sent[track] * facts.media.frame_bytes,
            dropped_frames=self.dropped[track] * facts.media.frame_milliseconds // 20,
            level_dbov=level(last),
        )

    def dropped_seconds(self, facts: StreamFacts) -> float:
        """Return the seconds of audio that were dropped because the server did not read in time."""
        return sum(self.dropped.values()) * facts.media.frame_milliseconds / 1000

    def condition(
        self, facts: StreamFacts, asked_at: float | None, function: tuple[str, float]
    ) -> StreamCondition:
        """Return the state of the stream: when it began to connect, and its longest-running function."""
        name, since = function
        twoway = facts.type is StreamType.TWOWAY
        return StreamCondition(twoway, asked_at, dict(self.ignored), name, since)

    def describe(self, facts: StreamFacts) -> dict[str, object]:
        """Return what `stream.ended` says of them."""
        return {
            "sentFrames": sum(self.sent.values()),
            "droppedFrames": sum(self.dropped.values()) * facts.media.frame_milliseconds // 20,
            "ignoredMessages": sum(self.ignored.values()),
            "errors": self.errors,
        }
