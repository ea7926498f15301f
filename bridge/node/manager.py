"""The call service: starts and finds the calls of this node, live and ended."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

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
    LineName,
    Party,
)
from bridge.call.parties import WHATSAPP
from bridge.call.record.ended_call import CallReport
from bridge.call.routing import LegRole
from bridge.errors import BridgeError, CallEnded, CallNotFound, LimitExceeded, StillDialling
from bridge.legs.base import Dialer, DialledLeg
from bridge.metrics.registry import Metrics
from bridge.node.admission import Admission
from bridge.node.call_history import CallHistory, EndedCalls, report_now
from bridge.node.clock import Clock
from bridge.node.diagnosis.diagnosis import DiagnosisLog
from bridge.node.diagnosis.quality import CallSampler, QualityLog
from bridge.node.dials import DialRules, Dials, Route
from bridge.node.disclosing import NOTHING_TO_DISCLOSE, Disclosing
from bridge.node.publisher import Publisher, new_event
from bridge.node.runner import CallRunner, TransferHandler, refuse_transfer
from bridge.slices import in_steps
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

DESCRIBED_AT_ONCE = 2
"""Calls described before the event loop does something else."""
Described = TypeVar("Described")
BROWSER = "webrtc"
"""The peer of a call whose far party is a browser."""


@dataclass(frozen=True, slots=True)
class CallLogs:
    """What is kept of a node's calls: of live ones what is wrong with them, of ended ones the records."""

    ended: EndedCalls
    diagnoses: DiagnosisLog
    history: CallHistory | None = None
    """None keeps none."""


class Manager:
    """All calls of a node."""

    def __init__(  # noqa: PLR0913 - keyword only
        self,
        *,
        admission: Admission,
        dialer: Dialer,
        dial_rules: DialRules,
        clock: Clock,
        metrics: Metrics,
        limits: CallLimits,
        logs: CallLogs,
    ) -> None:
        """`limits` are those of each call."""
        self.admission = admission
        """Admits new calls."""
        self._clock = clock
        self._limits = limits
        self._directory = admission.directory
        self.metrics = metrics
        self.publisher = Publisher()
        self.quality = QualityLog(metrics)
        """The quality of live calls over time."""
        self.diagnoses = logs.diagnoses
        """What is wrong with live calls."""
        self.sampler = CallSampler(metrics, self.quality, self.diagnoses)
        """Takes the figures of live calls once a second."""
        self.publisher.subscribe(self._diagnose)
        self._history = logs.history
        self._calls: dict[CallId, CallRunner] = {}
        self._of_line: Counter[LineName] = Counter()
        self.sampling = self.sampler.spread(partial(metrics.steps.took, "sample"))
        """Has it take them, of each call at a moment of its own."""
        self.dials = Dials(dialer, dial_rules, self.calls)
        """Parties that are called, for new calls and live ones."""
        self._ended = logs.ended
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()
        self.on_transfer: TransferHandler = refuse_transfer
        """Performs the transfers that far parties ask for."""
        self.disclosing: Disclosing[CallRunner] = NOTHING_TO_DISCLOSE
        self.on_dial_failed: Callable[[CallRecord], None] | None = None
        """Called with each call that ended before its provider accepted it; no events are published for those."""

    async def dial(
        self, line: LineName, number: str, details: CallDetails | None = None
    ) -> CallRunner:
        """Ring a number.

        Raises:
            LineDisabled: the line makes no calls now.
            Forbidden, Unsupported: the line does not call the number (`DialRules.check`).
            LimitExceeded: no more calls are taken.
            BridgeError: the line's provider refuses; `call_id` is that of the call, which has ended.
        """
        self.admission.check_on(line)
        details = details or CallDetails()
        self._check_capacity(line)
        route = Route(WHATSAPP)
        if not details.test:
            route = await self.dials.route(line, number, details.parties.to_channel)
        facts = await self._count_call(line, number, Direction.OUTBOUND, route.apply(details))
        try:
            leg = self.dials.leg(facts, number, route)
        except BaseException:
            self.admission.uncount(facts)
            raise
        runner = self._begin(facts, Direction.OUTBOUND, dialling=True)
        try:
            await runner.dial(leg, LegRole(Party.FAR))
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
            runner.add_leg(far, LegRole(Party.FAR))
        return runner

    async def open(
        self, line: LineName, details: CallDetails | None = None, *, peer: str = BROWSER
    ) -> CallRunner:
        """Open a call that waits for its far party, a browser.

        Raises:
            LineDisabled: the line makes no calls now.
            LimitExceeded: no more calls are taken.
        """
        self.admission.check_on(line)
        facts = await self._count_call(line, peer, Direction.OUTBOUND, details)
        runner = self._begin(facts, Direction.OUTBOUND, waits_for_far=True)
        runner.announce()
        return runner

    def request(self, line: LineName, call_id: str, request: events.Request) -> None:
        """Send a request to a live call; one that is being dialled can only be hung up.

        Raises:
            CallNotFound, LegNotFound, InvalidState, StillDialling.
        """
        find = self._find if isinstance(request, events.HangupRequested) else self.live
        find(line, call_id).dispatch(request)

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

    async def find_record(self, line: LineName, call_id: CallId) -> CallRecord | None:
        """Return a call, live or ended however long ago; None if it is not known any more."""
        try:
            return self.record(line, call_id)
        except CallNotFound:
            report = await self._history.find(line, call_id) if self._history else None
            return report.record if report else None

    def report_now(self, record: CallRecord) -> CallReport:
        """Return a call of this node, live or just ended, as its history shows it."""
        call_id = record.facts.call_id
        return report_now(record, self.quality.legs(call_id), self.diagnoses.find(call_id))

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
        self.publisher.publish(new_event(kind, line, record, data))

    async def describe(
        self, line: LineName | None, what: Callable[[CallRunner], Described]
    ) -> list[Described]:
        """Describe a line's live calls on this node, or those of all, without test calls; a few in each step of the event loop."""
        found = (
            what(runner)
            for runner in list(self._calls.values())
            if runner.live and line in (None, runner.facts.line) and not runner.facts.details.test
        )
        took = partial(self.metrics.steps.took, "list")
        return [one async for one in in_steps(found, took, at_once=DESCRIBED_AT_ONCE)]

    async def list(self, line: LineName) -> list[CallRecord]:
        """Return a line's live calls on all nodes, oldest first."""
        own = await self.describe(line, CallRunner.record)
        if self._directory is not None:
            own += await self._directory.elsewhere(line)
        return sorted(own, key=lambda record: record.facts.started_at)

    def remember(self, record: CallRecord) -> None:
        """Keep a call that ended in this node's previous process."""
        self._ended.keep(record, self._loop.time())

    async def forget(self, line: LineName, call_id: CallId) -> None:
        """Forget an ended call, and in the directory too."""
        self._ended.drop(line, call_id)
        if self._directory is not None:
            await self._directory.erase(call_id)

    def count_lost(self, record: CallRecord, cause: str) -> None:
        """Count a call that this node has taken over from a lost one, and ended (`metrics.calls.LOSS_CAUSES`)."""
        self.remember(record)
        self.metrics.calls.started(record.direction)
        reason = record.reason or EndReason.NODE_LOST
        self.metrics.calls.ended(record.direction, reason, record.seconds)
        self.metrics.calls.lost(cause)
        log.warning("call.lost", extra={"call": record.facts.call_id, "cause": cause})

    def calls(self) -> Iterable[CallRunner]:
        """All live calls."""
        return self._calls.values()

    def forget_ended(self, now: float) -> None:
        """Forget the ended calls whose time has expired; to be called once a second."""
        self._ended.forget(now)

    async def aclose(self, reason: EndReason = EndReason.DRAINED) -> None:
        """Refuse new calls, end the live ones, and wait until everything is freed."""
        self.admission.draining, self.admission.finishing = True, False
        for runner in list(self._calls.values()):
            if not runner.suspension.active:
                runner.dispatch(events.HangupRequested(reason))
        await self._tasks.wait()

    def _check_capacity(self, line: LineName) -> None:
        self.admission.check(line, of_line=self._of_line[line], of_all=len(self._calls))

    async def _count_call(
        self, line: LineName, peer: str, direction: Direction, details: CallDetails | None
    ) -> CallFacts:
        """Count a call that is about to start, over all nodes."""
        self._check_capacity(line)
        return await self.admission.count(line, peer, direction, details or CallDetails())

    def _find(self, line: LineName, call_id: str) -> CallRunner:
        if (runner := self._calls.get(CallId(call_id))) and runner.facts.line == line:
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
            self.admission.uncount(facts)
            raise
        machine = CallMachine(
            direction=direction,
            limits=self._limits.tightened(
                ring_seconds=facts.details.ring_seconds, talk_seconds=facts.details.talk_seconds
            ),
            now=self._loop.time(),
            waits_for_far=waits_for_far,
            dialling=dialling,
        )
        runner = self.runner(facts, machine)
        self.add(runner)
        return runner

    def runner(self, facts: CallFacts, machine: CallMachine) -> CallRunner:
        """Return what runs a call that is not one of this node's yet."""
        runner = CallRunner(
            facts,
            machine,
            clock=self._clock,
            metrics=self.metrics,
            publisher=self.publisher,
            on_ended=self._call_ended,
            on_transfer=self.on_transfer,
        )
        runner.disclosing = self.disclosing
        return runner

    def add(self, runner: CallRunner) -> None:
        """Make a call one of this node's, and sample it."""
        self._calls[runner.facts.call_id] = runner
        self._of_line[runner.facts.line] += 1
        self.sampling.join(runner)

    def remove(self, runner: CallRunner) -> None:
        """Make a call none of this node's; nothing is told of it."""
        del self._calls[runner.facts.call_id]
        self._of_line[runner.facts.line] -= 1
        self.sampling.leave(runner)

    def _call_ended(self, runner: CallRunner) -> None:
        self.remove(runner)
        self._tasks.spawn(runner.wait_cleaned(), name=f"clean call {runner.facts.call_id}")
        (self._forget_test if runner.facts.details.test else self._keep_ended)(runner)
        self.quality.forget(runner.facts.call_id)
        self.diagnoses.forget(runner.facts.call_id)

    def _keep_ended(self, runner: CallRunner) -> None:
        record = runner.record()
        reason = record.reason or EndReason.FAILED
        if self._directory is not None:
            self._directory.end(runner.facts.call_id, reason)
        self.sampler.end(runner, self._loop.time())
        if self._history is not None:
            # Before the event, so that whoever receives the end finds the record.
            self._history.keep(self.report_now(record), self.quality.legs(record.facts.call_id))
        self.remember(record)
        if runner.announced:
            self.metrics.calls.ended(record.direction, reason, record.seconds)
            log.info("call.ended", extra={"reason": reason, "seconds": round(record.seconds, 1)})
            runner.publish(EventType.CALL_ENDED, {"reason": reason})
        else:
            log.info("call.dial_failed", extra={"call": runner.facts.call_id, "reason": reason})
            if self.on_dial_failed is not None:
                self.on_dial_failed(record)

    def _forget_test(self, runner: CallRunner) -> None:
        self.admission.uncount(runner.facts)
        self.sampler.end(runner, self._loop.time())
        log.info("call.test_ended", extra={"seconds": round(runner.record().seconds, 1)})

    def _diagnose(self, event: CallEvent) -> None:
        if event.call and (runner := self._calls.get(CallId(event.call.id))) is not None:
            self.diagnoses.note_event(runner, event, self._loop.time())
