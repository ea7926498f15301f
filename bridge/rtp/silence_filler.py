"""When a stream that must not pause is sent silence, and where that lies on its timeline."""

from collections.abc import Hashable, Iterator
from typing import Final

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS

PATIENCE_SECONDS: Final = 0.04
"""So long after the end of the last packet's sound its successor is still waited for.

Packets of 20 ms every 20 ms are thus followed by silence 60 ms after the last one.
"""
MAX_AT_ONCE: Final = 3
"""When called late, so many packets are made up for at most."""
_MAX_AHEAD_SECONDS: Final = 6 * FRAME_SECONDS
_EARLY_SECONDS: Final = 0.002
"""A tick this early counts as on time: timers are no more precise."""


class SilenceFiller:
    """Watches one stream; knows nothing of what is sent."""

    __slots__ = ("_covered", "_due", "_packets", "_place", "_spell")

    def __init__(self) -> None:
        self._packets = -1
        self._covered = float("-inf")
        self._due: float | None = None  # None while others send
        self._place = 0
        self._spell = 0

    @property
    def timeline(self) -> Hashable:
        """What the positions that `due` gives count on: another one for each spell of silence."""
        return ("silence", self._spell)

    @property
    def begins(self) -> bool:
        """Whether the packet that is due is the first one of its spell."""
        return self._place == 0

    def due(self, packets: int, last: float, now: float) -> Iterator[int]:
        """Give the position, in samples at 16 kHz, of each packet of silence that is to be sent now.

        To be called about every 20 ms; each packet must be sent before the next is asked for.

        Args:
            packets: How many the stream has sent, by whomever.
            last: When it sent the last one.
            now: Monotonic seconds.
        """
        if packets != self._packets:
            new = min(packets - self._packets, packets) * FRAME_SECONDS
            self._covered = min(max(self._covered, last) + new, last + _MAX_AHEAD_SECONDS)
            self._packets = packets
            self._due = None
        if self._due is None:
            if packets and now < self._covered + PATIENCE_SECONDS:
                return
            self._spell += 1
            self._place = 0
            self._due = now
        for _ in range(MAX_AT_ONCE):
            if now < self._due - _EARLY_SECONDS:
                return
            yield self._place
            self._packets += 1
            self._place += FRAME_SAMPLES
            self._due += FRAME_SECONDS
        missed = max(0, int((now - self._due) / FRAME_SECONDS) + 1) if now >= self._due else 0
        self._place += missed * FRAME_SAMPLES
        self._due += missed * FRAME_SECONDS
