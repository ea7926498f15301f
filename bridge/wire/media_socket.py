"""The media formats of ZuckZapGo's and WADial's sockets, and WADial's text messages.

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

BUFFER_INTERVAL_SECONDS: Final = 0.2
"""Interval of buffer reports while anything is buffered."""
INVALID_FRAME: Final = "invalid_pcm_frame"
"""WADial's error code for a message that does not consist of whole samples."""
FEED_LOST: Final = {
    "in": ("feed_overflow", "the buffer of your audio is full; the oldest was dropped"),
    "out": ("feed_behind", "you read too slowly; the oldest audio of the peer was dropped"),
}
"""Error by direction of loss; WADial documents that feed failures are reported, not their codes."""
FEED_SILENT: Final = ("feed_silent", "the peer has stopped sending audio")
FEED_FAILED: Final = "feed_failed"
ERROR_INTERVAL_SECONDS: Final = 5.0
"""Minimum interval between reports of the same kind of loss."""

MAX_TEXT: Final = 4096
"""Characters of a client's text that are parsed."""

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
    """Writes the text messages of one WADial socket."""

    __slots__ = ("_due", "_lost", "_marks", "_media", "_next_error", "_reported_empty", "_silent")

    def __init__(self, media: MediaFormat = WADIAL) -> None:
        self._media = media
        self._marks = Watermarks()
        self._due = 0.0
        self._reported_empty = True
        self._lost: set[str] = set()
        self._next_error = dict.fromkeys(FEED_LOST, -math.inf)
        self._silent = False

    def ready(self) -> str:
        """Return the first message, with the media format."""
        media = {
            "direction": "bidirectional",
            "encoding": _WADIAL_ENCODINGS[self._media.encoding],
            "sampleRate": self._media.sample_rate,
            "channels": 1,
        }
        return _text("ready", media=media)

    def buffer(self, buffered_seconds: float, now: float) -> str | None:
        """Return a buffer report if one is due; called every 20 ms.

        One is due at a watermark, every 200 ms while the client's audio is buffered, and once when
        the buffer has become empty.
        """
        crossed = self._marks.crossed(buffered_seconds)
        if buffered_seconds == 0 and self._reported_empty:
            return None
        if not crossed and buffered_seconds > 0 and now < self._due:
            return None
        # Called every 20 ms, so half a frame early is on time.
        self._due = now + BUFFER_INTERVAL_SECONDS - FRAME_SECONDS / 2
        self._reported_empty = buffered_seconds == 0
        return _text(
            "buffer",
            bufferedMs=round(buffered_seconds * 1000),
            pauseMs=round(PAUSE_SECONDS * 1000),
            resumeMs=round(RESUME_SECONDS * 1000),
        )

    def note_loss(self, direction: str) -> None:
        """Note that audio was dropped: `in` = the client's, `out` = the peer's."""
        self._lost.add(direction)

    def errors(self, now: float, *, silent: bool) -> list[str]:
        """Return the errors to send now; `silent` means the peer was sending and has stopped."""
        due = [
            direction
            for direction in FEED_LOST
            if direction in self._lost and now >= self._next_error[direction]
        ]
        for direction in due:
            self._lost.discard(direction)
            self._next_error[direction] = now + ERROR_INTERVAL_SECONDS
        stopped = silent and not self._silent
        self._silent = silent
        found = [FEED_LOST[direction] for direction in due] + [FEED_SILENT] * stopped
        return [_text("error", code=code, message=message) for code, message in found]

    @staticmethod
    def feed_failed(reason: str) -> str:
        """Return the error for an answered call whose media has failed."""
        return _text("error", code=FEED_FAILED, message=f"the call's media has failed: {reason}")

    @staticmethod
    def call_state(call: Mapping[str, Any]) -> str:
        """Return the call's state; `call` has `callId` and `state` at least."""
        return _text("call_state", call=dict(call))

    @staticmethod
    def is_clear(text: str) -> bool:
        """Return whether a client's text is `{"type":"clear"}`, which empties its buffer.

        Our definition: WADial documents no text from clients.
        """
        try:
            message = json.loads(text[:MAX_TEXT])
        except (ValueError, RecursionError):
            return False
        return isinstance(message, dict) and message.get("type") == "clear"

    @staticmethod
    def invalid_frame(error: RemoteProtocolError) -> str:
        """Return the error for an invalid message; the socket stays open."""
        return _text("error", code=INVALID_FRAME, message=str(error))

    @staticmethod
    def ended() -> str:
        """Return the last message."""
        return _text("ended")


def _text(kind: str, **more: object) -> str:
    return json.dumps({"type": kind, **more}, separators=(",", ":"))
