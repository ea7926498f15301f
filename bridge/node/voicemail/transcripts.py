"""Transcribes the messages that callers left, where their line wants that, and keeps what was said with them."""

import logging
from collections.abc import Callable
from contextlib import suppress

from bridge.call.model import CallId, LineName, State
from bridge.errors import BridgeError, NotFound, Unsupported
from bridge.node.transcripts.transcripts import Transcripts
from bridge.node.voicemail.voicemails import Voicemails
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)


class VoicemailTranscripts:
    """The transcriptions of this node's messages; `node.transcripts.transcripts` makes them, retries, and survives restarts."""

    def __init__(
        self,
        voicemails: Voicemails,
        transcripts: Transcripts,
        *,
        wanted: Callable[[LineName], bool],
    ) -> None:
        """Make it; `wanted` says whether a line's messages are transcribed."""
        self._voicemails = voicemails
        self._transcripts = transcripts
        self._wanted = wanted
        self._tasks = Tasks()

    def on_event(self, event: CallEvent) -> None:
        """Order the transcript of a message that is received, and keep one that is ready."""
        if event.call is None:
            return
        line, call_id = LineName(event.line), CallId(event.call.id)
        if event.type == EventType.VOICEMAIL_RECEIVED:
            # A call that somebody has taken over would be recorded again.
            if self._wanted(line) and event.call.state == State.ENDED:
                self._tasks.spawn(self._order(line, call_id), name=f"transcribe {call_id}")
        elif event.type == EventType.TRANSCRIPT_READY:
            self._tasks.spawn(self._keep(line, call_id), name=f"transcript of {call_id}")

    async def aclose(self) -> None:
        """Wait until what is ready is kept."""
        await self._tasks.wait()

    async def _order(self, line: LineName, call_id: CallId) -> None:
        try:
            await self._transcripts.order(line, call_id)
        except Unsupported:
            pass  # the line has no provider
        except BridgeError as error:
            log.warning("voicemail.not_transcribed", extra={"call": call_id, "reason": error.code})

    async def _keep(self, line: LineName, call_id: CallId) -> None:
        text = await self._transcripts.text(line, call_id)
        if text:
            with suppress(NotFound):  # it is of a call without a message
                await self._voicemails.transcribed(line, call_id, text)
