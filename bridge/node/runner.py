"""Runs one call: its machine, its bus and its legs' tasks; performs commands, dispatches events."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.call import commands, events
from bridge.call.bus import Bus
from bridge.call.machine import UNANSWERED, CallMachine
from bridge.call.model import (
    Cadence,
    CallFacts,
    CallRecord,
    EndReason,
    LegFigures,
    LegId,
    LegOwner,
    Party,
    State,
)
from bridge.call.published import STATE_EVENTS, published
from bridge.call.routing import Heard, Hears
from bridge.errors import BridgeError
from bridge.legs.base import Answerable, DigitSender, Leg
from bridge.log import call_id as log_call_id
from bridge.log import leg_id as log_leg_id
from bridge.metrics.registry import Metrics
from bridge.node.clock import Clock
from bridge.node.dial_outcome import DialOutcome
from bridge.node.publisher import Publisher
from bridge.tasks import Tasks
from bridge.wire.call_event import EventType

log = logging.getLogger(__name__)

KEPT_LEGS = 16
"""How many ended legs a call keeps the figures of."""


@dataclass(slots=True)
class _Running:
    leg: Leg
    party: Party
    task: asyncio.Task[None]
    dial: DialOutcome | None = None
    """Until its provider accepts the dial; None for a leg that has joined."""
    refused: BridgeError | None = None
    """Why its provider refused the dial."""


class CallRunner:
    """The asynchronous half of a call; all decisions are its machine's."""

    def __init__(
        self,
        facts: CallFacts,
        machine: CallMachine,
        *,
        clock: Clock,
        metrics: Metrics,
        publisher: Publisher,
        on_ended: Callable[["CallRunner"], None],
    ) -> None:
        self.facts = facts
        self.machine = machine
        self.bus = Bus(cadence_changed=self._follow_clock)
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._metrics = metrics
        self._publisher = publisher
        self._on_ended = on_ended
        self._legs: dict[LegId, _Running] = {}
        self._ended_legs: deque[LegFigures] = deque(maxlen=KEPT_LEGS)
        self._tasks = Tasks()
        self._events: deque[events.Event] = deque()
        self._busy = False
        self._cadence = Cadence.NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._reported = machine.state
        self.announced = False
        """Whether its events have begun."""
        self._arm()

    @property
    def live(self) -> bool:
        """Whether the call has not ended."""
        return self.machine.state is not State.ENDED

    def legs(self) -> list[Leg]:
        """The legs that are in the call now."""
        return [running.leg for running in self._legs.values()]

    def leg(self, leg_id: LegId) -> Leg | None:
        """The leg with this id, while it is in the call."""
        running = self._legs.get(leg_id)
        return running.leg if running else None

    def record(self) -> CallRecord:
        """Return the call as it stands, with the figures of its legs and of the last that left."""
        machine = self.machine
        return CallRecord(
            facts=self.facts,
            direction=machine.direction,
            state=machine.state,
            reason=machine.reason,
            seconds=(machine.ended_at or self._loop.time()) - machine.started_at,
            legs=(*self._ended_legs, *map(self._figures, self._legs.values())),
            answered_at=self._wall_time(machine.answered_at),
            ended_at=self._wall_time(machine.ended_at),
            muted=machine.muted,
        )

    def figures(self) -> list[LegFigures]:
        """The figures of the legs that are in the call now."""
        return [self._figures(running) for running in self._legs.values()]

    def announce(self) -> None:
        """Count the call, and begin its events."""
        self.announced = True
        direction = self.machine.direction
        self._metrics.call_started(direction)
        log.info("call.started", extra={"call": self.facts.call_id, "direction": direction})
        self.publish(EventType.CALL_INITIATED)
        if self.machine.state is State.RINGING:
            self.publish(EventType.CALL_RINGING)

    async def dial(self, leg: Leg, party: Party, *, replaces: bool = False) -> None:
        """Give the call a leg that rings its party, and wait until its provider accepts the dial.

        Cancellation ends the leg.

        Raises:
            BridgeError: the provider refuses, or the leg has ended before it answered.
        """
        outcome = DialOutcome()
        self.add_leg(leg, party, replaces=replaces, dial=outcome)
        try:
            await outcome.wait()
        except asyncio.CancelledError:
            self.dispatch(events.LegEnded(leg.leg_id, EndReason.CANCELED))
            raise

    def add_leg(  # noqa: PLR0913 - what a leg is, whose, and who hears what beside it
        self,
        leg: Leg,
        party: Party,
        *,
        hears: Hears = Hears.OTHERS,
        heard: Heard = Heard.ALL,
        replaces: bool = False,
        ducking_gain: float = 1.0,
        owner: LegOwner | None = None,
        asked_for: bool = True,
        dial: DialOutcome | None = None,
    ) -> None:
        """Add a leg to the call and start it.

        Args:
            leg: the leg.
            party: which side of the call it is.
            hears: whom it hears; ignored for the far party.
            heard: who hears it.
            replaces: whether the other near legs leave once it is connected.
            ducking_gain: applied to what else the far party hears while it speaks.
            owner: whose ticket made it; None for the line's key.
            asked_for: whether a request made it; false for an automatic recording.
            dial: what its provider, which has yet to accept the dial, decides.

        Raises:
            InvalidState: the call has ended, or has its far party already.
        """
        self.bus.join(
            leg.leg_id,
            leg.source,
            leg.sink,
            batched=leg.kind.traits.batched,
            ducking_gain=ducking_gain,
            duckable=party is not Party.FAR,
        )
        added = events.LegAdded(
            leg.leg_id, leg.kind, party, hears, heard, replaces, owner, asked_for
        )
        try:
            self.dispatch(added)
        except Exception:
            self.bus.leave(leg.leg_id, self._loop.time())
            raise
        task = self._tasks.spawn(self._live(leg), name=f"leg {leg.kind} {leg.leg_id}")
        self._legs[leg.leg_id] = _Running(leg, party, task, dial)
        self._metrics.leg_started(leg.leg_id, leg.kind)
        if dial is None:
            self._publish_joined(leg, party, owner)

    def dispatch(self, event: events.Event) -> None:
        """Take an event or a request and perform the machine's commands, then publish; never waits.

        Raises:
            InvalidState: a request that the call's state does not allow.
            LegNotFound: a request that names a leg the call does not have.
        """
        self._events.append(event)
        if self._busy:
            return
        named = log_call_id.set(self.facts.call_id)
        try:
            with self._publisher.hold():
                self._handle_all()
        finally:
            log_call_id.reset(named)

    def publish(self, kind: EventType, data: Mapping[str, Any] | None = None) -> None:
        """Publish an event with the call as it stands now."""
        self._publisher.publish(kind, self.facts.line, self.record(), data)

    def tag(self, tag: str) -> None:
        """Change the call's tag."""
        self.facts = replace(self.facts, details=replace(self.facts.details, tag=tag))

    async def wait_cleaned(self) -> None:
        """Wait until an ended call has freed everything."""
        await self._tasks.wait()

    async def aclose(self) -> None:
        """Cancel whatever is left, in any state of the call."""
        self._disarm()
        await self._tasks.aclose()

    def _handle_all(self) -> None:
        self._busy = True
        try:
            while self._events:
                event = self._events.popleft()
                for command in self.machine.handle(event, self._loop.time()):
                    self._perform(command)
                self._publish_handled(event)
        finally:
            self._busy = False
            self._arm()

    def _perform(self, command: commands.Command) -> None:
        match command:
            case commands.AnswerLeg(leg_id):
                leg = self.leg(leg_id)
                if leg is not None and isinstance(leg, Answerable):
                    leg.answer()
            case commands.SendDigits(leg_id, digits):
                leg = self.leg(leg_id)
                if leg is not None and isinstance(leg, DigitSender):
                    leg.send_digits(digits)
            case commands.EndLeg(leg_id, reason):
                self._end_leg(leg_id, reason)
            case commands.RouteAudio(rows):
                self.bus.route(rows, self._loop.time())
                self._follow_clock()
            case commands.ReportState(state):
                self._report(state)
            case commands.ReportMissed(identity):
                self.publish(EventType.PARTY_MISSED, {"identity": identity})
            case commands.EndCall(reason):
                self._end(reason)

    def _end_leg(self, leg_id: LegId, reason: EndReason, now: float | None = None) -> None:
        running = self._legs.pop(leg_id, None)
        self.bus.leave(leg_id, self._loop.time() if now is None else now)
        self._follow_clock()
        if running is not None:
            # A leg that ended by itself is the current task: it returns, and is not cancelled.
            if running.task is not asyncio.current_task():
                # In the next iteration: a task cancelled before its first step never runs, and would
                # not free what the leg holds already.
                self._loop.call_soon(running.task.cancel)
            self._ended_legs.append(self._figures(running))
            self._metrics.leg_ended(leg_id, running.leg.statistics())
            left = {"legID": leg_id, "kind": running.leg.kind, "party": running.party}
            log.info("leg.ended", extra={"leg": leg_id, "kind": left["kind"], "reason": reason})
            if running.dial is not None:
                running.dial.ended(reason, running.refused)
                return
            self.publish(EventType.LEG_LEFT, left | {"reason": reason})

    def _end(self, reason: EndReason) -> None:
        now = self._loop.time()  # the same for all, so that their recordings are equally long
        for leg_id in list(self._legs):
            self._end_leg(leg_id, reason, now)
        self._disarm()
        self._on_ended(self)

    async def _live(self, leg: Leg) -> None:
        log_call_id.set(self.facts.call_id)
        log_leg_id.set(leg.leg_id)
        try:
            await leg.run(lambda event: self._on_leg_event(leg, event))
        except Exception:
            log.exception("leg.failed", extra={"kind": leg.kind})
        crash = BridgeError("internal error; the log has the details")
        self._on_leg_event(leg, events.LegEnded(leg.leg_id, EndReason.FAILED, crash))

    def _on_leg_event(self, leg: Leg, event: events.LegEvent) -> None:
        if self.leg(leg.leg_id) is not leg and not isinstance(event, events.LegReported):
            return  # it has left; another may have returned under its id
        if isinstance(event, events.LegConnected):
            self._metrics.leg_connected(leg.leg_id)
        elif isinstance(event, events.LegEnded):
            self._legs[leg.leg_id].refused = event.error
        self.dispatch(event)

    def _figures(self, running: _Running) -> LegFigures:
        leg = running.leg
        path = self.bus.path(leg.leg_id)
        return LegFigures(leg.leg_id, leg.kind, running.party, leg.statistics(), path)

    def _report(self, state: State) -> None:
        log.info("call.state", extra={"state": state, "reason": self.machine.reason or ""})
        before, self._reported = self._reported, state
        if self.machine.answered_at is not None and before in UNANSWERED:
            self.publish(EventType.CALL_ANSWERED)
        if before is State.HELD and state is State.ACTIVE:
            self.publish(EventType.CALL_RESUMED)
        elif state in STATE_EVENTS:
            self.publish(STATE_EVENTS[state])

    def _publish_handled(self, event: events.Event) -> None:
        if isinstance(event, events.LegDialled):
            self._publish_dialled(event.leg_id)
        parties = {leg_id: running.party for leg_id, running in self._legs.items()}
        if (found := published(event, parties)) is not None:
            self.publish(*found)

    def _publish_dialled(self, leg_id: LegId) -> None:
        running = self._legs.get(leg_id)
        if running is None or running.dial is None:
            return
        running.dial.accepted()
        running.dial = None
        if running.party is Party.FAR:
            self.announce()
        self._publish_joined(running.leg, running.party)

    def _publish_joined(self, leg: Leg, party: Party, owner: LegOwner | None = None) -> None:
        joined = {"legID": leg.leg_id, "kind": leg.kind, "party": party}
        named = {"identity": owner.identity} if owner and owner.identity else {}
        self.publish(EventType.LEG_JOINED, joined | named)

    def _wall_time(self, at: float | None) -> datetime | None:
        if at is None:
            return None
        return self.facts.started_at + timedelta(seconds=at - self.machine.started_at)

    def catch_up(self) -> None:
        """Deliver to batched sinks all audio until now."""
        self.bus.catch_up(self._loop.time())

    def _follow_clock(self) -> None:
        wanted = self.bus.cadence
        if wanted is self._cadence:
            return
        ticks = {Cadence.BATCHED: self.bus.catch_up, Cadence.EVERY_FRAME: self.bus.tick}
        if before := ticks.get(self._cadence):
            self._clock.leave(before)
        self._cadence = wanted
        if after := ticks.get(wanted):
            self._clock.join(after, batched=wanted is Cadence.BATCHED)

    def _arm(self) -> None:
        deadline = self.machine.deadline()
        if self._timer is not None and self._timer.when() == deadline:
            return
        self._disarm()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self.dispatch(events.TimePassed())

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
