"""What was said in a call: phrases of each track, with times."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Transcribe(StrEnum):
    """Whether, and when, a call is transcribed."""

    OFF = "off"
    AFTER = "after"
    """From its recording, once it has ended."""
    LIVE = "live"
    """Phrase by phrase while it goes on."""


class TranscriptStatus(StrEnum):
    """How far a transcript is."""

    LIVE = "live"
    """The call goes on, and is transcribed meanwhile."""
    RECORDING = "recording"
    """The call goes on, and is transcribed afterwards."""
    WAITING = "waiting"
    """The call has ended; its recording waits for the provider."""
    COMPLETED = "completed"
    FAILED = "failed"


UNFINISHED: Final = frozenset(
    {TranscriptStatus.LIVE, TranscriptStatus.RECORDING, TranscriptStatus.WAITING}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said."""

    text: str
    start: float
    """Seconds; of a phrase's audio from the provider, of the call's time since its answer in a transcript."""
    end: float


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something that one side said without a pause."""

    track: str
    """`inbound`: the far party; `outbound`: what it was sent; `mixed`: either."""
    start: float
    """Seconds since the call was answered."""
    end: float
    text: str
    """Empty if the provider found no words."""
    words: tuple[Word, ...] = ()
    """Empty where the provider returns no times of words."""
    language: str = ""
    """As the provider names it; empty if it does not."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of a call."""

    call_id: str
    line: str
    mode: Transcribe
    status: TranscriptStatus
    requested_at: float
    """Unix seconds."""
    finished_at: float | None
    failure: str
    """Why it failed; empty otherwise."""
    missing: int
    """Phrases that the provider could not transcribe in time."""
    phrases: tuple[Phrase, ...]
    """In the order of their beginning, without those that have no words."""
    source: str = ""
    """`meta` for a transcript of Meta's; empty for one of the bridge's."""

    @property
    def text(self) -> str:
        """All that was said, in one line per phrase."""
        return "\n".join(phrase.text for phrase in self.phrases)

    @property
    def language(self) -> str:
        """The language of most phrases; empty if the provider names none."""
        named = [phrase.language for phrase in self.phrases if phrase.language]
        return max(sorted(set(named)), key=named.count, default="")


def in_order(phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
    """Return the phrases that have words, by their beginning."""
    said = [phrase for phrase in phrases if phrase.text]
    return tuple(sorted(said, key=lambda phrase: (phrase.start, phrase.track)))
