"""What the metrics, the log and those who listen for events are told of this node's calls."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.call.bus import Bus
from bridge.call.model import (
    CallId,
    CallRecord,
    EndReason,
    LegFigures,
    Party,
    State,
)
from bridge.call.mute_watch import MuteWatch
from bridge.call.notices import CallEvent
from bridge.legs.base import Leg
from bridge.metrics.registry import Metrics
from bridge.node.quality import QualityLog
from bridge.node.runner import CallRunner

log = logging.getLogger(__name__)


class CallObserver:
    """Hears of calls and legs as they come and go (`runner.LegObserver`)."""

    def __init__(self, metrics: Metrics, publish: Callable[[CallEvent], None]) -> None:
        """Make an observer; `publish` takes each event and never waits."""
        self._metrics = metrics
        self._publish = publish
        self.quality = QualityLog(metrics)
        """How the quality of the calls went."""
        self._mutes: dict[CallId, MuteWatch] = {}
        """Of the far parties of live calls."""
        self.legs_ended = 0
        """How many legs there have been and are no more."""

    def happened(self, runner: CallRunner, kind: str, data: Mapping[str, Any]) -> None:
        """Publish what happened to a call, with the call as it now stands."""
        record, at = runner.record(), datetime.now(UTC)
        self._publish(CallEvent(kind, record.facts.line, record.facts.call_id, at, record, data))

    def leg_started(self, leg: Leg) -> None:
        """Count a leg in."""
        self._metrics.leg_started(leg.leg_id, leg.kind)

    def leg_connected(self, leg: Leg) -> None:
        """Note that a leg's media is up."""
        self._metrics.leg_connected(leg.leg_id)

    def leg_ended(self, leg: Leg, reason: EndReason) -> None:
        """Count a leg out."""
        self.legs_ended += 1
        self._metrics.leg_ended(leg.leg_id, leg.statistics())
        log.info("leg.ended", extra={"leg": leg.leg_id, "kind": leg.kind, "reason": reason})

    def call_refused(self, limit: str) -> None:
        """Count a call that was not taken."""
        self._metrics.call_refused(limit)

    def call_started(self, record: CallRecord) -> None:
        """Count a call in."""
        self._metrics.call_started(record.direction)
        call_id = record.facts.call_id
        log.info("call.started", extra={"call": call_id, "direction": record.direction})

    def call_ended(self, runner: CallRunner, reason: EndReason) -> None:
        """Count a call out, and publish its end."""
        record = runner.record()
        self._mutes.pop(record.facts.call_id, None)
        self._observe_bus(runner.bus, ())
        self._metrics.call_ended(record.direction, reason, record.seconds)
        log.info("call.ended", extra={"reason": reason, "seconds": round(record.seconds, 1)})
        self.happened(runner, "call.ended", {"reason": reason})

    def call_lost(self, record: CallRecord) -> None:
        """Count a call that this node's forerunner took with it when it was killed."""
        self._metrics.call_started(record.direction)
        self._metrics.call_ended(record.direction, EndReason.NODE_LOST, record.seconds)
        log.warning("call.lost", extra={"call": record.facts.call_id})

    def figures(self, runners: Iterable[CallRunner], now: float) -> None:
        """Take the figures of the live calls' legs and buses; called once a second."""
        for runner in runners:
            figures = runner.figures()
            self._metrics.observe_legs((leg.leg_id, leg.statistics) for leg in figures)
            self.quality.observe(runner, figures, now)
            self._observe_bus(runner.bus, runner.bus.delays().values())
            self._watch_mute(runner, figures, now)

    def _watch_mute(self, runner: CallRunner, figures: Iterable[LegFigures], now: float) -> None:
        """Publish that the far party has muted itself, or no longer, where its RTP shows it."""
        far = next(
            (leg for leg in figures if leg.party is Party.FAR and leg.kind.traits.carries_rtp),
            None,
        )
        if far is None or runner.machine.state is not State.ACTIVE:
            return
        watch = self._mutes.setdefault(runner.facts.call_id, MuteWatch())
        muted = watch.look(far.statistics.received, now)
        if muted is not None:
            data = {"legID": far.leg_id, "party": far.party, "muted": muted}
            self.happened(runner, "party.muted", data)

    def _observe_bus(self, bus: Bus, delays: Iterable[float]) -> None:
        self._metrics.observe_bus(bus, delays=delays, dropped=bus.dropped, concealed=bus.concealed)
