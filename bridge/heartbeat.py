"""Heartbeats of a node's event loop, which its supervisor monitors over a pipe."""

import asyncio
import contextlib
import os
import select
from collections.abc import Iterator
from typing import Final

BEAT_SECONDS: Final = 1.0
MAX_MISSED: Final = 10
"""Consecutive checks without a beat; load delays a loop by less than one interval."""
MAX_MISSED_AT_START: Final = 60
"""The same before the first beat, while libraries are loaded and files are opened."""


class Heartbeat:
    """Detects a stuck node; checked every `BEAT_SECONDS`.

    Checks are counted, not seconds, so that a suspended machine is not mistaken for a stuck node.
    """

    def __init__(self) -> None:
        self._missed = 0
        self._limit = MAX_MISSED_AT_START

    def check(self, *, beaten: bool) -> bool:
        """Count a check; `beaten` tells whether there was a beat since. Return whether it is stuck."""
        self._missed = 0 if beaten else self._missed + 1
        self._limit = MAX_MISSED if beaten else self._limit
        return self._missed >= self._limit


async def beat(end: int) -> None:
    """Write a byte to the pipe twice per `BEAT_SECONDS`, until cancelled."""
    while True:
        # Nobody needs the beats of a pipe that is full or closed.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(end, b".")
        await asyncio.sleep(BEAT_SECONDS / 2)


def read(beats: int) -> bool:
    """Drain the pipe; return whether there was a beat."""
    try:
        return bool(os.read(beats, select.PIPE_BUF))
    except BlockingIOError:
        return False


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a non-blocking pipe: its read end and write end."""
    ends = os.pipe()
    try:
        for end in ends:
            os.set_blocking(end, False)
        yield ends
    finally:
        for end in ends:
            os.close(end)
