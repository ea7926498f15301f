"""The problems of one call, since when it has them, and the verdict on them."""

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from bridge.call.diagnosis.detect import detect, runs_late
from bridge.call.diagnosis.finding import Finding, Watched
from bridge.call.diagnosis.history import HistorySnapshot, LegHistory
from bridge.call.diagnosis.hops import ORDER, HopState, hop_states
from bridge.call.diagnosis.network import setup_failure, setup_steps
from bridge.call.diagnosis.observation import CallObservation, LegObservation
from bridge.call.diagnosis.problems import RULES, Code, Hop, Severity
from bridge.call.model import LegId, Party, State

MAX_PROBLEMS: Final = 100
"""Of a call that are kept after they are over; then the oldest of the least severe is dropped."""
MAX_RAISED: Final = 3
"""How often a problem comes and goes before each time doubles the seconds after which it is cleared."""
MAX_CLEAR_SECONDS: Final = 60.0
MAX_DOUBLINGS: Final = 6
"""With which even the shortest time is as long as that."""
EARLY_SECONDS: Final = 0.05
"""An observation may come so early without costing a problem another second."""
WATCH_SECONDS: Final = 5.0
"""Of media, before a call without problems is said to be fine."""

_IN_BROWSER: Final = {Hop.FAR: Hop.MICROPHONE, Hop.PROVIDER_NETWORK: Hop.NETWORK}
_AT_PROVIDER: Final = {Hop.MICROPHONE: Hop.FAR, Hop.NETWORK: Hop.PROVIDER_NETWORK}


class Verdict(StrEnum):
    """What a call's diagnosis comes to."""

    OK = "ok"
    PROBLEM = "problem"
    """One that is degraded or broken is open, or was in a call that has ended."""
    WATCHING = "watching"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a call; its times are in monotonic seconds."""

    code: Code
    hop: Hop
    leg_id: LegId | None
    severity: Severity
    since: float
    until: float | None
    """None while it is open."""
    summary: str
    fix: str
    evidence: dict[str, object]


@dataclass(frozen=True, slots=True)
class Change:
    """A problem was raised, got worse, or has been cleared (its `until` is set)."""

    problem: Problem
    before: Severity | None = None
    """The lower severity with which it was raised before; None unless it got worse."""


_Key = tuple[Code, LegId | None]


@dataclass(slots=True)
class _Condition:
    """A finding that has held for a while."""

    finding: Finding
    since: float
    last: float
    problem: Problem | None = None
    """None before it is raised."""
    described: Finding | None = None
    """The finding that the problem describes; the newest one is described when somebody asks."""


class DiagnosisSnapshot(msgspec.Struct, frozen=True):
    """What a diagnosis knows, for another process that goes on with it."""

    legs: tuple[tuple[LegObservation, HistorySnapshot], ...]
    conditions: tuple[_Condition, ...]
    incidents: tuple[Finding, ...]
    over: tuple[Problem, ...]
    raised: tuple[tuple[_Key, int], ...]
    departed: LegId | None
    media_since: float | None
    served_at: float | None


def _key(finding: Finding) -> _Key:
    return finding.code, finding.leg_id


def _same(one: Problem, other: Problem) -> bool:
    return (one.code, one.leg_id, one.severity) == (other.code, other.leg_id, other.severity)


def _severity(finding: Finding) -> Severity:
    return RULES[finding.code].severity if finding.severity is None else finding.severity


class Diagnosis:
    """The problems of one call, from its observations once a second and from incidents."""

    def __init__(self) -> None:
        self._legs: dict[LegId, Watched] = {}
        self._conditions: dict[_Key, _Condition] = {}
        self._incidents: dict[_Key, Finding] = {}
        self._over: list[Problem] = []
        self._raised: Counter[_Key] = Counter()
        self._departed: LegId | None = None
        """The last leg that left without having connected, until another one connects."""
        self._media_since: float | None = None
        self._served_at: float | None = None
        """When a service was last in the call, and no near party."""
        self._late_at: float | None = None
        """When the bridge itself last ran late."""
        self._last = CallObservation(State.INITIATED, ())
        self._ended = False
        self._observed_at = 0.0

    def observe(self, call: CallObservation, now: float) -> list[Change]:
        """Take the call as it stands; return the problems that begin or end with it."""
        self._last, self._observed_at = call, now
        watched = self._watch(call, now)
        if self._media_since is None and any(leg.now.connected for leg in watched):
            self._media_since = now
        if runs_late(call):
            self._late_at = now
        findings = detect(call, watched, now, served_at=self._served_at, late_at=self._late_at)
        found = {(one.code, one.leg_id): one for one in findings} | self._incidents
        return self._apply(found, now) if found or self._conditions else []

    def depart(self, leg: LegObservation, now: float) -> list[Change]:
        """Take the last state of a leg that leaves; why it never connected stays until another leg does."""
        state, known = leg.statistics.transport, self._legs.get(leg.leg_id)
        was_up = known is not None and known.history.connected_at is not None
        code = None if state is None or was_up else setup_failure(state)
        if code is None:
            return []
        self._forget_departed()
        self._departed = leg.leg_id
        self._legs.setdefault(leg.leg_id, Watched(leg, LegHistory(now)))
        return self.report(Finding(code, leg.leg_id, setup_steps(leg)), now)

    def report(self, incident: Finding, now: float) -> list[Change]:
        """Take an incident, which lasts until it is resolved or the call ends."""
        key = incident.code, incident.leg_id
        self._incidents[key] = incident
        return self._hold(key, incident, now, after=0.0)

    def note_past(self, incident: Finding, since: float, until: float) -> Problem:
        """Take an incident that is over already; return it as a problem."""
        problem = replace(self._describe(incident, since), until=until)
        self._keep(problem)
        return problem

    def resolve(self, code: Code, leg_id: LegId | None, now: float) -> list[Change]:
        """End an incident."""
        self._incidents.pop((code, leg_id), None)
        return self._clear((code, leg_id), now)

    def end(self, now: float) -> list[Change]:
        """End all problems with the call; those of its set-up stay in its verdict."""
        self._ended = True
        return [change for key in list(self._conditions) for change in self._clear(key, now)]

    def snapshot(self) -> DiagnosisSnapshot:
        """Return what it knows."""
        return DiagnosisSnapshot(
            tuple((leg.now, leg.history.snapshot()) for leg in self._legs.values()),
            tuple(self._conditions.values()),
            tuple(self._incidents.values()),
            tuple(self._over),
            tuple(self._raised.items()),
            self._departed,
            self._media_since,
            self._served_at,
        )

    @classmethod
    def restored(cls, snapshot: DiagnosisSnapshot, now: float) -> "Diagnosis":
        """Go on with what another process knows."""
        diagnosis = cls()
        for leg, known in snapshot.legs:
            history = LegHistory.restored(known, leg.statistics, now)
            diagnosis._legs[leg.leg_id] = Watched(leg, history)
        diagnosis._conditions = {_key(one.finding): one for one in snapshot.conditions}
        diagnosis._incidents = {_key(one): one for one in snapshot.incidents}
        diagnosis._over = list(snapshot.over)
        diagnosis._raised = Counter(dict(snapshot.raised))
        diagnosis._departed = snapshot.departed
        diagnosis._media_since, diagnosis._served_at = snapshot.media_since, snapshot.served_at
        return diagnosis

    @property
    def pending(self) -> bool:
        """Whether a problem is about to be raised or cleared if nothing changes."""
        conditions, at = self._conditions.values(), self._observed_at
        return any(one.problem is None or one.last < at for one in conditions)

    @property
    def problems(self) -> list[Problem]:
        """All problems, broken ones first, then in the order in which audio passes their hops."""
        open_ = [self._current(one) for one in self._conditions.values()]
        return sorted(
            [*(one for one in open_ if one is not None), *self._over],
            key=lambda one: (one.until is not None, -one.severity, ORDER[one.hop], one.since),
        )

    def verdict(self, now: float) -> Verdict:
        """Return the verdict on the problems."""
        if any(one.severity > Severity.NOTICE for one in self._counted):
            return Verdict.PROBLEM
        if self._ended or (
            self._media_since is not None and now - self._media_since >= WATCH_SECONDS
        ):
            return Verdict.OK
        return Verdict.WATCHING

    def summary(self, now: float) -> str:
        """Return a sentence: the first problem, or that there is none."""
        verdict = self.verdict(now)
        if verdict is Verdict.PROBLEM and self._ended:
            return max(self.problems, key=lambda one: (one.severity, -one.since)).summary
        if verdict is Verdict.PROBLEM:
            return self.open[0].summary
        if self._ended:
            return "No problem was seen."
        if not self._last.answered:
            return "The call has not been answered yet."
        return "Audio flows." if verdict is Verdict.OK else "No problem has been seen so far."

    def hops(self) -> list[HopState]:
        """Return the hops of the call as it was last seen, in the order in which audio passes them."""
        shown = reversed(self._counted)
        return hop_states(self._last, {(one.hop, one.leg_id): one.severity for one in shown})

    @property
    def open(self) -> list[Problem]:
        """The problems that have not ended, in the order of `problems`."""
        return [one for one in self.problems if one.until is None]

    @property
    def _counted(self) -> list[Problem]:
        return self.problems if self._ended else self.open

    def _watch(self, call: CallObservation, now: float) -> list[Watched]:
        watched = []
        parties = [leg.party for leg in call.legs]
        if Party.NEAR in parties:
            self._served_at = None
        elif Party.SERVICE in parties:
            self._served_at = now
        for leg in call.legs:
            known = self._legs.get(leg.leg_id)
            if known is None:
                known = self._legs[leg.leg_id] = Watched(leg, LegHistory(now))
            known.now = leg
            waited = known.history.connected_at is None
            announced = leg.party is Party.FAR and now < call.announced_until
            known.history.update(leg, now, announced=announced)
            if leg.bot is not None:
                known.history.bot.update(leg, now)
            if waited and leg.connected:
                self._forget_departed()
            watched.append(known)
        if len(self._legs) > len(watched):
            kept = {self._departed, *(leg.leg_id for leg in call.legs)}
            for gone in [leg_id for leg_id in self._legs if leg_id not in kept]:
                self._forget(gone)
        return watched

    def _forget_departed(self) -> None:
        if self._departed is not None:
            self._forget(self._departed)
            self._departed = None

    def _forget(self, leg_id: LegId) -> None:
        self._legs.pop(leg_id, None)
        for of_legs in (self._incidents, self._raised):
            for key in [key for key in of_legs if key[1] == leg_id]:
                del of_legs[key]

    def _apply(self, found: dict[_Key, Finding], now: float) -> list[Change]:
        changes: list[Change] = []
        for key, finding in found.items():
            changes += self._hold(key, finding, now, after=RULES[key[0]].after)
        for key in [key for key in self._conditions if key not in found]:
            condition = self._conditions[key]
            leg_left = key[1] is not None and key[1] not in self._legs
            if leg_left or now - condition.last >= self._clear_after(key):
                changes += self._clear(key, now)
        return changes

    def _clear_after(self, key: _Key) -> float:
        """Seconds for which a condition must not hold; more for one that comes and goes all the time."""
        usual, more = RULES[key[0]].clear_after, self._raised[key] - MAX_RAISED
        if more <= 0:
            return usual
        return min(max(usual, 1.0) * 2.0 ** min(more, MAX_DOUBLINGS), MAX_CLEAR_SECONDS)

    def _hold(self, key: _Key, finding: Finding, now: float, *, after: float) -> list[Change]:
        condition = self._conditions.setdefault(key, _Condition(finding, now, now))
        condition.finding, condition.last = finding, now
        before = condition.problem
        if before is None and now - condition.since < after - EARLY_SECONDS:
            return []
        if before is None:
            problem = self._describe(finding, condition.since)
            condition.problem, condition.described = problem, finding
            self._raised[key] += 1
            self._replace_notice(problem)
            return [Change(problem)]
        if _severity(finding) <= before.severity:
            return []
        problem = self._describe(finding, before.since)
        condition.problem, condition.described = problem, finding
        return [Change(problem, before.severity)]

    def _current(self, condition: _Condition) -> Problem | None:
        """Return its problem as the newest finding describes it, at its highest severity; the hop stays when the leg leaves."""
        problem, finding = condition.problem, condition.finding
        if problem is None or finding is condition.described:
            return problem
        newest = self._describe(finding, problem.since)
        problem = replace(newest, severity=problem.severity, hop=problem.hop)
        condition.problem, condition.described = problem, finding
        return problem

    def _describe(self, finding: Finding, since: float) -> Problem:
        rule = RULES[finding.code]
        evidence = dict(finding.evidence)
        return Problem(
            finding.code,
            self._hop(rule.hop, finding.leg_id),
            finding.leg_id,
            _severity(finding),
            since,
            None,
            rule.summary.format_map(evidence),
            finding.fix or rule.fix.format_map(evidence),
            evidence,
        )

    def _hop(self, hop: Hop, leg_id: LegId | None) -> Hop:
        leg = self._legs.get(leg_id) if leg_id is not None else None
        if leg is None:
            return hop
        if hop is Hop.BOT:
            return Hop(leg.now.kind.traits.hop or hop)
        return (_IN_BROWSER if leg.now.kind.traits.browser else _AT_PROVIDER).get(hop, hop)

    def _clear(self, key: _Key, now: float) -> list[Change]:
        condition = self._conditions.pop(key, None)
        problem = None if condition is None else self._current(condition)
        if problem is None:
            return []
        over = replace(problem, until=now)
        self._keep(over)
        return [Change(over)]

    def _replace_notice(self, problem: Problem) -> None:
        """Keep only the last one of notices."""
        if problem.severity is Severity.NOTICE:
            self._over = [one for one in self._over if not _same(one, problem)]

    def _keep(self, over: Problem) -> None:
        self._replace_notice(over)
        self._over.append(over)
        if len(self._over) > MAX_PROBLEMS:
            self._over.remove(min(self._over, key=lambda one: one.severity))
