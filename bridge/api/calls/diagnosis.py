"""Why a call has no audio: `GET /call/{callId}/diagnosis`."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from bridge.api.calls.render import camel
from bridge.api.media.webrtc import PARTIES
from bridge.api.server.listing import find_call
from bridge.api.server.operation import TICKET, Context, Group
from bridge.call.diagnosis.diagnosis import Problem, Verdict
from bridge.call.diagnosis.hops import HopCondition
from bridge.call.diagnosis.problems import Code, Hop
from bridge.call.model import CallRecord, Party, State
from bridge.call.record.ended_call import CallReport
from bridge.wire.party_events import SERVER_HOPS

GROUP: Final = Group(name="Native")
GUIDE: Final = "/docs/guide/troubleshooting.html"

Seconds = Annotated[float, Meta(description="seconds of the call")]


class DiagnosedHop(Struct, rename=camel):
    """One station of the audio, and how it is."""

    hop: Hop
    leg_id: str | None
    state: HopCondition


class DiagnosedProblem(Struct, rename=camel):
    """One problem: where, since when, why, and what to do about it."""

    code: Code
    hop: Hop
    leg_id: str | None
    severity: str
    since: Seconds
    until: Seconds | None
    summary: str
    evidence: dict[str, Any]
    fix: str
    docs: str


class CallDiagnosis(Struct, rename=camel):
    """What is wrong with a call, in the order in which audio passes its hops."""

    call_id: str
    state: State
    verdict: Verdict
    summary: str
    hops: list[DiagnosedHop]
    problems: list[DiagnosedProblem]


@GROUP.get("/call/{callId}/diagnosis", auth=TICKET, errors=(404, 502))
async def diagnosis(context: Context) -> CallDiagnosis:
    """Say why a call has no audio: the first broken hop, and what to do about it.

    A ticket sees, until the call ends, the evidence of its own party's legs only, and nothing of streams and
    recordings; one of the far party sees nothing but its own legs.
    """
    access = context.access
    report = await find_call(context)
    access.check_call_lives(ended=report.record.reason is not None)
    whole = of_report(report)
    if access.ticket is None:
        return whole
    return _as_seen_by(access.ticket.party, whole, report.record)


def of_report(report: CallReport) -> CallDiagnosis:
    """Return the diagnosis of a call as its line and the operator see it."""
    record, found = report.record, report.diagnosis
    return CallDiagnosis(
        record.facts.call_id,
        record.state,
        found.verdict,
        found.summary,
        [DiagnosedHop(one.hop, one.leg_id, one.state) for one in found.hops],
        [_problem(one) for one in found.problems],
    )


def _as_seen_by(party: str, whole: CallDiagnosis, record: CallRecord) -> CallDiagnosis:
    """Return the diagnosis of a live call as a ticket's holder may see it; `party` is the ticket's."""
    side = PARTIES[party][0]
    own = {leg.leg_id for leg in record.legs if leg.party is side}

    def is_shown(one: DiagnosedHop | DiagnosedProblem) -> bool:
        return one.leg_id in own if side is Party.FAR else one.hop not in SERVER_HOPS

    problems = [
        one if one.leg_id in own else replace(one, evidence={})
        for one in whole.problems
        if is_shown(one)
    ]
    verdict, summary = whole.verdict, whole.summary
    if verdict is Verdict.PROBLEM:
        counted = (one for one in problems if one.until is None and one.severity != "notice")
        first = next(counted, None)
        summary = "No problem has been seen so far." if first is None else first.summary
        verdict = Verdict.OK if first is None else verdict
    hops = [one for one in whole.hops if is_shown(one)]
    return replace(whole, verdict=verdict, summary=summary, hops=hops, problems=problems)


def _problem(problem: Problem) -> DiagnosedProblem:
    return DiagnosedProblem(
        problem.code,
        problem.hop,
        problem.leg_id,
        problem.severity.word,
        round(problem.since, 1),
        None if problem.until is None else round(problem.until, 1),
        problem.summary,
        {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in problem.evidence.items()
        },
        problem.fix,
        f"{GUIDE}#{problem.code.value}",
    )
