"""Gives the memory of bodies that were refused back to the system.

The allocator keeps blocks that are freed between others: after a flood of large bodies, several hundred MB.
"""

import asyncio
import ctypes
from typing import Final

from bridge.api.server.reads import Reads

CHECK_SECONDS: Final = 30.0
WORTH_BYTES: Final = 16 * 1024 * 1024
"""Refused since the last time; less is not worth the while in which others wait for memory, about 25 ms for 150 MB."""


def trim() -> None:
    """Return free blocks to the system; does nothing where the C library cannot."""
    found = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if found is not None:
        found(0)


async def give_back(reads: Reads) -> None:
    """Trim the heap in a thread, from time to time, while many bytes of bodies have been dropped."""
    seen = reads.dropped
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        if reads.dropped - seen >= WORTH_BYTES:
            seen = reads.dropped
            await asyncio.to_thread(trim)
