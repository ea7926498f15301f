"""WADial's media socket: f32le audio, with JSON text about the call beside it.

The text messages: docs.wadial.com/api-reference/calls/media-websocket.
"""

import math
from typing import Final

import msgspec
from aiohttp import web

from bridge.api.faces.wadial.calls import CALL
from bridge.api.faces.wadial.words import WADIAL, call_object
from bridge.api.media.media_socket import SOCKET, AudioFormat, live_call, serve
from bridge.api.server.operation import QUERY_TICKET, Context
from bridge.audio.buffer.paced import PAUSE_SECONDS, RESUME_SECONDS, Watermarks
from bridge.audio.frame import FRAME_SECONDS
from bridge.call.model import EndReason, State
from bridge.errors import NotFound
from bridge.node.runner import CallRunner
from bridge.wire.stream import media_format
from bridge.wire.stream.media_format import Encoding, MediaFormat

BUFFER_INTERVAL_SECONDS: Final = 0.2
"""Interval of buffer reports while anything is buffered."""
ERROR_INTERVAL_SECONDS: Final = 5.0
"""Minimum interval between reports of the same kind of loss."""
FEED_LOST: Final = {
    "in": ("feed_overflow", "the buffer of your audio is full; the oldest was dropped"),
    "out": ("feed_behind", "you read too slowly; the oldest audio of the peer was dropped"),
}
"""Error by direction of loss; WADial documents that feed failures are reported, not their codes."""
FEED_SILENT: Final = ("feed_silent", "the peer has stopped sending audio")
FEED_FAILURES: Final = frozenset({EndReason.MEDIA_TIMEOUT, EndReason.FAILED, EndReason.NODE_LOST})
MAX_TEXT: Final = 4096
"""Characters of a client's text that are parsed."""
ENCODINGS: Final = {
    Encoding.S16LE: "Int16LE",
    Encoding.F32LE: "Float32LE",
    Encoding.MULAW: "MuLaw",
}


@WADIAL.get(CALL + "/media", auth=QUERY_TICKET, status=101, gives=SOCKET, errors=(404, 409, 502))
async def media(context: Context, query: AudioFormat) -> web.StreamResponse:
    """Open the media socket: f32le at 16 kHz by default, JSON text beside it."""
    runner = live_call(context)
    if context.path("sessionId") != runner.facts.line:
        raise NotFound("there is no such session")
    texts = CallTexts(runner, query.media(media_format.WADIAL))
    return await serve(context, runner, query, media_format.WADIAL, texts=texts)


class CallTexts:
    """WADial's texts about one call (`legs.socket.TextMessages`)."""

    def __init__(self, runner: CallRunner, media: MediaFormat) -> None:
        self._runner = runner
        self._media = media
        self._sent: tuple[State, bool] | None = None
        self._marks = Watermarks()
        self._due = 0.0
        self._reported_empty = True
        self._lost: set[str] = set()
        self._next_error = dict.fromkeys(FEED_LOST, -math.inf)
        self._silent = False

    def opening(self) -> list[str]:
        """Return the audio format, the call's state, and the empty buffer with its watermarks."""
        media = {
            "direction": "bidirectional",
            "encoding": ENCODINGS[self._media.encoding],
            "sampleRate": self._media.sample_rate,
            "channels": 1,
        }
        return [_text("ready", media=media), *self._call(), _buffer_report(0.0)]

    def poll(self, buffered_seconds: float, now: float) -> list[str]:
        """Return what has changed; called every 20 ms."""
        return [*self._call(), *self._errors(now), *self._buffer(buffered_seconds, now)]

    def note_loss(self, direction: str) -> None:
        """Note that audio was dropped, `in` = the client's, `out` = the peer's, for the next `poll`."""
        self._lost.add(direction)

    def is_clear(self, text: str) -> bool:
        """Return whether a client's text is `{"type":"clear"}`, which empties its buffer.

        Our definition: WADial documents no text from clients.
        """
        try:
            message = msgspec.json.decode(text[:MAX_TEXT])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return False
        return isinstance(message, dict) and message.get("type") == "clear"

    def refusal(self, problem: str) -> list[str]:
        """Return what was wrong with the audio; the socket stays open."""
        return [_text("error", code="invalid_pcm_frame", message=problem)]

    def last_messages(self) -> list[str]:
        """Return the last state, the failure if there was one, and the end."""
        machine, failure = self._runner.machine, []
        if machine.answered_at is not None and machine.reason in FEED_FAILURES:
            message = f"the call's media has failed: {machine.reason}"
            failure = [_text("error", code="feed_failed", message=message)]
        return [*self._call(), *failure, _text("ended")]

    def _call(self) -> list[str]:
        machine = self._runner.machine
        state = (machine.state, machine.legs.muted)
        if state == self._sent:
            return []
        self._sent = state
        return [_text("call_state", call=call_object(self._runner.record()))]

    def _errors(self, now: float) -> list[str]:
        """Return the errors that are due, among them that the peer was sending and has stopped."""
        found = self._losses(now) if self._lost else []
        far = self._runner.machine.legs.far
        silent = far is not None and far.silent
        if silent and not self._silent:
            code, message = FEED_SILENT
            found.append(_text("error", code=code, message=message))
        self._silent = silent
        return found

    def _losses(self, now: float) -> list[str]:
        due = [
            direction
            for direction in FEED_LOST
            if direction in self._lost and now >= self._next_error[direction]
        ]
        for direction in due:
            self._lost.discard(direction)
            self._next_error[direction] = now + ERROR_INTERVAL_SECONDS
        found = [FEED_LOST[direction] for direction in due]
        return [_text("error", code=code, message=message) for code, message in found]

    def _buffer(self, buffered_seconds: float, now: float) -> list[str]:
        """Return a buffer report if one is due.

        One is due at a watermark, every 200 ms while the client's audio is buffered, and once when
        the buffer has become empty.
        """
        crossed = self._marks.crossed(buffered_seconds)
        if buffered_seconds == 0 and self._reported_empty:
            return []
        if not crossed and buffered_seconds > 0 and now < self._due:
            return []
        # Called every 20 ms, so half a frame early is on time.
        self._due = now + BUFFER_INTERVAL_SECONDS - FRAME_SECONDS / 2
        self._reported_empty = buffered_seconds == 0
        return [_buffer_report(buffered_seconds)]


def _buffer_report(buffered_seconds: float) -> str:
    return _text(
        "buffer",
        bufferedMs=round(buffered_seconds * 1000),
        pauseMs=round(PAUSE_SECONDS * 1000),
        resumeMs=round(RESUME_SECONDS * 1000),
    )


def _text(kind: str, **more: object) -> str:
    return msgspec.json.encode({"type": kind, **more}).decode()
