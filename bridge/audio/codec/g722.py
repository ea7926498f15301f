"""G.722: 16 kHz audio in 64 kbit/s (ITU-T G.722 mode 1), by FFmpeg's codec.

One step of its bands' adaptive prediction depends on the one before, so NumPy cannot compute it. FFmpeg
is part of PyAV, which aiortc needs anyway.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final, Literal

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame

from bridge.audio.codec.halfband import to_pcm
from bridge.audio.codec.loss_concealment import LossConcealment
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from bridge.errors import LocalProtocolError, RemoteProtocolError

_NAME: Final = "g722"
_PAST_PIECES: Final = 4


class G722Decoder:
    """Decodes one stream; the codec's filters delay it by 1.4 ms.

    What stands for a lost packet is decoded too, from an encoder that has heard the audio before it:
    else the prediction would go on from where the loss began, and overshoot.
    """

    __slots__ = ("_concealment", "_context", "_past", "_stand_in")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the stream: another one begins."""
        self._context = _new_context("r")
        self._concealment = LossConcealment(SAMPLE_RATE)
        self._past: deque[bytes] = deque(maxlen=_PAST_PIECES)
        self._stand_in: AudioCodecContext | None = None

    def decode(self, payload: bytes) -> bytes:
        """Decode a packet of any length; raises RemoteProtocolError for an empty one."""
        if not payload:
            raise RemoteProtocolError("empty G.722 packet")
        self._stand_in = None
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.error.FFmpegError as error:
            raise RemoteProtocolError(f"G.722 packet: {error}") from error
        pcm = b"".join([bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames])
        self._past.append(pcm)
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        heard = self._concealment.receive(samples)
        return pcm if heard is samples else to_pcm(heard.copy()).tobytes()

    def conceal(self, samples: int = FRAME_SAMPLES) -> bytes:
        """Return concealment for lost audio, `samples` at 16 kHz."""
        pcm: bytes = to_pcm(self._concealment.conceal(samples).copy()).tobytes()
        if self._stand_in is None:
            self._stand_in = _new_context("w")
            for piece in self._past:
                _encode(self._stand_in, _new_frame(len(piece) // 2), piece)
        payload = _encode(self._stand_in, _new_frame(samples), pcm)
        self._context.decode(av.Packet(payload))
        self._past.append(pcm)
        return pcm

    def recover(self, payload: bytes, samples: int = FRAME_SAMPLES) -> bytes:
        """Conceal: a packet has nothing of the audio before it."""
        return self.conceal(samples)


class G722Encoder:
    """Encodes one stream of frames."""

    __slots__ = ("_context", "_frame")

    def __init__(self) -> None:
        self._context = _new_context("w")
        self._frame = _new_frame(FRAME_SAMPLES)

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 640 bytes; raises LocalProtocolError for anything else."""
        if len(pcm) != FRAME_BYTES:
            raise LocalProtocolError(f"a frame has {FRAME_BYTES} bytes, not {len(pcm)}")
        return _encode(self._context, self._frame, pcm)

    def encoded(self, frames: Iterable[bytes]) -> None:
        """Continue after frames (`AudioEncoder.encoded`); it is in no offload."""
        self.continue_from(frames)

    def continue_from(self, before: Iterable[bytes]) -> None:
        """Continue a stream whose last audio, in whole frames, has been sent otherwise."""
        for pcm in before:
            for start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
                self.encode(pcm[start : start + FRAME_BYTES])

    def silence(self) -> bytes:
        """Return the next packet, 20 ms of silence."""
        return self.encode(SILENCE)


def _new_frame(samples: int) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=samples)
    frame.sample_rate = SAMPLE_RATE
    return frame


def _encode(context: AudioCodecContext, frame: AudioFrame, pcm: bytes) -> bytes:
    frame.planes[0].update(pcm)
    return b"".join([bytes(packet) for packet in context.encode(frame)])


def _new_context(mode: Literal["r", "w"]) -> AudioCodecContext:
    context = av.CodecContext.create(_NAME, mode)
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = SAMPLE_RATE
    context.layout = "mono"
    context.thread_count = 1
    if mode == "w":
        context.format = AudioFormat("s16")
    return context
