"""Starts sandboxed child processes, and logs whether the sandbox works on this machine."""

import asyncio
import json
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

from bridge.media import sandbox

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 20.0
PIPE_BYTES: Final = 64 * 1024
"""Limit of buffered output: two seconds of audio."""


async def start(program: str, *arguments: str, pipes: bool = False) -> Process:
    """Start a program in the sandbox, without our environment, which has secrets.

    Args:
        program: Path of the script.
        arguments: Arguments of its `main` after `lock`.
        pipes: Whether its stdin and stdout are pipes.

    Raises:
        OSError: The process cannot be started.
    """
    end = PIPE if pipes else DEVNULL
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        sandbox.__file__,
        program,
        *arguments,
        stdin=end,
        stdout=end,
        stderr=DEVNULL,
        env={},
        limit=PIPE_BYTES,
    )


async def report() -> None:
    """Test the sandbox and log the result, as a warning if it is incomplete."""
    result = await _probe()
    complete = bool(result.get("landlock") and result.get("seccomp") and result.get("network"))
    log.log(logging.INFO if complete else logging.WARNING, "media.sandbox", extra=result)


async def _probe() -> dict[str, int | bool]:
    nothing: dict[str, int | bool] = {"landlock": 0, "seccomp": 0, "files": False, "network": False}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            sandbox.__file__,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
            env={},
        )
    except OSError:
        return nothing
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            output, _ = await process.communicate()
        result: dict[str, int | bool] = json.loads(output)
    except (TimeoutError, ValueError):
        return nothing
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return result
