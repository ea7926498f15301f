"""The forms of the media sockets of two vendors, and WADial's messages beside the sound.

WADial's messages: docs.wadial.com/api-reference/calls/media-websocket.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from bridge.audio.frame import FRAME_SECONDS
from bridge.audio.paced import PAUSE_SECONDS, RESUME_SECONDS, Watermarks
from bridge.errors import RemoteProtocolError
from bridge.wire.media_format import Encoding, MediaFormat

BUFFER_EVERY_SECONDS: Final = 0.2
"""How often WADial's clients are told how much waits, while anything does."""
INVALID_FRAME: Final = "invalid_pcm_frame"
"""WADial's code for a message that does not consist of whole samples."""

MOST_TEXT: Final = 4096
"""So many characters of a client's text are looked at."""

_WADIAL_ENCODINGS: Final = {
    Encoding.S16LE: "Int16LE",
    Encoding.F32LE: "Float32LE",
    Encoding.MULAW: "MuLaw",
}

ZUCKZAPGO: Final = MediaFormat(Encoding.S16LE, 16_000, 60)
"""`GET /call/{call_id}/stream`: 960 samples, 1920 bytes."""
WADIAL: Final = MediaFormat(Encoding.F32LE, 16_000, 20)
"""WADial's media socket: 320 samples, 1280 bytes."""


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
