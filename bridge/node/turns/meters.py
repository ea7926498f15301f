"""The turns of one call: meters for its bots, and the event `turn` of each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from bridge.call.bots.turns import MAX_TURNS, TrackerSnapshot, Turn, WaitParts, describe
from bridge.call.bus.bus import Bus
from bridge.call.bus.ends import Sink, Source, TimedSource
from bridge.call.diagnosis.bot_sound import BotSound
from bridge.call.model import LegId, LegKind, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.legs.agent import AgentLeg
from bridge.legs.base import Leg
from bridge.legs.stream import StreamLeg
from bridge.legs.webrtc import WebRtcLeg
from bridge.metrics.turns import TurnMetrics
from bridge.node.turns.meter import QueuesAudio, TurnMeter
from bridge.node.turns.overlap_events import OverlapEvents
from bridge.node.turns.peer_meter import PeerMeter
from bridge.wire.call_event import EventType

BOTS: Final = frozenset({LegKind.AGENT, LegKind.SOCKET, LegKind.STREAM})
LIVEKIT: Final = "livekit"
_Meter = TypeVar("_Meter", TurnMeter, PeerMeter)
ASSUMED_PLAYOUT_SECONDS: Final = 0.06
"""The jitter buffer of a caller whose client does not report it."""


class MeterSnapshot(msgspec.Struct, frozen=True):
    """The state of one bot's meter, and the parts of the wait of its current turn."""

    tracker: TrackerSnapshot
    parts: WaitParts


class TurnsSnapshot(msgspec.Struct, frozen=True):
    """The turns of a call; times are those of the machine's monotonic clock."""

    published: int
    """How many turns were published."""
    overlaps: int = 0
    """How many overlaps were published."""
    playouts: dict[LegId, float] = {}
    """Jitter buffer delays that clients reported."""
    meters: dict[LegId, MeterSnapshot] = {}
    """By bot."""


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
        self.published = 0
        """How many turns were published, including those of earlier processes."""
        self._loop = asyncio.get_running_loop()
        self._legs: dict[LegId, Leg] = {}
        self._playouts: dict[LegId, float] = {}
        """The jitter buffers that clients report, in seconds."""
        self._roles: dict[LegId, LegRole] = {}
        self._meters: dict[LegId, TurnMeter | PeerMeter] = {}
        self._overlaps = OverlapEvents(publish, metrics)
        self._turns: dict[LegId, _BotTurns] = {}
        """By bot."""
        self._passed: dict[LegId, MeterSnapshot] = {}
        """Of bots handed over by another process, until they join."""

    def ends(self, leg: Leg, role: LegRole) -> tuple[Source | None, Sink | None]:
        """Return what joins the bus for a leg: its own ends, or those of a meter if it is a bot that is heard."""
        source, sink = leg.source, leg.sink
        if not self._enabled:
            return source, sink
        self._legs[leg.leg_id], self._roles[leg.leg_id] = leg, role
        if role.machine and leg.kind is LegKind.WEBRTC:
            self._add(leg, lambda turns: PeerMeter(self._bus, leg.leg_id, turns, self._loop.time))
            return source, sink
        hears = role.subscription is Subscription.INBOUND and role.audience is not Audience.NOBODY
        if not hears or leg.kind not in BOTS:
            return source, sink
        if source is None or sink is None or isinstance(source, TimedSource):
            return source, sink
        meter = self._add(
            leg,
            lambda turns: TurnMeter(
                source.pull,
                sink.push,
                now=self._loop.time,
                delay=partial(self._delay, leg.leg_id),
                queues=leg if isinstance(leg, QueuesAudio) else None,
                filling=partial(_filling, leg),
                turns=turns,
            ),
        )
        return meter, meter

    def _add(self, leg: Leg, make: Callable[["_BotTurns"], _Meter]) -> _Meter:
        """Make a bot's meter; for one handed over by another process it continues from that state."""
        turns = self._turns[leg.leg_id] = _BotTurns(leg, self)
        meter = make(turns)
        meter.tracker.overlaps = self._overlaps.follow(leg, _name(leg))
        self._meters[leg.leg_id] = meter
        if (passed := self._passed.pop(leg.leg_id, None)) is not None:
            meter.tracker.restore(passed.tracker)
            turns.parts = passed.parts
        return meter

    def routes(self, rows: Mapping[LegId, frozenset[LegId]]) -> Mapping[LegId, frozenset[LegId]]:
        """Return the call's routing table with the rows of the meters added."""
        found = dict(rows)
        for bot, meter in self._meters.items():
            if isinstance(meter, PeerMeter):
                callers = frozenset(self._callers(rows.get(bot, ())))
                found |= meter.rows(rows, callers)
        return found

    def sound(self, leg_id: LegId) -> BotSound | None:
        """Return the figures of a bot's audio; None for a leg that is not measured."""
        meter = self._meters.get(leg_id)
        return None if meter is None else meter.sound

    def opened(self, leg_id: LegId) -> None:
        """Record that a bot is held no longer; ignores other legs."""
        if (meter := self._meters.get(leg_id)) is not None:
            meter.tracker.opened(self._loop.time())

    def leave(self, leg_id: LegId) -> None:
        """Forget a leg, and publish the turn that its end cuts off."""
        if (meter := self._meters.pop(leg_id, None)) is not None:
            meter.finish()
        self._overlaps.leave(leg_id)
        self._turns.pop(leg_id, None)
        self._legs.pop(leg_id, None)
        self._roles.pop(leg_id, None)
        self._playouts.pop(leg_id, None)

    def snapshot(self) -> TurnsSnapshot:
        """Return the state with which another process of this machine continues."""
        meters = {
            one: MeterSnapshot(meter.tracker.snapshot(), self._turns[one].parts)
            for one, meter in self._meters.items()
        }
        return TurnsSnapshot(self.published, self._overlaps.published, self._playouts, meters)

    def numbering(self) -> TurnsSnapshot:
        """Return the state with which another machine continues."""
        return TurnsSnapshot(self.published, self._overlaps.published)

    def restore(self, snapshot: TurnsSnapshot) -> None:
        """Continue from the state of another process, before the legs join."""
        self.published, self._overlaps.published = snapshot.published, snapshot.overlaps
        self._playouts, self._passed = dict(snapshot.playouts), dict(snapshot.meters)

    def report_playout(self, leg_id: LegId, seconds: float) -> None:
        """Take the delay of a client's jitter buffer, as the client of a leg in the call reports it."""
        if leg_id in self._legs:
            self._playouts[leg_id] = seconds

    def publish(self, leg: Leg, turn: Turn, parts: WaitParts) -> None:
        """Publish a turn that is over, and count it; at most `MAX_TURNS`."""
        if self.published == MAX_TURNS:
            return
        self.published += 1
        bot, wall = _name(leg), datetime.now(UTC).timestamp() - self._loop.time()
        data = {"turn": self.published, "legID": leg.leg_id, "bot": bot}
        self._publish(EventType.TURN, data | describe(turn, parts, wall))
        self._metrics.waited(turn.wait + parts.to_caller, bot)

    def delay_to_caller(self, bot: LegId) -> tuple[float, bool] | None:
        """Return the playout delay from here to a bot's caller in seconds, and whether it is an estimate; None without a caller."""
        heard = self._bus.heard_by(bot)
        caller = self._legs.get(next(iter(self._callers(heard) or heard), LegId("")))
        if caller is None:
            return None
        if caller.kind.traits.simulated:
            return 0.0, False
        playout = self._playouts.get(caller.leg_id)
        round_trip = caller.statistics().round_trip_seconds
        seconds = (round_trip or 0.0) / 2 + (
            ASSUMED_PLAYOUT_SECONDS if playout is None else playout
        )
        return seconds, playout is None or round_trip is None

    def _callers(self, heard: Iterable[LegId]) -> list[LegId]:
        """Return the persons among those whom a bot hears."""
        roles = {one: role for one in heard if (role := self._roles.get(one)) is not None}
        return [
            one
            for one, role in roles.items()
            if not role.machine
            and role.party is not Party.SERVICE
            and self._legs[one].kind not in BOTS
        ]

    def _delay(self, bot: LegId) -> float:
        delays = self._bus.delays()
        return max((delays.get(one, 0.0) for one in self._bus.heard_by(bot)), default=0.0)


class _BotTurns:
    """The turns of one bot (`node.turns.meter.TurnReports`)."""

    def __init__(self, leg: Leg, meters: TurnMeters) -> None:
        self._leg = leg
        self._meters = meters
        self.parts = WaitParts()
        """Of the current turn."""

    def answered(self, turn: Turn, *, to_bot: float, queue: float) -> None:
        """Measure the parts of the wait."""
        to_caller, estimated = self._meters.delay_to_caller(self._leg.leg_id) or (0.0, False)
        end_of_speech, tool = self._end_of_speech(turn, to_bot), self._tool(turn)
        self.parts = WaitParts(to_bot, queue, to_caller, estimated, end_of_speech, tool)

    def over(self, turn: Turn) -> None:
        """Publish a turn; the delay to the caller may have been measured since the answer began."""
        delay = self._meters.delay_to_caller(self._leg.leg_id) if self.parts.estimated else None
        if delay is not None and not delay[1]:
            self.parts = replace(self.parts, to_caller=delay[0], estimated=False)
        self._meters.publish(self._leg, turn, self.parts)

    def _end_of_speech(self, turn: Turn, to_bot: float) -> float | None:
        """Return how long the bot took to detect the end of speech, if it is ours."""
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
    if isinstance(leg, WebRtcLeg) and leg.sdk:
        return LIVEKIT
    return leg.facts.protocol.value if isinstance(leg, StreamLeg) else leg.kind.value
