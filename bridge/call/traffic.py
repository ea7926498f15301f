"""What a leg without packets of its own has said and heard, frame by frame."""

from dataclasses import dataclass

from bridge.audio.frame import FRAME_BYTES, SILENCE
from bridge.audio.level import level
from bridge.call.model import ReceivedAudio, SentAudio


@dataclass(slots=True)
class Traffic:
    """Counts frames of 640 bytes, and keeps the last one each way for its level."""

    said: bytes = SILENCE
    heard: bytes = SILENCE
    said_frames: int = 0
    heard_frames: int = 0

    def say(self, pcm: bytes) -> None:
        """Count a frame that the leg's party says."""
        self.said = pcm
        self.said_frames += 1

    def hear(self, pcm: bytes) -> None:
        """Count a frame that it hears."""
        self.heard = pcm
        self.heard_frames += 1

    def received(self) -> ReceivedAudio:
        """Give what was said, a packet a frame."""
        return ReceivedAudio(
            packets=self.said_frames,
            bytes=self.said_frames * FRAME_BYTES,
            frames=self.said_frames,
            level_dbov=level(self.said),
        )

    def sent(self) -> SentAudio:
        """Give what was heard, a packet a frame."""
        return SentAudio(
            packets=self.heard_frames,
            bytes=self.heard_frames * FRAME_BYTES,
            level_dbov=level(self.heard),
        )
