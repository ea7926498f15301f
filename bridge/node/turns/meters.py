"""The turns of one call: meters for its bots, and the event `turn` of each."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bridge.call.bus.bus import Bus
from bridge.call.bus.ends import Sink, Source, TimedSource
from bridge.call.model import LegId, LegKind
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.call.turns import MAX_TURNS, Turn, WaitParts, describe
from bridge.legs.agent import AgentLeg
from bridge.legs.base import Leg
from bridge.legs.stream import StreamLeg
from bridge.metrics.turns import TurnMetrics
from bridge.node.turns.meter import QueuesAudio, TurnMeter
from bridge.wire.call_event import EventType

BOTS: Final = frozenset({LegKind.AGENT, LegKind.SOCKET, LegKind.STREAM})
ASSUMED_PLAYOUT_SECONDS: Final = 0.06
"""The jitter buffer of a caller whose client does not report it."""


class TurnMeters:
    """Measures what the caller of one call waits for its bots."""

    def __init__(
        self,
        bus: Bus,
        *,
        publish: Callable[[EventType, Mapping[str, Any]], None],
        metrics: TurnMetrics,
        enabled: bool,
    ) -> None:
        """`publish` takes the event of each turn; unless it is `enabled`, nothing is measured."""
        self._bus = bus
        self._publish = publish
        self._metrics = metrics
        self._enabled = enabled
        self._published = 0
        self._loop = asyncio.get_running_loop()
        self._legs: dict[LegId, Leg] = {}
        self._playouts: dict[LegId, float] = {}
        """The jitter buffers that clients report, in seconds."""
        self._meters: dict[LegId, TurnMeter] = {}

    def ends(self, leg: Leg, role: LegRole) -> tuple[Source | None, Sink | None]:
        """Return what joins the bus for a leg: its own ends, or those of a meter if it is a bot that is heard."""
        source, sink = leg.source, leg.sink
        if not self._enabled:
            return source, sink
        self._legs[leg.leg_id] = leg
        hears = role.subscription is Subscription.INBOUND and role.audience is not Audience.NOBODY
        if not hears or leg.kind not in BOTS:
            return source, sink
        if source is None or sink is None or isinstance(source, TimedSource):
            return source, sink
        meter = self._meters[leg.leg_id] = TurnMeter(
            source.pull,
            sink.push,
            now=self._loop.time,
            delay=partial(self._delay, leg.leg_id),
            queues=leg if isinstance(leg, QueuesAudio) else None,
            filling=partial(_filling, leg),
            turns=_BotTurns(leg, self),
        )
        return meter, meter

    def leave(self, leg_id: LegId) -> None:
        """Forget a leg, and publish the turn that its end cuts off."""
        self._legs.pop(leg_id, None)
        self._playouts.pop(leg_id, None)
        if (meter := self._meters.pop(leg_id, None)) is not None:
            meter.finish()

    def report_playout(self, leg_id: LegId, seconds: float) -> None:
        """Take the delay of a client's jitter buffer, as the client of a leg in the call reports it."""
        if leg_id in self._legs:
            self._playouts[leg_id] = seconds

    def publish(self, leg: Leg, turn: Turn, parts: WaitParts) -> None:
        """Publish a turn that is over, and count it; not beyond `MAX_TURNS`."""
        if self._published == MAX_TURNS:
            return
        self._published += 1
        bot, wall = _name(leg), datetime.now(UTC).timestamp() - self._loop.time()
        data = {"turn": self._published, "legID": leg.leg_id, "bot": bot}
        self._publish(EventType.TURN, data | describe(turn, parts, wall))
        self._metrics.waited(turn.wait + parts.to_caller, bot)

    def way_to_caller(self, bot: LegId) -> tuple[float, bool]:
        """Return how long what we send to a bot's caller takes to be heard, in seconds, and whether that is an estimate."""
        caller = next(
            (leg for one in self._bus.heard_by(bot) if (leg := self._legs.get(one))), None
        )
        if caller is None or caller.kind.traits.simulated:
            return 0.0, False
        playout = self._playouts.get(caller.leg_id)
        round_trip = caller.statistics().round_trip_seconds
        seconds = (round_trip or 0.0) / 2 + (
            ASSUMED_PLAYOUT_SECONDS if playout is None else playout
        )
        return seconds, playout is None or round_trip is None

    def _delay(self, bot: LegId) -> float:
        delays = self._bus.delays()
        return max((delays.get(one, 0.0) for one in self._bus.heard_by(bot)), default=0.0)


class _BotTurns:
    """The turns of one bot (`node.turns.meter.TurnReports`)."""

    def __init__(self, leg: Leg, meters: TurnMeters) -> None:
        self._leg = leg
        self._meters = meters
        self._parts = WaitParts()

    def answered(self, turn: Turn, *, to_bot: float, queue: float) -> None:
        """Measure what the wait consists of."""
        to_caller, estimated = self._meters.way_to_caller(self._leg.leg_id)
        end_of_speech, tool = self._end_of_speech(turn, to_bot), self._tool(turn)
        self._parts = WaitParts(to_bot, queue, to_caller, estimated, end_of_speech, tool)

    def over(self, turn: Turn) -> None:
        """Publish it."""
        self._meters.publish(self._leg, turn, self._parts)

    def _end_of_speech(self, turn: Turn, to_bot: float) -> float | None:
        """Return how long the bot took to find that the caller had ended, if it is ours."""
        replies = self._leg.statistics().replies if isinstance(self._leg, AgentLeg) else None
        if not replies or replies[-1].at <= turn.ended:
            return None
        found = replies[-1].at - replies[-1].first_audio
        return max(0.0, found - turn.ended - to_bot)

    def _tool(self, turn: Turn) -> float | None:
        """Return for how long functions ran during the wait."""
        if not isinstance(self._leg, StreamLeg):
            return None
        return self._leg.function_seconds(turn.ended, turn.answered)


def _filling(leg: Leg) -> bool:
    return isinstance(leg, AgentLeg) and leg.filling


def _name(leg: Leg) -> str:
    """Return what a bot is called in events and metrics (`metrics.turns.BOTS`)."""
    return leg.facts.protocol.value if isinstance(leg, StreamLeg) else leg.kind.value
