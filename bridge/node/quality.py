"""The quality of every call of this node over time, kept as long as the call's record."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.call.model import CallId, LegFigures, LegId, LegKind, LegStatistics, Party
from bridge.call.quality import take_sample
from bridge.call.timeline import Timeline
from bridge.metrics.registry import Metrics
from bridge.node.runner import CallRunner

KEPT_LEGS = 32
"""Legs of a call that are kept; the oldest are dropped."""


@dataclass(slots=True)
class LegQuality:
    """One leg's timeline and its last report."""

    leg_id: LegId
    kind: LegKind
    party: Party
    last: LegStatistics
    last_at: float
    began: float
    """When its call began; on the clock of `last_at`."""
    timeline: Timeline = field(default_factory=Timeline)


class QualityLog:
    """The timelines of live and ended calls, by call and leg."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._calls: dict[CallId, dict[LegId, LegQuality]] = {}

    def observe(self, runner: CallRunner, figures: Iterable[LegFigures], now: float) -> None:
        """Sample a call's legs, each from its second report on; to be called once a second."""
        legs = self._calls.setdefault(runner.facts.call_id, {})
        delays = runner.bus.delays()
        for leg in figures:
            known = legs.get(leg.leg_id)
            if known is None:
                if len(legs) >= KEPT_LEGS:
                    del legs[next(iter(legs))]
                legs[leg.leg_id] = LegQuality(
                    leg.leg_id, leg.kind, leg.party, leg.statistics, now, runner.machine.started_at
                )
                continue
            sample = take_sample(
                leg.kind,
                known.last,
                leg.statistics,
                seconds=now - known.last_at,
                playout_delay=delays.get(leg.leg_id),
            )
            known.timeline.add(sample, known.last_at - runner.machine.started_at)
            known.last, known.last_at = leg.statistics, now
            self._metrics.observe_quality(leg.kind, sample)

    def legs(self, call_id: CallId) -> tuple[LegQuality, ...]:
        """Return the quality of a call's legs, ended ones included."""
        return tuple(self._calls.get(call_id, {}).values())

    def octets(self, call_id: CallId) -> int:
        """Return the memory that the timelines of a call take."""
        return sum(leg.timeline.octets for leg in self.legs(call_id))

    def forget(self, call_id: CallId) -> None:
        """Delete a call."""
        self._calls.pop(call_id, None)
