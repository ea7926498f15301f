"""G.711: 16-bit samples in 8 bits each, by the µ-law or the A-law (ITU-T G.711)."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bridge.audio.codec.halfband import Decimator, Interpolator, Samples
from bridge.audio.codec.loss_concealment import LossConcealment
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES
from bridge.errors import LocalProtocolError, RemoteProtocolError

SAMPLE_RATE: Final = 8_000

_BIAS: Final = 132
_CLIP: Final = 32635
_OFFSET: Final = 32_768
_ROUNDED_OFFSET: Final = _OFFSET + 0.5


class Law:
    """A companding law: the sample of each code, and the code of each sample."""

    __slots__ = ("_by_height", "_codes", "_samples", "_values", "silence")

    def __init__(self, values: NDArray[np.int16], codes: NDArray[np.uint8]) -> None:
        self._values = _read_only(values.astype("<i2"))
        self._samples: Samples = _read_only(values.astype(np.float32))
        self._codes = _read_only(codes)
        self._by_height = _read_only(np.roll(codes, _OFFSET))
        """The codes from the lowest sample to the highest."""
        self.silence = int(codes[0])
        """The code of digital silence."""

    def decode(self, codes: bytes) -> bytes:
        """Decode to 16-bit samples, little-endian."""
        pcm: bytes = self._values[np.frombuffer(codes, np.uint8)].tobytes()
        return pcm

    def encode(self, pcm: bytes) -> bytes:
        """Encode 16-bit samples, little-endian."""
        codes: bytes = self._codes[np.frombuffer(pcm, "<u2")].tobytes()
        return codes

    def samples(self, codes: bytes) -> Samples:
        """Decode to samples in the range of 16 bits."""
        return self._samples.take(np.frombuffer(codes, np.uint8), mode="clip")

    def codes(self, samples: NDArray[np.floating[Any]]) -> bytes:
        """Encode samples in the range of 16 bits, rounded and clipped; overwrites `samples`."""
        samples += _ROUNDED_OFFSET
        codes: bytes = self._by_height.take(samples.astype(np.intp), mode="clip").tobytes()
        return codes


class G711Decoder:
    """Decodes one stream to 16 kHz, which delays it by 2 ms."""

    __slots__ = ("_concealment", "_interpolator", "_law")

    def __init__(self, law: Law) -> None:
        self._law = law
        self.reset()

    def reset(self) -> None:
        """Forget the stream: another one begins."""
        self._interpolator = Interpolator()
        self._concealment = LossConcealment(SAMPLE_RATE)

    def decode(self, payload: bytes) -> bytes:
        """Decode a packet of any length; raises RemoteProtocolError for an empty one."""
        if not payload:
            raise RemoteProtocolError("empty G.711 packet")
        return self._interpolator.process(self._concealment.receive(self._law.samples(payload)))

    @property
    def history(self) -> bytes | None:
        """Samples at 8 kHz that all audio to come depends on, if the next packet does not end a loss."""
        return None if self._concealment.concealing else self._interpolator.history

    def decoded(self, payloads: Iterable[bytes], history: bytes) -> None:
        """Continue after packets that the compiled packet path has decoded: the newest ones, and its history."""
        for payload in payloads:
            self._concealment.receive(self._law.samples(payload))
        self._interpolator = Interpolator(history)

    def conceal(self, samples: int = FRAME_SAMPLES) -> bytes:
        """Return concealment for lost audio, `samples` at 16 kHz."""
        return self._interpolator.process(self._concealment.conceal(samples // 2))

    def recover(self, payload: bytes, samples: int = FRAME_SAMPLES) -> bytes:
        """Conceal: a packet has nothing of the audio before it."""
        return self.conceal(samples)


class G711Encoder:
    """Encodes one stream of frames, which delays it by 2 ms."""

    __slots__ = ("_decimator", "_law", "_silence")

    def __init__(self, law: Law) -> None:
        self._law = law
        self._decimator = Decimator()
        self._silence = bytes([law.silence]) * (FRAME_SAMPLES // 2)

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 640 bytes; raises LocalProtocolError for anything else."""
        if len(pcm) != FRAME_BYTES:
            raise LocalProtocolError(f"a frame has {FRAME_BYTES} bytes, not {len(pcm)}")
        return self._law.codes(self._decimator.process(pcm))

    @property
    def history(self) -> bytes:
        """Samples at 16 kHz that all payloads to come depend on."""
        return self._decimator.history

    def encoded(self, frames: Iterable[bytes]) -> None:
        """Continue after frames that were encoded from its `history` on (`AudioEncoder.encoded`)."""
        self.continue_from(list(frames)[-1:])

    def continue_from(self, before: Iterable[bytes]) -> None:
        """Continue a stream whose last audio, in whole frames, has been sent otherwise."""
        for pcm in before:
            if len(pcm) % FRAME_BYTES == 0 and pcm:
                self._decimator.process(pcm)

    def silence(self) -> bytes:
        """Return a packet of 20 ms of silence."""
        return self._silence


def _mulaw() -> Law:
    """Return the law of table 2a, its 14 bits scaled to 16."""
    codes = ~np.arange(256, dtype=np.uint8)
    magnitudes = (((codes & 0x0F).astype(np.int32) << 3) + _BIAS) << ((codes & 0x70) >> 4)
    values = (magnitudes - _BIAS) * np.where(codes & 0x80, -1, 1)
    samples = _every_sample()
    biased = np.minimum(np.abs(samples), _CLIP) + _BIAS
    exponents = np.floor(np.log2(biased)).astype(np.int32) - 7
    mantissas = (biased >> (exponents + 3)) & 0x0F
    signs = np.where(samples < 0, 0x80, 0)
    return Law(
        values.astype(np.int16), (~(signs | exponents << 4 | mantissas) & 0xFF).astype(np.uint8)
    )


def _alaw() -> Law:
    """Return the law of table 1a, its 13 bits scaled to 16; even bits are inverted."""
    codes = np.arange(256, dtype=np.int32) ^ 0x55
    exponents, mantissas = (codes & 0x70) >> 4, codes & 0x0F
    magnitudes = np.where(
        exponents == 0,
        (mantissas << 4) + 8,
        ((mantissas << 4) + 0x108) << np.maximum(exponents - 1, 0),
    )
    values = np.where(codes & 0x80, magnitudes, -magnitudes)
    samples = _every_sample()
    # A negative sample has the magnitude of its ones' complement: -1 is the smallest one, as 0 is.
    heights = np.where(samples < 0, ~samples, samples) >> 4
    exponents = np.maximum(np.floor(np.log2(np.maximum(heights, 1))).astype(np.int32) - 4, 0)
    segments = (exponents + 1) << 4 | (heights >> exponents) & 0x0F
    positive = np.where(samples < 0, 0, 0x80)
    coded = (np.where(heights < 16, heights, segments) | positive) ^ 0x55
    return Law(values.astype(np.int16), coded.astype(np.uint8))


def _every_sample() -> NDArray[np.int32]:
    """Return all 65 536 samples, each at the index of its bits."""
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _read_only(table: NDArray[Any]) -> NDArray[Any]:
    table.flags.writeable = False
    return table


MULAW: Final = _mulaw()
ALAW: Final = _alaw()
