"""The result of a rehearsed call: checks, marks, and the audio of both sides. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class MarkKind(StrEnum):
    """What a mark on the two-sided waveform stands for."""

    CALLER = "caller"
    BOT = "bot"
    DIGIT = "digit"
    DISCLOSURE = "disclosure"
    PROBLEM = "problem"
    OVERLAP = "overlap"
    HANGUP = "hangup"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened in the call; times are seconds from the answer."""

    kind: MarkKind
    began: float
    ended: float
    text: str = ""
    """What was said, the digit, the problem's code, or who hung up."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation of a scenario, and what was measured."""

    name: str
    passed: bool
    expected: str
    seen: str
    at: float | None = None
    """Where to look: seconds from the answer; None: the whole call."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a scenario."""

    scenario: str
    """Its name."""
    file: str
    title: str
    began: str
    """ISO 8601."""
    seconds: float = 0.0
    checks: tuple[Check, ...] = ()
    marks: tuple[Mark, ...] = ()
    said: bytes = b""
    """What the caller said, from the answer on: signed 16-bit little-endian, mono, 16 kHz; as long as `heard`."""
    heard: bytes = b""
    """What the caller heard, likewise."""
    events: tuple[Mapping[str, Any], ...] = ()
    """Turns, overlaps, problems and the disclosure of the call, as in its event stream."""
    error: str = ""
    """Why it could not be run, or why the machine may be at fault."""

    @property
    def passed(self) -> bool:
        """Return whether it ran and all its checks passed."""
        return not self.error and all(check.passed for check in self.checks)

    def excused(self, why: str) -> "Result":
        """Return the result as an error, with the reason why the bot may not be at fault."""
        return replace(self, error=f"{why} {self.error}".strip())
