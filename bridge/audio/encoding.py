"""The encoder towards one far end, which can change while it talks.

Two things would be heard of a change in the middle of speech. A new encoder knows nothing of what
was said: the last frames are therefore kept, and encoded once more, unsent, before the first one
that counts. And the far decoder has not heard those: the first frame must not lean on them, or
it comes out up to 4 dB too quiet, and the next ones too.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from bridge.audio.frame import FRAME_BYTES
from bridge.audio.opus import Encoder, EncoderSettings, Opus

WARMING_FRAMES: Final = 5


class Encoding:
    """Encodes one stream, with whatever settings are right at the moment."""

    __slots__ = ("_encoder", "_joins", "_opus", "_recent")

    def __init__(self, opus: Opus, settings: EncoderSettings) -> None:
        self._opus = opus
        self._encoder = Encoder(opus, settings)
        self._recent: deque[bytes] = deque(maxlen=WARMING_FRAMES)
        self._joins = False

    @property
    def settings(self) -> EncoderSettings:
        """What is encoded with now."""
        return self._encoder.settings

    def adopt(self, settings: EncoderSettings) -> None:
        """Encode with other settings from the next frame on; nothing is heard of the change."""
        if settings == self._encoder.settings:
            return
        if settings.application is self._encoder.settings.application:
            self._encoder.adjust(settings)
            return
        self._encoder = Encoder(self._opus, settings)
        self._joins = True

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame.

        Args:
            pcm: 640 bytes.
        """
        if self._joins:
            self._joins = False
            self._warm()
            payload = self._encoder.encode_independent(pcm)
        else:
            payload = self._encoder.encode(pcm)
        self._recent.append(pcm)
        return payload

    def join(self, before: Iterable[bytes]) -> None:
        """Prepare to go on where another encoder has talked.

        Args:
            before: The sound it sent last, in pieces of whole frames.
        """
        for pcm in before:
            for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
                self._recent.append(pcm[start : start + FRAME_BYTES])
        self._joins = True

    def _warm(self) -> None:
        for pcm in self._recent:
            self._encoder.encode(pcm)
