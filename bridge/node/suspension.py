"""A call that stands still, because it is passing to another process or may be about to."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from bridge.call import events
from bridge.call.model import LegKind, Party
from bridge.errors import CallMoving, HandoverRefused
from bridge.legs.base import Copyable, Movable, Portable
from bridge.node.clock import BusClock
from bridge.node.running_legs import RunningLeg, RunningLegs

WORKED_WITH: Final = frozenset({LegKind.RECORDER, LegKind.TRANSCRIBER, LegKind.VOICEMAIL})
"""Legs without which a service cannot go on with its work for the call."""


@dataclass(frozen=True, slots=True)
class SuspendedLeg:
    """A leg that stands still."""

    running: RunningLeg
    state: msgspec.Struct | None
    """None for one that is lost if its process dies now."""
    sockets: list[socket.socket] = field(default_factory=list)
    """The leg's own."""
    needed: bool = True
    """Whether the call is not to go on without it."""


class Suspension:
    """Stops the legs of one call and its bus, and lets them go on, or go."""

    def __init__(self, legs: RunningLegs, bus_clock: BusClock) -> None:
        self._legs = legs
        self._bus_clock = bus_clock
        self.active = False
        """Whether the call stands still, or has gone."""
        self.gone = False
        """Whether another process has the call."""
        self._kept = self._not_copied = 0
        """How much is about to join the call, and without how much of it the call cannot go on elsewhere."""
        self._undo = ExitStack()
        """Lets go on what stands still."""
        self._revision = 0
        self._lost: list[RunningLeg] = []
        """Of the last copy."""

    @property
    def revision(self) -> int:
        """Raised with each change of the call, but for what its legs only report, and once a leg that was lost in the last copy no longer is."""
        if any(_can_be_copied(running) for running in self._lost):
            self._lost = []
            self._revision += 1
        return self._revision

    @contextmanager
    def kept_here(self, *, copied: bool = False) -> Iterator[None]:
        """Keep the call in this process meanwhile: something is about to join it, or changes.

        With `copied` copies of it are made all the same: if the process dies, the call goes on without that.

        Raises:
            CallMoving: the call stands still, or has gone.
        """
        if self.active:
            raise _moving()
        self._kept += 1
        self._not_copied += not copied
        try:
            yield
        finally:
            self._kept -= 1
            self._not_copied -= not copied
            self._revision += 1

    def check(self, event: events.Event) -> None:
        """Note an event; refuse requests that must be repeated at the node that has the call afterwards.

        Raises:
            CallMoving: the call stands still, or has gone.
        """
        if self.active and isinstance(event, events.LegAdded | events.Request):
            raise _moving()
        self._revision += not isinstance(event, events.LegReported)

    def note_change(self) -> None:
        """Note a change that is no event of the call, so that it is in the next copy."""
        self._revision += 1

    def check_movable(self, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if a leg cannot move now; for a `copy`, of which some may be lost, they are not asked."""
        if self.active:
            raise HandoverRefused("the call is passing to another process already")
        if self._not_copied if copy else self._kept:
            raise HandoverRefused("something is about to join the call")
        for running in () if copy else self._legs:
            _movable(running).check_movable()

    def begin(self, *, copy: bool = False) -> list[SuspendedLeg]:
        """Stop everything, or for a `copy` only what must stand still while it is made; all or nothing.

        Raises:
            HandoverRefused: a leg cannot move now.
        """
        self.check_movable(copy=copy)
        with ExitStack() as undo:
            if not copy:
                self._bus_clock.suspend()
                undo.callback(self._bus_clock.resume)
            take = _copy if copy else _suspend
            suspended = [take(running, undo) for running in self._legs]
            self._undo = undo.pop_all()
        self.active = True
        self._lost = [one.running for one in suspended if one.state is None]
        return suspended

    def portable(self) -> list[SuspendedLeg]:
        """Return what another machine needs of the legs, without stopping them; others than `Portable` ones are lost there.

        Raises:
            HandoverRefused: a leg cannot tell now.
        """
        found = []
        for running in self._legs:
            leg = running.leg
            state = leg.portable_state() if isinstance(leg, Portable) else None
            waits = running.dial is not None or (isinstance(leg, Portable) and state is None)
            if self.active or waits:
                raise HandoverRefused(f"a {leg.kind} leg is not connected yet")
            found.append(SuspendedLeg(running, state))
        return found

    def end(self) -> None:
        """Let everything go on."""
        self.active = False
        self._undo.close()

    async def abandon(self) -> None:
        """Free the legs, of which their parties notice nothing."""
        self.gone = True
        running = list(self._legs)
        await asyncio.gather(*(_movable(one).abandon() for one in running))
        for one in running:
            one.task.cancel()


def _suspend(running: RunningLeg, undo: ExitStack) -> SuspendedLeg:
    leg = _movable(running)
    state, sockets = leg.suspend()
    undo.callback(leg.resume)
    return SuspendedLeg(running, state, sockets)


def _copy(running: RunningLeg, undo: ExitStack) -> SuspendedLeg:
    needed = running.role.party is Party.FAR or running.leg.kind in WORKED_WITH
    try:
        if isinstance(running.leg, Copyable):
            return SuspendedLeg(running, running.leg.copy(), needed=needed)
        _movable(running).check_movable()
        return replace(_suspend(running, undo), needed=needed)
    except HandoverRefused:
        if needed:
            raise
        return SuspendedLeg(running, None, needed=False)


def _can_be_copied(running: RunningLeg) -> bool:
    try:
        if isinstance(running.leg, Copyable):
            running.leg.copy()
        else:
            _movable(running).check_movable()
    except HandoverRefused:
        return False
    return True


def _movable(running: RunningLeg) -> Movable:
    if running.dial is not None or not isinstance(running.leg, Movable):
        raise HandoverRefused(f"a {running.leg.kind} leg cannot move")
    return running.leg


def _moving() -> CallMoving:
    return CallMoving("the call is passing to another process; repeat the request")
