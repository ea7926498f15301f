"""Diagnoses the calls of this node: observes them once a second, and publishes what is wrong with them."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bridge.call.diagnosis.diagnosis import Change, Diagnosis, DiagnosisSnapshot, Problem
from bridge.call.diagnosis.incidents import (
    failure_of,
    incident_of,
    interruption,
    refusal,
    resolved_by,
)
from bridge.call.diagnosis.observation import CallObservation, ClientHints, LegObservation
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.model import CallId, LegFigures, LegId, LineName
from bridge.errors import LegNotFound, RateLimited
from bridge.metrics.problems import ProblemMetrics
from bridge.node.diagnosis.bots import observe_bot
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)

REPORTS_PER_SECOND: Final = 2
"""Of the client of one leg that are taken."""
HINT_SECONDS: Final = 15.0
"""For which a report counts: clients repeat theirs every 5 s."""


@dataclass(slots=True)
class ClientReport:
    """The last report of a leg's client, and when the last ones came."""

    hints: ClientHints
    times: deque[float] = field(default_factory=lambda: deque(maxlen=REPORTS_PER_SECOND))


@dataclass(slots=True)
class CallDiagnosis:
    """One call's diagnosis, and what its clients report."""

    began: float
    """When the call began, on the clock of the problems' times."""
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    published: set[tuple[Code, LegId | None]] | None = None
    """The open problems that were published; None until the call is announced."""
    reports: dict[LegId, ClientReport] = field(default_factory=dict)
    changed: bool = True
    """Whether an event has come since the call was last observed."""


class CallDiagnosisSnapshot(msgspec.Struct, frozen=True):
    """A call's diagnosis, for another process that goes on with it."""

    began: float
    diagnosis: DiagnosisSnapshot
    published: frozenset[tuple[Code, LegId | None]] | None
    reports: dict[LegId, tuple[ClientHints, float]]
    """Of clients, and when each last came."""


class DiagnosisLog:
    """The diagnoses of live calls."""

    def __init__(
        self,
        counters: ProblemMetrics,
        *,
        turn: bool = False,
        lag: Callable[[], float] = lambda: 0.0,
        announced: Callable[[LineName], float] = lambda line: 0.0,
    ) -> None:
        """Begin without a call.

        Args:
            counters: count the problems.
            turn: whether a TURN server is configured.
            lag: returns how late the event loop ran in the last second, in seconds.
            announced: for how many seconds Meta announces that it records a line's calls.
        """
        self._counters = counters
        self._turn = turn
        self._lag = lag
        self._announced = announced
        self._calls: dict[CallId, CallDiagnosis] = {}

    def observe(self, runner: CallRunner, figures: Iterable[LegFigures], now: float) -> None:
        """Take a call as it stands; to be called once a second."""
        kept = self._of(runner)
        kept.changed = False
        hints = {
            leg_id: report.hints
            for leg_id, report in kept.reports.items()
            if now - report.times[-1] < HINT_SECONDS
        }
        changes = kept.diagnosis.observe(self._observation(runner, figures, hints, now), now)
        if changes or kept.published is None:
            self._publish(runner, changes)

    def note_event(self, runner: CallRunner, event: CallEvent, now: float) -> None:
        """Take an event of the call, which may begin or end a problem."""
        kept = self._of(runner)
        diagnosis, kept.changed = kept.diagnosis, True
        if event.type == EventType.LEG_LEFT:
            self._of(runner).reports.pop(event.data["legID"], None)
            for leg in runner.record().legs:
                if leg.leg_id == event.data["legID"]:
                    self._publish(runner, diagnosis.depart(_last(leg), now))
            return
        if (incident := incident_of(event)) is not None:
            self._publish(runner, diagnosis.report(incident, now))
        for code in resolved_by(event):
            self._publish(runner, diagnosis.resolve(code, None, now))

    def note_interruption(self, runner: CallRunner, cause: str, silent: float, now: float) -> None:
        """Take that nobody was heard for so many seconds, until this process went on with the call; its event is `call.recovered`."""
        kept = self._of(runner)
        problem = kept.diagnosis.note_past(interruption(cause, silent), now - silent, now)
        if not runner.facts.details.test:
            self._counters.raised(problem)
            self._counters.cleared(problem)

    def hint(self, runner: CallRunner, leg_id: LegId, hints: ClientHints, now: float) -> None:
        """Take what the browser of a live leg says about itself, in place of what it said before.

        Raises:
            LegNotFound: the call has no such leg.
            RateLimited: the leg has reported too often.
        """
        leg = runner.leg(leg_id)
        if leg is None or not leg.kind.traits.browser:
            raise LegNotFound("the call has no such WebRTC leg")
        report = self._of(runner).reports.setdefault(leg_id, ClientReport(hints))
        times = report.times
        if len(times) == REPORTS_PER_SECOND and now - times[0] < 1.0:
            raise RateLimited(
                f"more than {REPORTS_PER_SECOND} reports a second of this leg", retry_after=1
            )
        report.hints = hints
        times.append(now)
        if hints.jitter_buffer_ms is not None:
            runner.turns.report_playout(leg_id, hints.jitter_buffer_ms / 1000)

    def end(self, runner: CallRunner, now: float) -> None:
        """End the problems of a call that has ended; its end is the only event of that."""
        kept = self._of(runner)
        kept.reports.clear()
        ended = runner.refused
        failure = failure_of(ended.error) if ended is not None and ended.error else None
        if ended is not None and failure is not None:
            self._publish(runner, kept.diagnosis.report(refusal(failure, ended.leg_id), now))
        for change in kept.diagnosis.end(now):
            self._count(runner, change)

    def snapshot(self, call_id: CallId) -> CallDiagnosisSnapshot | None:
        """Return a live call's diagnosis for another process; None before its first second."""
        kept = self._calls.get(call_id)
        if kept is None:
            return None
        return CallDiagnosisSnapshot(
            kept.began,
            kept.diagnosis.snapshot(),
            None if kept.published is None else frozenset(kept.published),
            {leg_id: (one.hints, one.times[-1]) for leg_id, one in kept.reports.items()},
        )

    def restore(self, runner: CallRunner, snapshot: CallDiagnosisSnapshot, now: float) -> None:
        """Go on with the diagnosis of a call that comes from another process."""
        kept = CallDiagnosis(snapshot.began, Diagnosis.restored(snapshot.diagnosis, now))
        kept.published = None if snapshot.published is None else set(snapshot.published)
        for leg_id, (hints, at) in snapshot.reports.items():
            kept.reports[leg_id] = ClientReport(hints, deque([at], maxlen=REPORTS_PER_SECOND))
        self._calls[runner.facts.call_id] = kept
        if not runner.facts.details.test:
            for problem in kept.diagnosis.open:
                self._counters.count_open(problem, 1)

    def abandon(self, runner: CallRunner) -> None:
        """Delete a call that another process has taken; its problems have not ended."""
        kept = self._calls.pop(runner.facts.call_id, None)
        if kept is not None and not runner.facts.details.test:
            for problem in kept.diagnosis.open:
                self._counters.count_open(problem, -1)

    def is_due(self, call_id: CallId) -> bool:
        """Whether an observation of a call may find more than the last one, though nothing flows in it."""
        kept = self._calls.get(call_id)
        return (
            kept is None
            or kept.changed
            or bool(kept.reports)
            or kept.published is None
            or kept.diagnosis.pending
        )

    def find(self, call_id: CallId) -> CallDiagnosis | None:
        """Return the diagnosis of a live call."""
        return self._calls.get(call_id)

    def forget(self, call_id: CallId) -> None:
        """Delete a call."""
        self._calls.pop(call_id, None)

    def _of(self, runner: CallRunner) -> CallDiagnosis:
        kept = self._calls.get(runner.facts.call_id)
        if kept is None:
            kept = self._calls[runner.facts.call_id] = CallDiagnosis(runner.machine.started_at)
        return kept

    def _observation(
        self,
        runner: CallRunner,
        figures: Iterable[LegFigures],
        hints: dict[LegId, ClientHints],
        now: float,
    ) -> CallObservation:
        machine = runner.machine
        records = machine.legs.records
        legs = [
            LegObservation(
                leg.leg_id,
                leg.kind,
                leg.party,
                leg.statistics,
                connected=record.connected,
                muted=record.muted,
                hints=hints.get(leg.leg_id),
                bot=observe_bot(runner, leg, now),
            )
            for leg in figures
            if (record := records.get(leg.leg_id)) is not None
        ]
        return CallObservation(
            machine.state,
            tuple(legs),
            machine.legs.muted,
            expects_party=machine.transfers.invitation is not None,
            turn=self._turn,
            announced_until=machine.announced_until(self._announced(runner.facts.line)),
            lag_seconds=self._lag(),
        )

    def _publish(self, runner: CallRunner, changes: list[Change]) -> None:
        for change in changes:
            self._count(runner, change)
        if not runner.announced:
            return
        kept = self._of(runner)
        if kept.published is None:  # some may be open since before the call was announced
            kept.published = set()
            changes = [Change(problem) for problem in kept.diagnosis.open]
        for problem in (change.problem for change in changes):
            key = problem.code, problem.leg_id
            if problem.until is None and problem.severity > Severity.NOTICE:
                kept.published.add(key)
                runner.publish(EventType.CALL_PROBLEM, _data(problem))
            elif problem.until is not None and key in kept.published:
                kept.published.remove(key)
                runner.publish(EventType.CALL_PROBLEM_CLEARED, _data(problem))

    def _count(self, runner: CallRunner, change: Change) -> None:
        if runner.facts.details.test:
            return  # it tries paths that may not work
        problem = change.problem
        over = problem.until is not None
        log.info(
            "call.problem_cleared" if over else "call.problem",
            extra={
                "call": runner.facts.call_id,
                "code": problem.code.value,
                "hop": problem.hop.value,
                "severity": problem.severity.word,
            },
        )
        if over:
            self._counters.cleared(problem)
        elif change.before is not None:
            self._counters.worsened(problem, change.before)
        else:
            self._counters.raised(problem)


def _last(leg: LegFigures) -> LegObservation:
    return LegObservation(leg.leg_id, leg.kind, leg.party, leg.statistics, connected=False)


def _data(problem: Problem) -> dict[str, object]:
    return {
        "code": problem.code.value,
        "hop": problem.hop.value,
        "legID": problem.leg_id,
        "severity": problem.severity.word,
        "summary": problem.summary,
        "fix": problem.fix,
    }
