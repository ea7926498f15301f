"""What words say of an overlap."""

from typing import get_args, get_type_hints

import pytest

from bridge.agent.overlap_words import WORDS, classify
from bridge.audio.detect.overlap import OverlapKind
from bridge.settings.agent import Agent


@pytest.mark.parametrize(
    ("text", "language"),
    [("Mhm.", "en"), ("Yeah, okay.", "en"), ("Ja, genau!", "de"), ("D\u2019accord.", "fr"), ("Sí, claro", "es")],
)  # fmt: skip
def test_words_of_agreement_are_a_backchannel(text, language):
    assert classify(text, language) is OverlapKind.BACKCHANNEL


@pytest.mark.parametrize(
    ("text", "language"), [("No.", "en"), ("Okay, wait", "en"), ("Moment mal", "de"), ("basta", "it")]
)  # fmt: skip
def test_a_word_that_stops_is_an_interruption(text, language):
    assert classify(text, language) is OverlapKind.INTERRUPTION


@pytest.mark.parametrize(
    ("text", "language"), [("the red one", "en"), ("", "en"), ("yes", "xx"), ("...", "de")]
)
def test_other_words_leave_it_open(text, language):
    assert classify(text, language) is None


def test_no_word_is_of_both_kinds():
    for language, words in WORDS.items():
        assert not words.agree & words.stop, language


def test_the_setting_has_these_languages():
    allowed = get_args(get_type_hints(Agent)["interruption_words"])
    assert set(allowed) == {"", *WORDS}
