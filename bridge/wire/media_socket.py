"""The forms of the media sockets of two vendors, and WADial's messages beside the sound.

WADial's messages: docs.wadial.com/api-reference/calls/media-websocket.
"""

import json
import math
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
FEED_LOST: Final = {
    "in": ("feed_overflow", "more of your sound waits than may; the oldest was dropped"),
    "out": ("feed_behind", "you read too slowly; the oldest sound of the peer was dropped"),
}
"""Codes for what a feed lost, our definition: WADial documents that feed failures are reported."""
FEED_SILENT: Final = ("feed_silent", "nothing comes from the peer any more")
FEED_FAILED: Final = "feed_failed"
ERROR_EVERY_SECONDS: Final = 5.0
"""How often the same loss is reported at most."""

MAX_TEXT: Final = 4096
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

    __slots__ = ("_due", "_lost", "_marks", "_media", "_next_error", "_silent", "_told_empty")

    def __init__(self, media: MediaFormat = WADIAL) -> None:
        self._media = media
        self._marks = Watermarks()
        self._due = 0.0
        self._told_empty = True
        self._lost: set[str] = set()
        self._next_error = dict.fromkeys(FEED_LOST, -math.inf)
        self._silent = False

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

    def lost(self, direction: str) -> None:
        """Note that sound was dropped: `in` = the client's, `out` = the peer's."""
        self._lost.add(direction)

    def errors(self, now: float, *, silent: bool) -> list[str]:
        """Return the errors to send now: of each kind of loss one in `ERROR_EVERY_SECONDS`.

        Args:
            now: Seconds.
            silent: Whether the peer was sending and has stopped; reported once each time.
        """
        due = [
            direction
            for direction in FEED_LOST
            if direction in self._lost and now >= self._next_error[direction]
        ]
        for direction in due:
            self._lost.discard(direction)
            self._next_error[direction] = now + ERROR_EVERY_SECONDS
        stopped = silent and not self._silent
        self._silent = silent
        found = [FEED_LOST[direction] for direction in due] + [FEED_SILENT] * stopped
        return [_text("error", code=code, message=message) for code, message in found]

    @staticmethod
    def failure(reason: str) -> str:
        """Return the error that says why the sound of an answered call has ended."""
        return _text("error", code=FEED_FAILED, message=f"the call's media has failed: {reason}")

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
            message = json.loads(text[:MAX_TEXT])
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
