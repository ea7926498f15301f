"""Finishes recordings whose process is no more, and deletes files that other machines have deleted.

A process that was killed leaves its files on the disk of its machine, where another process finishes them.
Of a machine that is gone, the node with the lowest number assembles the recordings whose parts are in the store
(`media.recording.live_parts`); the others wait until it returns.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bridge.call.recording import Recording
from bridge.errors import DatabaseLost, NotFound, StoreFailed
from bridge.http.object_store import Bucket
from bridge.media.recording.archive import Archive
from bridge.media.recording.live_parts import assemble
from bridge.tasks import wait_set

log = logging.getLogger(__name__)

CUT_OFF: Final = "cut_off"
"""Nothing had been written when the process ended."""


@dataclass(frozen=True, slots=True)
class RecoveryIntervals:
    """Seconds."""

    poll: float = 10.0
    """Between looks at what processes have left."""
    retry: float = 10.0
    """After a failure."""
    gone: float = 30.0
    """After which nobody waits for a machine to return with the files of its recordings."""


class RecordingRecovery:
    """What one process finishes of others."""

    def __init__(
        self,
        archive: Archive,
        *,
        store: Bucket | None,
        on_ended: Callable[[Recording, str], None],
        intervals: RecoveryIntervals = RecoveryIntervals(),
    ) -> None:
        """`on_ended` is told of each recording that was finished, and why if it failed."""
        self._archive = archive
        self._store = store
        self._on_ended = on_ended
        self._intervals = intervals
        self._due = asyncio.Event()
        self._gone: dict[str, float] = {}
        """When machines were first missed, as the loop's time."""

    def wake(self) -> None:
        """Look now: a process has been lost."""
        self._due.set()

    async def run(self) -> None:
        """Finish and delete until cancelled."""
        while not await self._attempt(self._archive.adopt):
            pass
        while True:
            for work in (
                self._finish_interrupted,
                self._archive.unlink_deleted,
                self._assemble_lost,
            ):
                await self._attempt(work)
            await wait_set(self._due, self._intervals.poll)
            self._due.clear()

    async def _finish_interrupted(self) -> None:
        for recording in await self._archive.finish_interrupted():
            self._on_ended(recording, CUT_OFF)

    async def _assemble_lost(self) -> None:
        """Assemble what machines recorded that have been gone for long enough."""
        if self._store is None or not self._archive.share.first:
            self._gone.clear()
            return
        now = asyncio.get_running_loop().time()
        found = await self._archive.recorded_elsewhere()
        self._gone = {one.machine: self._gone.get(one.machine, now) for one in found}
        for recording in found:
            if now - self._gone[recording.machine] >= self._intervals.gone:
                try:
                    await self._assemble(self._store, recording)
                except StoreFailed as error:
                    log.warning("recording.not_assembled", extra={"reason": error.reason})
                    return  # the next look tries again; what is on the disk does not wait for it

    async def _assemble(self, store: Bucket, recording: Recording) -> None:
        path = self._archive.path(recording)
        try:
            written = await assemble(store, recording.recording_id, path)
        except NotFound:
            return  # it was finished or deleted meanwhile
        if written is None:
            return
        ended = await self._archive.take_over(recording, written)
        if ended is None:
            await self._archive.unlink_unless_ours(recording)
            return
        log.warning("recording.assembled", extra={"recording": recording.recording_id})
        self._on_ended(ended, CUT_OFF)

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do what may fail; return whether it has not, after a pause if it has."""
        try:
            await work()
        except DatabaseLost:
            await self._archive.available()
        except Exception:  # must not end the loop
            log.exception("recording.recovery_failed")
        else:
            return True
        await asyncio.sleep(self._intervals.retry)
        return False
