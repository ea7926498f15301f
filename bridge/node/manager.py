"""All calls of this node: who may start one, where each is, and what is left of the ended ones."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, Protocol

from bridge.call import events
from bridge.call.bus import Bus
from bridge.call.machine import CallLimits, CallMachine
from bridge.call.model import (
    CallFacts,
    CallId,
    CallRecord,
    Direction,
    EndReason,
    LegId,
    LineName,
    Party,
    State,
)
from bridge.errors import CallNotFound, InvalidState, LegNotFound, LimitExceeded
from bridge.legs.base import Leg
from bridge.legs.webrtc import WebRtcLeg
from bridge.metrics import Metrics
from bridge.node.clock import Clock
from bridge.node.directory import Alone, Directory
from bridge.node.quality import QualityLog
from bridge.node.runner import CallRunner
from bridge.node.tasks import Tasks

log = logging.getLogger(__name__)

LEGS_PER_CALL = 16
KEPT_CALLS = 20_000
"""So many ended calls are remembered at most, however long they should be."""
BROWSER = "webrtc"
"""The peer of a call whose far party is a browser."""


class Dialer(Protocol):
    """Makes the leg that reaches a number over a line's provider."""

    def dial(self, line: LineName, number: str, leg_id: LegId) -> Leg:
        """Give a leg that rings the number.

        Raises:
            Unreachable: it is known at once that the number cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class ManagerLimits:
    """How many calls, and how long an ended one stays known."""

    calls: int
    calls_per_line: int
    kept_seconds: float


class Manager:
    """The call service that every face asks."""

    def __init__(  # noqa: PLR0913 - what a node's calls are made of
        self,
        *,
        dialer: Dialer,
        webrtc: Callable[[LegId], WebRtcLeg],
        clock: Clock,
        metrics: Metrics,
        limits: ManagerLimits,
        call_limits: CallLimits,
        directory: Directory | None = None,
        overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._dialer = dialer
        self._webrtc = webrtc
        self._clock = clock
        self._metrics = metrics
        self.limits = limits
        self._call_limits = call_limits
        self._directory = directory or Alone()
        self._overloaded = overloaded
        self.quality = QualityLog(metrics)
        """How the quality of the calls went."""
        self._calls: dict[CallId, CallRunner] = {}
        self._ended: dict[CallId, tuple[CallRecord, float]] = {}
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()
        self.draining = False
        self.legs_ended = 0
        """How many legs there have been and are no more."""

    async def dial(self, line: LineName, number: str) -> CallRunner:
        """Ring a number.

        Raises:
            LimitExceeded: no more calls are taken.
            Unreachable: it is known at once that the number cannot be reached; no call is left.
        """
        self._check_capacity(line)
        leg = self._dialer.dial(line, number, _leg_id())
        runner = await self._open(line, number, Direction.OUTBOUND)
        runner.add_leg(leg, Party.FAR)
        return runner

    async def receive(self, line: LineName, number: str, far: Callable[[LegId], Leg]) -> CallRunner:
        """Take a call that rings us; `far` makes the ringing party's leg.

        Raises:
            LimitExceeded: no more calls are taken.
        """
        self._check_capacity(line)
        runner = await self._open(line, number, Direction.INBOUND)
        runner.add_leg(far(_leg_id()), Party.FAR)
        return runner

    async def open(self, line: LineName) -> CallRunner:
        """Open a call whose far party is a browser that has yet to come.

        Raises:
            LimitExceeded: no more calls are taken.
        """
        self._check_capacity(line)
        return await self._open(line, BROWSER, Direction.OUTBOUND, waits_for_far=True)

    async def offer(
        self, line: LineName, call_id: str, sdp: str, party: Party
    ) -> tuple[LegId, str]:
        """Answer a browser's offer with a new leg.

        Raises:
            CallNotFound, InvalidState, SdpError, LimitExceeded.
        """
        runner = self.live(line, call_id)
        _check_room(runner)
        leg = self._webrtc(_leg_id())
        try:
            answer = await leg.accept(sdp)
            # Meanwhile the call may have ended, and others may have come.
            _check_room(runner)
            runner.add_leg(leg, party)
        except BaseException:
            await leg.aclose()
            raise
        return leg.leg_id, answer

    async def reoffer(self, line: LineName, call_id: str, sdp: str, leg_id: str) -> str:
        """Answer a further offer of a browser that has a leg: restart, renegotiation or reload.

        Raises:
            CallNotFound, LegNotFound, InvalidState, SdpError, LimitExceeded.
        """
        leg = self.live(line, call_id).leg(LegId(leg_id))
        if not isinstance(leg, WebRtcLeg):
            raise LegNotFound("the call has no such WebRTC leg; send the offer without legID")
        return await leg.reoffer(sdp)

    def close(self, line: LineName, call_id: str, leg_id: str | None) -> None:
        """End a call's WebRTC legs, or one of them; does nothing when they are gone already.

        Raises:
            CallNotFound: this line never had such a call.
        """
        runner = self._calls.get(CallId(call_id))
        if runner is None or runner.facts.line != line:
            self.record(line, call_id)
            return
        runner.dispatch(events.CloseRequested(LegId(leg_id) if leg_id else None))

    def request(self, line: LineName, call_id: str, request: events.Request) -> None:
        """Ask something of a live call.

        Raises:
            CallNotFound, LegNotFound, InvalidState.
        """
        self.live(line, call_id).dispatch(request)

    def live(self, line: LineName, call_id: str) -> CallRunner:
        """Find a live call.

        Raises:
            CallNotFound: this line never had such a call.
            InvalidState: the call has ended.
        """
        runner = self._calls.get(CallId(call_id))
        if runner is not None and runner.facts.line == line:
            return runner
        self.record(line, call_id)
        raise InvalidState("the call has ended")

    def record(self, line: LineName, call_id: str) -> CallRecord:
        """Give a call as it stands, live or ended.

        Raises:
            CallNotFound: this line never had such a call, or it ended too long ago.
        """
        runner = self._calls.get(CallId(call_id))
        record = runner.record() if runner else self._ended.get(CallId(call_id), (None, 0))[0]
        if record is None or record.facts.line != line:
            raise CallNotFound("there is no such call")
        return record

    def list_own(self, line: LineName) -> list[CallRecord]:
        """Give a line's live calls on this node, oldest first."""
        return [call.record() for call in self._calls.values() if call.facts.line == line]

    async def list(self, line: LineName) -> list[CallRecord]:
        """Give a line's live calls on all nodes, oldest first."""
        calls = self.list_own(line) + await self._directory.elsewhere(line)
        return sorted(calls, key=lambda record: record.facts.started_at)

    def remember(self, record: CallRecord) -> None:
        """Keep a call that has ended elsewhere as if it had ended here."""
        kept_until = self._loop.time() + self.limits.kept_seconds
        self._ended[record.facts.call_id] = (record, kept_until)

    def count_lost(self, record: CallRecord) -> None:
        """Count a call that this node's forerunner took with it when it was killed."""
        self.remember(record)
        self._metrics.call_started(record.direction)
        self._metrics.call_ended(record.direction, EndReason.NODE_LOST, record.seconds)
        log.warning("call.lost", extra={"call": record.facts.call_id})

    @property
    def overloaded(self) -> bool:
        """Whether this node has too much to do to take new calls."""
        return self._overloaded()

    def calls(self) -> Iterable[CallRunner]:
        """All live calls."""
        return self._calls.values()

    def states(self) -> Mapping[State, int]:
        """How many live calls are in each state."""
        counts = dict.fromkeys(State, 0)
        for runner in self._calls.values():
            counts[runner.machine.state] += 1
        return counts

    def pulse(self, now: float) -> None:
        """Report the legs' figures and forget calls that ended long ago; called once a second."""
        for runner in self._calls.values():
            figures = runner.figures()
            self._metrics.observe_legs((leg.leg_id, leg.statistics) for leg in figures)
            self.quality.observe(runner, figures, now)
            self._observe_bus(runner.bus, runner.bus.delays().values())
        while self._ended:
            oldest = next(iter(self._ended))
            if self._ended[oldest][1] > now and len(self._ended) <= KEPT_CALLS:
                break
            del self._ended[oldest]
            self.quality.forget(oldest)

    async def aclose(self) -> None:
        """Take no more calls, end those there are as `drained`, and wait until all is freed."""
        self.draining = True
        for runner in list(self._calls.values()):
            runner.dispatch(events.HangupRequested(EndReason.DRAINED))
        await self._tasks.wait()

    def leg_started(self, leg: Leg) -> None:
        """Count a leg in (`runner.LegObserver`)."""
        self._metrics.leg_started(leg.leg_id, leg.kind)

    def leg_connected(self, leg: Leg) -> None:
        """Note that a leg's media is up (`runner.LegObserver`)."""
        self._metrics.leg_connected(leg.leg_id)

    def leg_ended(self, leg: Leg, reason: EndReason) -> None:
        """Count a leg out (`runner.LegObserver`)."""
        self.legs_ended += 1
        self._metrics.leg_ended(leg.leg_id, leg.statistics())
        log.info("leg.ended", extra={"leg": leg.leg_id, "kind": leg.kind, "reason": reason})

    def _check_capacity(self, line: LineName) -> None:
        if self.draining:
            self._refuse("draining", "the bridge is shutting down and takes no new calls")
        if len(self._calls) >= self.limits.calls:
            self._refuse("calls", f"the bridge has its {self.limits.calls} calls (limits.calls)")
        if self._overloaded():
            self._refuse("overload", "the bridge has too much to do to take new calls")
        of_line = sum(1 for runner in self._calls.values() if runner.facts.line == line)
        if self.limits.calls_per_line and of_line >= self.limits.calls_per_line:
            self._refuse("line", "the line has all its calls (limits.calls_per_line)")

    def _refuse(self, reason: str, message: str) -> NoReturn:
        self._metrics.call_refused(reason)
        raise LimitExceeded(message)

    async def _open(
        self, line: LineName, peer: str, direction: Direction, *, waits_for_far: bool = False
    ) -> CallRunner:
        facts = CallFacts(_call_id(self._directory.node), line, peer, datetime.now(UTC))
        try:
            await self._directory.enter(facts, direction)
        except LimitExceeded as error:
            self._metrics.call_refused(error.limit)
            raise
        try:
            # Meanwhile the bridge may have begun to shut down.
            self._check_capacity(line)
        except LimitExceeded:
            self._directory.leave(facts.call_id)
            raise
        machine = CallMachine(
            direction=direction,
            limits=self._call_limits,
            now=self._loop.time(),
            waits_for_far=waits_for_far,
        )
        runner = CallRunner(
            facts, machine, clock=self._clock, observer=self, on_ended=self._call_ended
        )
        self._calls[facts.call_id] = runner
        self._metrics.call_started(direction)
        log.info("call.started", extra={"call": facts.call_id, "direction": direction})
        return runner

    def _observe_bus(self, bus: Bus, delays: Iterable[float]) -> None:
        self._metrics.observe_bus(bus, delays=delays, dropped=bus.dropped, concealed=bus.concealed)

    def _call_ended(self, runner: CallRunner) -> None:
        record = runner.record()
        del self._calls[runner.facts.call_id]
        self.remember(record)
        reason = record.reason or EndReason.FAILED
        self._directory.ended(runner.facts.call_id, reason)
        self._observe_bus(runner.bus, ())
        self._metrics.call_ended(record.direction, reason, record.seconds)
        log.info("call.ended", extra={"reason": reason, "seconds": round(record.seconds, 1)})
        self._tasks.spawn(runner.wait_cleaned(), name=f"clean call {runner.facts.call_id}")


def _check_room(runner: CallRunner) -> None:
    if len(runner.legs()) >= LEGS_PER_CALL:
        raise LimitExceeded(f"the call has {LEGS_PER_CALL} legs already")


def _call_id(node: int) -> CallId:
    """A fresh id; the first byte names the node that owns the call."""
    return CallId(f"{node:02X}" + secrets.token_hex(15).upper())


def _leg_id() -> LegId:
    return LegId(f"leg_{secrets.token_hex(8)}")
