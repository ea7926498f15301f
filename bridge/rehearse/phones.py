"""Whether a phrase is in speech, by the phones of both. Pure.

A recogniser of phones errs often, but for the same sound in the same way: what it makes of the phrase when espeak-ng
says it is a better pattern than the dictionary's phones, and there may be several.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

GAP: Final = 0.8
"""The cost of a phone too many or too few."""
RELATED: Final = 0.4
"""The cost of a phone for another of its class."""
SHORTEST: Final = 0.6
"""A pattern of fewer of the dictionary's phones than this share is a failure of the recogniser."""
MIN_PHONES: Final = 4
THRESHOLD: Final = 0.28
"""Mean cost for each phone of a phrase that is heard; docs/rehearse.md has the measurement."""
_CLASSES: Final = tuple(
    frozenset(phones.split())
    for phones in (
        "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW",
        "P B T D K G CH JH DH TH F V",
        "S Z SH ZH CH JH TH DH F V HH",
        "M N NG",
        "L R W Y ER UW OW",
    )
)


def is_heard(speech: Sequence[str], patterns: Iterable[Sequence[str]]) -> bool:
    """Return whether any of a phrase's patterns is in the phones of some speech."""
    return any(distance(speech, pattern) <= THRESHOLD for pattern in patterns if pattern)


def usable(pattern: Sequence[str], dictionary: Sequence[str]) -> bool:
    """Return whether a recognised pattern has enough phones, beside those of the dictionary."""
    return len(pattern) >= max(MIN_PHONES, SHORTEST * len(dictionary))


def distance(speech: Sequence[str], pattern: Sequence[str]) -> float:
    """Return the mean cost for each phone of the pattern at the place in the speech where it fits best."""
    before = [0.0] * (len(speech) + 1)
    for wanted in pattern:
        row = [before[0] + GAP]
        for place, phone in enumerate(speech):
            row.append(
                min(before[place] + _cost(wanted, phone), before[place + 1] + GAP, row[place] + GAP)
            )
        before = row
    return min(before) / len(pattern)


@cache
def _cost(one: str, other: str) -> float:
    if one == other:
        return 0.0
    return RELATED if any(one in kind and other in kind for kind in _CLASSES) else 1.0
