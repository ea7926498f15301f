"""Which of a model's audio has been heard: where each item lies in all that it sent."""

from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_PARTS: Final = 64
"""Pieces of speech that may wait to be heard; beyond it the oldest counts as heard."""
HEARD_SECONDS: Final = 0.05
"""A rest as short as this counts as heard: the converter of sample rates keeps a few milliseconds back."""


class Unheard(NamedTuple):
    """An item that a caller has interrupted."""

    item_id: str
    content_index: int
    heard_ms: int
    """How much of it was heard; never more than its length."""


@dataclass(slots=True)
class _Part:
    """A content part of an item that is speech."""

    item_id: str
    content_index: int
    start: float
    """In seconds of all the audio that the server sent."""
    seconds: float = 0.0

    @property
    def end(self) -> float:
        return self.start + self.seconds


class SpokenItems:
    """The items of speech that have not been heard to their end.

    A part's audio is taken to be in one piece: a conversation has one response at a time.
    """

    def __init__(self) -> None:
        self._sent = 0.0
        """Seconds of all audio until now."""
        self._parts: list[_Part] = []

    def add(self, item_id: str, content_index: int, seconds: float, *, played: float) -> None:
        """Add audio of an item; `played` is how much of all audio has left the queue, in seconds."""
        last = self._parts[-1] if self._parts else None
        if last is None or (last.item_id, last.content_index) != (item_id, content_index):
            self._parts = [part for part in self._parts if part.end > played][1 - MAX_PARTS :]
            last = _Part(item_id, content_index, self._sent)
            self._parts.append(last)
        last.seconds += seconds
        self._sent += seconds

    def interrupt(self, played: float) -> list[Unheard]:
        """Return what was not heard to its end, and forget all."""
        parts, self._parts = self._parts, []
        return [
            Unheard(part.item_id, part.content_index, _milliseconds(part, played))
            for part in parts
            if part.end - played > HEARD_SECONDS
        ]


def _milliseconds(part: _Part, played: float) -> int:
    heard = min(max(played - part.start, 0.0), part.seconds)
    # Rounded first, because 0.58 s are 579.999… ms; and down, because a server refuses more than there is.
    return int(round(heard * 1000, 3))
