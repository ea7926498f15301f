"""A spare without a process, whose steps a test decides."""

import asyncio
import errno
import os
from collections.abc import Sequence

from bridge.wire.supervision import Prepared, ToNode, serialize


class FakeChild:
    """What a supervisor has of a spare."""

    pid = 4711
    keep = -1

    def __init__(self) -> None:
        self.process = self
        self.reports, self.pipe = os.pipe()
        os.set_blocking(self.reports, False)
        self.returncode: int | None = None
        self.heard: list[ToNode] = []
        self.prepared = self.closed = False
        self._ended = asyncio.Event()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def send(self, message: ToNode) -> None:
        self.heard.append(message)

    def close(self) -> None:
        self.closed = True
        os.close(self.reports)
        os.close(self.pipe)
        self.end()

    # What the test does

    def get_ready(self, memory: int = 0) -> None:
        os.write(self.pipe, serialize(Prepared(memory=memory)))

    def end(self) -> None:
        self.returncode = -9
        self._ended.set()


class FakeChildren:
    """Starts spares, unless `fail` says otherwise."""

    def __init__(self) -> None:
        self.made: list[FakeChild] = []
        self.fail = False

    async def start(self, listeners: Sequence[int]) -> FakeChild:
        assert [*listeners] == [5]
        if self.fail:
            raise OSError(errno.ENOMEM, "no memory")
        self.made.append(FakeChild())
        return self.made[-1]
