"""Transcripts of calls: from their recordings once they have ended, or phrase by phrase meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from bridge.agent.demonstration import Demonstration
from bridge.agent.http_providers import HttpRecognizer
from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import Recognizer
from bridge.audio.detect.phrases import SpokenPhrase
from bridge.call.model import CallId, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.call.transcript import UNFINISHED, Phrase, Transcribe, Transcript, TranscriptStatus
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import (
    BridgeError,
    CallNotFound,
    DatabaseLost,
    InvalidState,
    LimitExceeded,
    NotFound,
    Unsupported,
)
from bridge.http.client import Http
from bridge.legs.base import new_leg_id
from bridge.legs.transcriber import TranscriberLeg
from bridge.metrics.recording import TranscriptionMetrics
from bridge.node.lines import Lines
from bridge.node.manager import Manager
from bridge.node.recording.recordings import Recordings
from bridge.node.runner import CallRunner
from bridge.node.transcripts.events import TranscriptEvents
from bridge.node.transcripts.live import LiveTranscript
from bridge.settings.line import Agent
from bridge.settings.recording import Transcription
from bridge.stores import transcripts
from bridge.stores.transcripts import Job
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

RELEASE: Final = "transcript_release"
"""What the ends of calls that are to be transcribed are appended to the database as."""
PHRASE: Final = "transcript_phrase"
"""What phrases are appended as while the database is away."""
FINISH_AGAIN_SECONDS: Final = 1.0
"""After an outage of the database."""
TRACKS: Final = {"inbound": Subscription.INBOUND, "outbound": Subscription.OUTBOUND}
"""What is transcribed live, and what the tap of each hears."""


@dataclass(frozen=True, slots=True)
class TranscriptionRules:
    """The operator's and the lines' settings of transcripts."""

    settings: Transcription
    recognizer_of: Callable[[LineName], Recognizer]
    """Returns a line's speech recognition; raises `Unsupported` for a line that has none."""
    automatic: Callable[[LineName], Transcribe] = lambda _: Transcribe.OFF
    """Returns how a line's calls are transcribed that no request asks for."""


class Transcripts:
    """The transcripts of all calls, and the live ones of this node's."""

    def __init__(
        self,
        manager: Manager,
        recordings: Recordings,
        database: Database,
        events: TranscriptEvents,
        *,
        rules: TranscriptionRules,
        metrics: TranscriptionMetrics,
    ) -> None:
        self._manager = manager
        self._recordings = recordings
        self._database = database
        database.handle(RELEASE, _release)
        database.handle(PHRASE, _add_phrases)
        self._events = events
        self._recognizer_of = rules.recognizer_of
        self._settings = rules.settings
        self._automatic = rules.automatic
        self._metrics = metrics
        self.recorded: set[CallId] = set()
        """Live calls of this node that are transcribed after their end."""
        self._tasks = Tasks()
        self.due = asyncio.Event()
        """Set when a recording may be due (`node.transcripts.transcription`)."""

    def on_event(self, event: CallEvent) -> None:
        """Begin the transcripts that requests for calls ask for; release recordings of calls that end."""
        if event.type not in (EventType.CALL_ANSWERED, EventType.CALL_ENDED) or not event.call:
            return
        call_id = CallId(event.call.id)
        if event.type == EventType.CALL_ANSWERED:
            runner = self._manager.running(call_id)
            if runner is not None and (mode := self._mode(runner)) is not Transcribe.OFF:
                self._tasks.spawn(self._order_quietly(runner, mode), name=f"transcribe {call_id}")
        elif call_id in self.recorded:
            self.recorded.discard(call_id)
            self._release(call_id)

    def check(self, line: LineName) -> None:
        """Raise `Unsupported` if the line has no provider."""
        self._recognizer_of(line)

    async def order(
        self, line: LineName, call_id: str, *, live: bool = False, callback_url: str = ""
    ) -> Transcript:
        """Transcribe a call; return its transcript as it stands.

        A live call is recorded for that, unless `live`; of one that has ended, the recordings are transcribed, again
        if they were before. An unfinished transcript goes on unchanged. `callback_url` gets the event of the end.

        Raises:
            CallNotFound: the line never had such a call.
            InvalidState: it is not answered, or has ended and was not recorded.
            LimitExceeded: the call has all its legs, or the line too many unfinished transcripts.
            StorageFull: it cannot be recorded.
            Unsupported: the line has no provider.
        """
        recognizer = self._recognizer_of(line)
        runner = self._manager.running(CallId(call_id))
        if runner is not None:
            runner = self._manager.live(line, call_id)
            runner.machine.check_answered("a transcript needs")
        known = await self.find(line, call_id)
        if known is not None and known.status in UNFINISHED:
            return known
        await self._check_room(line)
        job = Job(call_id, line, callback_url)
        if runner is None:
            await self._check_recorded(line, call_id, live=live)
            await self._insert(job, Transcribe.AFTER, TranscriptStatus.WAITING)
            self.due.set()
        elif live:
            with runner.suspension.kept_here():
                await self._begin_live(runner, recognizer, job)
        else:
            await self._recordings.start(runner)
            await self._insert(job, Transcribe.AFTER, TranscriptStatus.RECORDING)
            if runner.live:
                self.recorded.add(CallId(call_id))
            else:
                self._release(CallId(call_id))
        found = await self.find(line, call_id)
        if found is None:
            raise NotFound("the call's transcript has been erased")
        return found

    async def find(self, line: LineName, call_id: str) -> Transcript | None:
        """Return a call's transcript; None if there is none."""
        return await self._database.read(transcripts.find, call_id, line)

    async def text(self, line: LineName, call_id: str) -> str | None:
        """Return the text of a call's finished transcript; None if there is none."""
        found = await self.find(line, call_id)
        if found is None or found.status is not TranscriptStatus.COMPLETED:
            return None
        return found.text

    async def aclose(self) -> None:
        """Stop all live transcripts; the next process finishes them with the phrases they have."""
        await self._tasks.aclose()

    def _release(self, call_id: CallId) -> None:
        payload = msgspec.msgpack.encode((call_id, wall_time()))
        self._database.append(RELEASE, payload, then=self.due.set)

    def _mode(self, runner: CallRunner) -> Transcribe:
        asked = runner.facts.details.transcribe
        return asked if asked is not Transcribe.OFF else self._automatic(runner.facts.line)

    async def _order_quietly(self, runner: CallRunner, mode: Transcribe) -> None:
        facts = runner.facts
        try:
            await self.order(facts.line, facts.call_id, live=mode is Transcribe.LIVE)
        except (BridgeError, OSError) as error:
            reason = error.code if isinstance(error, BridgeError) else "disk_failed"
            log.warning("transcript.not_started", extra={"call": facts.call_id, "reason": reason})
            self._metrics.finished("failed")
            runner.publish(EventType.TRANSCRIPT_FAILED, {"reason": reason})

    async def _check_room(self, line: LineName) -> None:
        limit = self._settings.unfinished_per_line
        if await self._database.run(transcripts.unfinished, line) >= limit:
            raise LimitExceeded(
                f"the line has {limit} unfinished transcripts already "
                "(transcription.unfinished_per_line)"
            )

    async def _check_recorded(self, line: LineName, call_id: str, *, live: bool) -> None:
        if await self._manager.find_record(line, CallId(call_id)) is None:
            raise CallNotFound("there is no such call")
        found = await self._recordings.archive.of_call(line, CallId(call_id))
        if live or not found:
            why = "cannot be transcribed live" if live else "was not recorded"
            raise InvalidState(f"the call has ended, and {why}")

    async def _insert(self, job: Job, mode: Transcribe, status: TranscriptStatus) -> None:
        await self._database.run(transcripts.insert, job, mode=mode, status=status, now=wall_time())

    async def _begin_live(self, runner: CallRunner, recognizer: Recognizer, job: Job) -> None:
        line, call_id = runner.facts.line, runner.facts.call_id
        await self._insert(job, Transcribe.LIVE, TranscriptStatus.LIVE)
        live = LiveTranscript(
            recognizer,
            max_queued=self._settings.queued_phrases,
            counters=self._metrics,
            on_phrase=partial(self._keep, line, call_id),
            on_missing=lambda: self._database.post(
                partial(transcripts.count_missing, call_id=call_id)
            ),
        )
        try:
            self._listen(runner, live)
        except BridgeError:
            live.close()
            await self._database.run(transcripts.delete, call_id)
            raise
        self._tasks.spawn(self._run_live(live, job), name=f"live transcript {call_id}")

    def _listen(self, runner: CallRunner, live: LiveTranscript) -> None:
        """Tap both tracks; the transcript ends when both taps have left."""
        over: set[str] = set()
        now = asyncio.get_running_loop().time()
        offset = now - (runner.machine.answered_at or now)

        def track_over(track: str) -> None:
            over.add(track)
            if over == TRACKS.keys():
                live.close()

        def phrase(track: str, spoken: SpokenPhrase) -> None:
            live.add(track, offset, spoken)

        for track, subscription in TRACKS.items():
            leg = TranscriberLeg(
                new_leg_id(),
                max_seconds=self._settings.phrase_seconds,
                on_phrase=partial(phrase, track),
                on_over=partial(track_over, track),
            )
            runner.add_leg(
                leg, LegRole(Party.SERVICE, subscription, Audience.NOBODY, asked_for=False)
            )

    async def _run_live(self, live: LiveTranscript, job: Job) -> None:
        await live.run()
        finish = partial(self._events.finish, CallId(job.call_id), callback_url=job.callback_url)
        await self._database.retry(finish, pause=FINISH_AGAIN_SECONDS)

    async def _keep(self, line: LineName, call_id: CallId, phrase: Phrase) -> None:
        key = f"{phrase.track} {phrase.start:.3f}"
        try:
            kept = await self._database.run(transcripts.add_phrase, call_id, key, phrase)
        except DatabaseLost:  # the call goes on, and so does its transcript
            self._database.append(PHRASE, msgspec.msgpack.encode((call_id, key, phrase)))
            kept = True
        if kept and phrase.text:
            self._events.phrase(line, call_id, phrase)


def _add_phrases(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        call_id, key, phrase = msgspec.msgpack.decode(payload, type=tuple[str, str, Phrase])
        transcripts.add_phrase(connection, call_id, key, phrase)


def _release(connection: Connection, payloads: list[bytes]) -> None:
    for payload in payloads:
        call_id, now = msgspec.msgpack.decode(payload)
        transcripts.release(connection, call_id, now)


def recognizers(
    http: Http,
    lines: Lines,
    *,
    settings_of: Callable[[LineName], Agent],
    demos: Collection[LineName],
) -> Callable[[LineName], Recognizer]:
    """Return a function that makes a line's; it raises `Unsupported` for a line without a provider.

    The lines in `demos` have a demonstration, unless they have a URL.
    """

    def recognizer_of(line: LineName) -> Recognizer:
        config, settings = lines.config(line), settings_of(line)
        if config.stt_url:
            token = config.provider_token
            at = Endpoint(http.of(line), "stt", config.stt_url, token, settings.stt_seconds)
            return HttpRecognizer(at, settings)
        if line in demos:
            return Demonstration(None)
        raise Unsupported(
            "transcripts need a provider: set callSttUrl (PUT /call/config), then reconnect"
        )

    return recognizer_of
