"""Starts the child processes that convert recordings."""

import os
from contextlib import suppress
from pathlib import Path

from bridge.media import encode, sandboxed


async def encode_copy(source: Path, target: Path) -> int:
    """Convert a recording to the format of the target's suffix; return its size, 0 on failure.

    The target is replaced atomically, also when this is cancelled or killed.
    """
    part = target.with_name(target.name + encode.PART)
    with suppress(FileNotFoundError):
        os.unlink(part)  # left behind by a killed process
    process = await sandboxed.start(encode.__file__, str(source), str(part))
    try:
        if await process.wait() != 0:
            return 0
        return _put_in_place(part, target)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        with suppress(FileNotFoundError):
            os.unlink(part)


def _put_in_place(part: Path, target: Path) -> int:
    part.replace(target)
    return target.stat().st_size
