"""WADial's media socket: f32le audio, with JSON text about the call beside it."""

from typing import Final

import msgspec
from aiohttp import web

from bridge.api.faces.wadial.calls import CALL
from bridge.api.faces.wadial.words import WADIAL, snapshot
from bridge.api.media_socket import SOCKET, AudioForm, live_call, serve
from bridge.api.operation import QUERY_TICKET, Context
from bridge.call.model import EndReason, State
from bridge.errors import NotFound, RemoteProtocolError
from bridge.node.runner import CallRunner
from bridge.wire import media_socket
from bridge.wire.media_format import MediaFormat
from bridge.wire.media_socket import WadialMessages

FEED_FAILURES: Final = frozenset({EndReason.MEDIA_TIMEOUT, EndReason.FAILED, EndReason.NODE_LOST})


@WADIAL.get(CALL + "/media", auth=QUERY_TICKET, status=101, gives=SOCKET, errors=(404, 409, 502))
async def media(context: Context, query: AudioForm) -> web.StreamResponse:
    """Open the media socket: f32le at 16 kHz by default, JSON text beside it."""
    runner = live_call(context)
    if context.path("sessionId") != runner.facts.line:
        raise NotFound("there is no such session")
    form = query.media(media_socket.WADIAL)
    texts = CallTexts(runner, form)
    return await serve(context, runner, form, query.buffer_ms / 1000, texts=texts)


OPERATIONS: Final = (media,)


class CallTexts:
    """WADial's texts about one call (`legs.socket.TextMessages`)."""

    def __init__(self, runner: CallRunner, media: MediaFormat) -> None:
        self._runner = runner
        self._messages = WadialMessages(media)
        self._sent: tuple[State, bool] | None = None

    def opening(self) -> list[str]:
        """Return the audio format, then the call's state."""
        return [self._messages.ready(), *self._call()]

    def poll(self, buffered_seconds: float, now: float) -> list[str]:
        """Return what has changed."""
        far = self._runner.machine.far
        errors = self._messages.errors(now, silent=far is not None and far.silent)
        report = self._messages.buffer(buffered_seconds, now)
        return [*self._call(), *errors, *([report] if report else ())]

    def note_loss(self, direction: str) -> None:
        """Note that audio was dropped; the next `poll` reports it."""
        self._messages.note_loss(direction)

    def is_clear(self, text: str) -> bool:
        """Whether the party asks to empty its queue."""
        return WadialMessages.is_clear(text)

    def refusal(self, error: RemoteProtocolError) -> list[str]:
        """Return what was wrong with a message."""
        return [self._messages.invalid_frame(error)]

    def farewell(self) -> list[str]:
        """Return the last state, the failure if there was one, and the end."""
        machine = self._runner.machine
        failed = machine.answered_at is not None and machine.reason in FEED_FAILURES
        failure = [self._messages.feed_failed(str(machine.reason))] if failed else []
        return [*self._call(), *failure, self._messages.ended()]

    def _call(self) -> list[str]:
        machine = self._runner.machine
        state = (machine.state, machine.muted)
        if state == self._sent:
            return []
        self._sent = state
        return [self._messages.call_state(msgspec.to_builtins(snapshot(self._runner.record())))]
