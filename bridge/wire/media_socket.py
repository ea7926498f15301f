"""What media sockets carry: raw sound in several encodings and rates, and WADial's messages.

Inside, sound is 16-bit at 16 kHz. A sample of a float socket is the bus's divided by 32768; what
comes is multiplied by 32767, rounded and clamped, and what is no number is silence.
WADial's messages: docs.wadial.com/api-reference/calls/media-websocket.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from bridge.audio import mulaw
from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE
from bridge.audio.paced import PAUSE_SECONDS, RESUME_SECONDS, Watermarks
from bridge.audio.resample import Resampler
from bridge.errors import RemoteProtocolError

SAMPLE_RATES: Final = (8000, 16000, 24000, 48000)
FRAME_MILLISECONDS: Final = (20, 40, 60, 80, 100)
BUFFER_EVERY_SECONDS: Final = 0.2
"""How often WADial's clients are told how much waits, while anything does."""
PIECE_SECONDS: Final = 0.5
"""So much of a long message is read at once."""
INVALID_FRAME: Final = "invalid_pcm_frame"
"""WADial's code for a message that does not consist of whole samples."""

MOST_TEXT: Final = 4096
"""So many characters of a client's text are looked at."""


class Encoding(StrEnum):
    """How a sample is written."""

    S16LE = "s16le"
    F32LE = "f32le"
    MULAW = "mulaw"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return _SAMPLE_BYTES[self]

    @property
    def silence(self) -> bytes:
        """One silent sample."""
        return b"\xff" if self is Encoding.MULAW else bytes(self.sample_bytes)


_WADIAL_ENCODINGS: Final = {
    Encoding.S16LE: "Int16LE",
    Encoding.F32LE: "Float32LE",
    Encoding.MULAW: "MuLaw",
}
_SAMPLE_BYTES: Final = {Encoding.S16LE: 2, Encoding.F32LE: 4, Encoding.MULAW: 1}


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """What one route's sound looks like on the wire; mono."""

    encoding: Encoding = Encoding.S16LE
    sample_rate: int = SAMPLE_RATE
    frame_milliseconds: int = 20
    """Length of each message that is sent."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one message."""
        samples = self.sample_rate * self.frame_milliseconds // 1000
        return samples * self.encoding.sample_bytes

    @property
    def second_bytes(self) -> int:
        """Bytes of one second."""
        return self.sample_rate * self.encoding.sample_bytes


ZUCKZAPGO: Final = MediaFormat(Encoding.S16LE, 16_000, 60)
"""`GET /call/{call_id}/stream`: 960 samples, 1920 bytes."""
WADIAL: Final = MediaFormat(Encoding.F32LE, 16_000, 20)
"""WADial's media socket: 320 samples, 1280 bytes."""


def decode(encoding: Encoding, data: bytes) -> bytes:
    """Give 16-bit samples for what came.

    Args:
        encoding: How the samples are written.
        data: Whole samples.
    """
    match encoding:
        case Encoding.S16LE:
            return data
        case Encoding.F32LE:
            floats = np.frombuffer(data, "<f4")
            # Before anything is computed: some bit patterns are no numbers even to be copied.
            floats = np.where(np.isfinite(floats), floats, np.float32(0))
            rounded: bytes = np.rint(np.clip(floats, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
            return rounded
        case Encoding.MULAW:
            return mulaw.decode(data)


def encode(encoding: Encoding, pcm: bytes) -> bytes:
    """Write 16-bit samples as the wire wants them.

    Args:
        encoding: How the samples are written.
        pcm: Whole samples.
    """
    match encoding:
        case Encoding.S16LE:
            return pcm
        case Encoding.F32LE:
            return (np.frombuffer(pcm, "<i2") / np.float32(32768)).astype("<f4").tobytes()
        case Encoding.MULAW:
            return mulaw.encode(pcm)


class Incoming:
    """Makes 16 kHz sound of one socket's messages."""

    __slots__ = ("_format", "_pad_bytes", "_resampler")

    def __init__(self, media: MediaFormat, *, pads: bool = False) -> None:
        """Make a reader.

        Args:
            media: What comes.
            pads: Fill the end of each message with silence up to a whole frame, as ZuckZapGo
                documents; without it a message must consist of whole samples, and the next one
                goes on where it ends.
        """
        self._format = media
        self._pad_bytes = media.frame_bytes if pads else 0
        self._resampler = Resampler(media.sample_rate, SAMPLE_RATE)

    def read(self, message: bytes) -> bytes:
        """Give the sound of a message; empty for an empty one.

        Raises:
            RemoteProtocolError: as `pieces`.
        """
        return b"".join(self.pieces(message))

    def pieces(self, message: bytes) -> Iterator[bytes]:
        """Give the sound of a message bit by bit: a long one takes a while to be made.

        All of it must be taken before the next message comes.

        Raises:
            RemoteProtocolError: It does not consist of whole samples, and is not filled up; no
                part of it is taken. Raised at once.
        """
        encoding = self._format.encoding
        size = encoding.sample_bytes
        if self._pad_bytes:
            message += bytes(-len(message) % size)
            missing = -len(message) % self._pad_bytes // size
            message += missing * encoding.silence
        elif len(message) % size:
            raise RemoteProtocolError(f"a frame's length must be a multiple of {size} bytes")
        step = round(self._format.second_bytes * PIECE_SECONDS)
        return (
            self._sound(message[begin : begin + step]) for begin in range(0, len(message), step)
        )

    def _sound(self, data: bytes) -> bytes:
        return self._resampler.process(decode(self._format.encoding, data))


class Outgoing:
    """Makes one socket's messages of 16 kHz sound."""

    __slots__ = ("_format", "_resampler", "_rest")

    def __init__(self, media: MediaFormat) -> None:
        self._format = media
        self._resampler = Resampler(SAMPLE_RATE, media.sample_rate)
        self._rest = b""

    def write(self, pcm: bytes) -> list[bytes]:
        """Take a piece of sound and give the messages that are now whole.

        Args:
            pcm: Whole samples at 16 kHz.
        """
        size = self._format.frame_bytes
        data = self._rest + encode(self._format.encoding, self._resampler.process(pcm))
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[begin : begin + size] for begin in range(0, whole, size)]


class WadialMessages:
    """What WADial's clients are told in text about their call and their queue."""

    __slots__ = ("_due", "_marks", "_media", "_told_empty")

    def __init__(self, media: MediaFormat = WADIAL) -> None:
        self._media = media
        self._marks = Watermarks()
        self._due = 0.0
        self._told_empty = True

    def opening(self) -> str:
        """Say how the sound is written, once at the beginning."""
        media = {
            "direction": "bidirectional",
            "encoding": _WADIAL_ENCODINGS[self._media.encoding],
            "sampleRate": self._media.sample_rate,
            "channels": 1,
        }
        return _text("ready", media=media)

    def queue(self, buffered_seconds: float, now: float) -> str | None:
        """Tell how much waits: at a watermark, every 200 ms while anything waits, once at its end.

        Args:
            buffered_seconds: How much sound of the client's waits.
            now: Seconds.
        """
        crossed = self._marks.crossed(buffered_seconds)
        if buffered_seconds == 0 and self._told_empty:
            return None
        if not crossed and buffered_seconds > 0 and now < self._due:
            return None
        # Asked every 20 ms: half a frame early is on time.
        self._due = now + BUFFER_EVERY_SECONDS - FRAME_SECONDS / 2
        self._told_empty = buffered_seconds == 0
        return _text(
            "buffer",
            bufferedMs=round(buffered_seconds * 1000),
            pauseMs=round(PAUSE_SECONDS * 1000),
            resumeMs=round(RESUME_SECONDS * 1000),
        )

    @staticmethod
    def call(call: Mapping[str, Any]) -> str:
        """Tell how the call stands.

        Args:
            call: With `callId` and `state` at least.
        """
        return _text("call_state", call=dict(call))

    @staticmethod
    def clears(text: str) -> bool:
        """Whether a client's text empties its queue: `{"type":"clear"}`.

        Our definition: WADial documents no text from clients. Any other text is ignored.
        """
        try:
            message = json.loads(text[:MOST_TEXT])
        except (ValueError, RecursionError):
            return False
        return isinstance(message, dict) and message.get("type") == "clear"

    @staticmethod
    def refusal(error: RemoteProtocolError) -> str:
        """Say that a message was not understood; the socket stays."""
        return _text("error", code=INVALID_FRAME, message=str(error))

    @staticmethod
    def farewell() -> str:
        """Say that the call is over, once at the end."""
        return _text("ended")


def _text(kind: str, **more: object) -> str:
    return json.dumps({"type": kind, **more}, separators=(",", ":"))
