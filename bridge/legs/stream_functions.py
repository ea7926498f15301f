"""Functions that a stream's model calls, each run as a task of its own."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from bridge.wire.stream.media_stream import FunctionCall, Reply

MAX_FUNCTION_CALLS: Final = 8
"""Functions that run at once; a call beyond that is answered by an error."""

MAX_SPANS: Final = 64
"""Of time in which functions ran that are remembered; beyond it the oldest are forgotten."""

CallFunction: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Runs a function by its name and JSON arguments, and returns its output; may raise `FunctionFailed`."""


class FunctionFailed(Exception):
    """Raised by a function that has no output; the model is told `message`, which may be spoken about."""

    def __init__(self, message: str, *, code: str = "function_failed") -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class StreamFunctions:
    """The functions of one stream that run now."""

    def __init__(
        self,
        call: CallFunction,
        *,
        say: Callable[[Reply], None],
        report: Callable[[str, str], None],
    ) -> None:
        """`say` sends what answers a call, `report` takes the code and message of an error."""
        self._call = call
        self._say = say
        self._report = report
        self._running: dict[asyncio.Task[None], tuple[str, float]] = {}
        """The name of each running function and its start; the first has been running longest."""
        self._loop = asyncio.get_running_loop()
        self._spans: deque[tuple[float, float]] = deque(maxlen=MAX_SPANS)
        """When at least one function ran, up to the last time that none did."""
        self._runs_since = 0.0

    def begin(self, call: FunctionCall, group: asyncio.TaskGroup) -> None:
        """Run a function in the group, which cancels it at the stream's end."""
        if len(self._running) >= MAX_FUNCTION_CALLS:
            self._fail(call, FunctionFailed("too many functions are running"))
            return
        if not self._running:
            self._runs_since = self._loop.time()
        task = group.create_task(self._run(call), name=f"function {call.name}")
        self._running[task] = call.name, self._loop.time()
        task.add_done_callback(self._finish)

    @property
    def longest(self) -> tuple[str, float]:
        """The function that has been running longest, and its start; an empty name if none runs."""
        return next(iter(self._running.values()), ("", 0.0))

    def seconds_between(self, begin: float, end: float) -> float | None:
        """Return for how long functions ran between two times of the loop, together; None if none did."""
        spans = [*self._spans]
        if self._running:
            spans.append((self._runs_since, self._loop.time()))
        ran = [min(end, last) - max(begin, first) for first, last in spans]
        return sum(found) if (found := [seconds for seconds in ran if seconds > 0]) else None

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not self._running:
            self._spans.append((self._runs_since, self._loop.time()))

    async def _run(self, call: FunctionCall) -> None:
        try:
            output = await self._call(call.name, call.arguments)
        except FunctionFailed as failure:
            self._fail(call, failure)
        else:
            self._answer(call, output)

    def _fail(self, call: FunctionCall, failure: FunctionFailed) -> None:
        self._report(failure.code, f"{call.name}: {failure.message}")
        self._answer(call, msgspec.json.encode({"error": failure.message}).decode())

    def _answer(self, call: FunctionCall, output: str) -> None:
        for reply in call.answer(output):
            self._say(reply)


async def no_functions(_name: str, _arguments: str) -> str:
    """Fail: the model was offered no function."""
    raise FunctionFailed("there is no such function")
