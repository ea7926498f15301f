"""How loud a peer is, and since when it has been silent."""

from bridge.audio.level import QUIET, SILENT, level


class Meter:
    """The level of one direction, measured or told."""

    __slots__ = ("_quiet_since", "level_dbov", "silent_seconds")

    def __init__(self) -> None:
        self.level_dbov = SILENT
        """The newest level: 0 is full scale, -127 digital silence."""
        self.silent_seconds = 0.0
        """For how long the level has been that of silence."""
        self._quiet_since: float | None = None

    def measure(self, pcm: bytes, now: float) -> None:
        """Take the level of a frame."""
        self.note(level(pcm), now)

    def note(self, level_dbov: float, now: float) -> None:
        """Take a level as it is told."""
        self.level_dbov = level_dbov
        if level_dbov >= QUIET:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        self.silent_seconds = 0.0 if self._quiet_since is None else now - self._quiet_since

    def fall(self, last: float, now: float) -> None:
        """Fall silent: the last packet came at `last`."""
        self.level_dbov = SILENT
        if self._quiet_since is None:
            self._quiet_since = last
        self.silent_seconds = now - self._quiet_since
