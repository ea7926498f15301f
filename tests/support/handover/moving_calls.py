"""Two bridges in the test's process, of which one has calls and the other takes them over."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

import msgspec

from bridge.app.handover import build_adoption, call_services
from bridge.call.model import CallId, LegKind
from bridge.errors import HandoverRefused
from bridge.legs.recording import RecorderLeg
from bridge.node.call_snapshot import CallSnapshot, advance, decode
from bridge.node.handover import Handover
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent
from bridge.wire.rtp.used_numbers import Ceilings
from bridge.wire.snapshot.session import SenderSnapshot
from tests.support.inprocess import Client, one_node, settings
from tests.support.waiting import until

Copy: TypeAlias = tuple[bytes, list[int]]
"""A snapshot, and descriptors."""


def ceilings(last: CallSnapshot) -> dict[int, Ceilings]:
    """Return what the ledger of a node says of a call that dies so."""
    found = {}
    for leg in last.legs:
        state = msgspec.msgpack.decode(leg.state) or {}
        for peer in filter(None, (state.get("peer"), state.get("publisher"))):
            numbers = msgspec.convert(peer["session"]["sender"], SenderSnapshot).numbering
            srtp = peer["transport"]["srtp"] or {"report_index": 0}
            found[numbers.ssrc] = Ceilings(numbers.sequence + 64, srtp["report_index"] + 16)
    return found


def suspends(leg: RecorderLeg) -> bool:
    """Suspend a recorder, once nothing is being written."""
    try:
        leg.suspend()
    except HandoverRefused:
        return False
    return True


class MovingCalls:
    """Moves calls from one bridge to another, and back."""

    def __init__(self, old: Client, new: Client) -> None:
        self.clients = [old, new]
        found = [
            call_services(one.bridge.control, one.bridge.media, one.bridge.records)
            for one in self.clients
        ]
        self.handovers = [
            Handover(one.bridge.manager, known)
            for one, known in zip(self.clients, found, strict=True)
        ]
        self.adoptions = [
            build_adoption(
                one.bridge.control,
                one.bridge.lines,
                one.bridge.media,
                one.bridge.records,
                known,
            )
            for one, known in zip(self.clients, found, strict=True)
        ]
        self.told: list[tuple[int, str]] = []
        """The types of the events of each bridge."""
        for number, one in enumerate(self.clients):
            one.bridge.manager.publisher.subscribe(partial(self._tell, number))
        self.at = 0
        """Which bridge has the calls."""

    @property
    def client(self) -> Client:
        """The bridge that has the calls."""
        return self.clients[self.at]

    @property
    def events(self) -> list[str]:
        """The types of all events, but those of problems, which come and go by themselves."""
        return [kind for _, kind in self.told if not kind.startswith("call.problem")]

    def movable(self) -> list[CallId]:
        return self.handovers[self.at].movable()

    def runner(self, call_id: str) -> CallRunner:
        found = self.client.bridge.manager.running(CallId(call_id))
        assert found is not None
        return found

    def _tell(self, number: int, event: CallEvent) -> None:
        self.told.append((number, str(event.type)))

    async def move(self, call_id: str, *, silent: float = 0.0) -> None:
        """Move a call to the other bridge, in so many seconds."""
        snapshot, descriptors = self.handovers[self.at].suspend(CallId(call_id))
        await asyncio.sleep(silent)
        duplicates = [os.dup(one) for one in descriptors]
        assert self.adoptions[1 - self.at].adopt(snapshot, duplicates) == call_id
        await self.handovers[self.at].abandon(CallId(call_id))
        self.at = 1 - self.at

    def legs(self, call_id: str, kind: LegKind) -> list[Any]:
        return [leg for leg in self.runner(call_id).legs() if leg.kind is kind]

    def copies(self, call_id: str) -> bool:
        """Return whether a copy of a call can be made now."""
        try:
            for one in self.copy(call_id)[1]:
                os.close(one)
        except HandoverRefused:
            return False
        return True

    def copy(self, call_id: str) -> Copy:
        """Return a copy of a call, which goes on."""
        with self.handovers[self.at].copied(CallId(call_id)) as (snapshot, descriptors):
            return snapshot, [os.dup(one) for one in descriptors]

    async def crash(self, call_id: str, copy: Copy, *, silent: float = 0.0) -> CallSnapshot:
        """Let the other bridge go on from a copy, as if this one was killed and for so long nobody there; return what is adopted."""
        handover, loop = self.handovers[self.at], asyncio.get_running_loop()
        await until(partial(self.copies, call_id))
        for one in self.legs(call_id, LegKind.RECORDER):
            await until(partial(suspends, one))
        # What is abandoned is not there to be resumed.
        with suppress(KeyError), handover.copied(CallId(call_id)) as (last, _):
            died_at = loop.time()
            await asyncio.sleep(silent)
            adopted = advance(copy[0], ceilings(decode(last)), died_at=died_at, now=loop.time())
            assert self.adoptions[1 - self.at].adopt(adopted, copy[1]) == call_id
            await handover.abandon(CallId(call_id))
        self.at = 1 - self.at
        return decode(adopted)

    def suspend_and_resume(self, call_id: str) -> None:
        """Offer a call that nobody takes."""
        self.handovers[self.at].suspend(CallId(call_id))
        self.handovers[self.at].resume(CallId(call_id))


@asynccontextmanager
async def moving_calls(**changed: Any) -> AsyncIterator[MovingCalls]:
    """Run two bridges with these settings."""
    async with (
        one_node(settings(**changed), None) as old,
        one_node(settings(**changed), None) as new,
    ):
        yield MovingCalls(old, new)
