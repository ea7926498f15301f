"""libopus at 16 kHz mono through cffi (ABI mode): decoder and encoder.

Each owns its buffers and reuses them for every packet. Not thread-safe.
"""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import cffi

from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from bridge.errors import LocalProtocolError, OpusMissing, RemoteProtocolError

SYSTEM_NAME: Final = "libopus.so.0"

# Opus packets last at most 120 ms (RFC 6716 §3.2.5) and carry frames of at most 1275 bytes.
_MAX_SAMPLES: Final = 1920
_MAX_PACKET: Final = 1275

_ffi = cffi.FFI()
# Samples are declared `char` rather than `opus_int16`, so that `bytes` need no conversion.
_ffi.cdef(
    """
    typedef struct OpusDecoder OpusDecoder;
    typedef struct OpusEncoder OpusEncoder;
    const char *opus_get_version_string(void);
    const char *opus_strerror(int error);
    OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error);
    void opus_decoder_destroy(OpusDecoder *decoder);
    int opus_decode(OpusDecoder *decoder, const char *packet, int32_t size,
                    int16_t *pcm, int samples, int fec);
    int opus_decoder_ctl(OpusDecoder *decoder, int request, ...);
    OpusEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *error);
    void opus_encoder_destroy(OpusEncoder *encoder);
    int32_t opus_encode(OpusEncoder *encoder, const char *pcm, int samples,
                        unsigned char *packet, int32_t size);
    int opus_encoder_ctl(OpusEncoder *encoder, int request, ...);
    """
)

# opus_defines.h
_OK = 0
_SET_BITRATE = 4002
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_RESET_STATE = 4028
_SET_PREDICTION_DISABLED = 4042
_SIGNAL_VOICE = 3001


class Application(IntEnum):
    """What libopus optimises for; fixed when an encoder is created."""

    VOIP = 2048
    """SILK at the rates used here, 6.5 ms look-ahead; the only one with in-band FEC."""
    LOW_DELAY = 2051
    """CELT only, 2.5 ms look-ahead."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Encoder settings."""

    application: Application
    bitrate: int
    """Bits per second."""
    complexity: int
    """0 to 10."""
    fec: bool = False
    """In-band FEC; libopus emits it only with `Application.VOIP` at complexity 2 and above."""
    expected_loss: int = 0
    """Percent of packets; determines how many bits FEC gets."""


class Opus:
    """A loaded libopus."""

    __slots__ = ("lib", "path", "version")

    def __init__(self, lib: Any, path: str) -> None:  # noqa: ANN401  (cffi has no static type)
        self.lib = lib
        self.path = path
        self.version = _text(lib.opus_get_version_string())

    def address(self, name: str) -> int:
        """Return where a function of the library is, for C code to call it."""
        return int(_ffi.cast("uintptr_t", getattr(self.lib, name)))

    def error(self, code: int) -> str:
        """Return libopus' description of an error code."""
        return _text(self.lib.opus_strerror(code))


def candidates(path: str | None = None) -> tuple[str, ...]:
    """Return the libraries for `load` to try; only `path` if that is set.

    The library bundled with PyAV comes first: it is a Python dependency, so no system package is needed
    and every machine runs the same version. The system's library is the second choice.
    """
    if path:
        return (path,)
    # `av` itself is not imported: it would load all of FFmpeg.
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return (SYSTEM_NAME,)
    folder = Path(spec.origin).parent.with_name("av.libs")
    return (*sorted(map(str, folder.glob("libopus-*.so*"))), SYSTEM_NAME)


def load(paths: Iterable[str]) -> Opus:
    """Load the first libopus of `paths` (or names for the dynamic linker) that can be opened.

    Raises:
        OpusMissing: None can be opened; the message lists what was tried and what to install.
    """
    tried: list[str] = []
    for path in paths:
        try:
            return Opus(_ffi.dlopen(path), path)
        except (OSError, AttributeError) as error:
            tried.append(f"{path} ({error})")
    raise OpusMissing(
        "No usable libopus was found. Install the Python package `av`, which contains it, or the"
        " system's library (Debian: apt-get install libopus0), or set OPUS_LIB to a file."
        f" Tried: {'; '.join(tried) or 'nothing'}"
    )


class Decoder:
    """Decodes the packets of one Opus stream to 16-bit mono at 16 kHz; stereo is mixed down."""

    __slots__ = ("_decode", "_handle", "_opus", "_pcm", "_view")

    def __init__(self, opus: Opus) -> None:
        lib = opus.lib
        error = _ffi.new("int *")
        handle = lib.opus_decoder_create(SAMPLE_RATE, 1, error)
        if error[0] != _OK:
            raise LocalProtocolError(f"opus_decoder_create: {opus.error(error[0])}")
        self._opus = opus
        self._handle = _ffi.gc(handle, lib.opus_decoder_destroy)
        self._pcm = _ffi.new("int16_t[]", _MAX_SAMPLES)
        self._view = _ffi.buffer(self._pcm)
        self._decode = lib.opus_decode

    @property
    def handle(self) -> object:
        """The decoder of libopus, valid while this object lives."""
        return self._handle

    def decode(self, payload: bytes) -> bytes:
        """Decode one packet of 2.5 to 120 ms.

        Raises:
            RemoteProtocolError: libopus rejects the packet.
        """
        # libopus would take an empty packet for a loss.
        if not payload:
            raise RemoteProtocolError("empty Opus packet")
        decode = self._decode  # faster than calling the attribute
        samples = decode(self._handle, payload, len(payload), self._pcm, _MAX_SAMPLES, 0)
        if samples < 0:
            raise RemoteProtocolError(f"Opus packet: {self._opus.error(samples)}")
        pcm: bytes = self._view[: 2 * samples]
        return pcm

    def conceal(self, samples: int = FRAME_SAMPLES) -> bytes:
        """Return concealment (PLC) for lost audio, rounded down to 2.5 ms; at most 120 ms."""
        return self._lost(_ffi.NULL, 0, samples)

    def recover(self, payload: bytes, samples: int = FRAME_SAMPLES) -> bytes:
        """Decode the audio before a packet from the in-band FEC in that packet.

        Must precede `decode(payload)`. Without FEC in the packet the result is concealment;
        `samples` is the length of the lost audio, as in `conceal`.

        Raises:
            RemoteProtocolError: libopus rejects the packet.
        """
        if not payload:
            raise RemoteProtocolError("empty Opus packet")
        return self._lost(payload, len(payload), samples)

    def reset(self) -> None:
        """Reset the decoder state: a new stream begins."""
        self._opus.lib.opus_decoder_ctl(self._handle, _RESET_STATE)

    def _lost(self, packet: Any, size: int, samples: int) -> bytes:  # noqa: ANN401  (NULL or bytes)
        wanted = min(samples, _MAX_SAMPLES) // 40 * 40
        decoded = self._decode(self._handle, packet, size, self._pcm, wanted, 1 if size else 0)
        if decoded < 0:
            raise RemoteProtocolError(f"Opus packet: {self._opus.error(decoded)}")
        pcm: bytes = self._view[: 2 * decoded]
        return pcm


class Encoder:
    """Encodes frames of 20 ms, 16-bit mono at 16 kHz, to Opus."""

    __slots__ = ("_encode", "_handle", "_opus", "_packet", "_view", "settings")

    def __init__(self, opus: Opus, settings: EncoderSettings) -> None:
        lib = opus.lib
        error = _ffi.new("int *")
        handle = lib.opus_encoder_create(SAMPLE_RATE, 1, int(settings.application), error)
        if error[0] != _OK:
            raise LocalProtocolError(f"opus_encoder_create: {opus.error(error[0])}")
        self._opus = opus
        self._handle = _ffi.gc(handle, lib.opus_encoder_destroy)
        self._packet = _ffi.new("unsigned char[]", _MAX_PACKET)
        self._view = _ffi.buffer(self._packet)
        self._encode = lib.opus_encode
        self.settings = settings
        self.reconfigure(settings)
        if settings.application is Application.VOIP:
            self._set(_SET_SIGNAL, _SIGNAL_VOICE)

    @property
    def handle(self) -> object:
        """The encoder of libopus, valid while this object lives."""
        return self._handle

    def reconfigure(self, settings: EncoderSettings) -> None:
        """Use other settings from the next frame on.

        Raises:
            LocalProtocolError: The application differs.
        """
        if settings.application is not self.settings.application:
            raise LocalProtocolError("an encoder cannot change its application")
        self._set(_SET_BITRATE, settings.bitrate)
        self._set(_SET_COMPLEXITY, settings.complexity)
        self._set(_SET_INBAND_FEC, int(settings.fec))
        self._set(_SET_PACKET_LOSS_PERC, settings.expected_loss)
        self.settings = settings

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 640 bytes.

        Raises:
            LocalProtocolError: `pcm` is not a frame.
        """
        # libopus would read past the end of a shorter one.
        if len(pcm) != FRAME_BYTES:
            raise LocalProtocolError(f"a frame has {FRAME_BYTES} bytes, not {len(pcm)}")
        encode = self._encode  # as in `Decoder.decode`
        size = encode(self._handle, pcm, FRAME_SAMPLES, self._packet, _MAX_PACKET)
        if size < 0:
            raise LocalProtocolError(f"opus_encode: {self._opus.error(size)}")
        packet: bytes = self._view[:size]
        return packet

    def encode_independent(self, pcm: bytes) -> bytes:
        """Encode one frame without prediction from the previous one.

        Needed for the first frame after a change of encoder.
        """
        self._set(_SET_PREDICTION_DISABLED, 1)
        try:
            return self.encode(pcm)
        finally:
            self._set(_SET_PREDICTION_DISABLED, 0)

    def _set(self, request: int, value: int) -> None:
        code = self._opus.lib.opus_encoder_ctl(self._handle, request, _ffi.cast("int32_t", value))
        if code != _OK:
            raise LocalProtocolError(
                f"opus_encoder_ctl({request}, {value}): {self._opus.error(code)}"
            )


def _text(pointer: Any) -> str:  # noqa: ANN401  (a C string)
    value = _ffi.string(pointer)
    return value.decode() if isinstance(value, bytes) else str(value)
