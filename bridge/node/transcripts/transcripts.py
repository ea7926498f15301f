"""Transcripts of calls: from their recordings once they have ended, or phrase by phrase meanwhile."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec

from bridge.agent.demonstration import Demonstration
from bridge.agent.http_providers import HttpRecognizer
from bridge.agent.provider_client import Endpoint
from bridge.agent.providers import Recognizer
from bridge.call.model import CallId, LegId, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.call.transcript import UNFINISHED, Phrase, Transcribe, Transcript, TranscriptStatus
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import (
    BridgeError,
    CallNotFound,
    DatabaseLost,
    HandoverRefused,
    InvalidState,
    LimitExceeded,
    NotFound,
    Unsupported,
)
from bridge.http.client import Http
from bridge.legs.base import Leg, PassedLeg, new_leg_id
from bridge.legs.transcriber import TranscriberLeg, TranscriberSnapshot
from bridge.metrics.recording import TranscriptionMetrics
from bridge.node.lines import Lines
from bridge.node.manager import Manager
from bridge.node.recording.recordings import Recordings
from bridge.node.runner import CallRunner
from bridge.node.transcripts.events import TranscriptEvents
from bridge.node.transcripts.live import LiveTranscript
from bridge.settings.agent import Agent
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


class LiveSnapshot(msgspec.Struct, frozen=True):
    """A live transcript that passes with its call."""

    callback_url: str
    offset: float
    taps: dict[str, LegId]
    suspended: float


@dataclass(slots=True, eq=False)
class _Live:
    """A live transcript of a call, and its taps by track."""

    job: Job
    transcript: LiveTranscript
    offset: float
    """When the tracks begin, in seconds since the call's answer."""
    taps: dict[str, TranscriberLeg] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    over: set[str] = field(default_factory=set)

    def listen(self, track: str, tap: TranscriberLeg) -> None:
        """Take a tap's phrases; the transcript ends when both taps have left."""
        tap.on_phrase = partial(self.transcript.add, track, self.offset)
        tap.on_over = partial(self._track_over, track)
        self.taps[track] = tap

    def _track_over(self, track: str) -> None:
        self.over.add(track)
        if self.over == TRACKS.keys():
            self.transcript.close()


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
        self._live: dict[CallId, _Live] = {}
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
        else:
            with runner.suspension.kept_here():
                if live:
                    await self._begin_live(runner, recognizer, job)
                else:
                    await self._begin_recorded(runner, job)
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

    async def _begin_recorded(self, runner: CallRunner, job: Job) -> None:
        await self._recordings.start(runner)
        await self._insert(job, Transcribe.AFTER, TranscriptStatus.RECORDING)
        if runner.live:
            self.recorded.add(CallId(job.call_id))
        else:
            self._release(CallId(job.call_id))

    def _release(self, call_id: CallId) -> None:
        payload = msgspec.msgpack.encode((call_id, wall_time()))
        self._database.append(RELEASE, payload, then=self.due.set)

    def _mode(self, runner: CallRunner) -> Transcribe:
        asked = runner.facts.details.transcribe
        return asked if asked is not Transcribe.OFF else self._automatic(runner.facts.line)

    async def _order_quietly(self, runner: CallRunner, mode: Transcribe) -> None:
        facts = runner.facts
        try:
            with (
                runner.suspension.kept_here()
            ):  # nobody repeats it at the node that the call passes to
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
        await self._insert(job, Transcribe.LIVE, TranscriptStatus.LIVE)
        now = asyncio.get_running_loop().time()
        offset = now - (runner.machine.answered_at or now)
        live = _Live(job, self._transcript(recognizer, job), offset)
        try:
            for track, subscription in TRACKS.items():
                live.listen(track, leg := self._tap(new_leg_id()))
                role = LegRole(Party.SERVICE, subscription, Audience.NOBODY, asked_for=False)
                runner.add_leg(leg, role)
        except BridgeError:
            live.transcript.close()
            await self._database.run(transcripts.delete, job.call_id)
            raise
        self._spawn_live(live)

    def _transcript(self, recognizer: Recognizer, job: Job) -> LiveTranscript:
        line, call_id = LineName(job.line), CallId(job.call_id)
        return LiveTranscript(
            recognizer,
            max_queued=self._settings.queued_phrases,
            counters=self._metrics,
            on_phrase=partial(self._keep, line, call_id),
            on_missing=lambda: self._database.post(
                partial(transcripts.count_missing, call_id=call_id)
            ),
        )

    def _tap(self, leg_id: LegId) -> TranscriberLeg:
        seconds = self._settings.phrase_seconds
        return TranscriberLeg(
            leg_id, max_seconds=seconds, on_phrase=lambda _: None, on_over=lambda: None
        )

    def _spawn_live(self, live: _Live) -> None:
        call_id = CallId(live.job.call_id)
        self._live[call_id] = live
        live.task = self._tasks.spawn(self._run_live(live), name=f"live transcript {call_id}")

    async def _run_live(self, live: _Live) -> None:
        await live.transcript.run()
        call_id = CallId(live.job.call_id)
        finish = partial(self._events.finish, call_id, callback_url=live.job.callback_url)
        await self._database.retry(finish, pause=FINISH_AGAIN_SECONDS)
        if self._live.get(call_id) is live:
            del self._live[call_id]

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if a call's live transcript cannot move now (`node.handover.CallService`).

        A copy of it has no phrases that are being transcribed.
        """
        live = self._live.get(call_id)
        if live is not None and (live.over or not (copy or live.transcript.idle)):
            raise HandoverRefused("a phrase is being transcribed")

    def suspend(self, call_id: CallId) -> LiveSnapshot | None:
        """Return a call's live transcript (`node.handover.CallService`)."""
        if (live := self._live.get(call_id)) is None:
            return None
        taps = {track: leg.leg_id for track, leg in live.taps.items()}
        now = asyncio.get_running_loop().time()
        return LiveSnapshot(live.job.callback_url, live.offset, taps, now)

    def resume(self, call_id: CallId) -> None:
        """Go on (`node.handover.CallService`); the taps do."""

    def abandon(self, call_id: CallId) -> None:
        """Leave a call's live transcript to another process (`node.handover.CallService`)."""
        live = self._live.pop(call_id, None)
        if live is not None and live.task is not None:
            live.task.cancel()

    def restore_leg(self, passed: PassedLeg) -> TranscriberLeg:
        """Return a tap that goes on with another process's (`node.handover.RestoreLeg`)."""
        leg = self._tap(passed.leg_id)
        leg.restore(passed.read(TranscriberSnapshot))
        return leg

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Go on with another process's live transcript (`node.handover.CallService`)."""
        before = msgspec.msgpack.decode(state, type=LiveSnapshot)
        job = Job(runner.facts.call_id, runner.facts.line, before.callback_url)
        transcript = self._transcript(self._recognizer_of(runner.facts.line), job)
        # The taps count what they hear: what was not heard meanwhile is before it.
        gap = max(0.0, asyncio.get_running_loop().time() - before.suspended)
        live = _Live(job, transcript, before.offset + gap)
        for track, leg_id in before.taps.items():
            leg = legs.get(leg_id)
            if track not in TRACKS or not isinstance(leg, TranscriberLeg):
                raise HandoverRefused("the taps of a transcript are not those of the call")
            live.listen(track, leg)
        self._spawn_live(live)

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
