"""Two bridges in the test's process, of which one has calls and the other takes them over."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from bridge.app.handover import build_adoption, call_services
from bridge.call.model import CallId
from bridge.node.handover import Handover
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent
from tests.support.inprocess import Client, one_node, settings


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
