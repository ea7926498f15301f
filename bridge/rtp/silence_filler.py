"""When a stream that must not pause is due silence, and where on its timeline."""

from collections.abc import Hashable, Iterator
from typing import Final

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS

MAX_GAP_SECONDS: Final = 0.04
"""The longest gap after the audio of a packet before silence fills it.

With packets of 20 ms every 20 ms, silence follows 60 ms after the last one.
"""
MAX_CATCH_UP: Final = 3
"""Most packets sent at once after late ticks."""
_MAX_AHEAD_SECONDS: Final = 6 * FRAME_SECONDS
_EARLY_SECONDS: Final = 0.002
"""A tick this early counts as on time: timers are no more precise."""


class SilenceFiller:
    """Schedules the silence of one stream."""

    __slots__ = ("_covered", "_due", "_packets", "_position", "_run")

    def __init__(self) -> None:
        self._packets = -1
        self._covered = float("-inf")
        self._due: float | None = None  # None while something else is sent
        self._position = 0
        self._run = 0

    @property
    def timeline(self) -> Hashable:
        """What the positions from `due` refer to: a new one for each run of silence."""
        return ("silence", self._run)

    @property
    def begins(self) -> bool:
        """Whether the packet that is due is the first of its run."""
        return self._position == 0

    def due(self, packets: int, last: float, now: float) -> Iterator[int]:
        """Yield the position, in samples at 16 kHz, of each packet of silence to send now.

        To be called about every 20 ms; each packet must be sent before the next is taken.

        Args:
            packets: How many the stream has sent, silence included.
            last: When it sent the last one.
            now: Monotonic seconds.
        """
        if packets != self._packets:
            new = min(packets - self._packets, packets) * FRAME_SECONDS
            self._covered = min(max(self._covered, last) + new, last + _MAX_AHEAD_SECONDS)
            self._packets = packets
            self._due = None
        if self._due is None:
            if packets and now < self._covered + MAX_GAP_SECONDS:
                return
            self._run += 1
            self._position = 0
            self._due = now
        for _ in range(MAX_CATCH_UP):
            if now < self._due - _EARLY_SECONDS:
                return
            yield self._position
            self._packets += 1
            self._position += FRAME_SAMPLES
            self._due += FRAME_SECONDS
        missed = max(0, int((now - self._due) / FRAME_SECONDS) + 1) if now >= self._due else 0
        self._position += missed * FRAME_SAMPLES
        self._due += missed * FRAME_SECONDS
