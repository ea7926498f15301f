"""Holds the bots of one call until the far party can hear them.

Bots that the bridge starts itself are started only then. What others say earlier is queued.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from bridge.audio.frame import FRAME_SECONDS
from bridge.call.bots.speech_gates import MEDIA, SpeechGates
from bridge.call.bus.ends import Source, TimedSource
from bridge.call.bus.held_source import HeldSource
from bridge.call.machine import CallMachine
from bridge.call.model import LegId, LegKind, Party, State
from bridge.call.routing import Audience, LegRole
from bridge.call.transitions import AUDIBLE
from bridge.legs.base import Leg, SpeaksFromQueue

STARTED: Final = frozenset({LegKind.AGENT, LegKind.STREAM, LegKind.PLAYBACK})
"""Kinds of legs that the bridge starts, once they would be heard."""
BOTS: Final = STARTED | {LegKind.SOCKET}
FIRST_PACKET_SECONDS: Final = 1.0
"""How long to wait for the first packet of a connected far party, which proves that its media is up.

After that its media counts as up in any case: a muted telephone may send nothing.
"""
LOOK_SECONDS: Final = 0.02
"""How often to look for that packet."""


Rows: TypeAlias = Mapping[LegId, frozenset[LegId]]


class HoldsAudio(Protocol):
    """The speech of a bot, on its way to the bus."""

    def hold(self) -> None:
        """Hold everything until `release`."""

    def release(self) -> None:
        """Begin to play what was held."""

    def drop_held(self) -> None:
        """Drop what is held, and count it."""

    @property
    def held_seconds(self) -> float:
        """Total time for which speech waited because it was held."""

    @property
    def held_dropped_seconds(self) -> float:
        """Total speech dropped because it was held."""


class HeldSpeech:
    """Holds and releases the bots of one call (`gates`)."""

    def __init__(
        self,
        machine: CallMachine,
        route: Callable[[Rows], None],
        opened: Callable[[LegId], None] = lambda leg_id: None,
    ) -> None:
        """`machine` is the call's; `route` replaces its routing table, and `opened` is called with each bot that is held no longer."""
        self.gates = SpeechGates(self._changed)
        self._machine = machine
        self._far: dict[LegId, Leg] = {}
        self._route = route
        self._on_open = opened
        self._bots: dict[LegId, HoldsAudio | None] = {}
        """Each with its queue; None if it has none."""
        self._ticks: dict[LegId, asyncio.TimerHandle] = {}
        """Timers of bots with RTP whose speech is held or delayed."""
        self._opened: dict[LegId, asyncio.Event] = {}
        """Set when a leg that waits to be started may start."""
        self._loop = asyncio.get_running_loop()
        self._connected_at: float | None = None
        """When a far party was connected in a call that is up."""
        self._up = False
        """Whether the far party's media is up."""
        self._look: asyncio.TimerHandle | None = None

    def join(self, leg: Leg, role: LegRole, source: Source | None) -> Source | None:
        """Hold a leg that is about to join, if it is a bot that the far party would not hear yet.

        Return the source with which it joins the bus: `source`, or a `HeldSource` around it.
        """
        if role.party is Party.FAR:
            self._far[leg.leg_id] = leg
            return source
        if role.audience not in (Audience.ALL, Audience.FAR):
            return source
        if leg.kind not in BOTS and not role.machine:
            return source
        bot: HoldsAudio | None = None
        if isinstance(leg, SpeaksFromQueue):
            bot = leg.queue
        elif isinstance(source, TimedSource):
            # Routed in the next iteration of the loop: a packet may be in progress.
            source = bot = HeldSource(source, self._reroute_soon)
        self._bots[leg.leg_id] = bot
        if not self._up:
            self.gates.hold(leg.leg_id, MEDIA)
        if not self.gates.is_open(leg.leg_id):
            self._changed(leg.leg_id)
        self.follow()
        return source

    def find(self, leg_id: LegId) -> HoldsAudio | None:
        """Return the queue of a bot; None for another leg."""
        return self._bots.get(leg_id)

    def leave(self, leg_id: LegId) -> None:
        """Forget a leg; drop and count what is still held."""
        bot = self._bots.pop(leg_id, None)
        self._far.pop(leg_id, None)
        self.gates.forget(leg_id)
        if bot is not None:
            bot.drop_held()

    def restore(self) -> None:
        """Continue with a call of another process: if the call is up, so is the far party's media."""
        self._up = self._machine.state in AUDIBLE

    def follow(self) -> None:
        """Release the bots once the far party's media is up; to be called after each event of the call."""
        if self._up or self._look is not None:
            return
        records, now = self._machine.legs.records, self._loop.time()
        far = [
            leg for leg_id, leg in self._far.items() if leg_id in records and records[leg_id].talks
        ]
        if not far or self._machine.state not in AUDIBLE:
            return
        if self._connected_at is None:
            self._connected_at = now
        late = now - self._connected_at >= FIRST_PACKET_SECONDS
        if late or any(_is_heard_from(leg) for leg in far):
            self._up = True
            for leg_id in list(self._bots):
                self.gates.release(leg_id, MEDIA)
        elif self._bots:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_again)

    def close(self) -> None:
        """Stop all timers, since the call has ended."""
        for timer in (self._look, *self._ticks.values()):
            if timer is not None:
                timer.cancel()

    async def begin(self, leg: Leg) -> None:
        """Wait until a leg may start; returns at once unless it is held and of a kind that the bridge starts.

        If cancelled, it returns normally and cancels the task again, since only a leg that runs releases its resources.
        """
        if leg.kind not in STARTED or self.gates.is_open(leg.leg_id):
            return
        opened = self._opened[leg.leg_id] = asyncio.Event()
        try:
            await opened.wait()
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None:
                task.cancel()
        finally:
            self._opened.pop(leg.leg_id, None)

    def _tick(self, leg_id: LegId, due: float) -> None:
        """Play the next 20 ms of a bot with RTP that was held."""
        self._ticks.pop(leg_id, None)
        bot = self._bots.get(leg_id)
        if isinstance(bot, HeldSource) and not bot.passes:
            bot.play(due)
            due += FRAME_SECONDS
            self._ticks[leg_id] = self._loop.call_at(due, self._tick, leg_id, due)

    def _reroute_soon(self) -> None:
        self._loop.call_soon(self._reroute)

    def _reroute(self) -> None:
        if self._machine.state is not State.ENDED:
            self._route(self._machine.routes().rows)

    def _look_again(self) -> None:
        self._look = None
        self.follow()

    def _changed(self, leg_id: LegId) -> None:
        bot, is_open = self._bots.get(leg_id), self.gates.is_open(leg_id)
        if bot is not None:
            (bot.release if is_open else bot.hold)()
        if leg_id not in self._ticks:
            self._tick(leg_id, self._loop.time())
        if is_open:
            self._on_open(leg_id)
        if is_open and (opened := self._opened.get(leg_id)) is not None:
            opened.set()


def _is_heard_from(leg: Leg) -> bool:
    return leg.kind.traits.simulated or leg.statistics().received.packets > 0
