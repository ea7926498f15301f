"""Collecting the digits that the far party presses: pure, as the call's machine is.

Digits are heard from the beginning on, while a prompt is played too. The time runs from the end of
the prompt, or from the last digit; when it is up there are enough digits or there is another attempt.
"""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which digits are wanted."""

    least: int = 1
    most: int = 20
    seconds: float = 5.0
    """How long the next digit may take."""
    ends_with: str = ""
    """A key that ends the input and is not part of it; empty for none."""
    attempts: int = 1
    interrupts: bool = True
    """Whether a key stops the prompt."""


class Step(Enum):
    """What is to be done now."""

    WAIT = "wait"
    STOP_PROMPT = "stop_prompt"
    AGAIN = "again"
    """There is another attempt: play the prompt, then `begin`."""
    COLLECTED = "collected"
    FAILED = "failed"


class DigitCollection:
    """One collection; `digits` are those of the attempt that goes on, or went well."""

    def __init__(self, wanted: Wanted) -> None:
        self.digits = ""
        self.deadline: float | None = None
        """When to call `time_passed`, in monotonic seconds; None while the prompt is played."""
        self._wanted = wanted
        self._left = wanted.attempts
        self._prompting = False

    def begin(self, now: float, *, prompting: bool) -> None:
        """Begin an attempt; digits that came since the last one count for it."""
        self._prompting = prompting
        self.deadline = None if prompting else now + self._wanted.seconds

    def prompt_ended(self, now: float) -> None:
        """Let the time run."""
        if self._prompting:
            self.begin(now, prompting=False)

    def pressed(self, digit: str, now: float) -> Step:
        """Take a digit."""
        if digit == self._wanted.ends_with:
            return self._finish()
        self.digits += digit
        if len(self.digits) >= self._wanted.most:
            return Step.COLLECTED
        stops = self._prompting and self._wanted.interrupts
        if stops or not self._prompting:
            self.begin(now, prompting=False)
        return Step.STOP_PROMPT if stops else Step.WAIT

    def time_passed(self, now: float) -> Step:
        """See whether the time is up."""
        if self.deadline is None or now < self.deadline:
            return Step.WAIT
        return self._finish()

    def _finish(self) -> Step:
        self.deadline = None
        if len(self.digits) >= self._wanted.least:
            return Step.COLLECTED
        self._left -= 1
        if self._left <= 0:
            return Step.FAILED
        self.digits = ""
        return Step.AGAIN
