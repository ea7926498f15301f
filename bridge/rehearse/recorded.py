"""A rehearsed call after its end: audio, steps and events, for its checks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.audio.frame import SAMPLE_RATE
from bridge.rehearse.scenario import BargeIn, Play, Say, Scenario
from bridge.rehearse.talk import EARLY_SECONDS, Taken, Talk

JOIN_SECONDS: Final = 0.6
"""Shorter pauses do not split speech that is recognized in one piece."""
MARGIN_SECONDS: Final = 0.25
MAX_SECONDS: Final = 20.0
"""Of a piece."""
MATCH_SECONDS: Final = 0.4
"""Tolerated difference between the end of a question in the script and in the event `turn`."""
INTERRUPTED_SECONDS: Final = 0.3
"""A bot that pauses for less has not stopped."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the call."""

    type: str
    at: float
    """Seconds from the answer."""
    data: Mapping[str, Any]


@dataclass(slots=True)
class Recorded:
    """A call that has ended."""

    scenario: Scenario
    talk: Talk
    events: Sequence[Told]
    hung_up_by: str
    """`caller` or `bot`."""
    too_long: bool = False
    """Whether it exceeded `seconds` of its scenario."""
    late: float = 0.0
    """The worst delay of the bridge's clock, in seconds."""
    words: dict[tuple[float, float], frozenset[str]] = field(default_factory=dict)
    """The phrases that were found, by the interval in which they were searched for."""

    @property
    def seconds(self) -> float:
        """Return the call's length."""
        return self.talk.now

    @property
    def stretches(self) -> Sequence[tuple[float, float]]:
        """Return where the bot spoke."""
        return self.talk.stretches

    @property
    def spoken(self) -> Sequence[tuple[float, float]]:
        """Return where the bot spoke, fillers too."""
        return sorted([*self.talk.stretches, *self.talk.fillers])

    @property
    def taken(self) -> Sequence[Taken]:
        """Return the steps that the caller took."""
        return self.talk.taken

    def asks(self) -> Iterator[Taken]:
        """Yield the steps that the bot should answer."""
        return (
            one
            for one in self.taken
            if isinstance(one.cue.step, Say | Play | BargeIn) and one.spoke < self.seconds
        )

    def until_next_word(self, taken: Taken) -> tuple[float, float]:
        """Return the interval from a step until the caller's next question, or the end."""
        later = (one.spoke for one in self.asks() if one.number > taken.number)
        return taken.began, next(later, self.seconds)

    @property
    def greeting(self) -> tuple[float, float]:
        """Return the interval before the caller's first question."""
        return 0.0, next((one.spoke for one in self.asks()), self.seconds)

    @property
    def opening(self) -> tuple[float, float]:
        """Return the interval of what the bot says first."""
        ended = 0.0
        for began, until in self.stretches:
            if ended and began - ended >= JOIN_SECONDS:
                break
            ended = until
        return 0.0, ended or self.seconds

    @property
    def ending(self) -> tuple[float, float]:
        """Return the interval after the caller's last question."""
        return max((one.spoken for one in self.asks()), default=0.0), self.seconds

    @property
    def whole(self) -> tuple[float, float]:
        """Return the interval of the whole call."""
        return 0.0, self.seconds

    def wait(self, one: Taken) -> float | None:
        """Return how long the caller waited for the answer to a question; None if there was none.

        By the event `turn`; without one (a bot without turns, noise that hides the end of the question, a hang-up before the end of
        the turn) by the recording.
        """
        _, end = self.until_next_word(one)
        for told in self.events:
            if told.type == "turn" and abs(told.data["asked"] - one.spoken) <= MATCH_SECONDS:
                return float(told.data["waitMs"]) / 1000
        began = (began for began, _ in self.stretches if one.spoken - EARLY_SECONDS <= began < end)
        first = next(began, None)
        return None if first is None else max(0.0, first - one.spoken)

    def answers(self) -> list[tuple[Taken, float]]:
        """Return the questions that were answered, with how long the caller waited."""
        return [(one, wait) for one in self.asks() if (wait := self.wait(one)) is not None]

    def wanted(self) -> dict[tuple[float, float], set[str]]:
        """Return the phrases to search for, by interval."""
        found: dict[tuple[float, float], set[str]] = {}
        expect = self.scenario.expect
        disclosure = () if isinstance(expect.disclosure, bool) else expect.disclosure
        for interval, phrases in (
            (self.whole, (*expect.heard, *expect.not_heard)),
            (self.greeting, expect.greeting_heard),
            (self.opening, disclosure),
            (self.ending, expect.last_heard),
            *(
                (
                    self.until_next_word(one),
                    (*one.cue.step.expect.heard, *one.cue.step.expect.not_heard),
                )
                for one in self.taken
            ),
        ):
            if phrases:
                found.setdefault(interval, set()).update(phrases)
        return found


def disclosed(told: Told) -> tuple[float, float]:
    """Return where the bridge spoke its disclosure to the end, by the event `disclosure.spoken`."""
    began = max(0.0, float(told.data["began"]))
    return began, began + float(told.data["durationMs"]) / 1000


def pieces(talk: Talk, begin: float, end: float) -> Iterator[bytes]:
    """Yield what the bot said in an interval, split at its pauses."""
    joined: list[list[float]] = []
    for began, ended in sorted([*talk.stretches, *talk.fillers]):
        if ended <= begin or began >= end:
            continue
        last = joined[-1] if joined else None
        if last and began - last[1] < JOIN_SECONDS and ended - last[0] < MAX_SECONDS:
            last[1] = ended
        else:
            joined.append([began, ended])
    for began, ended in joined:
        yield _cut(talk.heard, max(0.0, began - MARGIN_SECONDS), ended + MARGIN_SECONDS)


def _cut(pcm: bytes | bytearray, begin: float, end: float) -> bytes:
    return bytes(pcm[2 * round(begin * SAMPLE_RATE) : 2 * round(end * SAMPLE_RATE)])


def silent_after(stretches: Sequence[tuple[float, float]], at: float) -> float:
    """Return when a bot that spoke at a time stopped."""
    stopped = at
    for began, ended in stretches:
        if began <= stopped + INTERRUPTED_SECONDS and ended > stopped:
            stopped = ended
    return stopped


def longest_overlap(recorded: Recorded) -> tuple[float, float]:
    """Return the duration and the time of the longest overlap, barge-ins and backchannels aside."""
    found = (
        (min(ended, one.spoken) - max(began, one.spoke), max(began, one.spoke))
        for one in recorded.taken
        if isinstance(one.cue.step, Say | Play) and one.spoke < recorded.seconds
        for began, ended in recorded.stretches
    )
    return max((0.0, 0.0), *((seconds, at) for seconds, at in found if seconds > 0), (0.0, 0.0))
