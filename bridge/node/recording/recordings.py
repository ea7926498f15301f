"""Records calls: starts, pauses and stops tracks, and publishes what becomes of them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from secrets import randbits
from typing import Final

import msgspec

from bridge.audio.file.formats import OGG, WAV
from bridge.audio.file.track_file import TrackFile, new_track_file, restored
from bridge.call.model import CallId, LegId, LineName, Party
from bridge.call.parties import parties_of
from bridge.call.recording import ALL_TRACKS, Recording, RecordingRequest
from bridge.call.routing import Audience, LegRole
from bridge.errors import BridgeError, CallEnded, HandoverRefused, InvalidState, StorageFull
from bridge.http.object_store import Bucket
from bridge.legs.base import Leg, PassedLeg, new_leg_id
from bridge.legs.recording import DISK_FULL, NOT_ANNOUNCED, RecorderLeg, RecorderSnapshot, Span
from bridge.media.recording.archive import Archive, key_of
from bridge.media.recording.audio import read_audio
from bridge.media.recording.live_parts import LiveParts
from bridge.media.recording.repair import written
from bridge.media.recording.uploader import RecordingUploader
from bridge.metrics.recording import RecordingMetrics
from bridge.node.calls.announcement import Announcement
from bridge.node.manager import Manager
from bridge.node.recording.events import RecordingEvents
from bridge.node.recording.recovery import RecordingRecovery
from bridge.node.recording.rules import AutomaticRecording, RecordingRules
from bridge.node.recording.tracks import (
    RecordedTrack,
    RecordingPaths,
    RecordingSnapshot,
    close,
    legs_of,
    passes_packets,
    restore_tracks,
    sides,
)
from bridge.node.runner import CallRunner
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

THREADS: Final = 2


class Recordings:
    """The recordings of this node's calls."""

    def __init__(
        self,
        manager: Manager,
        archive: Archive,
        rules: RecordingRules,
        *,
        store: Bucket | None,
        metrics: RecordingMetrics,
    ) -> None:
        """Recordings that processes left which are no more are finished.

        Files are uploaded to `store`; None leaves them in the folder.
        """
        self.archive = archive
        self._manager = manager
        self.rules = rules
        self.paths = RecordingPaths(rules.files, archive)
        self._events = RecordingEvents(manager, metrics, self.paths.media_key)
        self._tracks: dict[CallId, list[RecordedTrack]] = {}
        self._written: dict[CallId, list[RecordedTrack]] = {}
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
        self.recovery = RecordingRecovery(archive, store=store, on_ended=self.ended)
        """Finishes recordings of processes that are no more."""
        live = rules.settings.s3.live
        self._parts = LiveParts(store if live else None, count=metrics.part)
        self.automatic = AutomaticRecording(manager, rules, self.start)
        """Starts recordings that no request asks for."""
        self._housekeeping = Tasks()
        self._housekeeping.spawn(self.recovery.run(), name="recordings recovery")
        self._housekeeping.spawn(self.uploader.run(), name="recordings uploader")
        self._housekeeping.spawn(self._parts.run(), name="recordings parts")

    def on_event(self, event: CallEvent) -> None:
        """Record some calls from their answer on; observe when an announcement has been played."""
        if self.rules.announcement is not None:
            self.rules.announcement.on_event(event)
        self.automatic.on_event(event)

    def active(self, call_id: CallId) -> bool:
        """Whether a call is being recorded."""
        return call_id in self._tracks

    def begun(self, call: CallId) -> dict[str, float]:
        """Return when each recording of a call began, by id, on the loop's clock."""
        return {one.recording.recording_id: one.began for one in self._tracks.get(call, ())}

    async def start(
        self, runner: CallRunner, request: RecordingRequest = ALL_TRACKS
    ) -> list[Recording]:
        """Record a live call; a recording that is under way continues unchanged.

        Raises:
            InvalidState: the call has ended, or is recorded to another path.
            InvalidRequest: the path is invalid, or leads out of the line's media folder.
            LimitExceeded: the call has all its legs.
            StorageFull: the disk is full.
        """
        call = runner.facts.call_id
        with runner.suspension.kept_here():
            async with self._starting:
                if call not in self._tracks:
                    await self._begin(runner, request)
                elif request.path:
                    tracks = self._tracks[call]
                    current, requested = [one.recording for one in tracks], tracks[0].request.path
                    self.paths.check_same(runner.facts.line, current, requested, request.path)
                elif request.copy_format != WAV:
                    await self._request_copies(call, request.kinds, request.copy_format)
                return [track.recording for track in self._tracks[call]]

    async def _request_copies(self, call: CallId, kinds: Sequence[str], file_format: str) -> None:
        """Request copies of the current tracks of these kinds for when they have ended."""
        tracks = [track for track in self._tracks[call] if track.recording.kind in kinds]
        if not tracks or not all(track.recording.is_ours for track in tracks):
            raise InvalidState(f"the call is being recorded already, and not as {file_format}")
        for track in tracks:
            await self.archive.request_format(track.recording.recording_id, file_format)

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
            known = await self.archive.of_call(line, call)
            began = max((track.started_at for track in known), default="")
            last = [track for track in known if track.started_at == began]
            if found := [track for track in last if ended or track.status == "failed"]:
                return found
            if ended:
                raise CallEnded("the call has ended, and was not recorded")
            raise InvalidState("the call is not being recorded")
        with tracks[0].runner.suspension.kept_here():
            tracks[0].span.over = asyncio.get_running_loop().time()
            close(tracks[0].runner, legs_of(tracks))
        self._manager.publish(EventType.RECORDING_STOPPED, line, call)
        return list(await asyncio.gather(*(track.over for track in list(tracks))))

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if a call's recording cannot move or be copied now (`node.handover.CallService`)."""
        tracks = self._tracks.get(call_id, [])
        if call_id in self._written or any(
            track.runner.leg(leg.leg_id) is not leg for track in tracks for leg in track.legs
        ):
            raise HandoverRefused("a recording is being finished")
        if not copy and any(self._parts.busy(one.recording.recording_id) for one in tracks):
            raise HandoverRefused("a part of a recording is being uploaded")

    def suspend(self, call_id: CallId) -> RecordingSnapshot | None:
        """Return a call's recording (`node.handover.CallService`)."""
        if not (tracks := self._tracks.get(call_id)):
            return None
        passed = [one.snapshot(self._parts.next(one.recording.recording_id)) for one in tracks]
        span, now = tracks[0].span, asyncio.get_running_loop().time()
        return RecordingSnapshot(span.began, span.over, now, tuple(passed))

    def resume(self, call_id: CallId) -> None:
        """Go on (`node.handover.CallService`); the legs do."""

    def abandon(self, call_id: CallId) -> None:
        """Leave a call's recording to another process (`node.handover.CallService`)."""
        for track in self._tracks.pop(call_id, ()):
            self._parts.abandon(track.recording.recording_id)

    def restore_leg(self, passed: PassedLeg) -> RecorderLeg:
        """Return a leg that goes on with the file of another process's (`node.handover.RestoreLeg`)."""
        before = passed.read(RecorderSnapshot)
        path = Path(before.path)
        if before.file.written_bytes and not path.is_file():
            raise HandoverRefused("the file of a recording is not here")
        file = written(path, before.file) if before.died else before.file
        leg = self._leg(passed.leg_id, path, Span(), restored(file, self.rules.opus))
        leg.restore(before)
        return leg

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Go on with a recording whose legs are restored (`node.handover.CallService`)."""
        passed = msgspec.msgpack.decode(state, type=RecordingSnapshot)
        tracks = restore_tracks(runner, passed, legs, asyncio.get_running_loop().time())
        for track, one in zip(tracks, passed.tracks, strict=True):
            self._follow(track.recording, track.legs[-1], one.part)
            self.archive.note_gaps(track.recording)
        self._tracks[runner.facts.call_id] = tracks

    def pause(self, runner: CallRunner, *, paused: bool) -> None:
        """Pause or resume a recording; silence is written while it is paused.

        Raises:
            InvalidState: the call is not being recorded.
        """
        tracks = self._tracks.get(runner.facts.call_id)
        if not tracks:
            raise InvalidState("the call is not being recorded")
        with runner.suspension.kept_here():
            runner.flush()
            for leg in legs_of(tracks):
                leg.paused = paused
        runner.publish(EventType.RECORDING_PAUSED if paused else EventType.RECORDING_RESUMED)

    def read_audio(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """Yield the samples of a finished recording (`media.recording.audio`)."""
        return read_audio(self.archive, self.uploader, recording)

    async def aclose(self) -> None:
        """Wait until all files are written; to be called when all calls have ended."""
        await self._housekeeping.aclose()
        await self.automatic.wait()
        await self._tasks.wait()
        await self.uploader.copies.aclose()
        self._threads.shutdown()

    async def _begin(self, runner: CallRunner, request: RecordingRequest) -> None:
        line, call = runner.facts.line, runner.facts.call_id
        self._check_space(runner)
        reserved = None
        if request.path is not None:
            reserved = self.paths.reserve(line, call, request.path)
            request = replace(request, key=key_of(self.archive.folder, reserved))
        elif self.rules.settings.passthrough == "opus" and passes_packets(runner):
            request = replace(request, file_format=OGG)
        parties = parties_of(runner.record())
        try:
            recordings = await self.archive.begin(line, call, request, parties)
        except BaseException:
            if reserved is not None:
                reserved.unlink(missing_ok=True)
            raise
        self._tracks[call] = []
        try:
            self._attach(runner, recordings, request)
        finally:
            self._drop_if_over(call)
        if (announcement := self._announcement(runner)) is None:
            runner.publish(EventType.RECORDING_STARTED)
        else:
            self._tasks.spawn(self._announce(announcement, runner), name=f"announce {call}")

    def _announcement(self, runner: CallRunner) -> Announcement | None:
        """Return what is to be announced; nothing to a caller who leaves a message after a tone."""
        return None if runner.record().at_voicemail else self.rules.announcement

    async def _announce(self, announcement: Announcement, runner: CallRunner) -> None:
        """Start the tracks of a recording once it has been announced to everybody."""
        tracks = self._tracks[runner.facts.call_id]
        try:
            heard = await announcement.play(runner)
        except (BridgeError, OSError):
            heard = False
        runner.flush()
        for leg in legs_of(tracks):
            if heard:
                leg.awaiting_announcement = False
            else:
                leg.give_up(NOT_ANNOUNCED)
        if heard and tracks:
            runner.publish(EventType.RECORDING_STARTED)

    def _check_space(self, runner: CallRunner) -> None:
        try:
            self.rules.disk_space.check()
        except OSError:
            runner.publish(EventType.RECORDING_FAILED, {"reason": DISK_FULL})
            raise StorageFull("the disk has no room for recordings") from None

    def _attach(
        self, runner: CallRunner, recordings: Sequence[Recording], request: RecordingRequest
    ) -> None:
        """Start all tracks in the same tick of the clock, so that they share one timeline."""
        span = Span()
        tracks = {one.recording_id: RecordedTrack(runner, one, request, span) for one in recordings}
        (begun := self._tracks[runner.facts.call_id]).extend(tracks.values())
        try:
            for side in sides(recordings, self.archive.folder):
                of = [tracks[one.recording_id] for one in side.recordings]
                role = LegRole(
                    Party.SERVICE, side.subscription, Audience.NOBODY, asked_for=request.asked_for
                )
                file = new_track_file(of[0].recording.file_format, self.rules.opus, randbits(32))
                leg = self._leg(new_leg_id(), side.path, span, file)
                leg.awaiting_announcement = self._announcement(runner) is not None
                for recording in side.recordings:
                    self._follow(recording, leg)
                runner.add_leg(leg, role)
                for track in of:
                    track.legs.append(leg)
                    track.running.add(leg)
        except BaseException:
            legs = legs_of(begun)
            for track in [one for one in begun if not one.is_complete]:
                begun.remove(track)
                work = self.archive.delete(track.recording)
                self._tasks.spawn(work, name="recording not begun")
            close(runner, legs)
            raise
        span.began = asyncio.get_running_loop().time()

    def _leg(self, leg_id: LegId, path: Path, span: Span, file: TrackFile) -> RecorderLeg:
        leg = RecorderLeg(
            leg_id,
            path,
            span=span,
            threads=self._threads,
            space=self.rules.disk_space,
            on_over=lambda: self._leg_over(leg),
            file=file,
        )
        return leg

    def _follow(self, recording: Recording, leg: RecorderLeg, first: int = 0) -> None:
        if recording.live:
            self._parts.follow(recording.recording_id, leg, first)

    def _drop_if_over(self, call: CallId) -> None:
        if not self._tracks[call]:
            del self._tracks[call]

    def _leg_over(self, leg: RecorderLeg) -> None:
        tracks = [one for of_call in self._tracks.values() for one in of_call if leg in one.running]
        for track in tracks:
            track.running.discard(leg)
            if not track.running:
                self._over(track)

    def _over(self, track: RecordedTrack) -> None:
        call = track.recording.call_id
        self._parts.leave(track.recording.recording_id)
        self._tracks[call].remove(track)
        self._drop_if_over(call)
        self._written.setdefault(call, []).append(track)
        self._tasks.spawn(self._finish(track), name=f"recorded {track.recording.recording_id}")

    async def _finish(self, track: RecordedTrack) -> None:
        try:
            recording = await self.archive.finish(
                track.recording, track.written, failed=bool(track.failure)
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
            track.over.set_result(recording or track.recording)
        if recording is not None:
            self.ended(recording, track.failure)

    def ended(self, recording: Recording, reason: str = "") -> None:
        """Publish that a track is ready, or why it failed, and upload it."""
        self._events.ended(recording, reason)
        self.uploader.wake()
