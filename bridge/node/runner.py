"""Runs one call: its machine, its bus and its legs' tasks; performs commands, dispatches events."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from bridge.call import commands, events
from bridge.call.journal import Journal, MachineSnapshot
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallFacts,
    CallRecord,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    Party,
    State,
)
from bridge.call.record.published import describe_joined, published, state_events
from bridge.call.routing import LegRole
from bridge.call.view import record_of
from bridge.errors import BridgeError, HandoverRefused
from bridge.legs.base import EndsWithReason, Leg
from bridge.log import call_id as log_call_id
from bridge.log import leg_id as log_leg_id
from bridge.metrics.registry import Metrics
from bridge.node.clock import BusClock, Clock
from bridge.node.deadline import Deadline
from bridge.node.disclosing import NOTHING_TO_DISCLOSE, Disclosing
from bridge.node.publisher import Publisher, new_event
from bridge.node.running_legs import Dial, RestoredLeg, RunningLegs, dial_error, perform
from bridge.node.speech.held_speech import HeldSpeech, Rows
from bridge.node.speech.last_words import close_after_speech
from bridge.node.suspension import SuspendedLeg, Suspension
from bridge.node.turns.meters import TurnMeters
from bridge.tasks import Tasks
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)
TransferHandler: TypeAlias = Callable[["CallRunner", events.LegTransferRequested], None]
DECLINED: Final = 603


def refuse_transfer(runner: "CallRunner", request: events.LegTransferRequested) -> None:
    """Decline what a far party asks for."""
    if (leg := runner.leg(request.leg_id)) is not None:
        perform(leg, commands.ReportTransfer(request.leg_id, DECLINED))


class CallRunner:
    """The asynchronous half of a call; all decisions are its machine's."""

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        facts: CallFacts,
        machine: CallMachine,
        *,
        clock: Clock,
        metrics: Metrics,
        publisher: Publisher,
        on_ended: Callable[["CallRunner"], None],
        on_transfer: TransferHandler = refuse_transfer,
    ) -> None:
        """`on_transfer` takes a far party's request to call somebody in its place."""
        self.facts = facts
        self.machine = machine
        self._bus_clock = BusClock(clock, machine.limits.ring_tone)
        self.bus = self._bus_clock.bus
        self._loop = asyncio.get_running_loop()
        self._metrics = metrics
        self._publisher = publisher
        self._on_ended = on_ended
        self._on_transfer = on_transfer
        self.disclosing: Disclosing[CallRunner] = NOTHING_TO_DISCLOSE
        enabled, bus = machine.limits.turns, self.bus
        self.turns = TurnMeters(bus, publish=self.publish, metrics=metrics.turns, enabled=enabled)
        self._speech = HeldSpeech(machine, self._route, self.turns.opened)
        self.speech_gates = self._speech.gates
        """Which of its bots are held."""
        self._legs = RunningLegs(bus, self._seconds, self.turns, self._speech)
        self.suspension = Suspension(self._legs, self._bus_clock)
        self.journal = Journal()
        self._tasks = Tasks()
        self._events: deque[events.Event] = deque()
        self._busy = False
        self.deadline = Deadline(self._time_passed)
        """Ends the call, or one of its parties, when a time limit is reached."""
        self._timed_out = False
        self._reported = machine.state
        self.announced = False
        """Whether its events have begun."""
        self.refused: events.LegEnded | None = None
        """The end of the leg that its provider refused, with which the call ended."""
        self.deadline.set(self.machine.deadline())

    @property
    def live(self) -> bool:
        """Whether the call has not ended."""
        return self.machine.state is not State.ENDED

    def legs(self) -> list[Leg]:
        """The legs that are in the call now."""
        return [running.leg for running in self._legs]

    def kinds(self) -> list[LegKind]:
        """The kinds of these legs."""
        return [running.leg.kind for running in self._legs]

    def leg(self, leg_id: LegId) -> Leg | None:
        """The leg with this id, while it is in the call."""
        running = self._legs.get(leg_id)
        return running.leg if running else None

    def record(self) -> CallRecord:
        """Return the call as it stands, with the figures of its legs and of the last that left."""
        return record_of(
            self.facts,
            self.machine,
            now=self._loop.time(),
            legs=self._legs.all_figures(),
            timed_out=self._timed_out,
        )

    def check_room(self) -> None:
        """Raise `LimitExceeded` if the call may have no more legs."""
        self._legs.check_room()

    def figures(self) -> list[LegFigures]:
        """The figures of the legs that are in the call now."""
        return self._legs.figures()

    @property
    def idle(self) -> bool:
        """Whether nothing flows in the call."""
        return self._legs.idle

    def announce(self) -> None:
        """Count the call, and begin its events."""
        self.announced = True
        direction = self.machine.direction
        self._metrics.calls.started(direction)
        log.info("call.started", extra={"call": self.facts.call_id, "direction": direction})
        self.publish(EventType.CALL_INITIATED)
        if self.machine.state is State.RINGING:
            self.publish(EventType.CALL_RINGING)

    async def dial(self, leg: Leg, role: LegRole) -> None:
        """Add a leg that rings its party, and wait until its provider accepts the dial.

        Cancellation ends the leg.

        Raises:
            BridgeError: the provider refuses, or the leg has ended before it answered.
        """
        outcome: Dial = self._loop.create_future()
        self.add_leg(leg, role, dial=outcome)
        try:
            error = await asyncio.shield(outcome)
        except asyncio.CancelledError:
            self.dispatch(events.LegEnded(leg.leg_id, EndReason.CANCELED))
            raise
        if error is not None:
            raise error

    def add_leg(self, leg: Leg, role: LegRole, *, dial: Dial | None = None) -> None:
        """Add a leg to the call and start it; `dial` is set if its provider has yet to accept it.

        Raises:
            InvalidState: the call has ended, or has its far party already.
            LimitExceeded: it has all its legs.
        """
        self.check_room()
        role = self.disclosing.cover(self.facts.line, leg, role)
        self._legs.join_bus(leg, role)
        try:
            self.dispatch(events.LegAdded(leg.leg_id, leg.kind, role))
        except Exception:
            self._legs.leave_bus(leg)
            raise
        self._legs.add(leg, role, self._spawn(leg), dial=dial)
        self._metrics.media.leg_started(leg.leg_id, leg.kind)
        if dial is None:
            self.publish(EventType.LEG_JOINED, describe_joined(leg, role))

    def dispatch(self, event: events.Event) -> None:
        """Take an event or a request and perform the machine's commands, then publish; never waits.

        Raises:
            InvalidState: a request that the call's state does not allow.
            LegNotFound: a request that names a leg the call does not have.
            CallMoving: the call is passing to another process, and takes no request meanwhile.
        """
        self.suspension.check(event)
        self._events.append(event)
        if not self._busy and not self.suspension.active:
            self._handle_pending()

    def suspend(self, *, copy: bool = False) -> tuple[list[SuspendedLeg], MachineSnapshot]:
        """Stop the call; return its legs and its machine. `resume`, or unless for a `copy` `abandon`, must follow.

        Raises:
            HandoverRefused: it cannot move now, and goes on.
        """
        self.flush()
        if self._busy or self._events or not self.live or self.machine.hangs_up_by is not None:
            raise HandoverRefused("the call is busy, or ends")
        machine = self.journal.snapshot(self.machine)
        legs = self.suspension.begin(copy=copy)
        self.deadline.set(None)
        return legs, machine

    def resume(self) -> None:
        """Go on, with what has happened meanwhile."""
        self.suspension.end()
        self._handle_pending()

    async def abandon(self) -> None:
        """Free everything of a call that another process goes on with; nobody is told."""
        for running in self._legs:
            self._metrics.media.leg_moved(running.leg.leg_id, running.statistics())
        await self.suspension.abandon()
        await self._tasks.wait()

    def restore(
        self,
        journal: Journal,
        legs: Sequence[RestoredLeg],
        left: Iterable[LegFigures],
        *,
        announced: bool,
    ) -> None:
        """Go on with a call that another process has passed; `left` are the figures of legs that left."""
        self.journal, self.announced = journal, announced
        self._legs.restore_left(left)
        self._speech.restore()
        roles = {leg_id: leg.role for leg_id, leg in self.machine.legs.records.items()}
        for leg, *_ in legs:
            self._legs.join_bus(leg, roles[leg.leg_id])
        for leg, joined, heard in legs:
            role = roles[leg.leg_id]
            self._legs.add(leg, role, self._spawn(leg), joined=joined)
            self._metrics.media.leg_restored(leg.leg_id, leg.kind, leg.statistics(), heard)
        self._route(self.machine.routes().rows)
        self.disclosing.follow(self)

    def publish(
        self, kind: EventType, data: Mapping[str, Any] | None = None, *, callback_url: str = ""
    ) -> None:
        """Publish an event, unless it is of a test call; `callback_url` replaces the call's own."""
        if self.facts.details.test:
            return
        event = new_event(kind, self.facts.line, self.record(), data, callback_url=callback_url)
        self._publisher.publish(event)

    def tag(self, tag: str) -> None:
        """Change the call's tag; raises `CallMoving` while the call passes to another process."""
        with self.suspension.kept_here():
            self.facts = replace(self.facts, details=replace(self.facts.details, tag=tag))

    async def wait_cleaned(self) -> None:
        """Wait until an ended call has freed everything."""
        await self._tasks.wait()

    def _spawn(self, leg: Leg) -> asyncio.Task[None]:
        return self._tasks.spawn(self._live(leg), name=f"leg {leg.kind} {leg.leg_id}")

    def _handle_pending(self) -> None:
        self._busy = True
        with self._publisher.about(self.facts.call_id):
            try:
                while self._events:
                    event, now = self._events.popleft(), self._loop.time()
                    done = self.machine.handle(event, now)
                    self.journal.note(event, now, acted=bool(done))
                    for command in done:
                        self._perform(command)
                    self._publish_handled(event)
            finally:
                self._busy = False
                self.deadline.set(self.machine.deadline())
                self._speech.follow()
                self.disclosing.follow(self)

    def _route(self, rows: Rows) -> None:
        self._bus_clock.route(self.turns.routes(rows))

    def _perform(self, command: commands.Command) -> None:
        match command:
            case commands.EndLeg(leg_id, reason):
                self._end_leg(leg_id, reason)
            case commands.RouteAudio(rows):
                self._route(rows)
            case commands.ReportState(state):
                self._report(state)
            case commands.Report(kind, data):
                self.publish(kind, data)
            case commands.CallInstead(request):
                self._on_transfer(self, request)
            case commands.CloseAfterSpeech():
                self._tasks.spawn(close_after_speech(self, command), name="last words")
            case commands.EndCall(reason):
                self._end(reason)
            case _:
                leg = self.leg(command.leg_id)
                if leg is not None and (follows := perform(leg, command)) is not None:
                    self._events.append(follows)

    def _end_leg(self, leg_id: LegId, reason: EndReason, now: float | None = None) -> None:
        running = self._legs.remove(leg_id)
        self.bus.leave(leg_id, self._loop.time() if now is None else now)
        self._bus_clock.follow()
        if running is not None:
            # A leg that ended by itself is the current task: it returns, and is not cancelled.
            if running.task is not asyncio.current_task():
                if isinstance(running.leg, EndsWithReason):
                    running.leg.set_end_reason(reason)
                # In the next iteration: a task cancelled before its first step never runs, and would
                # not free what the leg holds already.
                self._loop.call_soon(running.task.cancel)
            self._metrics.media.leg_ended(leg_id, running.statistics())
            left = {"legID": leg_id, "kind": running.leg.kind, "party": running.role.party}
            log.info("leg.ended", extra={"leg": leg_id, "kind": left["kind"], "reason": reason})
            if running.dial is not None:
                running.dial.set_result(running.refused or dial_error(reason))
                return
            self.publish(EventType.LEG_LEFT, left | {"reason": reason})

    def _end(self, reason: EndReason) -> None:
        now = self._loop.time()  # the same for all, so that their recordings are equally long
        for running in self._legs:
            self._end_leg(running.leg.leg_id, reason, now)
        self.deadline.set(None)
        self._speech.close()
        self._on_ended(self)

    async def _live(self, leg: Leg) -> None:
        log_call_id.set(self.facts.call_id)
        log_leg_id.set(leg.leg_id)
        await self._speech.begin(leg)
        try:
            life = leg.run(lambda event: self._on_leg_event(leg, event))
            await self._publisher.marks.steps(self.facts.call_id, life)
        except Exception:
            log.exception("leg.failed", extra={"kind": leg.kind})
        crash = BridgeError("internal error; the log has the details")
        self._on_leg_event(leg, events.LegEnded(leg.leg_id, EndReason.FAILED, crash))

    def _on_leg_event(self, leg: Leg, event: events.LegEvent) -> None:
        if self.leg(leg.leg_id) is not leg and not isinstance(event, events.LegReported):
            return  # it has left; another may have returned under its id
        if isinstance(event, events.LegConnected):
            self._metrics.media.leg_connected(leg.leg_id)
        elif isinstance(event, events.LegEnded):
            if (running := self._legs.get(leg.leg_id)) is not None:
                running.refused = event.error
            self.refused = event if event.error is not None else self.refused
        self.dispatch(event)
        if self.machine.state is not State.ENDED:
            self.refused = None  # a party that could not be added is no problem of the others

    def _report(self, state: State) -> None:
        log.info("call.state", extra={"state": state, "reason": self.machine.reason or ""})
        before, self._reported = self._reported, state
        for kind in state_events(before, state, answered=self.machine.answered_at is not None):
            self.publish(kind)

    def _publish_handled(self, event: events.Event) -> None:
        if isinstance(event, events.LegDialled):
            self._publish_dialled(event.leg_id)
        parties = {running.leg.leg_id: running.role.party for running in self._legs}
        if (found := published(event, parties)) is not None:
            self.publish(*found)

    def _publish_dialled(self, leg_id: LegId) -> None:
        running = self._legs.get(leg_id)
        if running is None or running.dial is None:
            return
        running.dial.set_result(None)
        running.dial = None
        first = running.role.party is Party.FAR and not self.announced
        if first and not self.facts.details.test:
            self.announce()
        self.publish(EventType.LEG_JOINED, describe_joined(running.leg, running.role))

    def _seconds(self) -> float:
        """Return the duration so far."""
        return (self.machine.ended_at or self._loop.time()) - self.machine.started_at

    def flush(self) -> None:
        """Deliver to batched sinks all audio until now."""
        self._bus_clock.flush()

    def _time_passed(self) -> None:
        self._timed_out = self.machine.hangs_up_by is None
        self.dispatch(events.TimePassed())
        self._timed_out = False
