"""Publishes the overlaps of one call's bots: `overlap.started` and `overlap.ended`."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bridge.audio.detect.overlap_tracker import MAX_OVERLAPS, Overlap, OverlapTracker
from bridge.call.model import LegId
from bridge.legs.agent import AgentLeg
from bridge.legs.base import Leg
from bridge.metrics.turns import TurnMetrics
from bridge.wire.call_event import EventType
from bridge.wire.iso8601 import iso8601


class OverlapEvents:
    """The overlaps of all bots of a call, of which at most `MAX_OVERLAPS` are published."""

    def __init__(
        self, publish: Callable[[EventType, Mapping[str, Any]], None], metrics: TurnMetrics
    ) -> None:
        self._publish = publish
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._trackers: dict[LegId, OverlapTracker] = {}
        self.published = 0
        """How many overlaps have begun, including those in earlier processes."""

    def follow(self, leg: Leg, bot: str) -> OverlapTracker:
        """Return the tracker of a bot of this kind (`metrics.turns.BOTS`)."""
        detector = leg.overlaps if isinstance(leg, AgentLeg) else None
        tracker = OverlapTracker(detector, partial(self.report, leg.leg_id, bot))
        self._trackers[leg.leg_id] = tracker
        return tracker

    def leave(self, leg_id: LegId) -> None:
        """Publish the overlap that the end of a leg cuts off."""
        if (tracker := self._trackers.pop(leg_id, None)) is not None:
            tracker.finish(self._loop.time())

    def report(self, leg_id: LegId, bot: str, overlap: Overlap) -> None:
        """Publish an overlap that has been classified, or is over."""
        if not overlap.over:
            self.published += 1
        if self.published > MAX_OVERLAPS:
            return
        wall = datetime.now(UTC).timestamp() - self._loop.time()
        data = {"legID": leg_id, "bot": bot} | describe(overlap, wall)
        self._publish(EventType.OVERLAP_ENDED if overlap.over else EventType.OVERLAP_STARTED, data)
        if overlap.over:
            self._metrics.overlapped(bot, overlap.kind.value)


def describe(overlap: Overlap, wall: float) -> dict[str, Any]:
    """Return the data of the events; `wall` is the Unix time at which the clock of the overlap's times was 0."""
    begun = {"kind": overlap.kind.value, "startedAt": iso8601(wall + overlap.began)}
    if not overlap.over:
        return begun
    return begun | {
        "speechMs": round(overlap.seconds * 1000),
        "overlapMs": round(overlap.both * 1000),
        "interrupted": overlap.stopped,
    }
