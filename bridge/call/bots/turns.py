"""The turns of a call with a bot: how long the caller waited for each answer. Pure: times are arguments.

A turn is what the caller says and the bot's answer to it: the first speech of the bot that begins after the caller's
has ended. These are not answers: speech that begins while the caller speaks, speech that began before the caller had
finished, and speech that continues after a backchannel ("mm-hm"). What the caller says while the bot is held
(`call.bots.speech_gates`) begins no turn.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bridge.audio.detect.speech import SpeechMeter, SpeechSnapshot
from bridge.wire.iso8601 import iso8601

if TYPE_CHECKING:
    from bridge.audio.detect.overlap_tracker import OverlapTracker

MAX_TURNS: Final = 1000
"""Of a call; later ones are not measured."""
OVER_SECONDS: Final = 1.0
"""Silence of the bot after which its answer is over."""
MAX_WAIT_SECONDS: Final = 60.0
"""What begins later is not taken for an answer."""
YIELD_SECONDS: Final = 0.5
"""How long a bot may take to stop after the caller's word that it stops for."""
MIN_OVERLAP_SECONDS: Final = 0.1
"""A bot that ends sooner after the caller began has ended by itself."""


@dataclass(slots=True)
class Turn:
    """A turn; times are those of the caller's and the bot's frames."""

    began: float
    """The caller's first voiced sample."""
    ended: float
    """The caller's last voiced sample before the answer."""
    answered: float
    """The answer's first voiced sample; a filler is none."""
    filler: float | None = None
    """When a filler began before the answer."""
    over: float = 0.0
    """The answer's last voiced sample."""
    interrupted: bool = False
    """Whether the answer stopped because the caller spoke."""
    overlap: float = 0.0
    """Seconds for which both spoke during the answer."""

    @property
    def wait(self) -> float:
        """Return how long the caller waited for the answer, without the way to its ears."""
        return self.answered - self.ended


@dataclass(frozen=True, slots=True)
class WaitParts:
    """The parts of a wait, in seconds; the rest is the bot's."""

    to_bot: float = 0.0
    """How long the caller's last words waited in our buffers."""
    queue: float = 0.0
    """How long the beginning of the answer waited in them."""
    to_caller: float = 0.0
    """From sending the answer to its being heard."""
    estimated: bool = False
    """Whether `to_caller` is."""
    end_of_speech: float | None = None
    """Until the bot detected the end of speech; None where only the bot knows."""
    tool: float | None = None
    """How long functions ran that the bot's model called through the bridge; part of the bot's share. None if none ran."""


class TrackerSnapshot(msgspec.Struct, frozen=True):
    """The state of a tracker."""

    turn: Turn | None
    turns: int
    began: float | None
    filler: float | None
    caller: SpeechSnapshot
    bot: SpeechSnapshot


class TurnTracker:
    """Divides what a bot hears and says into turns, frame by frame."""

    def __init__(self) -> None:
        self.caller = SpeechMeter()
        self.bot = SpeechMeter()
        self.turn: Turn | None = None
        """The turn whose answer is not over."""
        self.turns = 0
        """How many have been answered so far."""
        self._began: float | None = None
        """When the caller began the speech that has no answer yet."""
        self._filler: float | None = None
        self._opened = -math.inf
        """When the bot was opened, if it was held."""
        self.overlaps: OverlapTracker | None = None
        """Classifies the caller's overlaps with the bot; None if nothing does."""

    def opened(self, at: float) -> None:
        """Record that the bot is held no longer."""
        self._opened = at
        if not self.caller.speaking:
            self._began = None

    def hear(self, pcm: bytes, at: float) -> None:
        """Process a frame of the caller; `at` is when its first sample arrived."""
        caller = self.caller
        changed = caller.push(pcm, at)
        if self.overlaps is not None:
            self.overlaps.hear(pcm, at, caller, self.bot)
        if not changed:
            return
        if caller.speaking:
            self._began = caller.began if self._began is None else self._began
            self._filler = None
        elif self.turn is not None and self.bot.speaking:
            self.turn.overlap += max(0.0, caller.ended - max(caller.began, self.bot.began))

    def say(self, pcm: bytes | None, at: float, *, filler: bool = False) -> Turn | None:
        """Process a frame of the bot, played from `at` on, None for silence; return the turn that is now over, if any.

        A `filler`, which covers a late answer, does not count as the answer.
        """
        if filler:
            self._filler = at if self._filler is None else self._filler
            pcm = None
        over = self._check_over(at)
        if not self.bot.push(pcm, at):
            return over
        if self.bot.speaking:
            return self._bot_began() or over
        self._bot_stopped()
        return over

    def finish(self) -> Turn | None:
        """Return the turn whose answer the end of the call cuts off."""
        turn, self.turn = self.turn, None
        if turn is not None and self.bot.speaking:
            turn.over = self.bot.last
        return turn

    def snapshot(self) -> TrackerSnapshot:
        """Return the state, with which another tracker continues; audio in between counts as silence."""
        caller, bot = self.caller.snapshot(), self.bot.snapshot()
        return TrackerSnapshot(self.turn, self.turns, self._began, self._filler, caller, bot)

    def restore(self, snapshot: TrackerSnapshot) -> None:
        """Continue from the state of another tracker."""
        self.turn, self.turns = snapshot.turn, snapshot.turns
        self._began, self._filler = snapshot.began, snapshot.filler
        self.caller.restore(snapshot.caller)
        self.bot.restore(snapshot.bot)

    def _check_over(self, at: float) -> Turn | None:
        turn = self.turn
        if turn is None or self.bot.speaking or at - self.bot.ended < OVER_SECONDS:
            return None
        self.turn = None
        return turn

    def _bot_began(self) -> Turn | None:
        """Begin a turn if this is an answer; return the previous turn if it was not over."""
        began, before_ended, filler = self.bot.began, self.bot.ended, self._filler
        if self._began is None or self.turns == MAX_TURNS:
            return None
        ended = self.caller.last
        if ended > began:
            return None
        asked, self._began, self._filler = self._began, None, None
        waits = self._opened < ended and began - ended <= MAX_WAIT_SECONDS
        spoken_over = before_ended > ended
        yielded = before_ended - ended <= YIELD_SECONDS <= began - before_ended
        if not waits or (spoken_over and not yielded):
            return None
        self.turns += 1
        before, self.turn = self.turn, Turn(asked, ended, began, filler)
        return before

    def _bot_stopped(self) -> None:
        caller, bot = self.caller, self.bot
        if self.turn is None:
            return
        self.turn.over = bot.ended
        if caller.speaking and (overlap := bot.ended - max(bot.began, caller.began)) > 0:
            self.turn.overlap += overlap
            self.turn.interrupted |= overlap >= MIN_OVERLAP_SECONDS


def describe(turn: Turn, parts: WaitParts, wall: float) -> dict[str, Any]:
    """Return what the event `turn` says of it; `wall` is the Unix time when the clock of its times was 0."""
    wait = turn.wait + parts.to_caller
    known = parts.to_bot + parts.queue + parts.to_caller + (parts.end_of_speech or 0.0)
    filler = None if turn.filler is None else turn.filler - turn.ended + parts.to_caller
    return {
        "startedAt": iso8601(wall + turn.began),
        "speechMs": _milliseconds(turn.ended - turn.began),
        "waitMs": _milliseconds(wait),
        "answerMs": _milliseconds(turn.over - turn.answered),
        "estimated": parts.estimated,
        "parts": {
            "endOfSpeech": _milliseconds(parts.end_of_speech),
            "toBot": _milliseconds(parts.to_bot),
            "bot": _milliseconds(max(0.0, wait - known)),
            "queue": _milliseconds(parts.queue),
            "toCaller": _milliseconds(parts.to_caller),
        },
        "filler": _milliseconds(filler),
        "tool": _milliseconds(parts.tool),
        "interrupted": turn.interrupted,
        "overlapMs": _milliseconds(turn.overlap),
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
