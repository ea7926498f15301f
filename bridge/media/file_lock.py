"""A lock among the tasks and processes of one machine, by the name of a file."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.05


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock that nobody else on this machine holds; waits for it, and ends with the process.

    The file exists as long as somebody holds or waits for the lock; its folder must exist.
    """
    while (descriptor := _acquire(path)) is None:  # noqa: ASYNC110  (held by another process)
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        _release(path, descriptor)


def _acquire(path: Path) -> int | None:
    """Return the descriptor of the locked file; None while another one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have deleted it since it was opened: a lock on that file locks nothing.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _release(path: Path, descriptor: int) -> None:
    path.unlink(missing_ok=True)
    os.close(descriptor)
