"""The calls that have ended, in the database that all nodes share: written, found, erased, and deleted in time.

The last ones of this node are kept in memory too (`EndedCalls`), for requests that still name them.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bridge.call.diagnosis.diagnosis import Diagnosis
from bridge.call.diagnosis.report import LOST, crashed_report, report_of
from bridge.call.model import CallId, CallRecord, EndReason, LineName, State
from bridge.call.record.ended_call import CallReport, report_call
from bridge.call.record.quality import LegQuality
from bridge.call.record.search import CallSearch
from bridge.call.view import CallView, lost_record
from bridge.db.database import Connection, Database, wall_time
from bridge.errors import DatabaseLost
from bridge.node.diagnosis.diagnosis import CallDiagnosis
from bridge.settings.model import Limits
from bridge.stores import calls as call_store
from bridge.stores import events, transcripts
from bridge.stores.calls import Cursor
from bridge.wire.call_event import CallSnapshot

log = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 600.0
RECORD: Final = "call_record"
"""What ended calls are appended to the database as."""
PAGES: Final = 50
"""Transactions of one search; what it has not found by then is left to its next page."""

CALL_BYTES: Final = 2048
LEG_BYTES: Final = 2048
"""Approximate memory of a record, and of each of its legs."""

FORGOTTEN_AT_ONCE: Final = 500


class CallHistory:
    """The ended calls of all lines and nodes."""

    def __init__(
        self, database: Database, *, kept_seconds: float, count_failure: Callable[[str], None]
    ) -> None:
        """Open the history, and create missing tables; waits for the disk."""
        self._database = database
        self._kept_seconds = kept_seconds
        self._count_failure = count_failure
        database.handle(RECORD, _insert)

    def keep(self, report: CallReport, timelines: tuple[LegQuality, ...]) -> None:
        """Write a call that has ended, without waiting."""
        try:
            row = call_store.encode(report, timelines)
            payload = msgspec.msgpack.encode(row)
        except (TypeError, ValueError):
            log.exception("call_record.encode_failed", extra={"call": report.record.facts.call_id})
            self._count_failure("write")
            return
        self._database.append(RECORD, payload, failed=lambda: self._count_failure("write"))

    def keep_lost(self, connection: Connection, line: str, call: CallSnapshot) -> CallRecord:
        """Write a call that was cut off with its node, or that nodes died of, in the transaction of its end; return its record."""
        record = lost_record(LineName(line), call)
        crashed = record.reason is EndReason.FAILED
        report = CallReport(record, diagnosis=crashed_report(call.seconds) if crashed else LOST)
        call_store.insert_all(connection, [call_store.encode(report, ())])
        return record

    async def find(self, line: LineName | None, call_id: str) -> CallReport | None:
        """Return an ended call; None if there is none, or it is another line's (None: of any line)."""
        try:
            return await self._database.read(call_store.read_report, call_id=call_id, line=line)
        except msgspec.MsgspecError:
            self._unreadable(call_id)
            return None

    async def timelines(self, call_id: str) -> tuple[LegQuality, ...]:
        """Return the timelines of an ended call's legs."""
        try:
            return await self._database.read(call_store.read_timelines, call_id)
        except msgspec.MsgspecError:
            self._unreadable(call_id)
            return ()

    async def search(
        self, search: CallSearch, *, after: Cursor | None = None, limit: int = 50
    ) -> tuple[list[CallView], Cursor | None]:
        """Return a page of ended calls after a place, newest first, and where the next begins; None at the end.

        A page may be short, and not the last.
        """
        found: list[CallView] = []
        if search.state not in (None, State.ENDED):
            return found, None
        for _ in range(PAGES):
            page = await self._database.read(
                call_store.page, search, after=after, limit=limit - len(found)
            )
            found += [call for stored in page.found if (call := self._read(stored)) is not None]
            after = page.next
            if after is None or len(found) >= limit:
                break
        return found, after

    async def records(
        self, line: LineName, live: list[CallRecord], *, offset: int, limit: int
    ) -> tuple[list[CallRecord], int]:
        """Return a part of all calls of a line, newest first, and their number.

        `live` has those that were live a moment ago. Ended calls are without the figures of their legs.
        """

        def work(connection: Connection) -> tuple[list[CallRecord], list[CallRecord], int]:
            over = call_store.known(connection, [one.facts.call_id for one in live])
            still = [one for one in live if one.facts.call_id not in over]
            # A live call may stand anywhere among the ended ones.
            found = call_store.read_records(
                connection,
                line,
                offset=max(0, offset - len(still)),
                limit=limit + len(still),
            )
            return still, found, call_store.count(connection, line)

        try:
            still, found, count = await self._database.read(work)
        except msgspec.MsgspecError:
            self._unreadable("")
            still, found, count = live, [], 0
        calls = sorted(
            [*still, *found],
            key=lambda one: (one.facts.started_at, one.facts.call_id),
            reverse=True,
        )
        first = min(offset, len(still))
        return calls[first : first + limit], len(still) + count

    async def erase(self, line: LineName, call_id: str) -> None:
        """Delete a call, its events, and what of them is still to be delivered; their bytes are overwritten."""

        def work(connection: Connection) -> None:
            call_store.delete(connection, call_id)
            events.erase(connection, line=line, call_id=call_id)

        await self._database.run(work)
        await self._database.checkpoint()

    async def run(self, first: Callable[[], bool]) -> None:
        """Delete calls whose time has expired while this node is the first, until cancelled."""
        while True:
            try:
                if first():
                    await self.sweep()
            except DatabaseLost:
                await self._database.available()
            except Exception:  # must not end the loop
                log.exception("call_record.delete_failed")
                self._count_failure("delete")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Delete calls whose time has expired, a few in each transaction."""
        before = wall_time() - self._kept_seconds
        while (
            await self._database.run(call_store.forget, ended_before=before) == call_store.DELETED
        ):
            pass
        await self._database.run(transcripts.forget, requested_before=before)

    def _read(self, stored: bytes) -> CallView | None:
        try:
            return call_store.read_entry(stored)
        except msgspec.MsgspecError:
            self._unreadable("")
            return None

    def _unreadable(self, call_id: str) -> None:
        log.error("call_record.read_failed", extra={"call": call_id})
        self._count_failure("read")


def report_now(
    record: CallRecord,
    timelines: tuple[LegQuality, ...],
    diagnosis: CallDiagnosis | None,
) -> CallReport:
    """Return a call of this node as it stands."""
    if diagnosis is None:
        found = LOST if record.reason is not None else report_of(Diagnosis(), now=0.0, began=0.0)
    else:
        began = diagnosis.began
        found = report_of(diagnosis.diagnosis, now=began + record.seconds, began=began)
    return report_call(record, timelines, found)


def _insert(connection: Connection, payloads: list[bytes]) -> None:
    call_store.insert_all(
        connection, [msgspec.msgpack.decode(payload, type=call_store.Row) for payload in payloads]
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    record: CallRecord
    until: float
    octets: int


@dataclass(slots=True)
class _Line:
    calls: dict[CallId, _Kept] = field(default_factory=dict)
    """The oldest first."""
    octets: int = 0


class EndedCalls:
    """The records of ended calls by line; a line that exceeds its limits loses its oldest."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: dict[LineName, _Line] = {}

    def keep(self, record: CallRecord, now: float) -> None:
        """Keep a call from now on."""
        call_id = record.facts.call_id
        octets = CALL_BYTES + LEG_BYTES * len(record.legs)
        octets += len(record.facts.details.metadata)
        line = self._lines.setdefault(record.facts.line, _Line())
        if before := line.calls.pop(call_id, None):
            line.octets -= before.octets
        line.calls[call_id] = _Kept(record, now + self._limits.kept_seconds, octets)
        line.octets += octets
        max_octets = self._limits.ended_mb_per_line * 1e6
        while len(line.calls) > self._limits.ended_per_line or line.octets > max_octets:
            line.octets -= line.calls.pop(next(iter(line.calls))).octets

    def get(self, line: LineName, call_id: CallId) -> CallRecord | None:
        """Return a call of the line, while it is kept."""
        of_line = self._lines.get(line)
        kept = of_line.calls.get(call_id) if of_line else None
        return kept.record if kept else None

    def drop(self, line: LineName, call_id: CallId) -> None:
        """Delete a call, if it is kept."""
        of_line = self._lines.get(line)
        if of_line is not None and (kept := of_line.calls.pop(call_id, None)):
            of_line.octets -= kept.octets

    def forget(self, now: float) -> None:
        """Delete calls whose time has expired, at most `FORGOTTEN_AT_ONCE`."""
        left = FORGOTTEN_AT_ONCE
        for line in self._lines.values():
            while line.calls and (first := next(iter(line.calls.values()))).until <= now:
                if not left:
                    return
                left -= 1
                line.octets -= first.octets
                del line.calls[first.record.facts.call_id]
