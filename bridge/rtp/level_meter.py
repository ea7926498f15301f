"""How loud a peer is, and since when it has been silent."""

from bridge.audio.level import QUIET, SILENT, clips, level


class LevelMeter:
    """The level of one direction, measured or told."""

    __slots__ = (
        "_quiet_since",
        "clipped",
        "level_dbov",
        "measured",
        "noted",
        "quiet",
        "silent_seconds",
    )

    def __init__(self) -> None:
        self.level_dbov = SILENT
        """The newest level: 0 is full scale, -127 digital silence."""
        self.silent_seconds = 0.0
        """For how long the level has been that of silence."""
        self.noted = 0
        """Levels measured or told so far."""
        self.quiet = 0
        """Of those, the ones of silence."""
        self.measured = 0
        """Frames looked at."""
        self.clipped = 0
        """Of those, the ones that reach full scale."""
        self._quiet_since: float | None = None

    def measure(self, pcm: bytes, now: float) -> None:
        """Take the level of a frame."""
        loudness = level(pcm)
        self.measured += 1
        self.clipped += clips(pcm, loudness)
        self.note(loudness, now)

    def note(self, level_dbov: float, now: float) -> None:
        """Take a level as it is told."""
        self.level_dbov = level_dbov
        self.noted += 1
        if level_dbov >= QUIET:
            self._quiet_since = None
            self.silent_seconds = 0.0
            return
        self.quiet += 1
        if self._quiet_since is None:
            self._quiet_since = now
        self.silent_seconds = now - self._quiet_since

    def fall(self, last: float, now: float) -> None:
        """Fall silent: the last packet came at `last`."""
        self.level_dbov = SILENT
        if self._quiet_since is None:
            self._quiet_since = last
        self.silent_seconds = now - self._quiet_since
