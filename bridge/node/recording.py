"""Records calls: starts, pauses and stops tracks, and publishes what becomes of them."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from bridge.call import events
from bridge.call.model import CallId, LegId, LineName, Party
from bridge.call.parties import parties_of
from bridge.call.routing import Heard, Hears
from bridge.errors import (
    BridgeError,
    CallEnded,
    DatabaseFailed,
    InvalidState,
    StorageFull,
)
from bridge.legs.base import new_leg_id
from bridge.legs.recording import DISK_FULL, RecorderLeg, Span
from bridge.media.archive import HEADER_BYTES, Archive, Recording
from bridge.media.files import WAV
from bridge.media.uploader import RecordingUploader
from bridge.metrics.recording import RecordingMetrics
from bridge.net.storage import Store
from bridge.node.announcement import Announcement
from bridge.node.automatic_recording import AutomaticRecording
from bridge.node.manager import Manager
from bridge.node.recording_events import RecordingEvents
from bridge.node.recording_paths import RecordingPaths
from bridge.node.recording_rules import RecordingRules, last_of_call
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

KINDS: Final = {"inbound": Hears.INBOUND, "outbound": Hears.OUTBOUND, "mixed": Hears.BOTH}
"""The kinds of tracks, and what the recorder of each hears."""
NOT_ANNOUNCED: Final = "not_announced"
"""The announcement of the recording could not be played."""
RETRY_SECONDS: Final = 10.0
CUT_OFF: Final = "cut_off"
"""Nothing had been written when the process ended."""
THREADS: Final = 2


@dataclass(slots=True, eq=False)
class _Track:
    recording: Recording
    span: Span
    leg: RecorderLeg
    over: asyncio.Future[Recording] = field(default_factory=asyncio.Future)


class Recordings:
    """The recordings of this node's calls."""

    def __init__(
        self,
        manager: Manager,
        archive: Archive,
        rules: RecordingRules,
        *,
        store: Store | None,
        metrics: RecordingMetrics,
    ) -> None:
        """Make it, and finish the recordings of this node's previous process.

        Files are uploaded to `store`; None leaves them in the folder.
        """
        self.archive = archive
        self._manager = manager
        self.rules = rules
        self.paths = RecordingPaths(rules.files, archive)
        self._events = RecordingEvents(manager, metrics, self.paths.media_key)
        self._tracks: dict[CallId, list[_Track]] = {}
        self._written: dict[CallId, list[_Track]] = {}
        """Ended tracks whose files are being finished."""
        self._starting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="recording")
        self._tasks = Tasks()
        self.uploader = RecordingUploader(
            archive,
            store=store,
            space=rules.disk_space,
            counters=metrics,
            on_file=self._events.moved,
        )
        """Copies, uploads and deletes recordings that have ended."""
        self.automatic = AutomaticRecording(
            manager,
            start=lambda line, call, asked_for: self.start(line, call, asked_for=asked_for),
            automatic=rules.automatic,
            captures=rules.captures,
        )
        """Starts recordings that no request asks for."""
        self._housekeeping = Tasks()
        self._housekeeping.spawn(self._keep_house(), name="recordings")

    def on_event(self, event: CallEvent) -> None:
        """Record some calls from their answer on; observe when an announcement has been played."""
        if self.rules.announcement is not None:
            self.rules.announcement.on_event(event)
        self.automatic.on_event(event)

    def active(self, call_id: CallId) -> bool:
        """Whether a call is being recorded."""
        return call_id in self._tracks

    async def start(
        self,
        line: LineName,
        call_id: str,
        *,
        kinds: Sequence[str] = tuple(KINDS),
        path: str | None = None,
        asked_for: bool = True,
        form: str = WAV,
    ) -> list[Recording]:
        """Record a live call; a recording that is under way continues unchanged.

        Args:
            line: whose call.
            call_id: which.
            kinds: of `KINDS`.
            path: of the inbound track in the line's media folder, "" to choose a name; None for the
                archive. A number is added to a name that is taken.
            asked_for: whether a request asks for it, not the line's settings.
            form: of `media.files.CONTENT_TYPES`, the format that tracks are also wanted in.

        Raises:
            CallNotFound: there is no such call.
            InvalidState: it is not live, or is recorded to another path.
            InvalidRequest: the path is invalid, or leads out of the line's media folder.
            LimitExceeded: the call has all its legs.
            StorageFull: the disk is full.
        """
        runner = self._manager.live(line, call_id)
        call = runner.facts.call_id
        async with self._starting:
            if call not in self._tracks:
                await self._begin(line, call, kinds, path, asked_for=asked_for, form=form)
            elif path:
                self.paths.check_same(call, [track.recording for track in self._tracks[call]], path)
            elif form != WAV:
                await self._request_copies(call, kinds, form)
            return [track.recording for track in self._tracks[call]]

    async def _request_copies(self, call: CallId, kinds: Sequence[str], form: str) -> None:
        """Request copies of the current tracks of these kinds for when they have ended.

        Raises:
            InvalidState: there are none, or they are recorded to a path that a caller chose.
        """
        tracks = [track for track in self._tracks[call] if track.recording.kind in kinds]
        if not tracks or not all(track.recording.is_ours for track in tracks):
            raise InvalidState(f"the call is being recorded already, and not as {form}")
        for track in tracks:
            await self.archive.request_format(track.recording.recording_id, form)

    async def stop(self, line: LineName, call_id: str) -> list[Recording]:
        """Stop a call's recording; return its tracks once the files are written.

        A recording that has failed is returned as such, and of a call that has ended its last recording,
        because either side may hang up before anybody stops it.

        Raises:
            CallNotFound: the line never had such a call.
            CallEnded: it has ended, and was not recorded.
            InvalidState: it is not being recorded.
        """
        record = self._manager.record(line, call_id)
        call, ended = record.facts.call_id, record.reason is not None
        if ended:
            unfinished = [*self._tracks.get(call, ()), *self._written.get(call, ())]
            await asyncio.gather(*(track.over for track in unfinished))
        tracks = self._tracks.get(call)
        if not tracks or ended:
            last = await last_of_call(self.archive, line, call)
            if found := [track for track in last if ended or track.status == "failed"]:
                return found
            if ended:
                raise CallEnded("the call has ended, and was not recorded")
            raise InvalidState("the call is not being recorded")
        over = asyncio.get_running_loop().time()
        for track in tracks:
            track.span.over = over
        for track in list(tracks):
            self._close(line, call, track.leg.leg_id)
        self._manager.publish(EventType.RECORDING_STOPPED, line, call)
        return list(await asyncio.gather(*(track.over for track in list(tracks))))

    def pause(self, line: LineName, call_id: str, *, paused: bool) -> None:
        """Pause or resume a recording; silence is written while it is paused.

        Raises:
            CallNotFound, InvalidState: there is no such call, or it is not being recorded.
        """
        runner = self._manager.live(line, call_id)
        call = runner.facts.call_id
        tracks = self._tracks.get(call)
        if not tracks:
            raise InvalidState("the call is not being recorded")
        runner.catch_up()
        for track in tracks:
            track.leg.paused = paused
        kind = EventType.RECORDING_PAUSED if paused else EventType.RECORDING_RESUMED
        self._manager.publish(kind, line, call)

    async def aclose(self) -> None:
        """Wait until all files are written; to be called when all calls have ended."""
        await self._housekeeping.aclose()
        await self.automatic.wait()
        await self._tasks.wait()
        self._threads.shutdown()

    async def _begin(
        self,
        line: LineName,
        call: CallId,
        kinds: Sequence[str],
        path: str | None,
        *,
        asked_for: bool,
        form: str,
    ) -> None:
        self._check_space(line, call)
        keys: dict[str, str | None] = dict.fromkeys(kinds)
        reserved = None
        if path is not None:
            reserved = self.paths.reserve(line, call, path)
            keys["inbound"] = self.archive.key_of(reserved)
        parties = parties_of(self._manager.record(line, call))
        try:
            recordings = await self.archive.begin(line, call, keys, form, parties)
        except BaseException:
            if reserved is not None:
                reserved.unlink(missing_ok=True)
                self.paths.forget(call)
            raise
        self._tracks[call] = []
        try:
            self._attach(recordings, asked_for=asked_for)
        finally:
            self._drop_if_over(call)
        if self.rules.announcement is None:
            self._manager.publish(EventType.RECORDING_STARTED, line, call)
        else:
            announced = self._announce(self.rules.announcement, line, call)
            self._tasks.spawn(announced, name=f"announce {call}")

    async def _announce(self, announcement: Announcement, line: LineName, call: CallId) -> None:
        """Start the tracks of a recording once it has been announced to everybody."""
        tracks = self._tracks[call]
        try:
            heard = await announcement.play(line, call)
        except (BridgeError, OSError):
            heard = False
        for track in tracks:
            if heard:
                track.leg.awaiting_consent = False
            else:
                track.leg.give_up(NOT_ANNOUNCED)
        if heard and tracks:
            self._manager.publish(EventType.RECORDING_STARTED, line, call)

    def _check_space(self, line: LineName, call: CallId) -> None:
        try:
            self.rules.disk_space.check()
        except OSError:
            self._manager.publish(EventType.RECORDING_FAILED, line, call, {"reason": DISK_FULL})
            raise StorageFull("the disk has no room for recordings") from None

    def _attach(self, recordings: Sequence[Recording], *, asked_for: bool) -> None:
        """Start all tracks in the same tick of the clock, so that they share one timeline."""
        span = Span()
        for index, recording in enumerate(recordings):
            try:
                self._manager.attach(
                    recording.line,
                    recording.call_id,
                    self._track(recording, span),
                    Party.SERVICE,
                    hears=KINDS[recording.kind],
                    heard=Heard.NOBODY,
                    asked_for=asked_for,
                )
            except BaseException:
                for unused in recordings[index:]:
                    self._forget(unused)
                for track in self._tracks[recording.call_id]:
                    self._close(recording.line, recording.call_id, track.leg.leg_id)
                raise

        span.began = asyncio.get_running_loop().time()

    def _track(self, recording: Recording, span: Span) -> RecorderLeg:
        leg = RecorderLeg(
            new_leg_id(),
            self.archive.path(recording),
            span=span,
            threads=self._threads,
            room=self.rules.disk_space,
            on_over=lambda: self._over(track),
        )
        leg.awaiting_consent = self.rules.announcement is not None
        track = _Track(recording, span, leg)
        self._tracks[recording.call_id].append(track)
        return leg

    def _forget(self, recording: Recording) -> None:
        """Delete a recording that could not begin."""
        tracks = self._tracks[recording.call_id]
        tracks[:] = [track for track in tracks if track.recording is not recording]
        self._tasks.spawn(self.archive.delete(recording), name="recording not begun")

    def _drop_if_over(self, call: CallId) -> None:
        if not self._tracks[call]:
            del self._tracks[call]
            self.paths.forget(call)

    def _close(self, line: LineName, call: CallId, leg_id: LegId) -> None:
        with suppress(BridgeError):  # the call has just ended, and its recording with it
            self._manager.request(line, call, events.CloseRequested(leg_id))

    def _over(self, track: _Track) -> None:
        call = track.recording.call_id
        self._tracks[call].remove(track)
        self._drop_if_over(call)
        self._written.setdefault(call, []).append(track)
        self._tasks.spawn(self._finish(track), name=f"recorded {track.recording.recording_id}")

    async def _finish(self, track: _Track) -> None:
        nothing = track.leg.failure and not track.leg.written_bytes
        size = 0 if nothing else track.leg.written_bytes + HEADER_BYTES
        try:
            recording = await self.archive.finish(
                track.recording.recording_id,
                seconds=track.leg.seconds,
                size_bytes=size,
                failed=bool(track.leg.failure),
            )
        except BaseException as error:
            if not track.over.done():
                track.over.set_exception(error)
                track.over.exception()  # retrieved: nobody may be waiting for it
            raise
        finally:
            written = self._written[track.recording.call_id]
            written.remove(track)
            if not written:
                del self._written[track.recording.call_id]
        if not track.over.done():
            track.over.set_result(recording)
        self._ended(recording, track.leg.failure)

    def _ended(self, recording: Recording, reason: str) -> None:
        self._events.ended(recording, reason)
        self.uploader.wake()

    async def _keep_house(self) -> None:
        """Finish recordings that were cut off, then run the uploader."""
        while True:
            try:
                for recording in await self.archive.finish_interrupted():
                    self._ended(recording, CUT_OFF)
                break
            except DatabaseFailed:
                log.exception("recording.recovery_failed")
                await asyncio.sleep(RETRY_SECONDS)
        await self.uploader.run()
