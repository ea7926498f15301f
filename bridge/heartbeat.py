"""How a node's process shows that its loop turns, and how its supervisor sees that it does not."""

import asyncio
import contextlib
import os
import select
from collections.abc import Iterator
from typing import Final

BEAT_SECONDS: Final = 1.0
MAX_MISSED: Final = 10
"""Looks in a row without a beat; load delays a loop by less than one."""
MAX_MISSED_AT_START: Final = 60
"""The same before the first beat: libraries are loaded, files are opened."""


class Heartbeat:
    """What a node's beats say about it, looked at once in `BEAT_SECONDS`.

    Looks are counted, not seconds: while the whole machine stands still, nobody looks either.
    """

    def __init__(self) -> None:
        self._missed = 0
        self._patience = MAX_MISSED_AT_START

    def look(self, *, beaten: bool) -> bool:
        """Take whether the node has beaten since the last look; returns whether it is stuck."""
        self._missed = 0 if beaten else self._missed + 1
        self._patience = MAX_MISSED if beaten else self._patience
        return self._missed >= self._patience


async def beat(end: int) -> None:
    """Write into the pipe for ever, twice for each look of the supervisor."""
    while True:
        # A supervisor that reads nothing any more needs to know nothing either.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(end, b".")
        await asyncio.sleep(BEAT_SECONDS / 2)


def read(beats: int) -> bool:
    """Whether something was in the pipe; takes it all out."""
    try:
        return bool(os.read(beats, select.PIPE_BUF))
    except BlockingIOError:
        return False


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose ends wait for nothing: the one to read, the one to write."""
    ends = os.pipe()
    try:
        for end in ends:
            os.set_blocking(end, False)
        yield ends
    finally:
        for end in ends:
            os.close(end)
