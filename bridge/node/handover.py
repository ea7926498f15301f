"""Passing live calls whole to another process of this machine, and taking them over from one.

A call stands still while it passes: its snapshot is exact, and whoever goes on with it begins where it stopped.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import msgspec

from bridge.call import journal
from bridge.call.model import CallId, LegId, LegKind
from bridge.errors import BridgeError, HandoverRefused
from bridge.legs.base import Leg, Movable, PassedLeg
from bridge.log import about
from bridge.node import call_snapshot
from bridge.node.call_snapshot import CallSnapshot, LegSnapshot
from bridge.node.lost_leg import LostLeg
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.node.running_legs import RestoredLeg
from bridge.node.suspension import SuspendedLeg
from bridge.tasks import Tasks

log = logging.getLogger(__name__)

RestoreLeg: TypeAlias = Callable[[PassedLeg], Leg]
"""Makes a leg of its state and its sockets; raises `HandoverRefused`, and closes none of them then."""


class CallService(Protocol):
    """A service whose work for a call passes with the call."""

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if the work cannot move now, or no `copy` of it be made for when its process dies."""

    def suspend(self, call_id: CallId) -> msgspec.Struct | None:
        """Stop, and return the work's state; None if there is none. `resume` or `abandon` must follow."""

    def resume(self, call_id: CallId) -> None:
        """Go on after `suspend`."""

    def abandon(self, call_id: CallId) -> None:
        """Forget the work of a call that another process goes on with, and report nothing."""

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Go on with another process's work, whose legs are restored and not in the call yet."""


@dataclass(frozen=True, slots=True)
class CallServices:
    """What services know of calls beside their legs."""

    passed: Mapping[str, CallService] = field(default_factory=dict)
    """Services by name, whose work passes."""
    marks: Mapping[str, set[CallId]] = field(default_factory=dict)
    """Sets of calls by name; a call that moves is in them there as it was here."""

    def suspend(self, call_id: CallId) -> dict[str, msgspec.Raw]:
        """Return what the services make of their work for a call, by their names."""
        states = {name: one.suspend(call_id) for name, one in self.passed.items()}
        return {
            name: msgspec.Raw(msgspec.msgpack.encode(state))
            for name, state in states.items()
            if state is not None
        }


class Handover:
    """Passes live calls of this node to its successor, one after the other."""

    def __init__(self, manager: Manager, services: CallServices) -> None:
        self._manager = manager
        self._services = services
        self._suspended: dict[CallId, tuple[CallRunner, list[SuspendedLeg]]] = {}
        self._loop = asyncio.get_running_loop()
        self.before_move: Callable[[CallId], None] = lambda _: None
        """Called with each call that is about to be suspended to move."""

    def revisions(self) -> dict[CallId, int]:
        """Return the live calls of this node, with a number that grows when one changes."""
        live = (one for one in self._manager.calls() if one.live)
        return {one.facts.call_id: one.suspension.revision for one in live}

    def movable(self) -> list[CallId]:
        """Return the calls whose legs can all move now, the oldest first."""
        found = []
        for runner in self._manager.calls():
            try:
                self._check(runner)
            except HandoverRefused:
                continue
            found.append(runner)
        found.sort(key=lambda runner: runner.facts.started_at)
        return [runner.facts.call_id for runner in found]

    def suspend(self, call_id: CallId) -> tuple[bytes, list[int]]:
        """Stop a call; return its snapshot and the descriptors that go with it, in order.

        The descriptors stay this process's own: they are to be duplicated, not closed. `resume` or `abandon`
        must follow at once.

        Raises:
            HandoverRefused: the call cannot move now, or has ended; it goes on as it was.
        """
        self.before_move(call_id)
        suspended = self._suspend(call_id)
        self._manager.sampling.leave(self._suspended[call_id][0])
        return suspended

    @contextmanager
    def copied(self, call_id: CallId) -> Iterator[tuple[bytes, list[int]]]:
        """Give what `suspend` returns, of legs and services as they are of use later; the call goes on here at the end.

        Raises as `suspend`; a leg that cannot be copied and is not needed is lost in the copy.
        """
        copy = self._suspend(call_id, copy=True)
        try:
            yield copy
        finally:
            self._resume(call_id)

    def _suspend(self, call_id: CallId, *, copy: bool = False) -> tuple[bytes, list[int]]:
        runner = self._manager.running(call_id)
        if runner is None:
            raise HandoverRefused("the call has ended")
        self._check(runner, copy=copy)
        legs, machine = runner.suspend(copy=copy)
        self._suspended[call_id] = runner, legs
        try:
            snapshot = call_snapshot.encode(self._snapshot(runner, legs, machine))
        except BaseException:
            self._resume(call_id)
            raise
        return snapshot, [one.fileno() for leg in legs for one in leg.sockets]

    def resume(self, call_id: CallId) -> None:
        """Let a suspended call go on here: nobody has taken it."""
        self._manager.sampling.join(self._suspended[call_id][0])
        self._resume(call_id)

    def _resume(self, call_id: CallId) -> None:
        runner, _ = self._suspended.pop(call_id)
        for service in self._services.passed.values():
            service.resume(call_id)
        runner.resume()

    async def abandon(self, call_id: CallId) -> None:
        """Forget a suspended call that the successor has taken: free what it has here, and report nothing."""
        runner, _ = self._suspended.pop(call_id)
        self._manager.remove(runner)
        self._manager.sampler.abandon(runner)
        for marked in self._services.marks.values():
            marked.discard(call_id)
        for service in self._services.passed.values():
            service.abandon(call_id)
        log.info("call.handed_over", extra={"call": call_id})
        await runner.abandon()

    def _check(self, runner: CallRunner, *, copy: bool = False) -> None:
        runner.suspension.check_movable(copy=copy)
        for service in self._services.passed.values():
            service.check_movable(runner.facts.call_id, copy=copy)

    def _snapshot(
        self, runner: CallRunner, legs: list[SuspendedLeg], machine: journal.MachineSnapshot
    ) -> CallSnapshot:
        call_id, manager = runner.facts.call_id, self._manager
        services = self._services.suspend(call_id)
        return CallSnapshot(
            facts=runner.facts,
            machine=machine,
            announced=runner.announced,
            legs=tuple(self._leg(one) for one in legs),
            left=tuple(leg for leg in runner.record().legs if leg.left is not None),
            samples=manager.sampler.snapshot(call_id),
            diagnosis=manager.diagnoses.snapshot(call_id),
            marks=tuple(name for name, calls in self._services.marks.items() if call_id in calls),
            turns=runner.turns.snapshot(),
            services=services,
            at=self._loop.time(),
        )

    def _leg(self, suspended: SuspendedLeg) -> LegSnapshot:
        running = suspended.running
        return LegSnapshot(
            running.leg.leg_id,
            running.leg.kind,
            running.joined,
            self._manager.metrics.media.heard_from(running.leg.leg_id),
            len(suspended.sockets),
            msgspec.Raw(msgspec.msgpack.encode(suspended.state)),
            needed=suspended.needed,
            lost=suspended.state is None,
        )


class Adoption:
    """Takes over calls of another process."""

    def __init__(
        self, manager: Manager, services: CallServices, legs: Mapping[LegKind, RestoreLeg]
    ) -> None:
        """`legs` restore those of the kinds that can move."""
        self._manager = manager
        self._services = services
        self._legs = legs
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()

    def adopt(self, snapshot: bytes, descriptors: list[int]) -> CallId:
        """Go on with a suspended call of another process; all of it, or nothing.

        The descriptors become this process's own when it returns, and stay the caller's when it raises.

        Raises:
            HandoverRefused: the snapshot cannot be restored here.
        """
        call = call_snapshot.decode(snapshot)
        self._check(call, descriptors)
        try:
            with ExitStack() as undo:
                self._restore(call, descriptors, undo)
                undo.pop_all()
        except HandoverRefused:
            raise
        except (BridgeError, msgspec.MsgspecError, ValueError) as error:
            raise HandoverRefused(f"the call cannot be restored: {error}") from None
        except Exception as error:  # the call must go on where it is
            log.exception("call.not_taken_over", extra={"call": call.facts.call_id})
            raise HandoverRefused(f"the call cannot be restored: {type(error).__name__}") from None
        for descriptor in descriptors:
            os.close(descriptor)
        extra = {"call": call.facts.call_id, "legs": len(call.legs)}
        log.info("call.taken_over", extra=extra)
        return call.facts.call_id

    async def aclose(self) -> None:
        """Wait until what could not be taken over is freed."""
        await self._tasks.wait()

    def _check(self, call: CallSnapshot, descriptors: list[int]) -> None:
        if self._manager.running(call.facts.call_id) is not None:
            raise HandoverRefused("the call is here already")
        if self._manager.admission.draining:
            raise HandoverRefused("this node is shutting down")
        if len(descriptors) != sum(leg.descriptors for leg in call.legs):
            raise HandoverRefused("the descriptors are not those of the call")
        for leg in call.legs:
            if leg.kind not in self._legs and not leg.lost:
                raise HandoverRefused(f"a {leg.kind} leg cannot be taken over")
        if unknown := call.services.keys() - self._services.passed.keys():
            raise HandoverRefused(f"work of {min(unknown)} cannot be taken over")

    def _restore(self, call: CallSnapshot, descriptors: list[int], undo: ExitStack) -> None:
        """Make the call one of this node's; `undo` takes it back."""
        call_id, sampler = call.facts.call_id, self._manager.sampler
        machine, kept = journal.restore(call.machine)
        if {leg.leg_id for leg in call.legs} != set(machine.legs.records):
            raise HandoverRefused("the legs of the call are not those of its machine")
        runner = self._manager.runner(call.facts, machine)
        undo.callback(runner.deadline.set, None)
        undo.callback(sampler.abandon, runner)
        sampler.restore(call_id, call.samples)
        if call.diagnosis is not None:
            self._manager.diagnoses.restore(runner, call.diagnosis, self._loop.time())
        if call.turns is not None:
            runner.turns.restore(call.turns)
        legs = self._restore_legs(call, descriptors, undo)
        by_id = {one.leg.leg_id: one.leg for one in legs}
        for name, state in call.services.items():
            service = self._services.passed[name]
            undo.callback(service.abandon, call_id)
            service.restore(runner, state, by_id)
        runner.restore(kept, legs, call.left, announced=call.announced)
        for name in call.marks:
            if name in self._services.marks:
                self._services.marks[name].add(call_id)
        self._manager.add(runner)

    def _restore_legs(
        self, call: CallSnapshot, descriptors: list[int], undo: ExitStack
    ) -> list[RestoredLeg]:
        """Make the legs, on duplicates of the descriptors; `undo` stops and frees them."""
        legs: list[RestoredLeg] = []
        left = iter(descriptors)
        for leg in call.legs:
            sockets = [_duplicate(next(left)) for _ in range(leg.descriptors)]
            made: Leg = LostLeg(leg.leg_id, leg.kind)
            try:
                if not leg.lost:
                    before = [one.leg for one in legs]
                    passed = PassedLeg(call.facts, leg.leg_id, leg.state, sockets, before)
                    with about(call.facts.call_id, leg.leg_id):
                        made = self._legs[leg.kind](passed)
                    undo.callback(self._free, made)
                    sockets = []
            except HandoverRefused as error:
                if leg.needed:
                    raise
                extra = {"call": call.facts.call_id, "leg": leg.leg_id, "why": str(error)}
                log.warning("leg.not_recovered", extra=extra)
            finally:
                for one in sockets:
                    one.close()
            legs.append(RestoredLeg(made, leg.joined, leg.heard))
        return legs

    def _free(self, leg: Leg) -> None:
        """Stop a restored leg at once, since another process goes on with it, and free it."""
        if not isinstance(leg, Movable):
            return  # it has nothing
        with suppress(HandoverRefused):  # it is not connected yet
            leg.suspend()
        self._tasks.spawn(leg.abandon(), name=f"free {leg.leg_id}")


async def leave(manager: Manager, chosen: Callable[[CallId], bool]) -> None:
    """Free the chosen calls, with which others go on: nobody is told, as far as their legs can leave so."""
    for runner in list(manager.calls()):
        if chosen(runner.facts.call_id):
            with suppress(HandoverRefused):
                runner.suspend()
                manager.remove(runner)
                await runner.abandon()


def _duplicate(descriptor: int) -> socket.socket:
    try:
        return socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise HandoverRefused(f"a descriptor cannot be used: {error.strerror}") from None
