"""The messages that callers left: kept once their recording is ready, published, transcribed, and deleted with it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from bridge.call.model import CallId, CallRecord, LineName, State
from bridge.call.parties import parties_of
from bridge.call.recording import Recording
from bridge.call.voicemail import Finish
from bridge.errors import BridgeError, DatabaseLost, NotFound, Unsupported
from bridge.media.voicemails import Voicemail, VoicemailStore
from bridge.metrics.recording import VoicemailMetrics
from bridge.node.manager import Manager
from bridge.node.publisher import new_event
from bridge.node.recording.recordings import Recordings
from bridge.node.transcripts.transcripts import Transcripts
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.iso8601 import iso8601

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 600.0
RETRY_SECONDS: Final = 10.0
"""After an outage of the database."""


class Voicemails:
    """The voicemails of all lines, as one node sees them."""

    def __init__(
        self,
        manager: Manager,
        store: VoicemailStore,
        recordings: Recordings,
        *,
        metrics: VoicemailMetrics,
    ) -> None:
        self._manager = manager
        self.store = store
        self._recordings = recordings
        self._metrics = metrics
        self._opened = iso8601(datetime.now(UTC))

    def count(self, outcome: str) -> None:
        """Count a call that was sent to voicemail, by what became of it (`metrics.recording.VOICEMAIL_OUTCOMES`)."""
        self._metrics.ended(outcome)

    async def begin(self, record: CallRecord) -> None:
        """Note that a call's message is about to be recorded."""
        facts, who = record.facts, parties_of(record)
        created = iso8601(datetime.now(UTC))
        await self.store.begin(
            Voicemail(facts.call_id, facts.line, who.from_, who.to, who.from_channel, created)
        )

    async def complete(self, recording: Recording, finish: Finish, *, kept: bool) -> None:
        """Make a voicemail of a recording, if it is one of a message; delete it unless `kept`."""
        if not await self.store.is_pending(recording.call_id):
            return
        failed = recording.status == "failed"
        if failed or not kept:
            await self.store.delete(recording.line, recording.call_id)
            await self._recordings.archive.delete(recording)
            self.count("failed" if failed else "empty")
        elif (voicemail := await self.store.complete(recording)) is not None:
            self.count("received")
            log.info("voicemail.received", extra={"call": voicemail.call_id, "reason": finish})
            await self._publish(EventType.VOICEMAIL_RECEIVED, voicemail, reason=finish.value)

    async def transcribed(self, line: LineName, call_id: CallId, text: str) -> None:
        """Keep the transcription of a message, and publish it.

        Raises:
            NotFound: there is no such voicemail.
        """
        voicemail = await self.store.transcribed(line, call_id, text)
        await self._publish(EventType.VOICEMAIL_TRANSCRIBED, voicemail)

    async def delete(self, line: LineName, call_id: str) -> None:
        """Delete a voicemail and its recording.

        Raises:
            NotFound: the line has none of this call.
        """
        voicemail = await self.store.find(line, call_id)
        for recording in await self._recordings.archive.of_call(line, voicemail.call_id):
            if recording.recording_id == voicemail.recording_id:
                await self._recordings.archive.delete(recording)
                self._recordings.uploader.wake()
        await self.store.delete(line, voicemail.call_id)

    async def run(self) -> None:
        """Complete what processes left that are no more, and delete what expires, until cancelled."""
        share = self._recordings.archive.share
        while True:
            try:
                for left in await self.store.pending(share.of_all(), self._opened):
                    await self._recover(left)
                await self.store.sweep()
            except DatabaseLost:
                await self._recordings.archive.available(RETRY_SECONDS)
                continue
            except BridgeError:
                log.exception("voicemail.sweep_failed")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _recover(self, left: Voicemail) -> None:
        """Complete a message whose recording has been finished; drop one that was not recorded."""
        tracks = await self._recordings.archive.of_call(left.line, left.call_id)
        if not tracks:
            await self.store.delete(left.line, left.call_id)
        for track in tracks:
            if track.status != "recording" and track.kind == "inbound":
                await self.complete(track, Finish.HANGUP, kept=track.seconds > 0)

    async def _publish(self, kind: EventType, voicemail: Voicemail, **more: str) -> None:
        line, call_id = voicemail.line, voicemail.call_id
        record = await self._manager.find_record(line, call_id)
        data = {
            "voicemailId": call_id,
            "recordingId": voicemail.recording_id,
            "callerNumber": voicemail.from_,
            "callerChannel": voicemail.channel,
            "durationMs": round(voicemail.seconds * 1000),
            "isRead": voicemail.is_read,
            "transcription": voicemail.transcription,
            "createdAt": voicemail.created_at,
            "expiresAt": voicemail.expires_at,
        }
        self._manager.publisher.publish(new_event(kind, line, record, data | more))


class VoicemailTranscripts:
    """The transcriptions of this node's messages; `node.transcripts.transcripts` makes them, retries, and survives restarts."""

    def __init__(
        self,
        voicemails: Voicemails,
        transcripts: Transcripts,
        *,
        wanted: Callable[[LineName], bool],
    ) -> None:
        """`wanted` says whether a line's messages are transcribed."""
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
