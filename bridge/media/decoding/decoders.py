"""Sandboxed decoder processes: one per file, and a warm one for the next."""

import asyncio
import json
import math
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.call.quota import Quota
from bridge.errors import InvalidRequest, LimitExceeded
from bridge.media.decoding import decode, sandboxed

WARM_AFTER_SECONDS: Final = 1.0
"""Delay of the first process, so that it does not slow down the start of the bridge."""


class InvalidMedia(InvalidRequest, code="invalid_media"):
    """Raised when a file cannot be played."""


class Decoding:
    """A file being decoded; `aclose` must be called."""

    def __init__(self, process: Process, duration: float | None, stall_seconds: float) -> None:
        self._process, self._stall_seconds = process, stall_seconds
        self.duration = duration
        """Seconds, as declared by the file."""

    async def read(self, size: int) -> bytes:
        """Read `size` bytes of 16 kHz mono 16-bit PCM; less means the end of the file.

        Raises:
            InvalidMedia: The file is damaged, or its process was killed or hangs.
        """
        try:
            async with asyncio.timeout(self._stall_seconds):
                return await self._read(size)
        except TimeoutError:
            raise InvalidMedia("decoding the file has stalled") from None

    async def _read(self, size: int) -> bytes:
        try:
            return await _stdout(self._process).readexactly(size)
        except asyncio.IncompleteReadError as error:
            if await self._process.wait() != 0:
                raise InvalidMedia("the file is damaged and cannot be decoded further") from None
            return error.partial

    async def aclose(self) -> None:
        """Kill the process; idempotent."""
        await _kill(self._process)


class Decoders:
    """Starts decoder processes, within the limits of `quota` for the node and each line."""

    def __init__(
        self, quota: Quota, *, start_seconds: float = 10.0, stall_seconds: float = 10.0
    ) -> None:
        """The first audio of a file may take `start_seconds`, and each further read `stall_seconds`."""
        self._quota = quota
        self._start_seconds, self._stall_seconds = start_seconds, stall_seconds
        self._spare: Process | None = None
        self._wanted = asyncio.Event()
        self._running: dict[Process, LineName] = {}
        self._opening: list[LineName] = []

    async def keep_warm(self, *, after: float = WARM_AFTER_SECONDS) -> None:
        """Keep one idle process ready, so that the next file starts without delay."""
        await asyncio.sleep(after)
        await sandboxed.report()
        while True:
            self._wanted.clear()
            if not self.warm:
                with suppress(LimitExceeded):  # retried with the next file
                    self._spare = await _start()
            await self._wanted.wait()

    @property
    def warm(self) -> bool:
        """Whether an idle process is ready."""
        return self._spare is not None and self._spare.returncode is None

    async def open(self, path: Path, line: LineName, *, skip: int = 0) -> Decoding:
        """Start to decode a file for a line; return once its first audio is available.

        The first `skip` bytes of PCM are decoded but not returned.

        Raises:
            InvalidMedia: The file cannot be decoded.
            LimitExceeded: The node or the line decodes too many files, or no process can be started.
        """
        self._running = {
            process: line for process, line in self._running.items() if process.returncode is None
        }
        running = [*self._running.values(), *self._opening]
        self._quota.check(of_line=running.count(line), of_all=len(running))
        self._opening.append(line)
        spare, self._spare = self._spare if self.warm else None, None
        try:
            process = spare or await _start()
        finally:
            self._opening.remove(line)
        self._running[process] = line
        try:
            duration = await _begin(process, path, skip, self._start_seconds)
            return Decoding(process, duration, self._stall_seconds)
        except BaseException:
            await _kill(process)
            raise
        finally:
            self._wanted.set()

    async def aclose(self) -> None:
        """Kill all processes; `keep_warm` must have been cancelled before."""
        for process in (*self._running, *filter(None, [self._spare])):
            await _kill(process)


async def _start() -> Process:
    try:
        return await sandboxed.start(decode.__file__, stdin=PIPE, stdout=PIPE)
    except OSError:
        raise LimitExceeded("no decoder process can be started") from None


async def _begin(process: Process, path: Path, skip: int, seconds: float) -> float | None:
    assert process.stdin is not None
    try:
        async with asyncio.timeout(seconds):
            process.stdin.write(json.dumps({"path": str(path), "skip": skip}).encode() + b"\n")
            await process.stdin.drain()
            line = await _stdout(process).readline()
    except TimeoutError:
        raise InvalidMedia("decoding the file took too long to start") from None
    except (OSError, ValueError):
        line = b""
    return _duration(line)


def _duration(line: bytes) -> float | None:
    """Parse the response of a process that may have been taken over by the file."""
    try:
        answer = json.loads(line)
        problem = answer.get("error")
        duration = None if problem or answer["duration"] is None else float(answer["duration"])
    except (ValueError, TypeError, AttributeError, KeyError):
        raise InvalidMedia("the file cannot be decoded") from None
    if problem:
        raise InvalidMedia(str(problem))
    return duration if duration is not None and 0 <= duration < math.inf else None


def _stdout(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


async def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    # asyncio notices the exit of a process only after its pipes have been read to the end.
    with suppress(RuntimeError):  # a read is already pending
        while await _stdout(process).read(sandboxed.PIPE_BYTES):
            pass
    await process.wait()
