"""When a stream that must not pause is due silence, and where on its timeline."""

from collections.abc import Hashable, Iterator
from typing import Final

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS

MAX_GAP_SECONDS: Final = 0.04
"""Maximum gap after the audio of a packet before silence fills it.

With packets of 20 ms every 20 ms, silence follows 60 ms after the last one.
"""
MAX_CATCH_UP: Final = 3
"""Maximum number of packets sent at once after late ticks."""
SHARED_SECONDS: Final = 2 * FRAME_SECONDS
"""Streams that are sent wake at the multiples of this: one wake-up for all costs the least."""
_MAX_AHEAD_SECONDS: Final = 6 * FRAME_SECONDS
_EARLY_SECONDS: Final = 0.002
"""A tick this early counts as on time: timers are no more precise."""


class SilenceFiller:
    """Schedules the silence of one stream."""

    __slots__ = ("_covered", "_due", "_position", "_run")

    def __init__(self) -> None:
        self._covered = float("-inf")  # the time up to which something else has been sent
        self._due: float | None = None  # None while something else is sent
        self._position = 0
        self._run = 0

    @property
    def epoch(self) -> Hashable:
        """What the positions from `due` refer to: a new one for each run of silence."""
        return ("silence", self._run)

    @property
    def begins(self) -> bool:
        """Whether the packet that is due is the first of its run."""
        return self._position == 0

    @property
    def next_due(self) -> float:
        """When silence is due unless something else is sent before (monotonic seconds)."""
        return self._covered + MAX_GAP_SECONDS if self._due is None else self._due

    def wake_at(self, now: float) -> float:
        """Return when to look at the stream next: when silence is due, or at a moment before that all streams share."""
        due = self.next_due
        shared = due - due % SHARED_SECONDS
        return shared if shared - now > FRAME_SECONDS else max(due, now)

    def sent(self, now: float) -> None:
        """Note that something else was sent: 20 ms, which may be one of several packets at once."""
        covered = self._covered
        begin = max(now, covered)
        self._covered = min(begin + FRAME_SECONDS, now + _MAX_AHEAD_SECONDS)
        self._due = None

    def export_state(self) -> float | None:
        """Return the time up to which something else has been sent; None while silence is sent."""
        return self._covered if self._due is None else None

    def import_state(self, covered: float) -> None:
        """Set the time that was exported."""
        self._covered = covered

    def is_due(self, now: float) -> bool:
        """Return whether `due` would yield anything."""
        return now >= self.next_due - (0.0 if self._due is None else _EARLY_SECONDS)

    def due(self, now: float) -> Iterator[int]:
        """Yield the position, in samples at 16 kHz, of each packet of silence to send now.

        To be called by `next_due`, and every 20 ms of silence.
        """
        if self._due is None:
            if now < self._covered + MAX_GAP_SECONDS:
                return
            self._run += 1
            self._position = 0
            self._due = now
        for _ in range(MAX_CATCH_UP):
            if now < self._due - _EARLY_SECONDS:
                return
            yield self._position
            self._position += FRAME_SAMPLES
            self._due += FRAME_SECONDS
        missed = max(0, int((now - self._due) / FRAME_SECONDS) + 1) if now >= self._due else 0
        self._position += missed * FRAME_SAMPLES
        self._due += missed * FRAME_SECONDS
