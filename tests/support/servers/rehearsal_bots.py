"""The bot of examples/rehearse, and mutants of it: each has one fault that bots have, and a scenario that finds it."""

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

EXAMPLE = Path(__file__).parents[3] / "examples" / "rehearse"
SCENARIOS = EXAMPLE / "scenarios"


@contextmanager
def importable() -> Iterator[None]:
    """Make the modules of the example importable, as its own programs import them."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        yield
    finally:
        sys.path.remove(str(EXAMPLE))


with importable():
    bot = importlib.import_module("bot")
    conversation = importlib.import_module("conversation")
    speech = importlib.import_module("speech")
    speech_queue = importlib.import_module("speech_queue")

Bot: Any = conversation.Conversation


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bot with one fault."""

    name: str
    kind: type
    scenario: str
    """Which finds it, a file without `.toml`."""
    check: str
    """The name of the check that has to fail."""


def mutant(name: str, scenario: str, check: str, **changed: Any) -> Mutant:
    """Return the example's bot with other methods or texts."""
    return Mutant(name, type(Bot)("Mutated", (Bot,), changed), scenario, check)


@asynccontextmanager
async def serving(kind: type, port: int) -> AsyncIterator[None]:
    """Serve a kind of bot on a port of loopback."""
    runner = web.AppRunner(bot.application(kind))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


def _late(self: Any) -> None:
    """Answer after thinking for two seconds."""
    self.queue.add(np.zeros(2 * self.queue.rate, np.int16))
    Bot.answer(self)


def _cut_greeting(self: Any) -> None:
    self.queue.add(speech.spoken(self.GREETING, self.queue.rate)[int(0.9 * self.queue.rate) :])


def _talk_over(self: Any, pcm: Any) -> None:
    """Answer as soon as the caller has spoken for a second."""
    Bot.hear(self, pcm)
    if self.ears.voiced > 1.0 and not self.queue.speaking:
        self.answer()


def _stop_at_anything(self: Any, pcm: Any) -> None:
    Bot.hear(self, pcm)
    if self.queue.speaking and self.ears.voiced > 0.15:
        self.interrupted()


def _changed(change: Any) -> Any:
    """Return a way to say a text whose samples are changed."""

    def say(self: Any, text: str) -> None:
        self.queue.add(change(self, text))

    return say


def _wrong_rate(self: Any, text: str) -> Any:
    return speech.spoken(text, self.queue.rate // 2)


def _faint(self: Any, text: str) -> Any:
    return speech.spoken(text, self.queue.rate) // 40


def _clipped(self: Any, text: str) -> Any:
    return np.clip(speech.spoken(text, self.queue.rate) * 20.0, -32768, 32767).astype(np.int16)


def _cut_end(self: Any) -> None:
    """Hang up before the last 0.7 s are sent, which is some time before they are played."""
    Bot.wait(self)
    self.over = self.ends and self.queue.now > self.queue.until - speech_queue.LEAD - 0.7


def _never_over(self: Any) -> None:
    Bot.wait(self)
    self.over = False


def _end_late(self: Any) -> None:
    Bot.wait(self)
    self.over = self.ends and self.queue.now > self.queue.until + 4


def _twice(self: Any) -> None:
    Bot.answer(self)
    self.queue.add(np.zeros(self.queue.rate * 4 // 5, np.int16))
    self.say(self.ANSWERS[(self.answered - 1) % 3])


def _silent_after_three(self: Any) -> None:
    if self.answered < 3:
        Bot.answer(self)


def _greet_again(self: Any) -> None:
    self.greet()
    Bot.answer(self)


def _echo(self: Any, pcm: Any) -> None:
    """Send back what the caller says, as a bot does that hears itself."""
    if self.queue.until < self.queue.now + 0.1:
        self.queue.add(pcm)
    Bot.hear(self, pcm)


def _fall_behind(self: Any) -> None:
    """Need half a second more for each answer than for the one before."""
    self.queue.add(np.zeros(self.answered * self.queue.rate // 2, np.int16))
    Bot.answer(self)


def _hesitate(self: Any, text: str) -> Any:
    """Speak more slowly than it is played: with gaps."""
    whole = speech.spoken(text, self.queue.rate)
    piece = self.queue.rate // 5
    gap = np.zeros(self.queue.rate * 7 // 10, np.int16)
    pieces = [whole[at : at + piece] for at in range(0, len(whole), piece)]
    return np.concatenate([part for each in pieces for part in (each, gap)])


def _drop_keys(self: Any, keys: str) -> None:
    Bot.read_back(self, keys[::2])


def _swap_keys(self: Any, keys: str) -> None:
    Bot.read_back(self, keys[::-1])


def _nothing(self: Any, *anything: Any) -> None:
    """Do nothing."""


MUTANTS = (
    mutant("never greets", "greeting", "greeting", greet=_nothing),
    mutant("cuts its greeting", "greeting", "greeting_heard", greet=_cut_greeting),
    mutant("answers too late", "question-native", "wait", answer=_late),
    mutant("talks over the caller", "long-question", "overlap", hear=_talk_over),
    mutant("ignores interruptions", "barge-in-native", "interrupted", interrupted=_nothing),
    mutant("stops at every mm-hm", "mm-hm", "goes_on", hear=_stop_at_anything),
    mutant("speaks at the wrong rate", "greeting", "greeting_heard", say=_changed(_wrong_rate)),
    mutant("is too quiet", "greeting-loudness", "level", say=_changed(_faint)),
    mutant("clips", "greeting-loudness", "clipping", say=_changed(_clipped)),
    mutant("drops keys", "digits", "heard", read_back=_drop_keys),
    mutant("swaps keys", "digits", "heard", read_back=_swap_keys),
    mutant("does not say that it is a computer", "disclosure", "disclosure", GREETING="Hello. How can I help you?"),
    mutant("says late that it is a computer", "disclosure", "disclosure", GREETING="How can I help you?", ANSWERS=("Hello, this is a computer.",)),
    mutant("hangs up in the middle of its last words", "hang-up", "last_heard", wait=_cut_end),
    mutant("never hangs up", "hang-up", "hang_up", wait=_never_over),
    mutant("hangs up late", "hang-up", "hang_up_within", wait=_end_late),
    mutant("answers twice", "pause", "silent", answer=_twice),
    mutant("goes silent after the third turn", "long-talk", "wait", answer=_silent_after_three),
    mutant("repeats the greeting", "greeting-once", "not_heard", answer=_greet_again),
    mutant("answers the wrong question", "three-questions", "heard", ANSWERS=Bot.ANSWERS[1:] + Bot.ANSWERS[:1]),
    mutant("echoes the caller", "pause", "overlap", hear=_echo),
    mutant("falls behind", "long-talk", "wait", answer=_fall_behind),
    mutant("speaks with gaps", "question-native", "heard", say=_changed(_hesitate)),
    mutant("leaves a silent caller alone", "silence", "heard", remind=_nothing),
)  # fmt: skip
