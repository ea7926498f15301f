"""The processes that decode strangers' files, one a file, and one kept warm for the next."""

import asyncio
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.call.model import LineName
from bridge.call.shares import Shares
from bridge.errors import InvalidRequest, LimitExceeded
from bridge.media import decode, sandboxed

START_SECONDS: Final = 10.0
"""Within which a file must have given its first sound."""
STALL_SECONDS: Final = 10.0
"""Within which it must have given more, once that is wanted."""
WARM_AFTER_SECONDS: Final = 1.0
"""When the first process is started: the bridge's own start comes first."""


class InvalidMedia(InvalidRequest):
    """What was to be played cannot be."""

    code = "invalid_media"


class Decoding:
    """A file being decoded; `aclose` must be called."""

    def __init__(self, process: asyncio.subprocess.Process, duration: float | None) -> None:
        self._process = process
        self.duration = duration
        """Seconds, as the file claims."""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def read(self, size: int) -> bytes:
        """Give up to `size` bytes of 16 kHz mono 16-bit PCM; less is the end of the file.

        Raises:
            InvalidMedia: the file is damaged from here on, or its process was killed or hangs.
        """
        try:
            async with asyncio.timeout(STALL_SECONDS):
                return await self._read(size)
        except TimeoutError:
            raise InvalidMedia("the file gives no more sound") from None

    async def _read(self, size: int) -> bytes:
        try:
            return await _stdout(self._process).readexactly(size)
        except asyncio.IncompleteReadError as error:
            if await self._process.wait() != 0:
                raise InvalidMedia("the file is damaged and cannot be decoded further") from None
            return error.partial

    async def aclose(self) -> None:
        """Kill the process, however far it is; idempotent."""
        await _kill(self._process)


class Decoders:
    """Starts the processes, so many at once as `shares` says, and no more for one line than its share."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._spare: asyncio.subprocess.Process | None = None
        self._wanted = asyncio.Event()
        self._running: dict[asyncio.subprocess.Process, LineName] = {}
        self._opening: list[LineName] = []

    async def keep_warm(self, *, after: float = WARM_AFTER_SECONDS) -> None:
        """Have a process ready for the next file, always, which then starts at once."""
        await asyncio.sleep(after)
        await sandboxed.report()
        while True:
            self._wanted.clear()
            if not self.warm:
                with suppress(LimitExceeded):  # the next file may have more luck
                    self._spare = await _start()
            await self._wanted.wait()

    @property
    def warm(self) -> bool:
        """Whether a process waits for the next file."""
        return self._spare is not None and self._spare.returncode is None

    async def open(self, path: Path, line: LineName, *, skip: int = 0) -> Decoding:
        """Begin to decode a file for a line; returns once its first sound is there.

        Args:
            path: the file.
            line: whose share of the processes it takes.
            skip: bytes of PCM that are left out at the beginning; they are decoded all the same.

        Raises:
            InvalidMedia: it is no sound that can be played.
            LimitExceeded: too many are being decoded already, in all or for the line, or no process can be
                started.
        """
        self._running = {
            process: line for process, line in self._running.items() if process.returncode is None
        }
        taken = [*self._running.values(), *self._opening]
        self._shares.check(of_line=taken.count(line), of_all=len(taken))
        self._opening.append(line)
        try:
            process = await self._take()
        finally:
            self._opening.remove(line)
        self._running[process] = line
        try:
            return Decoding(process, await _begin(process, path, skip))
        except BaseException:
            await _kill(process)
            raise
        finally:
            self._wanted.set()

    async def aclose(self) -> None:
        """Kill all that run; whoever keeps one warm has ended before."""
        for process in (*self._running, *filter(None, [self._spare])):
            await _kill(process)

    async def _take(self) -> asyncio.subprocess.Process:
        process, self._spare = self._spare, None
        if process is None or process.returncode is not None:
            return await _start()
        return process


async def _start() -> asyncio.subprocess.Process:
    try:
        return await sandboxed.start(decode.__file__, talks=True)
    except OSError:
        raise LimitExceeded("no process to decode the file in can be started") from None


async def _begin(process: asyncio.subprocess.Process, path: Path, skip: int) -> float | None:
    if process.stdin is None:
        raise RuntimeError("the process was started without its input")
    try:
        async with asyncio.timeout(START_SECONDS):
            process.stdin.write(json.dumps({"path": str(path), "skip": skip}).encode() + b"\n")
            await process.stdin.drain()
            line = await _stdout(process).readline()
    except TimeoutError:
        raise InvalidMedia("the file took too long to give its first sound") from None
    except (OSError, ValueError):
        line = b""
    return _duration(line)


def _duration(line: bytes) -> float | None:
    """Read the answer of a process that may be a stranger's by now."""
    try:
        answer = json.loads(line)
        problem = answer.get("error")
        duration = None if problem or answer["duration"] is None else float(answer["duration"])
    except (ValueError, TypeError, AttributeError, KeyError):
        raise InvalidMedia("the file cannot be decoded") from None
    if problem:
        raise InvalidMedia(str(problem))
    return duration if duration is not None and 0 <= duration < math.inf else None


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("the process was started without its output")
    return process.stdout


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    # The loop notes the end of a process once its pipes are read to theirs, which it puts off while
    # nobody takes what is there.
    with suppress(RuntimeError):  # somebody reads already
        while await _stdout(process).read(sandboxed.PIPE_BYTES):
            pass
    await process.wait()
