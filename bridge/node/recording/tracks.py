"""Which legs record a call, and to which files.

Where packets are recorded, each side is one file; the mix is made of both after the call. A side that is a
recording too is in its file under two names (hard links), so that either can be moved or deleted by itself.
"""

import asyncio
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.audio.codec.codec import OPUS
from bridge.call import events
from bridge.call.bus.ends import TimedSource
from bridge.call.model import Party
from bridge.call.routing import Hears
from bridge.legs.recording import RecorderLeg, Span
from bridge.media.recording.rows import Recording
from bridge.node.runner import CallRunner

KINDS: Final = {"inbound": Hears.INBOUND, "outbound": Hears.OUTBOUND, "mixed": Hears.BOTH}
"""The kinds of tracks, and what the recorder of each hears."""


@dataclass(slots=True, eq=False)
class RecordedTrack:
    """A recording that goes on, and the legs that write it."""

    runner: CallRunner
    recording: Recording
    span: Span
    legs: list[RecorderLeg] = field(default_factory=list)
    """One; for a mix of packets one of each side."""
    running: set[RecorderLeg] = field(default_factory=set)
    over: asyncio.Future[Recording] = field(default_factory=asyncio.Future)

    @property
    def is_complete(self) -> bool:
        """Whether it has all its legs."""
        return len(self.legs) == (len(self.recording.mixed_from) or 1)

    @property
    def failure(self) -> str:
        """Why a leg failed; empty if none has."""
        return next((leg.failure for leg in self.legs if leg.failure), "")

    @property
    def seconds(self) -> float:
        """Duration of what has been written."""
        return max((leg.seconds for leg in self.legs), default=0.0)

    @property
    def size_bytes(self) -> int:
        """Size of what has been written; of a mix, of both sides."""
        return sum(leg.size_bytes for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Side:
    """What one leg records."""

    hears: Hears
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
    """Return whether the far party sends Opus that can be relayed, as far as can be known.

    One that has not joined yet may.
    """
    far = {leg.leg_id for leg in runner.figures() if leg.party is Party.FAR}
    sources = [leg.source for leg in runner.legs() if leg.leg_id in far]
    return all(isinstance(source, TimedSource) and source.relay_codec is OPUS for source in sources)


def sides(recordings: Sequence[Recording], folder: Path) -> list[Side]:
    """Return what is to be recorded for recordings that begin; makes the links of sides of a mix."""
    found = [
        Side(KINDS[one.kind], folder / one.key, (one,)) for one in recordings if not one.mixed_from
    ]
    for mix in (one for one in recordings if one.mixed_from):
        for kind, key in zip(("inbound", "outbound"), mix.mixed_from, strict=True):
            at = next((i for i, side in enumerate(found) if side.hears is KINDS[kind]), None)
            if at is not None and _link(found[at].path, folder / key):
                side = found[at]
                found[at] = Side(side.hears, side.path, (*side.recordings, mix))
            else:
                found.append(Side(KINDS[kind], folder / key, (mix,)))
    return found


def new_serial() -> int:
    """Return a fresh serial number for an Ogg stream."""
    return secrets.randbits(32)


def _link(path: Path, name: Path) -> bool:
    """Give a file that is about to be written a second name; False where the disk has no links."""
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        os.link(path, name)
        return True
    return False
