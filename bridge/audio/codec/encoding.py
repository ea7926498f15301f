"""The encoder of one outgoing stream, whose settings can change while audio flows; and its silence.

A change in the middle of speech must not be audible. A new encoder has no history, so the last
frames are encoded again, unsent, before its first one. The far decoder has not heard those, so that
first frame must not be predicted from them: it and the next ones would be up to 4 dB too quiet.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from bridge.audio.codec.opus import Application, Encoder, EncoderSettings, Opus
from bridge.audio.frame import FRAME_BYTES, SILENCE

_WARMUP_FRAMES: Final = 5
_SILENCE_BITRATE: Final = 20_000


class Encoding:
    """Encodes one stream with the settings that are current."""

    __slots__ = ("_encoder", "_opus", "_recent", "_silence", "_starts_anew")

    def __init__(self, opus: Opus, settings: EncoderSettings) -> None:
        self._opus = opus
        self._encoder = Encoder(opus, settings)
        self._recent: deque[bytes] = deque(maxlen=_WARMUP_FRAMES)
        self._starts_anew = False
        self._silence: dict[Application, bytes] = {}

    @property
    def settings(self) -> EncoderSettings:
        """The current settings."""
        return self._encoder.settings

    @property
    def handle(self) -> object | None:
        """The encoder of libopus, if the next frame continues what it has encoded; valid until `switch_to`."""
        return None if self._starts_anew else self._encoder.handle

    def encoded(self, frames: Iterable[bytes]) -> None:
        """Note frames that the encoder has encoded by its `handle` (`AudioEncoder.encoded`)."""
        self._recent.extend(frames)

    def switch_to(self, settings: EncoderSettings) -> None:
        """Use other settings from the next frame on."""
        if settings == self._encoder.settings:
            return
        if settings.application is self._encoder.settings.application:
            self._encoder.reconfigure(settings)
            return
        self._encoder = Encoder(self._opus, settings)
        self._starts_anew = True

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 640 bytes."""
        if self._starts_anew:
            self._starts_anew = False
            for recent in self._recent:
                self._encoder.encode(recent)
            payload = self._encoder.encode_independent(pcm)
        else:
            payload = self._encoder.encode(pcm)
        self._recent.append(pcm)
        return payload

    def continue_from(self, before: Iterable[bytes]) -> None:
        """Continue a stream whose last audio, in whole frames, another encoder has sent."""
        for pcm in before:
            for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
                self._recent.append(pcm[start : start + FRAME_BYTES])
        self._starts_anew = True

    def silence(self) -> bytes:
        """Return a 20 ms mono packet of silence for peers that need a continuous stream.

        It suits the current application and, not being predicted, can follow any packet.
        """
        application = self.settings.application
        if application not in self._silence:
            settings = EncoderSettings(application, bitrate=_SILENCE_BITRATE, complexity=0)
            encoder = Encoder(self._opus, settings)
            for _ in range(_WARMUP_FRAMES):
                encoder.encode(SILENCE)
            self._silence[application] = encoder.encode_independent(SILENCE)
        return self._silence[application]
