"""Commands that go through steps, and report each."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

from bridge.errors import BridgeError


class Outcome(StrEnum):
    """How a step ended."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"
    """It needs a step that has failed, or something that is missing."""


class Step(NamedTuple):
    """One step."""

    outcome: Outcome
    name: str
    text: str


class Report:
    """The steps so far; `say` writes a line for each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.steps: list[Step] = []

    async def perform(self, name: str, work: Callable[[], Awaitable[str]]) -> bool:
        """Perform a step, which returns what it found; a `BridgeError` is its failure. Return whether it succeeded."""
        try:
            found = await work()
        except BridgeError as error:
            self._add(Outcome.FAILED, name, str(error))
            return False
        self._add(Outcome.OK, name, found)
        return True

    def skip(self, name: str, why: str) -> None:
        """Leave a step out."""
        self._add(Outcome.SKIPPED, name, why)

    @property
    def failed(self) -> list[str]:
        """The names of the steps that have failed."""
        return [step.name for step in self.steps if step.outcome is Outcome.FAILED]

    def _add(self, outcome: Outcome, name: str, text: str) -> None:
        self.steps.append(Step(outcome, name, text))
        self._say(f"{outcome:<8} {name}: {text}")
