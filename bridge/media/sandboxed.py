"""Starts the processes that parse strangers' bytes, and says at the start what shuts them off."""

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
"""Two seconds of sound that the pipe may hold, whatever the length of the file."""


async def start(program: str, *arguments: str, talks: bool = False) -> Process:
    """Start a program in the sandbox: isolated, without our environment, which holds secrets.

    Args:
        program: the script's path.
        arguments: what its `main` is called with after `lock`.
        talks: whether it is given a pipe each as its input and its output.

    Raises:
        OSError: no process can be started.
    """
    end = PIPE if talks else DEVNULL
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
    """Log what of the sandbox holds on this machine, found by trying it out; warn of what does not."""
    held = await _try_out()
    complete = bool(held.get("landlock") and held.get("seccomp") and held.get("network"))
    log.log(logging.INFO if complete else logging.WARNING, "media.sandbox", extra=held)


async def _try_out() -> dict[str, int | bool]:
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
            told, _ = await process.communicate()
        held: dict[str, int | bool] = json.loads(told)
    except (TimeoutError, ValueError):
        return nothing
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return held
