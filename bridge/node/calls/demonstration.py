"""What the demonstration's agent may tell about a call: its figures, its diagnosis and its numbers, as they stand now."""

from collections.abc import Iterable
from typing import Final

from bridge.agent.answers import CallSituation, HeardQuality
from bridge.call.diagnosis.problems import Code
from bridge.call.model import LegFigures, LegKind, Party
from bridge.call.record.quality import LegQuality
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner

LEVEL_SECONDS: Final = 15
"""In which the caller's loudest second is looked for: a question and the silence before it."""

DISPROVED: Final = frozenset({Code.FAR_SILENT, Code.MICROPHONE_SILENT})
"""What a caller who asks something cannot have; it stays open for some seconds after the silence before a question."""


def situation_of(manager: Manager, runner: CallRunner, *, line_number: str) -> CallSituation:
    """Return how a call stands; its caller is its far party. `line_number` is empty for a line without one."""
    record = runner.record()
    diagnosis = manager.report_now(record).diagnosis
    caller = _caller(runner.figures())
    timeline = _timeline(caller, manager.quality.legs(record.facts.call_id))
    peer = "" if caller is None or caller.kind.traits.browser else record.facts.peer
    transport = caller.statistics.transport if caller is not None else None
    levels = timeline.timeline.recent("level", LEVEL_SECONDS) if timeline is not None else []
    return CallSituation(
        line=record.facts.line,
        line_number=line_number,
        caller=peer,
        seconds=record.seconds,
        calls=sum(not call.facts.details.test for call in manager.calls()),
        recorded=LegKind.RECORDER in runner.kinds(),
        verdict=diagnosis.verdict,
        problems=tuple(
            one for one in diagnosis.problems if one.until is None and one.code not in DISPROVED
        ),
        codec=transport.codec if transport is not None else "",
        level_dbov=max((one for one in levels if one is not None), default=None),
        round_trip_seconds=None if caller is None else caller.statistics.round_trip_seconds,
        from_caller=_heard(timeline, "mos", "loss"),
        to_caller=_heard(timeline, "sent_mos", "sent_loss"),
    )


def _caller(legs: Iterable[LegFigures]) -> LegFigures | None:
    return next((leg for leg in legs if leg.party is Party.FAR), None)


def _timeline(caller: LegFigures | None, legs: Iterable[LegQuality]) -> LegQuality | None:
    if caller is None:
        return None
    return next((leg for leg in legs if leg.last.leg_id == caller.leg_id), None)


def _heard(timeline: LegQuality | None, mos: str, loss: str) -> HeardQuality:
    if timeline is None:
        return HeardQuality()
    return HeardQuality(timeline.timeline.mean(mos), timeline.timeline.mean(loss))
