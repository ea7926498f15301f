"""Phrases in the phones of speech."""

from bridge.rehearse.phones import distance, is_heard, usable

SPEECH = [
    "W",
    "IY",
    "AA",
    "R",
    "OW",
    "P",
    "AH",
    "N",
    "F",
    "R",
    "AH",
    "M",
    "N",
    "AY",
    "N",
    "T",
    "AH",
    "TH",
    "AY",
    "V",
]
NINE_TO_FIVE = ["N", "AY", "N", "T", "UW", "F", "AY", "V"]


def test_a_phrase_is_heard_although_some_phones_are_others():
    assert is_heard(SPEECH, [NINE_TO_FIVE])


def test_another_phrase_is_not():
    assert not is_heard(SPEECH, [["K", "AA", "R", "D"], ["G", "UH", "D", "B", "AY"]])


def test_one_of_several_patterns_is_enough():
    assert is_heard(SPEECH, [["K", "AA", "R", "D"], ["T", "AH", "TH", "AY"]])


def test_the_same_phones_have_no_distance():
    assert distance(SPEECH, SPEECH[3:9]) == 0.0


def test_nothing_is_heard_in_silence():
    assert not is_heard([], [NINE_TO_FIVE])


def test_a_pattern_that_lacks_most_phones_is_not_used():
    assert not usable(["AH", "OW"], ["HH", "AH", "L", "OW"])
