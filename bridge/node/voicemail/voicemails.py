"""The messages that callers left: kept once their recording is ready, published, and deleted with it."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from bridge.call.model import CallId, CallRecord, LineName
from bridge.call.parties import parties_of
from bridge.call.voicemail import Finish
from bridge.errors import BridgeError, CallNotFound, DatabaseLost
from bridge.media.recording.rows import Recording
from bridge.media.voicemails import Voicemail, VoicemailStore
from bridge.metrics.voicemail import VoicemailMetrics
from bridge.node.call_history import CallHistory
from bridge.node.manager import Manager
from bridge.node.publisher import new_event
from bridge.node.recording.recordings import Recordings
from bridge.wire.call_event import EventType
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
        history: CallHistory,
        metrics: VoicemailMetrics,
    ) -> None:
        """Make it; `history` finds the calls of messages that a killed process left."""
        self._manager = manager
        self.store = store
        self._recordings = recordings
        self._history = history
        self._metrics = metrics
        self._opened = iso8601(datetime.now(UTC))

    def count(self, outcome: str) -> None:
        """Count a call that was sent to voicemail, by what became of it (`metrics.voicemail.OUTCOMES`)."""
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
                await self._recordings.archive.available()
                await asyncio.sleep(RETRY_SECONDS)
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
        try:
            record: CallRecord | None = self._manager.record(line, call_id)
        except CallNotFound:
            report = await self._history.find(line, call_id)
            record = report.record if report is not None else None
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
