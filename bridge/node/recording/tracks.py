"""Which legs record a call, and to which files.

Where packets are recorded, each side is one file; the mix is made of both after the call. A side that is a
recording too is in its file under two names (hard links), so that either can be moved or deleted by itself.
"""

import asyncio
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from bridge.audio.codec.codec import OPUS
from bridge.call import events
from bridge.call.bus.ends import TimedSource
from bridge.call.model import CallId, LegId, LineName, Party
from bridge.call.recording import KINDS, Gap, Recording, RecordingRequest, Written
from bridge.call.routing import Subscription
from bridge.errors import HandoverRefused, InvalidState
from bridge.legs.base import Leg
from bridge.legs.recording import RecorderLeg, Span
from bridge.media.folder import MediaFolder
from bridge.media.recording.archive import Archive
from bridge.node.runner import CallRunner

CALLS: Final = "calls"
"""The folder for recordings whose callers want a file but do not name it."""
FIELD: Final = "Path"


@dataclass(slots=True, eq=False)
class RecordedTrack:
    """A recording that goes on, and the legs that write it."""

    runner: CallRunner
    recording: Recording
    request: RecordingRequest
    span: Span
    legs: list[RecorderLeg] = field(default_factory=list)
    """One; for a mix of packets one of each side."""
    running: set[RecorderLeg] = field(default_factory=set)
    over: asyncio.Future[Recording] = field(default_factory=asyncio.Future)

    def snapshot(self, part: int) -> "TrackSnapshot":
        """Return the track for another process; `part` is the next of its parts."""
        legs = tuple(leg.leg_id for leg in self.legs)
        return TrackSnapshot(self.recording, self.request, legs, part)

    @property
    def is_complete(self) -> bool:
        """Whether it has all its legs."""
        return len(self.legs) == (len(self.recording.mixed_from) or 1)

    @property
    def began(self) -> float:
        """When it began, on the loop's clock; infinite until the recording has been announced."""
        announced = not any(leg.awaiting_announcement for leg in self.legs)
        return self.span.began if announced else math.inf

    @property
    def failure(self) -> str:
        """Why a leg failed; empty if none has."""
        return next((leg.failure for leg in self.legs if leg.failure), "")

    @property
    def written(self) -> Written:
        """What its legs have written."""
        return Written.sum(leg.written for leg in self.legs)


class TrackSnapshot(msgspec.Struct, frozen=True):
    """A track of a recording that passes with its call."""

    recording: Recording
    request: RecordingRequest
    legs: tuple[LegId, ...]
    part: int


class RecordingSnapshot(msgspec.Struct, frozen=True):
    """A recording that passes with its call."""

    began: float
    over: float
    suspended: float
    """When nobody was heard any more."""
    tracks: tuple[TrackSnapshot, ...]

    def gap(self, legs: Iterable[RecorderLeg], now: float) -> Gap:
        """Return the gap of a recording that goes on now, from the end of the shortest file if the process has died."""
        heard = [at for leg in legs if (at := leg.cut_off_at) is not None]
        begins = min(heard, default=self.suspended - self.began)
        length = now - self.began - begins
        return Gap(max(0, round(begins * 1000)), max(0, round(length * 1000)))


def restore_tracks(
    runner: CallRunner, passed: RecordingSnapshot, legs: Mapping[LegId, Leg], now: float
) -> list[RecordedTrack]:
    """Return the tracks of a recording that goes on now with these restored legs.

    Raises:
        HandoverRefused: a leg is missing.
    """
    span, tracks = Span(passed.began, passed.over), list[RecordedTrack]()
    gap = passed.gap((leg for leg in legs.values() if isinstance(leg, RecorderLeg)), now)
    for one in passed.tracks:
        found = [leg for name in one.legs if isinstance(leg := legs.get(name), RecorderLeg)]
        if not found or len(found) != len(one.legs):
            raise HandoverRefused("the legs of a recording are not those of the call")
        recording = one.recording.with_gap(gap)
        track = RecordedTrack(runner, recording, one.request, span, found, running=set(found))
        tracks.append(track)
    for leg in legs_of(tracks):
        leg.go_on(span, now)
    return tracks


@dataclass(frozen=True, slots=True)
class Side:
    """What one leg records."""

    subscription: Subscription
    path: Path
    recordings: tuple[Recording, ...]


def close(runner: CallRunner, legs: Sequence[RecorderLeg]) -> None:
    """End tracks; does nothing if their call has just ended."""
    for leg in legs:
        runner.dispatch(events.CloseRequested(leg.leg_id))


def legs_of(tracks: Sequence[RecordedTrack]) -> list[RecorderLeg]:
    """Return the legs of tracks, each once."""
    return list(dict.fromkeys(leg for track in tracks for leg in track.legs))


def passes_packets(runner: CallRunner) -> bool:
    """Return whether the far party sends Opus that can be forwarded undecoded, as far as can be known.

    One that has not joined yet may.
    """
    far = {leg.leg_id for leg in runner.figures() if leg.party is Party.FAR}
    sources = [leg.source for leg in runner.legs() if leg.leg_id in far]
    return all(
        isinstance(source, TimedSource) and source.passthrough_codec is OPUS for source in sources
    )


def sides(recordings: Sequence[Recording], folder: Path) -> list[Side]:
    """Return what is to be recorded for recordings that begin; makes the links of sides of a mix."""
    found = [
        Side(KINDS[one.kind], folder / one.key, (one,)) for one in recordings if not one.mixed_from
    ]
    for mix in (one for one in recordings if one.mixed_from):
        for kind, key in zip(("inbound", "outbound"), mix.mixed_from, strict=True):
            at = next((i for i, side in enumerate(found) if side.subscription is KINDS[kind]), None)
            if at is not None and _link(found[at].path, folder / key):
                side = found[at]
                found[at] = Side(side.subscription, side.path, (*side.recordings, mix))
            else:
                found.append(Side(KINDS[kind], folder / key, (mix,)))
    return found


def _link(path: Path, name: Path) -> bool:
    """Link a file that is about to be written to a second name; False where the disk has no links."""
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        os.link(path, name)
        return True
    return False


class RecordingPaths:
    """The chosen paths of this node's recordings."""

    def __init__(self, files: MediaFolder, archive: Archive) -> None:
        self._files = files
        self._archive = archive

    def reserve(self, line: LineName, call: CallId, path: str) -> Path:
        """Create an empty file for a call's recording (`MediaFolder.reserve`); "" chooses a name.

        Raises:
            InvalidRequest: the path is invalid, or leads out of the line's media folder.
        """
        return self._files.reserve(line, path or f"{CALLS}/{call}.wav", FIELD)

    def check_same(
        self, line: LineName, recordings: Iterable[Recording], requested: str | None, path: str
    ) -> None:
        """Check that a path is that of the current recording, or the one `requested` for it.

        Raises:
            InvalidRequest: it is invalid.
            InvalidState: it is another.
        """
        now = [self.media_key(recording) for recording in recordings]
        same = [*now, requested] if requested else now
        if self._files.relative(line, path, FIELD) not in {
            self._files.relative(line, name, FIELD) for name in same
        }:
            raise InvalidState(
                f"the call is recorded already, to {now[0]}; stop that recording before another begins"
            )

    def media_key(self, recording: Recording) -> str:
        """Return a recording's path as its line sees it."""
        if recording.is_ours:
            return recording.key
        return self._files.name_of(self._archive.path(recording).resolve())
