"""The figures of a leg that exchanges frames, not packets."""

from dataclasses import dataclass, field

from bridge.audio.detect.level import RecentLevel, level
from bridge.audio.frame import FRAME_BYTES, SILENCE
from bridge.call.model import ReceivedAudio, SentAudio


@dataclass(slots=True)
class FrameCounter:
    """Counts frames each way as packets, and measures their levels."""

    received_level: RecentLevel = field(default_factory=RecentLevel)
    sent_pcm: bytes = SILENCE
    sent_level: float | None = None
    """Of the latest frame, where its samples are not known."""
    received_frames: int = 0
    sent_frames: int = 0

    def count_received(self, pcm: bytes) -> None:
        """Count a frame that the party says."""
        self.received_level.note(pcm)
        self.received_frames += 1

    def count_sent(self, pcm: bytes) -> None:
        """Count a frame that the party hears."""
        self.sent_pcm, self.sent_level = pcm, None
        self.sent_frames += 1

    def count_passed(self, frames: int, level_dbov: float) -> None:
        """Count frames that an echo has given back, of which only the latest level is known."""
        self.received_level.note_level(level_dbov)
        self.received_frames += frames
        self.sent_frames += frames
        self.sent_level = level_dbov

    def received(self) -> ReceivedAudio:
        """Return what the party has said."""
        frames = self.received_frames
        return ReceivedAudio(
            frames, frames * FRAME_BYTES, frames=frames, level_dbov=self.received_level.dbov
        )

    def sent(self) -> SentAudio:
        """Return what the party has heard."""
        frames = self.sent_frames
        latest = level(self.sent_pcm) if self.sent_level is None else self.sent_level
        return SentAudio(frames, frames * FRAME_BYTES, level_dbov=latest)
