"""Whether a node hangs: nothing is heard from it, and its threads do not run.

Time is counted in looks that the supervisor made in time: while it stands still itself, because the machine was suspended,
the container paused or the whole process group stopped, no time passes.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

LOOK_SECONDS: Final = 0.1
"""Between two looks at a node."""
IN_TIME_SECONDS: Final = 0.25
"""A look counts if it comes within this after the one before."""
STANDSTILL_SECONDS: Final = 1.0
"""After a longer pause all is counted anew: what had stood still too gets its whole time."""
BUSY_SECONDS: Final = 10.0
"""Without a heartbeat, for a node whose main thread runs: load delays its event loop."""
START_SECONDS: Final = 60.0
"""The same before the first heartbeat, while libraries are loaded and files are opened."""

_WANTS_TO_RUN: Final = "RDt"
"""States of a thread (proc(5)) that no hang is concluded from: it waits for a core, for the disk or swap, or is being traced.

`kill` does not end an uninterruptible wait (D) before it would end by itself, and nothing is taken over before that.
"""


class ThreadRun(NamedTuple):
    """What the system says of a thread."""

    ran: int
    """Grows whenever it has run."""
    waits: bool = True
    """Whether it waits for others, or was stopped; not while it waits for a core, the disk, or a debugger."""


class Look(NamedTuple):
    """What one look at a node has found."""

    now: float
    heard: bool
    """Whether a heartbeat came since the last look."""
    main: ThreadRun | None
    """None: it cannot be known, and may be running."""
    media: ThreadRun | None
    """None: there is no such thread, or it cannot be known."""


class Hang(NamedTuple):
    """A node that hangs."""

    media: bool
    """Whether its media thread stands still too."""


class _Thread:
    """For how many looks a thread has not run."""

    def __init__(self) -> None:
        self.idle = 0
        self._ran: int | None = None

    def note(self, found: ThreadRun | None, *, counts: bool) -> None:
        """Note what a look has found."""
        if found is None or not found.waits or found.ran != self._ran:
            self.idle = 0
        elif counts:
            self.idle += 1
        self._ran = None if found is None else found.ran


class HangDetector:
    """Decides about one process of a node; pure."""

    def __init__(self, hang_seconds: float) -> None:
        """`hang_seconds` without a heartbeat are a hang if its threads did not run in them."""
        self._limit = _looks(hang_seconds)
        self._busy_limit = max(self._limit, _looks(BUSY_SECONDS))
        self._main, self._media = _Thread(), _Thread()
        self._media_ran = False
        """In the time before the last heartbeat: a media thread without packets stands still all the time."""
        self._silent = 0
        self._started = False
        self._looked_at: float | None = None

    def check(self, look: Look) -> Hang | None:
        """Take a look into account; return whether the node hangs."""
        pause = 0.0 if self._looked_at is None else look.now - self._looked_at
        self._looked_at = look.now
        counts = pause <= IN_TIME_SECONDS
        if pause > STANDSTILL_SECONDS:
            self._silent = self._main.idle = self._media.idle = 0
        self._main.note(look.main, counts=counts)
        self._media.note(look.media, counts=counts)
        if look.heard:
            self._started = True
            self._media_ran = look.media is not None and self._media.idle < self._limit
            self._silent = 0
        elif counts:
            self._silent += 1
        media_stands = self._media.idle >= self._limit
        if not self._started:
            limit = _looks(START_SECONDS)
        elif self._main.idle >= self._limit or (self._media_ran and media_stands):
            limit = self._limit
        else:
            limit = self._busy_limit
        return Hang(media=media_stands) if self._silent >= limit else None


def main_thread(process: int) -> ThreadRun | None:
    """Return how far the main thread of a process has run, in clock ticks; None if the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        # After the name in brackets, which may have spaces.
        fields = _read(process, process, "stat").rpartition(")")[2].split()
        return ThreadRun(int(fields[11]) + int(fields[12]), fields[0] not in _WANTS_TO_RUN)
    return None


def media_thread(process: int, thread: int) -> ThreadRun | None:
    """Return how far another thread has run; in nanoseconds, as one that only forwards packets does not use a tick for seconds."""
    with suppress(OSError, ValueError, IndexError):
        return ThreadRun(int(_read(process, thread, "schedstat").split()[0])) if thread else None
    return None


def _read(process: int, thread: int, name: str) -> str:
    return Path(f"/proc/{process}/task/{thread}/{name}").read_text(
        encoding="ascii", errors="replace"
    )


def _looks(seconds: float) -> int:
    return round(seconds / LOOK_SECONDS)
