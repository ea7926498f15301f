"""The scripted caller: decides what to say in each 20 ms from what it has heard so far. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.audio.detect.speech import SpeechMeter
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SILENCE
from bridge.rehearse.background import Background
from bridge.rehearse.scenario import (
    Backchannel,
    BargeIn,
    HangUp,
    Loss,
    Noise,
    Play,
    Press,
    Say,
    Step,
    Wait,
    WaitFor,
)

NEW_ANSWER_SECONDS: Final = 0.7
"""A bot that speaks again after such a pause has begun a new answer."""
EARLY_SECONDS: Final = 0.1
"""A bot may begin its answer this long before the caller's last samples, which fade out."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A step, and its sound: 16-bit samples at 16 kHz, of a voice from its first to its last word."""

    step: Step
    sound: bytes = b""

    @property
    def seconds(self) -> float:
        """Return how long the sound is."""
        return len(self.sound) / FRAME_BYTES * FRAME_SECONDS


@dataclass(slots=True)
class Taken:
    """A step that the caller has taken; times are seconds from the answer."""

    number: int
    """From 1."""
    cue: Cue
    began: float
    ended: float = math.inf
    spoke: float = math.inf
    """When its sound began."""
    spoken: float = math.inf
    """When its sound was over."""


class Talk:
    """A call as the scripted caller sees it: `tick` is called once for each 20 ms, from the answer on."""

    def __init__(
        self,
        cues: Sequence[Cue],
        background: Background,
        *,
        press: Callable[[str], None],
        hang_up: Callable[[], None],
    ) -> None:
        """`press` sends a key, `hang_up` ends the call; neither calls back."""
        self._cues = cues
        self._background = background
        self._press = press
        self._hang_up = hang_up
        self.now = 0.0
        """When the next frame of the bot begins."""
        self.said = bytearray()
        self.heard = bytearray()
        self.taken: list[Taken] = []
        self.stretches: list[tuple[float, float]] = []
        """Where the bot spoke."""
        self.fillers: list[tuple[float, float]] = []
        """Where it said a filler ("One moment, please"), which is not an answer."""
        self.keys: list[tuple[float, str]] = []
        """What the caller pressed, and when."""
        self.received = ""
        """The digits that the bot has sent."""
        self.words: set[str] = set()
        """The words that a step waits for and that the bot has said."""
        self.recognizing = False
        """Whether speech is being searched for such words; the step does not time out meanwhile, since that is not the bot's fault."""
        self.failure = ""
        """Why the script was not completed."""
        self.over = False
        """Whether the caller has hung up, or is gone."""
        self._bot, self._filler = SpeechMeter(), SpeechMeter()
        self._answer_began = -math.inf
        self._asked = 0.0
        """When the caller's last question, or its last key, was over."""
        self._step: Taken | None = None
        self._playing = b""
        self._played = 0
        self._pressed = 0
        self._take_next()

    @property
    def waits_for_words(self) -> tuple[str, ...]:
        """The words that the current step waits for."""
        step = self._step.cue.step if self._step else None
        return step.words if isinstance(step, WaitFor) and step.wait_for == "words" else ()

    @property
    def complete(self) -> bool:
        """Whether the caller has nothing left to do but wait for the bot to hang up."""
        rest = self._cues[max(0, len(self.taken) - 1) :]
        return all(_is_end(cue.step) for cue in rest)

    def tick(self, heard: bytes | None, *, filler: bool = False) -> bytes:
        """Take 20 ms of what the bot says, None for silence; return the 20 ms that the caller says after them."""
        at, self.now = self.now, self.now + FRAME_SECONDS
        self.heard += heard or SILENCE
        if self._bot.push(None if filler else heard, at):
            self._bot_changed()
        if self._filler.push(heard if filler else None, at) and not self._filler.speaking:
            self.fillers.append((self._filler.began, self._filler.ended))
        if not self.over:
            self._advance(self.now)
        voice = self._voice()
        said = self._background.add(voice)
        self.said += said
        return said

    def skip(self, frames: int) -> None:
        """Skip time in which no audio was exchanged; what the caller is saying goes on after it."""
        if self._step is not None and self.now < self._step.spoken < math.inf:
            self._step.spoken += frames * FRAME_SECONDS
        self.said += SILENCE * frames
        self.heard += SILENCE * frames
        self.now += frames * FRAME_SECONDS

    def close(self) -> None:
        """End the talk: the bot has hung up, or the caller."""
        self.over = True
        if self._bot.speaking:
            self.stretches.append((self._bot.began, self._bot.last))
        if self._filler.speaking:
            self.fillers.append((self._filler.began, self._filler.last))
        if self._step is not None:
            self._step.ended = self.now
            self._step.spoken = min(self._step.spoken, self.now)
            self._step = None

    def _bot_changed(self) -> None:
        bot = self._bot
        if not bot.speaking:
            self.stretches.append((bot.began, bot.ended))
            return
        before = self.stretches[-1][1] if self.stretches else -math.inf
        first = bot.began >= self._asked - EARLY_SECONDS > self._answer_began
        if first or bot.began - before >= NEW_ANSWER_SECONDS:
            self._answer_began = bot.began

    def _advance(self, now: float) -> None:
        while self._step is not None and not self.over:
            if not self._is_done(self._step, now):
                self._check_time(self._step, now)
                return
            self._finish(self._step, now)
            self._take_next()

    def _take_next(self) -> None:
        number = len(self.taken)
        if number == len(self._cues):
            self._step = None
            self._leave()
            return
        self._step = Taken(number + 1, self._cues[number], self.now)
        self.taken.append(self._step)
        step = self._step.cue.step
        if isinstance(step, Say | Play):
            self._speak(self._step, self.now)
        elif isinstance(step, Press):
            self._pressed = 0

    def _is_done(self, taken: Taken, now: float) -> bool:
        match taken.cue.step:
            case Say() | Play():
                return self._is_spoken(taken, now)
            case Backchannel() | BargeIn() as step:
                if taken.spoke == math.inf and self._bot_has_spoken(step.after, now):
                    self._speak(taken, now)
                return self._is_spoken(taken, now)
            case Wait() as step:
                return now >= taken.began + step.wait - FRAME_SECONDS / 2
            case WaitFor() as step:
                return self._has_come(step, taken, now)
            case Press() as step:
                return self._has_pressed(step, taken, now)
            case Noise() | Loss() as step:
                self._background.change(step, taken.cue.sound)
                return True
            case HangUp():
                self._leave()
        return True

    def _has_come(self, step: WaitFor, taken: Taken, now: float) -> bool:
        meters = (self._bot, self._filler)
        silent = not any(one.speaking or now - max(one.ended, 0.0) < step.silence for one in meters)
        answered = self._answer_began >= self._asked - EARLY_SECONDS
        match step.wait_for:
            case "answer":
                return answered
            case "answer_end":
                return answered and silent
            case "silence":
                return silent
            case "words":
                return bool(self.words & set(step.words))
            case "digits":
                return step.digits in self.received
        return False

    def _has_pressed(self, step: Press, taken: Taken, now: float) -> bool:
        while (
            self._pressed < len(step.digits)
            and now >= taken.began + self._pressed * step.gap - 1e-6
        ):
            digit = step.digits[self._pressed]
            self._pressed += 1
            self.keys.append((now, digit))
            self._press(digit)
        return self._pressed == len(step.digits)

    def _bot_has_spoken(self, after: float, now: float) -> bool:
        return self._bot.speaking and now - self._answer_began >= after

    def _speak(self, taken: Taken, now: float) -> None:
        taken.spoke, taken.spoken = now, now + taken.cue.seconds
        self._playing, self._played = taken.cue.sound, 0

    @staticmethod
    def _is_spoken(taken: Taken, now: float) -> bool:
        return taken.spoke != math.inf and now >= taken.spoken - FRAME_SECONDS / 2

    def _finish(self, taken: Taken, now: float) -> None:
        taken.ended = now
        if isinstance(taken.cue.step, Say | Play | BargeIn):
            self._asked = taken.spoken
        elif isinstance(taken.cue.step, Press):
            self._asked = now

    def _check_time(self, taken: Taken, now: float) -> None:
        """Fail a step that has waited for too long."""
        step = taken.cue.step
        if not isinstance(step, WaitFor | Backchannel | BargeIn) or taken.spoke != math.inf:
            return
        if self.recognizing:
            return
        if now - taken.began >= step.within:
            self.failure = f"step {taken.number}: {_awaited(step)} within {step.within:g} s"
            self._leave()

    def _leave(self) -> None:
        self.over = True
        self._hang_up()

    def _voice(self) -> bytes:
        """Return the next 20 ms of the current sound."""
        frame = self._playing[self._played : self._played + FRAME_BYTES]
        self._played += FRAME_BYTES
        return frame + bytes(FRAME_BYTES - len(frame))


def _is_end(step: Step) -> bool:
    return isinstance(step, HangUp) or (isinstance(step, WaitFor) and step.wait_for == "hang_up")


def _awaited(step: WaitFor | Backchannel | BargeIn) -> str:
    if not isinstance(step, WaitFor):
        return f"no {step.after:g} s of speech from the bot"
    match step.wait_for:
        case "words":
            return f"did not hear {' or '.join(step.words)}"
        case "digits":
            return f"the digits {step.digits} did not arrive"
        case "hang_up":
            return "the bot did not hang up"
        case "answer_end":
            return f"no answer with {step.silence:g} s of silence after it"
        case "silence":
            return f"no silence of {step.silence:g} s"
    return "no answer"
