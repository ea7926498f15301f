"""Taking a message from a caller; pure, like the call's machine.

    phase       ends with                                                     then
    waiting     `begin`: the caller's media is up                             greeting
    greeting    its end, or `#`                                               tone
    tone        its end                                                       message
    message     silence, `#`, the longest message, or the end of the call     over

Every phase has a deadline, so that a greeting that hangs does not keep the caller.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

import msgspec

END_KEY: Final = "#"
"""The digit that skips the greeting and ends the message."""
MAX_GREETING_SECONDS: Final = 120.0
MAX_TONE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class VoicemailRules:
    """How messages are taken."""

    max_seconds: float = 120.0
    silence_seconds: float = 5.0
    """Silence that ends a message; 0: none does."""
    min_seconds: float = 1.0
    """A message that is shorter, up to its last word, is dropped."""
    takes_rejected: bool = False
    """Whether inbound calls that a request rejects are sent to voicemail."""


class Phase(Enum):
    """What the caller hears or does."""

    WAITING = "waiting"
    GREETING = "greeting"
    TONE = "tone"
    MESSAGE = "message"
    OVER = "over"


class Step(Enum):
    """What is to be done now."""

    WAIT = "wait"
    TONE = "tone"
    """Stop the greeting, and play the tone."""
    RECORD = "record"
    HANG_UP = "hang_up"


class Finish(StrEnum):
    """Why a message is over."""

    SILENCE = "silence"
    KEY = "key"
    MAX_LENGTH = "max_length"
    HANGUP = "hangup"
    """The call ended."""


class TakerSnapshot(msgspec.Struct, frozen=True):
    """A message that another process goes on with."""

    rules: VoicemailRules
    phase: Phase
    deadline: float | None
    began: float
    spoken_at: float


class MessageTaker:
    """One caller's message."""

    def __init__(self, rules: VoicemailRules) -> None:
        self.phase = Phase.WAITING
        self.deadline: float | None = None
        """When to call `time_passed`, in monotonic seconds; None while nothing is due."""
        self.finish = Finish.HANGUP
        self._rules = rules
        self._began = 0.0
        self._spoken_at = 0.0

    def snapshot(self) -> TakerSnapshot:
        """Return the message as it stands."""
        return TakerSnapshot(self._rules, self.phase, self.deadline, self._began, self._spoken_at)

    @classmethod
    def restore(cls, before: TakerSnapshot, still: float) -> "MessageTaker":
        """Go on with another process's message, to which nobody listened for so many seconds."""
        made = cls(before.rules)
        made.phase = before.phase
        made.deadline = None if before.deadline is None else before.deadline + still
        made._began, made._spoken_at = before.began, before.spoken_at + still
        return made

    @property
    def spoken_seconds(self) -> float:
        """From the tone to the last word; 0 if nothing was said."""
        return max(0.0, self._spoken_at - self._began)

    @property
    def is_kept(self) -> bool:
        """Whether the message is long enough."""
        return self.spoken_seconds >= self._rules.min_seconds

    def begin(self, now: float) -> None:
        """Note that the greeting begins."""
        self.phase = Phase.GREETING
        self.deadline = now + MAX_GREETING_SECONDS

    def greeting_ended(self, now: float) -> Step:
        """Note that the greeting was played, or could not be."""
        if self.phase is not Phase.GREETING:
            return Step.WAIT
        self.phase = Phase.TONE
        self.deadline = now + MAX_TONE_SECONDS
        return Step.TONE

    def tone_ended(self, now: float) -> Step:
        """Note that the tone was played: the message begins."""
        if self.phase is not Phase.TONE:
            return Step.WAIT
        self.phase = Phase.MESSAGE
        self._began = self._spoken_at = now
        self._arm()
        return Step.RECORD

    def spoke(self, now: float) -> None:
        """Note that the caller speaks."""
        if self.phase is Phase.MESSAGE:
            self._spoken_at = now

    def pressed(self, digit: str, now: float) -> Step:
        """Handle a digit from the caller."""
        if digit != END_KEY:
            return Step.WAIT
        if self.phase is Phase.MESSAGE:
            return self._over(Finish.KEY)
        return self.greeting_ended(now)

    def time_passed(self, now: float) -> Step:
        """Check the deadline."""
        if self.deadline is None or now < self.deadline:
            return Step.WAIT
        match self.phase:
            case Phase.GREETING:
                return self.greeting_ended(now)
            case Phase.TONE:
                return self.tone_ended(now)
            case _:
                return self._check_message(now)

    def call_ended(self) -> None:
        """Note that the caller has hung up, or was cut off."""
        self.phase = Phase.OVER
        self.deadline = None

    def _check_message(self, now: float) -> Step:
        self._arm()
        if self.deadline is not None and now < self.deadline:
            return Step.WAIT  # the caller has spoken since
        long = now >= self._began + self._rules.max_seconds
        return self._over(Finish.MAX_LENGTH if long else Finish.SILENCE)

    def _arm(self) -> None:
        self.deadline = self._began + self._rules.max_seconds
        if self._rules.silence_seconds:
            self.deadline = min(self.deadline, self._spoken_at + self._rules.silence_seconds)

    def _over(self, finish: Finish) -> Step:
        self.finish = finish
        self.call_ended()
        return Step.HANG_UP
