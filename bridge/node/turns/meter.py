"""Measures the turns of one bot, between its leg and the bus."""

from collections.abc import Callable
from typing import Final, Protocol, runtime_checkable

from bridge.audio.frame import FRAME_SECONDS, Frame, Push
from bridge.call.bots.turns import Turn, TurnTracker
from bridge.call.diagnosis.bot_sound import BotSound

DELAY_FRAMES: Final = 5
"""Frames between two looks at the delay of the caller's playout buffer."""


@runtime_checkable
class QueuesAudio(Protocol):
    """A bot's leg with a queue towards the bot, and a buffer of what the bot says."""

    @property
    def buffered_seconds(self) -> float:
        """What the bot has sent and is still to be played."""

    @property
    def unsent_seconds(self) -> float:
        """What waits to be sent to the bot."""


class TurnReports(Protocol):
    """Takes the turns of one bot."""

    def answered(self, turn: Turn, *, to_bot: float, queue: float) -> None:
        """Take a turn whose answer has begun.

        `to_bot` is how long the caller's last words waited here, `queue` how long the beginning of the answer did; in seconds.
        """

    def over(self, turn: Turn) -> None:
        """Take this turn, whose answer is over."""


class TurnMeter:
    """The source and the sink of a bot in one call: passes each frame on as it is, and measures it.

    What the bot says is measured when it is played, what it hears as of when it came: the delay of the caller's playout
    buffer is subtracted.
    """

    always_clocked = True

    def __init__(  # noqa: PLR0913  (all but two by keyword)
        self,
        pull: Callable[[], bytes | None],
        push: Push,
        *,
        now: Callable[[], float],
        delay: Callable[[], float],
        queues: QueuesAudio | None,
        filling: Callable[[], bool],
        turns: TurnReports,
    ) -> None:
        """`delay` returns that of the caller's playout buffer; `queues` is the leg, if it has any; `filling` says whether its last frame was no speech but a filler."""
        self._pull, self._push = pull, push
        self._now, self._find_delay = now, delay
        self._queues, self._filling, self._turns = queues, filling, turns
        self.tracker = TurnTracker()
        self.sound = BotSound(self.tracker)
        """Figures of its audio, for the diagnosis."""
        self._delay = 0.0
        self._look = 0
        self._flows_since: float | None = None
        """Since when the bot has sent without a pause."""
        self._queued = 0.0
        """How long the first of the latest voiced frames waited to be played."""

    def pull(self) -> bytes | None:
        """Return the bot's next 20 ms; None while it says nothing."""
        frame, at, tracker = self._pull(), self._now(), self.tracker
        answered = tracker.turns
        if frame is None:
            self._flows_since = None
        elif self._flows_since is None:
            self._flows_since = at
        filler = frame is not None and self._filling()
        over = tracker.say(frame, at, filler=filler)
        self.sound.say(frame, filler=filler)
        if tracker.bot.run_at == at:
            self._queued = self._waited(at)
        if over is not None:
            self._turns.over(over)
        if tracker.turns != answered and tracker.turn is not None:
            unsent = self._queues.unsent_seconds if self._queues is not None else 0.0
            self._turns.answered(tracker.turn, to_bot=self._delay + unsent, queue=self._queued)
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Pass the next 20 ms of the caller to the bot."""
        if not self._look:
            self._delay = self._find_delay() or self._delay  # an idle source has none
        self._look = (self._look + 1) % DELAY_FRAMES
        self.tracker.hear(frame.pcm, now - self._delay - FRAME_SECONDS)
        self.sound.hear()
        self._push(frame, now)

    def finish(self) -> None:
        """Report the turn that is cut off as the bot leaves."""
        if (turn := self.tracker.finish()) is not None:
            self._turns.over(turn)

    def _waited(self, at: float) -> float:
        """Return how long the frame waited that is played now: no longer than the bot has sent, and than what is buffered takes."""
        if self._queues is None or self._flows_since is None:
            return 0.0
        return min(at - self._flows_since, self._queues.buffered_seconds) + FRAME_SECONDS
