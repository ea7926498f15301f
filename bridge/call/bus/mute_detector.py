"""Whether a party has muted itself: its RTP continues, with digital silence."""

from typing import Final

import msgspec

from bridge.audio.detect.level import SILENT
from bridge.call.model import LevelCounts, ReceivedAudio
from bridge.wire.snapshot_fields import copied, restored

MUTED_SECONDS: Final = 2.0
"""An open microphone is never digitally silent for so long: it hears at least the room's noise."""


class MuteSnapshot(msgspec.Struct, frozen=True):
    """What a detector has seen."""

    muted: bool
    levels: LevelCounts
    since: float | None


class MuteDetector:
    """Follows one party's level (RFC 6464, or measured)."""

    def __init__(self) -> None:
        self.muted = False
        self._levels = LevelCounts()
        self._since: float | None = None

    def snapshot(self) -> MuteSnapshot:
        """Return what it has seen."""
        return copied(MuteSnapshot, self)

    @classmethod
    def restored(cls, snapshot: MuteSnapshot) -> "MuteDetector":
        """Go on with what another one has seen."""
        return restored(cls(), snapshot)

    def update(self, received: ReceivedAudio, now: float) -> bool | None:
        """Return whether the party is muted, if that has changed; else None; called once a second.

        A party that sends no packets is not muted but silent (`leg.silent`).
        """
        before, self._levels = self._levels, received.levels
        noted, quiet = self._levels.noted - before.noted, self._levels.quiet - before.quiet
        if noted <= 0:
            self._since = None
            return None
        if received.level_dbov > SILENT or quiet < noted:
            self._since = None
            return self._change(muted=False)
        if self._since is None:
            self._since = now
        return self._change(muted=True) if now - self._since >= MUTED_SECONDS else None

    def _change(self, *, muted: bool) -> bool | None:
        if muted is self.muted:
            return None
        self.muted = muted
        return muted
