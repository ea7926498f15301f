"""The diagnosis of a call at one moment, in seconds of the call; kept after its end."""

from dataclasses import dataclass, replace
from typing import Final

from bridge.call.diagnosis.diagnosis import Diagnosis, Problem, Verdict
from bridge.call.diagnosis.hops import HopState
from bridge.call.diagnosis.problems import RULES, Code


@dataclass(frozen=True, slots=True)
class DiagnosisReport:
    """Verdict, hops and problems of a call; the problems' times are seconds of the call."""

    verdict: Verdict = Verdict.WATCHING
    summary: str = ""
    hops: tuple[HopState, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the problems, each once."""
        return tuple(dict.fromkeys(problem.code.value for problem in self.problems))


LOST: Final = DiagnosisReport(
    summary="Nothing is known of this call's audio: the bridge stopped while the call was live."
)
"""Of a call that ended with its node."""
_CRASHED: Final = RULES[Code.CRASHED_NODE]


def crashed_report(seconds: float) -> DiagnosisReport:
    """Return the report of a call that processes have died of, so long after its start."""
    problem = Problem(
        Code.CRASHED_NODE,
        _CRASHED.hop,
        None,
        _CRASHED.severity,
        since=seconds,
        until=seconds,
        summary=_CRASHED.summary,
        fix=_CRASHED.fix,
        evidence={},
    )
    return DiagnosisReport(Verdict.PROBLEM, _CRASHED.summary, problems=(problem,))


def report_of(diagnosis: Diagnosis, *, now: float, began: float) -> DiagnosisReport:
    """Return the report of a diagnosis; `now` and `began`, the call's start, are monotonic seconds."""
    return DiagnosisReport(
        diagnosis.verdict(now),
        diagnosis.summary(now),
        tuple(diagnosis.hops()),
        tuple(
            replace(
                problem,
                since=problem.since - began,
                until=None if problem.until is None else problem.until - began,
            )
            for problem in diagnosis.problems
        ),
    )
