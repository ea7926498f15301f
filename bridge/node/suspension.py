"""A call that stands still, because it is passing to another process or may be about to."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from bridge.call import events
from bridge.errors import CallMoving, HandoverRefused
from bridge.legs.base import Movable
from bridge.node.clock import BusClock
from bridge.node.running_legs import RunningLeg, RunningLegs
from bridge.wire.call_event import EventType


@dataclass(frozen=True, slots=True)
class SuspendedLeg:
    """A leg that stands still."""

    running: RunningLeg
    state: msgspec.Struct
    sockets: list[socket.socket]
    """The leg's own."""


class Suspension:
    """Stops the legs of one call and its bus, and lets them go on, or go."""

    def __init__(self, legs: RunningLegs, bus_clock: BusClock) -> None:
        self._legs = legs
        self._bus_clock = bus_clock
        self.active = False
        """Whether the call stands still, or has gone."""
        self.gone = False
        """Whether another process has the call."""
        self._kept = 0
        """How much is about to join the call."""
        self.revision = 0
        """Raised with each event of the call, but for reports of its legs."""

    @contextmanager
    def kept_here(self) -> Iterator[None]:
        """Keep the call in this process meanwhile: something is about to join it, or changes.

        Raises:
            CallMoving: the call stands still, or has gone.
        """
        if self.active:
            raise _moving()
        self._kept += 1
        try:
            yield
        finally:
            self._kept -= 1

    def check(self, event: events.Event) -> None:
        """Note an event; refuse requests that must be repeated at the node that has the call afterwards.

        Raises:
            CallMoving: the call stands still, or has gone.
        """
        if self.active and isinstance(event, events.LegAdded | events.Request):
            raise _moving()
        restarted = isinstance(event, events.LegReported) and event.type is EventType.LEG_RESTARTED
        self.revision += restarted or not isinstance(event, events.LegReported)

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if a leg cannot move now."""
        if self.active:
            raise HandoverRefused("the call is passing to another process already")
        if self._kept:
            raise HandoverRefused("something is about to join the call")
        for _, leg in self._movable():
            leg.check_movable()

    def begin(self) -> list[SuspendedLeg]:
        """Stop everything; all or nothing.

        Raises:
            HandoverRefused: a leg cannot move now.
        """
        self.check_movable()
        suspended = []
        with ExitStack() as undo:
            self._bus_clock.suspend()
            undo.callback(self._bus_clock.resume)
            for running, leg in self._movable():
                state, sockets = leg.suspend()
                undo.callback(leg.resume)
                suspended.append(SuspendedLeg(running, state, sockets))
            undo.pop_all()
        self.active = True
        return suspended

    def end(self) -> None:
        """Let everything go on."""
        self.active = False
        for _, leg in self._movable():
            leg.resume()
        self._bus_clock.resume()

    async def abandon(self) -> None:
        """Free the legs, of which their parties notice nothing."""
        self.gone = True
        legs = list(self._movable())
        await asyncio.gather(*(leg.abandon() for _, leg in legs))
        for running, _ in legs:
            running.task.cancel()

    def _movable(self) -> Iterator[tuple[RunningLeg, Movable]]:
        for running in self._legs:
            if running.dial is not None or not isinstance(running.leg, Movable):
                raise HandoverRefused(f"a {running.leg.kind} leg cannot move")
            yield running, running.leg


def _moving() -> CallMoving:
    return CallMoving("the call is passing to another process; repeat the request")
