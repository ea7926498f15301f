"""Starts sandboxed child processes, converts recordings in them, and tests the sandbox."""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.media.decoding import encode, sandbox

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 20.0
PIPE_BYTES: Final = 64 * 1024
"""Limit of buffered output: two seconds of audio."""


async def start(
    *command: str, stdin: int = DEVNULL, stdout: int = DEVNULL
) -> asyncio.subprocess.Process:
    """Start `sandbox.py` with the arguments of its command line, without our environment's secrets.

    Raises:
        OSError: The process cannot be started.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        sandbox.__file__,
        *command,
        stdin=stdin,
        stdout=stdout,
        stderr=DEVNULL,
        env={},
        limit=PIPE_BYTES,
    )


async def encode_copy(
    source: Path, target: Path, *, mixed_with: Path | None = None, samples: int = 0
) -> int:
    """Convert a recording to the format of the target's suffix; return its size, 0 on failure.

    Two are mixed, both of `samples` at 16 kHz; 0 is as long as the source.
    The target is replaced atomically, also when this is cancelled or killed.
    """
    part = target.with_name(target.name + encode.PART)
    part.unlink(missing_ok=True)  # left behind by a killed process
    sources = [str(path) for path in (source, mixed_with) if path is not None]
    process = await start(encode.__file__, str(samples), *sources, str(part))
    try:
        if await process.wait() != 0:
            return 0
        part.replace(target)
        return os.stat(target).st_size
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        part.unlink(missing_ok=True)


async def report() -> None:
    """Test the sandbox and log the result, as a warning if it is incomplete."""
    result = {"landlock": 0, "seccomp": 0, "files": False, "network": False}
    with suppress(OSError, TimeoutError, ValueError):
        process = await start(stdout=PIPE)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                output, _ = await process.communicate()
            result = json.loads(output)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    complete = bool(result.get("landlock") and result.get("seccomp") and result.get("network"))
    log.log(logging.INFO if complete else logging.WARNING, "media.sandbox", extra=result)
