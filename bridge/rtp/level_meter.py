"""The audio level of one direction, and how long it has been silent."""

import math

from bridge.audio.detect.level import QUIET, SILENT, clips, level
from bridge.call.model import LevelCounts
from bridge.rtp.offload import MeterState
from bridge.wire.snapshot.session import MeterSnapshot
from bridge.wire.snapshot_fields import copied, restored


class LevelMeter:
    """Tracks levels that are measured or reported (RFC 6464)."""

    __slots__ = (
        "_quiet_since",
        "clipped",
        "level_dbov",
        "levels",
        "measured",
        "quiet",
        "silent_seconds",
    )

    def __init__(self) -> None:
        self.level_dbov = SILENT
        """The newest level: 0 is full scale, -127 digital silence."""
        self.silent_seconds = 0.0
        """How long the level has been that of silence."""
        self.levels = 0
        """Levels measured or reported."""
        self.quiet = 0
        """Of those, levels of silence."""
        self.measured = 0
        """Frames measured."""
        self.clipped = 0
        """Of those, frames that reach full scale."""
        self._quiet_since: float | None = None

    def counts(self) -> LevelCounts:
        """Return the counts so far."""
        return LevelCounts(self.levels, self.quiet, self.measured, self.clipped)

    def measure(self, pcm: bytes, now: float) -> None:
        """Measure a frame."""
        loudness = level(pcm)
        self.measured += 1
        if clips(pcm, loudness):
            self.clipped += 1
        self.record(loudness, now)

    def record(self, level_dbov: float, now: float) -> None:
        """Record a level."""
        self.level_dbov = level_dbov
        self.levels += 1
        if level_dbov >= QUIET:
            self._quiet_since = None
            self.silent_seconds = 0.0
            return
        self.quiet += 1
        if self._quiet_since is None:
            self._quiet_since = now
        self.silent_seconds = now - self._quiet_since

    def export_state(self, state: MeterState) -> None:
        """Copy the fields to an offload."""
        state.level_dbov, state.silent_seconds = self.level_dbov, self.silent_seconds
        state.quiet_since = math.nan if self._quiet_since is None else self._quiet_since
        state.levels, state.quiet = self.levels, self.quiet
        state.measured, state.clipped = self.measured, self.clipped

    def import_state(self, state: MeterState) -> None:
        """Copy the fields back."""
        self.level_dbov, self.silent_seconds = state.level_dbov, state.silent_seconds
        since = state.quiet_since
        self._quiet_since = None if math.isnan(since) else since
        self.levels, self.quiet = state.levels, state.quiet
        self.measured, self.clipped = state.measured, state.clipped

    def snapshot(self) -> MeterSnapshot:
        """Return the fields."""
        return copied(MeterSnapshot, self)

    def restore(self, snapshot: MeterSnapshot) -> None:
        """Set the fields."""
        restored(self, snapshot)

    def expire(self, last: float, now: float) -> None:
        """Fall to silence: no packet has come since `last`."""
        self.level_dbov = SILENT
        if self._quiet_since is None:
            self._quiet_since = last
        self.silent_seconds = now - self._quiet_since
