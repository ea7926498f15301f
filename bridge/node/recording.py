"""Recording calls: starts and stops tracks, and tells when their files can be had."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from bridge.media.archive import HEAD_BYTES, Archive, Recording
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
"""What can be recorded, and what the tap for it hears."""
NOT_ANNOUNCED: Final = "not_announced"
"""Nobody could be told that the call is recorded."""
AGAIN_SECONDS: Final = 10.0
CUT_OFF: Final = "cut_off"
"""Nothing was written yet when the process ended."""
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
        """Make it, and finish what this node's forerunner left.

        Args:
            manager: has the calls.
            archive: keeps what is recorded.
            rules: what may be recorded, and where.
            store: where files are moved up to; None = they stay in the folder.
            metrics: count tracks, copies and uploads.
        """
        self.archive = archive
        self._manager = manager
        self.rules = rules
        self.paths = RecordingPaths(rules.files, archive)
        self._events = RecordingEvents(manager, metrics, self.paths.media_key)
        self._tracks: dict[CallId, list[_Track]] = {}
        self._written: dict[CallId, list[_Track]] = {}
        """Tracks that are over, while their files are finished."""
        self._starting = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="recording")
        self._tasks = Tasks()
        self.keeper = RecordingUploader(
            archive, store=store, room=rules.room, counters=metrics, on_file=self._events.moved
        )
        """Looks after recordings that have ended."""
        self.automatic = AutomaticRecording(
            manager,
            start=self.start,
            automatic=rules.automatic,
            captures=rules.captures,
        )
        """Starts what nobody asks for."""
        self._keeping = Tasks()
        self._keeping.spawn(self._keep_house(), name="recordings")

    def on_event(self, event: CallEvent) -> None:
        """Record some calls from their answer on; observe when an announcement has been played."""
        if self.rules.announcement is not None:
            self.rules.announcement.on_event(event)
        self.automatic.on_event(event)

    def active(self, call_id: CallId) -> bool:
        """Whether a call is being recorded now."""
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
        """Record a live call; one that is recorded already goes on as it is.

        Args:
            line: whose call.
            call_id: which.
            kinds: of `KINDS`.
            path: where the inbound track shall lie in the line's media folder, "" to have its name
                chosen; None for the archive. Where the name is taken a number is added to it.
            asked_for: whether somebody did, not the line by itself.
            form: of `media.files.CONTENT_TYPES`, what the tracks are wanted as besides.

        Raises:
            CallNotFound: there is no such call.
            InvalidState: it is not live, or is recorded already and to another path.
            InvalidRequest: the path is none, or leads out of the line's media folder.
            LimitExceeded: the call has all its legs.
            StorageFull: the disk has no room.
        """
        runner = self._manager.live(line, call_id)
        call = runner.facts.call_id
        async with self._starting:
            if call not in self._tracks:
                await self._begin(line, call, kinds, path, asked_for=asked_for, form=form)
            elif path:
                self.paths.check_same(call, [track.recording for track in self._tracks[call]], path)
            elif form != WAV:
                await self._ask_for(call, kinds, form)
            return [track.recording for track in self._tracks[call]]

    async def _ask_for(self, call: CallId, kinds: Sequence[str], form: str) -> None:
        """Have copies made of the tracks of these kinds that are recorded now, once they have ended.

        Raises:
            InvalidState: they are recorded otherwise, or to where a caller chose.
        """
        tracks = [track for track in self._tracks[call] if track.recording.kind in kinds]
        if not tracks or not all(track.recording.is_ours for track in tracks):
            raise InvalidState(f"the call is being recorded already, and not as {form}")
        for track in tracks:
            await self.archive.ask_for(track.recording.recording_id, form)

    async def stop(self, line: LineName, call_id: str) -> list[Recording]:
        """End a call's recording; returns once the files are written.

        One that failed before it was stopped is given as it failed, and of a call that has ended its
        last recording: both sides may hang up before anybody stops it.

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
        """Write silence in place of what is heard, or what is heard again.

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
        """Wait until all files are written; the calls have ended."""
        await self._keeping.aclose()
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
        self._check_room(line, call)
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
        """Let the tracks of a recording begin once all have heard that there is one."""
        tracks = self._tracks[call]
        try:
            heard = await announcement.play(line, call)
        except (BridgeError, OSError):
            heard = False
        for track in tracks:
            if heard:
                track.leg.waits = False
            else:
                track.leg.give_up(NOT_ANNOUNCED)
        if heard and tracks:
            self._manager.publish(EventType.RECORDING_STARTED, line, call)

    def _check_room(self, line: LineName, call: CallId) -> None:
        try:
            self.rules.room.check()
        except OSError:
            self._manager.publish(EventType.RECORDING_FAILED, line, call, {"reason": DISK_FULL})
            raise StorageFull("the disk has no room for recordings") from None

    def _attach(self, recordings: Sequence[Recording], *, asked_for: bool) -> None:
        """Begin all tracks within one tick of the clock, so that they share one time."""
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
            room=self.rules.room,
            on_over=lambda: self._over(track),
        )
        leg.waits = self.rules.announcement is not None
        track = _Track(recording, span, leg)
        self._tracks[recording.call_id].append(track)
        return leg

    def _forget(self, recording: Recording) -> None:
        """Undo what a recording that could not begin has left."""
        tracks = self._tracks[recording.call_id]
        tracks[:] = [track for track in tracks if track.recording is not recording]
        self._tasks.spawn(self.archive.delete(recording), name="recording not begun")

    def _drop_if_over(self, call: CallId) -> None:
        if not self._tracks[call]:
            del self._tracks[call]
            self.paths.forget(call)

    def _close(self, line: LineName, call: CallId, leg_id: LegId) -> None:
        try:
            self._manager.request(line, call, events.CloseRequested(leg_id))
        except BridgeError:
            return  # the call has just ended, and its recording with it

    def _over(self, track: _Track) -> None:
        call = track.recording.call_id
        self._tracks[call].remove(track)
        self._drop_if_over(call)
        self._written.setdefault(call, []).append(track)
        self._tasks.spawn(self._finish(track), name=f"recorded {track.recording.recording_id}")

    async def _finish(self, track: _Track) -> None:
        nothing = track.leg.failure and not track.leg.written_bytes
        size = 0 if nothing else track.leg.written_bytes + HEAD_BYTES
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
                track.over.exception()  # nobody need wait for it
            raise
        finally:
            self._forget_written(track)
        if not track.over.done():
            track.over.set_result(recording)
        self._ended(recording, track.leg.failure)

    def _forget_written(self, track: _Track) -> None:
        written = self._written[track.recording.call_id]
        written.remove(track)
        if not written:
            del self._written[track.recording.call_id]

    def _ended(self, recording: Recording, reason: str) -> None:
        self._events.ended(recording, reason)
        self.keeper.wake()

    async def _keep_house(self) -> None:
        """Finish what was cut off, then look after what there is."""
        while True:
            try:
                for recording in await self.archive.cut_off():
                    self._ended(recording, CUT_OFF)
                break
            except DatabaseFailed:
                log.exception("recording.keeping_failed")
                await asyncio.sleep(AGAIN_SECONDS)
        await self.keeper.run()
