"""Starts the processes that make copies of recordings, one after the other."""

import os
from contextlib import suppress
from pathlib import Path

from bridge.media import encode, sandboxed


async def encode_copy(source: Path, target: Path) -> int:
    """Make the copy that the target's suffix names; return its bytes, 0 if it could not be made.

    The target is there in full or not at all, also when this is cancelled or killed; a file that
    was there is replaced.
    """
    part = target.with_name(target.name + encode.PART)
    with suppress(FileNotFoundError):
        os.unlink(part)  # whoever writes it still was left behind by a process that was killed
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
