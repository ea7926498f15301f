"""Lets the bots of one call begin, and be heard, only once the far party would hear them.

A bot that the bridge starts by itself begins then. One that is there earlier is held: what it says waits in its queue.
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
"""Kinds of legs that the bridge starts, and that begin once they are heard."""
BOTS: Final = STARTED | {LegKind.SOCKET}
FIRST_PACKET_SECONDS: Final = 1.0
"""For how long a first packet of a connected far party is waited for: it proves that its media is up, too.

By then a party that sends nothing counts as one that hears all the same, such as a muted telephone.
"""
LOOK_SECONDS: Final = 0.02
"""Between two looks for that packet."""


Rows: TypeAlias = Mapping[LegId, frozenset[LegId]]


class HoldsAudio(Protocol):
    """What a bot says, on its way to the bus."""

    def hold(self) -> None:
        """Let nothing be heard from now on, until `release`."""

    def release(self) -> None:
        """Play what was held."""

    def drop_held(self) -> None:
        """Drop and count what is held and will never be played."""

    @property
    def held_seconds(self) -> float:
        """For how long speech has waited in total because it was held."""

    @property
    def held_dropped_seconds(self) -> float:
        """How much speech was dropped in total for the same reason."""


class HeldSpeech:
    """The bots of one call, and whether they may be heard yet (`gates`)."""

    def __init__(
        self,
        machine: CallMachine,
        route: Callable[[Rows], None],
        let_in: Callable[[LegId], None] = lambda leg_id: None,
    ) -> None:
        """Begin with none; the call is the machine's, `route` replaces its routing table, and `let_in` takes each bot that is heard from now on."""
        self.gates = SpeechGates(self._changed)
        self._machine = machine
        self._far: dict[LegId, Leg] = {}
        self._route = route
        self._let_in = let_in
        self._bots: dict[LegId, HoldsAudio | None] = {}
        """Each with what holds what it says; None if nothing can."""
        self._ticks: dict[LegId, asyncio.TimerHandle] = {}
        """Of bots with RTP that are held, or late."""
        self._opened: dict[LegId, asyncio.Event] = {}
        """Of legs that wait to begin."""
        self._loop = asyncio.get_running_loop()
        self._connected_at: float | None = None
        """Since when a far party has talked."""
        self._up = False
        """Whether the far party's media is up."""
        self._look: asyncio.TimerHandle | None = None

    def join(self, leg: Leg, role: LegRole, source: Source | None) -> Source | None:
        """Hold a leg that is about to join, if it is a bot and the far party would not hear it yet.

        Return the source with which it joins the bus, which is `source` or holds that.
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
            # In the next iteration: it may be in the middle of a packet.
            source = bot = HeldSource(source, self._reroute_soon)
        self._bots[leg.leg_id] = bot
        if not self._up:
            self.gates.hold(leg.leg_id, MEDIA)
        if not self.gates.is_open(leg.leg_id):
            self._changed(leg.leg_id)
        self.follow()
        return source

    def find(self, leg_id: LegId) -> HoldsAudio | None:
        """Return what holds what a leg says; None for a leg that is not held."""
        return self._bots.get(leg_id)

    def leave(self, leg_id: LegId) -> None:
        """Forget a leg; what is still held is dropped, and counted."""
        bot = self._bots.pop(leg_id, None)
        self._far.pop(leg_id, None)
        self.gates.forget(leg_id)
        if bot is not None:
            bot.drop_held()

    def restore(self) -> None:
        """Go on with the call of another process, whose far party's media is up if the call is."""
        self._up = self._machine.state in AUDIBLE

    def follow(self) -> None:
        """Release the bots if the far party's media is up by now; to be called after each event of the call."""
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
        """Look and play no more; the call has ended."""
        for timer in (self._look, *self._ticks.values()):
            if timer is not None:
                timer.cancel()

    async def begin(self, leg: Leg) -> None:
        """Wait until a leg may begin: at once, but for one that the bridge has started and that is held.

        If cancelled it returns all the same, and the task is cancelled again: only a leg that runs frees what it has.
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
        """Let a bot with RTP play what was held."""
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
            self._let_in(leg_id)
        if is_open and (opened := self._opened.get(leg_id)) is not None:
            opened.set()


def _is_heard_from(leg: Leg) -> bool:
    return leg.kind.traits.simulated or leg.statistics().received.packets > 0
