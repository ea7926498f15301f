"""The call service: starts and finds the calls of this node, live and ended."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.call import events
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegId,
    LegOwner,
    LineName,
    Party,
)
from bridge.call.parties import with_own_number
from bridge.call.routing import Heard, Hears
from bridge.errors import BridgeError, CallEnded, CallNotFound, LimitExceeded, StillDialling
from bridge.legs.base import DialledLeg, Leg
from bridge.legs.dial import Dialer
from bridge.metrics.registry import Metrics
from bridge.node.capacity import ManagerLimits, check_capacity, check_room
from bridge.node.clock import Clock
from bridge.node.directory import Directory, LocalDirectory
from bridge.node.ended import EndedCalls
from bridge.node.publisher import Publisher
from bridge.node.quality import QualityLog
from bridge.node.runner import CallRunner
from bridge.node.sampler import CallSampler
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

BROWSER = "webrtc"
"""The peer of a call whose far party is a browser."""


class Manager:
    """All calls of a node."""

    def __init__(  # noqa: PLR0913 - what a node's calls are made of
        self,
        *,
        dialer: Dialer,
        clock: Clock,
        metrics: Metrics,
        limits: ManagerLimits,
        call_limits: CallLimits,
        directory: Directory | None = None,
        check_on: Callable[[LineName], None] = lambda line: None,
        number_of: Callable[[LineName], str] = lambda line: "",
        overloaded: Callable[[], bool] = lambda: False,
        publisher: Publisher | None = None,
    ) -> None:
        """Make it.

        `directory` is None for a single node; `check_on` raises `EngineOff` while a line makes no calls;
        `number_of` returns a line's own number with `+`; `overloaded` says whether to refuse new calls.
        """
        self._dialer = dialer
        self._check_on, self._number_of = check_on, number_of
        self._clock = clock
        self.limits = limits
        self._call_limits = call_limits
        self._directory = directory or LocalDirectory()
        self.overloaded = overloaded
        self._metrics = metrics
        self.publisher = publisher or Publisher()
        self.quality = QualityLog(metrics)
        """The quality of live and ended calls over time."""
        self._sampler = CallSampler(metrics, self.quality)
        self.legs_ended = 0
        """How many legs have ended so far."""
        self.publisher.subscribe(self._count_leg)
        self._calls: dict[CallId, CallRunner] = {}
        self._ended = EndedCalls(limits, self.quality)
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()
        self.draining = False

    async def dial(
        self, line: LineName, number: str, details: CallDetails | None = None
    ) -> CallRunner:
        """Ring a number.

        Raises:
            EngineOff: the line makes no calls now.
            LimitExceeded: no more calls are taken.
            BridgeError: the line's provider refuses; `call_id` is that of the call, which has ended.
        """
        self._check_on(line)
        facts = await self._count_call(line, number, Direction.OUTBOUND, details)
        try:
            leg = self._dialer.outbound_leg(facts, number)
        except BaseException:
            self._directory.delete(facts.call_id)
            raise
        runner = self._begin(facts, Direction.OUTBOUND, dialling=True)
        try:
            await runner.dial(leg, Party.FAR)
        except BridgeError as error:
            error.call_id = facts.call_id
            raise
        return runner

    async def receive(
        self,
        line: LineName,
        number: str,
        far: DialledLeg,
        details: CallDetails | None = None,
    ) -> CallRunner:
        """Begin an inbound call.

        Raises:
            LimitExceeded: no more calls are taken; freeing the leg is left to the caller.
        """
        facts = await self._count_call(line, number, Direction.INBOUND, details)
        runner = self._begin(facts, Direction.INBOUND)
        with self.publisher.hold():
            runner.announce()
            runner.add_leg(far, Party.FAR)
        return runner

    async def open(
        self, line: LineName, details: CallDetails | None = None, *, peer: str = BROWSER
    ) -> CallRunner:
        """Open a call that waits for its far party, a browser.

        Raises:
            EngineOff: the line makes no calls now.
            LimitExceeded: no more calls are taken.
        """
        self._check_on(line)
        facts = await self._count_call(line, peer, Direction.OUTBOUND, details)
        runner = self._begin(facts, Direction.OUTBOUND, waits_for_far=True)
        runner.announce()
        return runner

    async def invite(
        self, line: LineName, call_id: str, number: str, *, replaces: bool = False
    ) -> LegId:
        """Ring a number for a near party; with `replaces` the others leave once it is connected.

        Raises:
            CallNotFound, InvalidState, LimitExceeded.
            BridgeError: the line's provider does not ring the number.
        """
        runner = self.live(line, call_id)
        check_room(len(runner.legs()))
        leg = self._dialer.outbound_leg(runner.facts, number)
        await runner.dial(leg, Party.NEAR, replaces=replaces)
        return leg.leg_id

    def attach(  # noqa: PLR0913 - what a leg is, and who hears what beside it
        self,
        line: LineName,
        call_id: str,
        leg: Leg,
        party: Party,
        *,
        hears: Hears,
        heard: Heard,
        ducking_gain: float = 1.0,
        owner: LegOwner | None = None,
        asked_for: bool = True,
    ) -> None:
        """Add a leg that needs no negotiation to a live call: a socket, a stream, a playback.

        Raises:
            CallNotFound, InvalidState, LimitExceeded.
        """
        runner = self.live(line, call_id)
        check_room(len(runner.legs()))
        runner.add_leg(
            leg,
            party,
            hears=hears,
            heard=heard,
            ducking_gain=ducking_gain,
            owner=owner,
            asked_for=asked_for,
        )

    def request(self, line: LineName, call_id: str, request: events.Request) -> None:
        """Send a request to a live call; one that is being dialled can only be hung up.

        Raises:
            CallNotFound, LegNotFound, InvalidState, StillDialling.
        """
        hang_up = isinstance(request, events.HangupRequested)
        runner = self._find(line, call_id) if hang_up else self.live(line, call_id)
        runner.dispatch(request)

    def live(self, line: LineName, call_id: str) -> CallRunner:
        """Find a live call.

        Raises:
            CallNotFound: this line never had such a call.
            CallEnded: it was one, and has ended.
            StillDialling: its provider has yet to accept the dial.
        """
        runner = self._find(line, call_id)
        if runner.machine.dialling:
            raise StillDialling("the call is still being dialled; try again in a second")
        return runner

    def running(self, call_id: CallId) -> CallRunner | None:
        """Return a live call of any line; None when there is none."""
        return self._calls.get(call_id)

    def record(self, line: LineName, call_id: str) -> CallRecord:
        """Return the record of a call, live or ended.

        Raises:
            CallNotFound: this line never had such a call, or it ended too long ago.
        """
        runner = self._calls.get(CallId(call_id))
        record = runner.record() if runner else self._ended.get(line, CallId(call_id))
        if record is None or record.facts.line != line:
            raise CallNotFound("there is no such call")
        return record

    def publish(
        self,
        kind: EventType,
        line: LineName,
        call_id: CallId,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Publish an event of a call, live or ended; without the call if it is no longer known."""
        try:
            record = self.record(line, call_id)
        except CallNotFound:
            record = None
        self.publisher.publish(kind, line, record, data)

    def ended(self, line: LineName) -> list[CallRecord]:
        """Return a line's ended calls on this node, in the order in which they ended."""
        return self._ended.of(line)

    def list_own(self, line: LineName) -> list[CallRecord]:
        """Return a line's live calls on this node, oldest first."""
        return [call.record() for call in self._calls.values() if call.facts.line == line]

    async def list(self, line: LineName, *, ended: bool = False) -> list[CallRecord]:
        """Return a line's live or ended calls on all nodes, oldest first."""
        own = self.ended(line) if ended else self.list_own(line)
        calls = own + await self._directory.elsewhere(line, ended=ended)
        return sorted(calls, key=lambda record: record.facts.started_at)

    def remember(self, record: CallRecord) -> None:
        """Keep a call that ended in this node's previous process."""
        self._ended.keep(record, self._loop.time())

    def count_lost(self, record: CallRecord) -> None:
        """Count a call that ended when this node's previous process was killed."""
        self.remember(record)
        self._metrics.call_started(record.direction)
        self._metrics.call_ended(record.direction, EndReason.NODE_LOST, record.seconds)
        log.warning("call.lost", extra={"call": record.facts.call_id})

    def calls(self) -> Iterable[CallRunner]:
        """All live calls."""
        return self._calls.values()

    def pulse(self, now: float) -> None:
        """Sample all legs and drop old ended calls; to be called once a second."""
        self._sampler.sample(self._calls.values(), now)
        self._ended.forget(now)

    async def aclose(self) -> None:
        """Refuse new calls, end the live ones as `drained`, and wait until everything is freed."""
        self.draining = True
        for runner in list(self._calls.values()):
            runner.dispatch(events.HangupRequested(EndReason.DRAINED))
        await self._tasks.wait()

    def _check_capacity(self, line: LineName) -> None:
        try:
            if self.draining:
                raise LimitExceeded(
                    "the bridge is shutting down and takes no new calls", limit="draining"
                )
            check_capacity(self.limits, line, (run.facts.line for run in self._calls.values()))
            if self.overloaded():
                raise LimitExceeded(
                    "the bridge has too much to do to take new calls", limit="overload"
                )
        except LimitExceeded as error:
            self._metrics.call_refused(error.limit)
            raise

    async def _count_call(
        self, line: LineName, peer: str, direction: Direction, details: CallDetails | None
    ) -> CallFacts:
        """Count a call that is about to start, over all nodes."""
        self._check_capacity(line)
        call_id = _call_id(self._directory.node)
        known = with_own_number(details or CallDetails(), direction, self._number_of(line))
        facts = CallFacts(call_id, line, peer, datetime.now(UTC), known)
        try:
            await self._directory.insert(facts, direction)
        except LimitExceeded as error:
            self._metrics.call_refused(error.limit)
            raise
        return facts

    def _find(self, line: LineName, call_id: str) -> CallRunner:
        runner = self._calls.get(CallId(call_id))
        if runner is not None and runner.facts.line == line:
            return runner
        self.record(line, call_id)
        raise CallEnded("the call has ended")

    def _begin(
        self,
        facts: CallFacts,
        direction: Direction,
        *,
        waits_for_far: bool = False,
        dialling: bool = False,
    ) -> CallRunner:
        """Make a call that has been counted."""
        try:
            # The bridge may have begun to shut down meanwhile.
            self._check_capacity(facts.line)
        except LimitExceeded:
            self._directory.delete(facts.call_id)
            raise
        machine = CallMachine(
            direction=direction,
            limits=self._call_limits.tightened(
                ring_seconds=facts.details.ring_seconds, talk_seconds=facts.details.talk_seconds
            ),
            now=self._loop.time(),
            waits_for_far=waits_for_far,
            dialling=dialling,
        )
        runner = CallRunner(
            facts,
            machine,
            clock=self._clock,
            metrics=self._metrics,
            publisher=self.publisher,
            on_ended=self._call_ended,
        )
        self._calls[facts.call_id] = runner
        return runner

    def _call_ended(self, runner: CallRunner) -> None:
        record = runner.record()
        del self._calls[runner.facts.call_id]
        self.remember(record)
        reason = record.reason or EndReason.FAILED
        self._directory.end(runner.facts.call_id, reason)
        self._sampler.end(runner)
        if runner.announced:
            self._metrics.call_ended(record.direction, reason, record.seconds)
            log.info("call.ended", extra={"reason": reason, "seconds": round(record.seconds, 1)})
            runner.publish(EventType.CALL_ENDED, {"reason": reason})
        else:
            log.info("call.not_dialled", extra={"call": runner.facts.call_id, "reason": reason})
        self._tasks.spawn(runner.wait_cleaned(), name=f"clean call {runner.facts.call_id}")

    def _count_leg(self, event: CallEvent) -> None:
        if event.type == EventType.LEG_LEFT:
            self.legs_ended += 1


def _call_id(node: int) -> CallId:
    """Return a new id; its first byte is the node that owns the call."""
    return CallId(f"{node:02X}" + secrets.token_hex(15).upper())
