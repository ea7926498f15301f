"""Whether a party has muted itself, from what its RTP shows: digital silence in packets that go on."""

from typing import Final

from bridge.audio.level import SILENT
from bridge.call.model import ReceivedAudio

MUTED_SECONDS: Final = 2.0
"""A microphone that is open is never digitally silent for so long: it hears at least the room's noise."""


class MuteWatch:
    """Follows one party's level (RFC 6464, or measured) in looks that are about a second apart."""

    def __init__(self) -> None:
        self.muted = False
        self._noted = 0
        self._quiet = 0
        self._since: float | None = None

    def look(self, received: ReceivedAudio, now: float) -> bool | None:
        """Return whether the party is muted now, where that has changed; else None.

        A party that sends no packets shows nothing: that is `leg.silent`.

        Args:
            received: its totals.
            now: monotonic seconds.
        """
        noted, quiet = received.noted_levels - self._noted, received.quiet_levels - self._quiet
        self._noted, self._quiet = received.noted_levels, received.quiet_levels
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
