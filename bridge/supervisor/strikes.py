"""Which calls a process may have died of, and when too many processes have; pure.

A strike is given to the calls that a process was working on, and only where its death looks like a mistake of ours: not
where somebody killed it from outside, nor where memory was short.
"""

import signal
from collections import deque
from collections.abc import Container, Iterable
from typing import Final

from bridge.supervisor.hang_detector import Hang
from bridge.supervisor.kept_calls import KeptCall
from bridge.wire.crash_marks import NOTHING, Marks, mark_of

CRASHES: Final = frozenset(
    -number
    for number in (
        signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT,
    )
)  # fmt: skip
"""Exit codes of processes that have crashed."""
MAX_DEATHS: Final = 5
"""Deaths of a node that gave a strike within `DEATHS_SECONDS`, after which its calls end with it."""
DEATHS_SECONDS: Final = 60.0


def accused(code: int, hang: Hang | None, marks: Marks) -> frozenset[int]:
    """Return the marks of the calls that a process may have died of.

    After a crash nobody knows which thread it was; of a process that hung only threads that stood still count, as the
    media thread may have gone on with the packets of others until it was killed.
    """
    if hang is not None:
        found = {marks.main, marks.media} if hang.media else {marks.main}
    elif code in CRASHES:
        found = {marks.main, marks.media}
    else:
        found = set()
    return frozenset(found - {NOTHING})


class Strikes:
    """The deaths of one node that calls were accused of."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()

    def note(self, now: float, calls: Iterable[KeptCall], marks: Container[int]) -> bool:
        """Give a strike to the calls with these marks, whose process has died; return whether that is too often."""
        struck = [one for one in calls if mark_of(one.message.call_id) in marks]
        for one in struck:
            one.strikes += 1
        while self._deaths and now - self._deaths[0] > DEATHS_SECONDS:
            self._deaths.popleft()
        if struck:
            self._deaths.append(now)
        return len(self._deaths) > MAX_DEATHS
