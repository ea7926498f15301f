"""Measures the turns of a bot that is a WebRTC peer: its audio passes as it comes, often undecoded, so copies of it are measured."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from bridge.audio.frame import FRAME_SECONDS, Frame, Push
from bridge.call.bots.turns import TurnTracker
from bridge.call.bus.bus import Bus
from bridge.call.diagnosis.bot_sound import BotSound
from bridge.call.model import DeliveryPath, LegId
from bridge.node.turns.meter import DELAY_FRAMES, TurnReports

MAX_UNMATCHED: Final = 250
"""Frames of the bot, 5 s, whose counterpart of the caller has not come; then the oldest are not measured."""


class Tap(NamedTuple):
    """A sink that only listens, on the clock."""

    push: Push
    always_clocked: bool = True


class PeerMeter:
    """Two taps of the bus, of what one bot says and of what it hears.

    They are batched: each gets the frames of the same ticks, 20 ms apart, but maybe all of one before any of the other.
    """

    def __init__(self, bus: Bus, bot: LegId, turns: TurnReports, now: Callable[[], float]) -> None:
        self.tracker = TurnTracker()
        self.sound = BotSound(self.tracker)
        """What its sound shows, for the diagnosis."""
        self._bus, self._bot, self._turns, self._now = bus, bot, turns, now
        self._said: deque[tuple[bytes, float]] = deque(maxlen=MAX_UNMATCHED)
        self._say_id, self._hear_id = LegId(f"{bot} says"), LegId(f"{bot} hears")
        self._callers: frozenset[LegId] = frozenset()
        self._look = 0
        self._heard_delay = self._said_delay = 0.0
        """Of the playout buffers that the taps are served from."""
        self._to_bot = self._queue = 0.0
        """For how long the audio itself waits in them."""
        bus.join(self._say_id, None, Tap(self._say), batched=True)
        bus.join(self._hear_id, None, Tap(self._hear), batched=True)

    def rows(
        self, rows: Mapping[LegId, frozenset[LegId]], callers: frozenset[LegId]
    ) -> dict[LegId, frozenset[LegId]]:
        """Return the rows of the taps, beside those of a call in which these callers are heard by the bot."""
        self._callers = callers
        heard = any(self._bot in rows.get(one, ()) for one in callers)
        said = frozenset({self._bot}) if heard else frozenset[LegId]()
        return {self._say_id: said, self._hear_id: callers}

    def finish(self) -> None:
        """Leave the bus, and report the turn that is cut off as the bot leaves."""
        now = self._now()
        self._bus.leave(self._say_id, now)
        self._bus.leave(self._hear_id, now)
        if (turn := self.tracker.finish()) is not None:
            self._turns.over(turn)

    def _say(self, frame: Frame, now: float) -> None:
        self._said.append((frame.pcm, now))

    def _hear(self, frame: Frame, now: float) -> None:
        if not self._look:
            self._measure_delays()
        self._look = (self._look + 1) % DELAY_FRAMES
        self.tracker.hear(frame.pcm, now - self._heard_delay - FRAME_SECONDS)
        said = self._said
        while said and said[0][1] <= now:
            pcm, at = said.popleft()
            self._measure(pcm, at - self._said_delay + self._queue)
        self.sound.hear()

    def _measure(self, pcm: bytes, at: float) -> None:
        """Take a frame of the bot that was sent to the caller at a time."""
        tracker = self.tracker
        answered = tracker.turns
        if (over := tracker.say(pcm, at)) is not None:
            self._turns.over(over)
        self.sound.say(pcm)
        if tracker.turns != answered and tracker.turn is not None:
            self._turns.answered(tracker.turn, to_bot=self._to_bot, queue=self._queue)

    def _measure_delays(self) -> None:
        """Find how much later than it came a frame is tapped, and sent on; an idle source has no delay, and keeps its last."""
        bus, delays = self._bus, self._bus.delays()
        heard = max((delays.get(one, 0.0) for one in self._callers), default=0.0)
        self._heard_delay = heard or self._heard_delay
        self._said_delay = delays.get(self._bot, 0.0) or self._said_delay
        clocked = [bus.path(one) is DeliveryPath.CLOCK for one in self._callers]
        self._queue = self._said_delay if any(clocked) else 0.0
        waits = bus.path(self._bot) is DeliveryPath.CLOCK
        self._to_bot = self._heard_delay if waits else 0.0
