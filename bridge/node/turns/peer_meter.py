"""Measures the turns of a bot that is a WebRTC peer, from copies of its audio, which is often passed through undecoded."""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Final, NamedTuple

from bridge.audio.frame import FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame, Push
from bridge.call.bots.turns import TurnTracker
from bridge.call.bus.bus import Bus
from bridge.call.diagnosis.bot_sound import BotSound
from bridge.call.model import DeliveryPath, LegId
from bridge.node.turns.meter import DELAY_FRAMES, TurnReports

MAX_UNMATCHED: Final = 250
"""Maximum of frames of one side that wait for the other side's: 5 s; beyond it the oldest are not measured."""
MAX_WAIT_SECONDS: Final = 0.7
"""How long frames of one side wait for the other side's, which come in batches; then that side counts as silent."""
MAX_PAUSE_SECONDS: Final = 5.0
"""A longer pause of both sides is skipped."""
GAP_SECONDS: Final = 0.06
"""A side without a frame for so long is silent."""
WINDOW_SECONDS: Final = 1.0
"""Window in which the frame with the least delay is searched for."""
JUMP_SECONDS: Final = 1.0
"""A greater change of the transit time means that the source has restarted."""


class Tap(NamedTuple):
    """A sink that only listens, served in batches."""

    push: Push
    always_clocked: bool = False


class Side:
    """The frames of one side that are still to be measured, each with its arrival time without jitter.

    As in a jitter buffer, the frame with the least delay of the last second counts as one without jitter.
    """

    __slots__ = ("_epoch", "_least", "frames", "taken_at")

    def __init__(self) -> None:
        self.frames: deque[tuple[bytes, float]] = deque(maxlen=MAX_UNMATCHED)
        self.taken_at = 0.0
        """The time of the last frame that was taken."""
        self._least: deque[tuple[float, float]] = deque()
        """Arrival and transit times of frames, each transit less than all later ones (a sliding minimum)."""
        self._epoch: Hashable = None

    def push(self, frame: Frame, now: float, delay: float) -> None:
        """Append a frame that arrived `now`, `delay` seconds after it was due."""
        position, least = frame.pts / SAMPLE_RATE, self._least
        transit = now - position
        if least and (frame.epoch != self._epoch or abs(transit - least[-1][1]) > JUMP_SECONDS):
            least.clear()
        self._epoch = frame.epoch
        while least and least[-1][1] >= transit:
            least.pop()
        least.append((now, transit))
        while least[0][0] < now - WINDOW_SECONDS:
            least.popleft()
        self.frames.append((frame.pcm, position + least[0][1] - delay))

    def take(self, due: float) -> list[tuple[bytes, float]]:
        """Return the frame that is due and those that are overdue; silence if there has been none for `GAP_SECONDS`."""
        frames, taken = self.frames, []
        until = due + FRAME_SECONDS
        while frames and frames[0][1] < until:
            taken.append(frames.popleft())
            until = due - FRAME_SECONDS
        if taken:
            self.taken_at = taken[-1][1]
        elif due - self.taken_at > GAP_SECONDS:
            taken.append((SILENCE, due))
        return taken


class PeerMeter:
    """Two taps of the bus, for what one bot says and what it hears; both are served in batches, one after the other."""

    def __init__(self, bus: Bus, bot: LegId, turns: TurnReports, now: Callable[[], float]) -> None:
        self.tracker = TurnTracker()
        self.sound = BotSound(self.tracker)
        """Figures of its audio, for the diagnosis."""
        self._bus, self._bot, self._turns, self._now = bus, bot, turns, now
        self._said, self._heard = Side(), Side()
        self._say_id, self._hear_id = LegId(f"{bot} says"), LegId(f"{bot} hears")
        self._callers: frozenset[LegId] = frozenset()
        self._due: float | None = None
        """The beginning of the next 20 ms to be measured."""
        self._look = 0
        self._heard_delay = 0.0
        """Playout delay of the frames of several callers, which are mixed."""
        self._to_bot = self._queue = 0.0
        """How long the audio itself waits in playout buffers."""
        bus.join(self._say_id, None, Tap(self._say), batched=True)
        bus.join(self._hear_id, None, Tap(self._hear), batched=True)

    def rows(
        self, rows: Mapping[LegId, frozenset[LegId]], callers: frozenset[LegId]
    ) -> dict[LegId, frozenset[LegId]]:
        """Return the rows of the taps for a call's routing table, in which these callers are heard by the bot."""
        self._callers = callers
        heard = any(self._bot in rows.get(one, ()) for one in callers)
        said = frozenset({self._bot}) if heard else frozenset[LegId]()
        return {self._say_id: said, self._hear_id: callers}

    def finish(self) -> None:
        """Leave the bus, and report the turn that the bot's leaving cuts off."""
        now = self._now()
        self._bus.leave(self._say_id, now)
        self._bus.leave(self._hear_id, now)
        if (turn := self.tracker.finish()) is not None:
            self._turns.over(turn)

    def _say(self, frame: Frame, now: float) -> None:
        self._said.push(frame, now, 0.0)
        self._measure(now)

    def _hear(self, frame: Frame, now: float) -> None:
        self._heard.push(frame, now, self._heard_delay + FRAME_SECONDS)
        self._measure(now)

    def _measure(self, now: float) -> None:
        """Measure, in steps of 20 ms, as far as both sides are known."""
        said, heard = self._said, self._heard
        if self._due is None or self._due < now - MAX_PAUSE_SECONDS:
            self._due = now
        while self._due + FRAME_SECONDS <= now - MAX_WAIT_SECONDS or (said.frames and heard.frames):
            due = self._due
            self._due = due + FRAME_SECONDS
            if not self._look:
                self._measure_delays()
            self._look = (self._look + 1) % DELAY_FRAMES
            for pcm, at in heard.take(due):
                self.tracker.hear(pcm, at)
            for pcm, at in said.take(due):
                self._measure_said(pcm, at)
            self.sound.hear()

    def _measure_said(self, pcm: bytes, at: float) -> None:
        """Process a frame of the bot that was sent to the caller at `at`, plus the delay of its queue."""
        tracker = self.tracker
        answered = tracker.turns
        if (over := tracker.say(pcm, at + self._queue)) is not None:
            self._turns.over(over)
        self.sound.say(pcm)
        if tracker.turns != answered and tracker.turn is not None:
            self._turns.answered(tracker.turn, to_bot=self._to_bot, queue=self._queue)

    def _measure_delays(self) -> None:
        """Read the delays of the playout buffers before the taps and the callers; an idle source keeps its last one."""
        bus, delays = self._bus, self._bus.delays()
        heard = max((delays.get(one, 0.0) for one in self._callers), default=0.0)
        mixed, waits = bus.path(self._hear_id), bus.path(self._bot)
        if mixed is DeliveryPath.CLOCK:
            self._heard_delay = heard or self._heard_delay
        else:
            self._heard_delay = 0.0
        self._to_bot = (heard or self._to_bot) if waits is DeliveryPath.CLOCK else 0.0
        clocked = any(bus.path(one) is DeliveryPath.CLOCK for one in self._callers)
        self._queue = (delays.get(self._bot, 0.0) or self._queue) if clocked else 0.0
