"""Collecting the digits that the far party presses; pure, like the call's machine.

Digits count from the beginning, also while a prompt is played. The timeout runs from the end of the
prompt, or from the last digit; when it expires there are enough digits or there is another attempt.
"""

from dataclasses import dataclass
from enum import Enum

import msgspec


@dataclass(frozen=True, slots=True)
class DigitRules:
    """Which digits are to be collected."""

    min_digits: int = 1
    max_digits: int = 20
    timeout_seconds: float = 5.0
    """For the next digit."""
    terminator: str = ""
    """A key that ends the input and is not part of it; empty for none."""
    attempts: int = 1
    interrupts: bool = True
    """Whether a key stops the prompt."""


class Step(Enum):
    """What is to be done now."""

    WAIT = "wait"
    STOP_PROMPT = "stop_prompt"
    RETRY = "retry"
    """There is another attempt: play the prompt, then `begin`."""
    COLLECTED = "collected"
    FAILED = "failed"


class CollectionSnapshot(msgspec.Struct, frozen=True):
    """A collection that another process goes on with."""

    rules: DigitRules
    digits: str
    deadline: float | None
    attempts_left: int
    prompting: bool


class DigitCollection:
    """One collection; `digits` are those of the current attempt."""

    def __init__(self, rules: DigitRules) -> None:
        self.digits = ""
        self.deadline: float | None = None
        """When to call `time_passed`, in monotonic seconds; None while the prompt is played."""
        self._rules = rules
        self._attempts_left = rules.attempts
        self._prompting = False

    def snapshot(self) -> CollectionSnapshot:
        """Return the collection as it stands."""
        deadline, left = self.deadline, self._attempts_left
        return CollectionSnapshot(self._rules, self.digits, deadline, left, self._prompting)

    @classmethod
    def restore(cls, before: CollectionSnapshot, still: float) -> "DigitCollection":
        """Go on with another process's collection, for which time stood still for so many seconds."""
        made = cls(before.rules)
        made.digits = before.digits
        made.deadline = None if before.deadline is None else before.deadline + still
        made._attempts_left, made._prompting = before.attempts_left, before.prompting
        return made

    def begin(self, now: float, *, prompting: bool) -> None:
        """Begin an attempt; digits that came since the last one count for it."""
        self._prompting = prompting
        self.deadline = None if prompting else now + self._rules.timeout_seconds

    def prompt_ended(self, now: float) -> None:
        """Start the timeout."""
        if self._prompting:
            self.begin(now, prompting=False)

    def pressed(self, digit: str, now: float) -> Step:
        """Take a digit."""
        if digit == self._rules.terminator:
            return self._finish()
        self.digits += digit
        if len(self.digits) >= self._rules.max_digits:
            return Step.COLLECTED
        stops = self._prompting and self._rules.interrupts
        if stops or not self._prompting:
            self.begin(now, prompting=False)
        return Step.STOP_PROMPT if stops else Step.WAIT

    def time_passed(self, now: float) -> Step:
        """Check the timeout."""
        if self.deadline is None or now < self.deadline:
            return Step.WAIT
        return self._finish()

    def _finish(self) -> Step:
        self.deadline = None
        if len(self.digits) >= self._rules.min_digits:
            return Step.COLLECTED
        self._attempts_left -= 1
        if self._attempts_left <= 0:
            return Step.FAILED
        self.digits = ""
        return Step.RETRY
