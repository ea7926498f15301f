"""Figures of a bot's audio in both directions: its level, gaps, overlap with the caller, echo, and turns without an answer.

Pure: levels are those that `call.bots.turns.TurnTracker` has measured, times are arguments. The levels of the last seconds are
kept, and evaluated once a second (`figures`).
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from bridge.audio.detect.echo import MAX_DELAY, STEP_SECONDS, Sizes, echo_steps, resemblance
from bridge.audio.detect.level import SILENT, clips
from bridge.audio.detect.speed import ENOUGH_PAIRS, SpeedMeter
from bridge.audio.frame import FRAME_SECONDS
from bridge.call.bots.turns import TurnTracker

WINDOW_SECONDS: Final = 5.0
"""The window of most figures."""
OVERLAP_WINDOW_SECONDS: Final = 8.0
NOTHING: Final = -200.0
"""In place of a level where there was no frame."""
FILLED: Final = -126.0
"""In place of the level of a filler, which is heard but is not speech."""
VOICE_DBOV: Final = -45.0
"""Louder frames within a bot's speech are certainly voice."""
MAX_GAP_SECONDS: Final = 0.4
"""A longer gap in speech is a pause."""
SPLIT_DB: Final = 15.0
"""A gap cuts a word if the voice after it is at most so much below its loudest; words begin and end more quietly."""
MIN_VOICED: Final = 50
"""Frames of voice that most figures need: one second."""
VOICE_SPREAD_DB: Final = 3.5
TURN_SECONDS: Final = 0.5
"""Shorter speech of the caller needs no answer: "mm-hm"."""
PAUSE_SECONDS: Final = 1.5
"""Silence of the caller after which it is the bot's turn."""
SOUND_SECONDS: Final = 8.0
"""Longer sound of the caller without a pause is music or noise, not a turn."""
ECHO_LOOKS: Final = 3
ECHO_LIKENESS: Final = 0.75
"""Minimum correlation, higher than that of `audio.detect.echo`, since the window is short and levels are exact."""
_ECHO_ACTIVE: Final = 20
_LONGEST_ECHO: Final = round((MAX_DELAY - 0.1) / STEP_SECONDS)
"""A maximum of the correlation near the end of the range may belong to repetitive music, with a greater one beyond."""
_FLOOR_DBOV: Final = -65.0
_ROWS: Final = round(WINDOW_SECONDS / FRAME_SECONDS)
_CLIP_EVERY: Final = 5
_PAIR_EVERY: Final = 4
_STEP: Final = round(STEP_SECONDS / FRAME_SECONDS)


class _Row(NamedTuple):
    """20 ms of both directions."""

    said: float
    """Level in dBov, or `NOTHING`."""
    heard: float
    bot_speaks: bool
    caller_speaks: bool


@dataclass(slots=True)
class BotFigures:
    """Figures of a bot's audio; counts and shares are of the last `WINDOW_SECONDS`."""

    spoken_seconds: float = 0.0
    """How long it has spoken in the whole call."""
    quiet_seconds: float | None = None
    """Time since its last word; None while it speaks, and before it has spoken."""
    loud_dbov: float | None = None
    """The level that one tenth of its voice exceeds, in dBov; None if there is too little voice."""
    is_voice: bool = False
    """Whether its levels vary like those of a voice."""
    clipped: float = 0.0
    """Share of its frames that reach full scale."""
    gaps: int = 0
    """How often a word was cut because the next audio was late."""
    gap_seconds: float = 0.0
    overlap_seconds: float = 0.0
    """How long it and the caller spoke at once in the last `OVERLAP_WINDOW_SECONDS`."""
    echo_seconds: float | None = None
    """Delay of its own voice in what it hears; None if there is no echo."""
    unanswered_seconds: float | None = None
    """The longest silence after a turn of the caller that has no answer yet; None if all have one."""
    unanswered_turns: int = 0
    """Turns of the caller since the last answer."""
    octaves: float | None = None
    """Pitch and spectrum of its voice (`audio.detect.speed`); None before they are known."""
    silent_frames: int = 0
    """Frames of digital silence."""


class BotSound:
    """Measures the audio of one bot."""

    def __init__(self, tracker: TurnTracker) -> None:
        """`tracker` must process each frame first."""
        self._tracker = tracker
        self._rows: deque[_Row] = deque(maxlen=_ROWS)
        self._both: deque[bool] = deque(maxlen=round(OVERLAP_WINDOW_SECONDS / FRAME_SECONDS))
        """Whether bot and caller both spoke, in each of the last frames."""
        self._said = NOTHING
        self._frames = self._spoken = 0
        self._clipped: deque[bool] = deque(maxlen=_ROWS // _CLIP_EVERY)
        self._speed = SpeedMeter()
        self._first: bytes | None = None
        """The first frame of a pair whose speed is measured."""
        self._echoes: deque[int | None] = deque(maxlen=ECHO_LOOKS)
        """Delays in steps that the last evaluations found; a single one may be chance."""
        self._turn_ended = -math.inf
        """When the last unanswered turn ended, or the bot's last words."""
        self._asked = 0
        """Frames of the caller's turn that is not counted yet."""
        self._turns = 0
        self._longest = 0.0
        """The longest silence after an unanswered turn."""

    def say(self, frame: bytes | None, *, filler: bool = False) -> None:
        """Process a frame of the bot; a `filler` is not speech."""
        self._said = NOTHING if frame is None else self._tracker.bot.level_dbov
        if frame is None or filler:
            self._said = FILLED if filler else NOTHING
            self._first = None
            return
        self._frames += 1
        if self._frames % _CLIP_EVERY == 0:
            self._clipped.append(clips(frame, self._said))
        if self._first is not None:
            self._speed.push(self._first + frame)
            self._first = None
        elif self._frames % _PAIR_EVERY == 0 and self._said > VOICE_DBOV:
            self._first = frame if self._speed.pairs < ENOUGH_PAIRS else None

    def hear(self) -> None:
        """Complete 20 ms of the call, once the tracker has processed the caller's frame."""
        tracker = self._tracker
        bot, caller = tracker.bot.speaking, tracker.caller
        self._rows.append(_Row(self._said, caller.level_dbov, bot, caller.speaking))
        self._both.append(bot and caller.speaking)
        self._spoken += bot
        self._asked += caller.speaking
        self._said = NOTHING

    def figures(self, now: float, *, talking: bool = True) -> BotFigures:
        """Return the figures of the last seconds; to be called once a second.

        Unless the parties are `talking` (the call is on hold or not answered yet), no turn waits for an answer.
        """
        if not talking:
            self._turns, self._turn_ended, self._asked = 0, now, 0
        rows = list(self._rows)
        figures = BotFigures(spoken_seconds=self._spoken * FRAME_SECONDS)
        figures.octaves = self._speed.octaves
        bot = self._tracker.bot
        figures.quiet_seconds = None if bot.speaking or not self._spoken else now - bot.last
        figures.unanswered_seconds = self._follow_turns(now)
        figures.unanswered_turns = self._turns
        said = [row.said for row in rows if row.said > NOTHING]
        figures.silent_frames = sum(level <= SILENT for level in said)
        voice = [row.said for row in rows if row.bot_speaks and row.said > _FLOOR_DBOV]
        if len(voice) < MIN_VOICED:
            self._echoes.append(None)
            return figures
        loud = figures.loud_dbov = sorted(voice)[len(voice) * 9 // 10]
        figures.is_voice = float(np.std(voice)) >= VOICE_SPREAD_DB
        figures.clipped = sum(self._clipped) / len(self._clipped) if self._clipped else 0.0
        figures.gaps, figures.gap_seconds = _gaps([row.said for row in rows], loud - SPLIT_DB)
        figures.echo_seconds, repeated = self._follow_echo(rows)
        figures.overlap_seconds = 0.0 if repeated else self._overlap(now)
        return figures

    def _overlap(self, now: float) -> float:
        caller = self._tracker.caller
        if caller.speaking and now - caller.began > SOUND_SECONDS:
            return 0.0
        return sum(self._both) * FRAME_SECONDS

    def _follow_turns(self, now: float) -> float | None:
        """Count the caller's unanswered turns; return the longest silence after one of them."""
        caller, bot = self._tracker.caller, self._tracker.bot
        if bot.speaking or bot.last > self._turn_ended or self._is_filling:
            self._turns, self._turn_ended, self._longest = 0, max(bot.last, self._turn_ended), 0.0
            if bot.speaking:
                self._asked = 0
            elif self._is_filling:
                self._turn_ended = now
            return None
        silent = now - caller.last
        if not caller.speaking and silent >= PAUSE_SECONDS:
            if caller.last > self._turn_ended:
                self._count_turn()
            self._longest = max(self._longest, silent)
        return self._longest if self._turns else None

    def _count_turn(self) -> None:
        caller = self._tracker.caller
        asked, self._asked = self._asked * FRAME_SECONDS, 0
        self._longest = 0.0 if not self._turns else self._longest
        if asked >= TURN_SECONDS and caller.last - caller.began <= SOUND_SECONDS:
            self._turns, self._turn_ended = self._turns + 1, caller.last

    @property
    def _is_filling(self) -> bool:
        """Whether a filler was heard in the last second."""
        return any(row.said == FILLED for row in list(self._rows)[-50:])

    def _follow_echo(self, rows: Sequence[_Row]) -> tuple[float | None, bool]:
        """Return the delay of the bot's echo if the last evaluations agree, and whether one side repeats the other."""
        steps = len(rows) // _STEP
        if steps <= 3 * round(MAX_DELAY / STEP_SECONDS):
            return None, False
        said = _loudness([row.said for row in rows], steps)
        heard = _loudness([row.heard for row in rows], steps)
        found = echo_steps(said, heard, like=ECHO_LIKENESS, min_active=_ECHO_ACTIVE)
        if found is not None and found > _LONGEST_ECHO:
            found = None
        self._echoes.append(found)
        looks = [one for one in self._echoes if one is not None]
        agree = len(looks) == ECHO_LOOKS and max(looks) - min(looks) <= 1
        delay = found * STEP_SECONDS if found is not None and agree else None
        return delay, found is not None or resemblance(said, heard) >= ECHO_LIKENESS


def _loudness(levels: Sequence[float], steps: int) -> Sizes:
    """Return the mean level of each step, not below the floor."""
    newest = np.maximum(np.array(levels[-steps * _STEP :], np.float32), np.float32(_FLOOR_DBOV))
    means: Sizes = newest.reshape(steps, _STEP).mean(1)
    return means


def _gaps(said: Sequence[float], least: float) -> tuple[int, float]:
    """Return the number and total duration of gaps without frames within voice above a level."""
    gaps, frames, length, voiced = 0, 0, 0, False
    for level in said:
        if level == NOTHING:
            length += 1
            continue
        if voiced and level > least and 0 < length * FRAME_SECONDS <= MAX_GAP_SECONDS:
            gaps, frames = gaps + 1, frames + length
        voiced, length = level > least, 0
    return gaps, frames * FRAME_SECONDS
