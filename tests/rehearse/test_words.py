"""Words in what a provider has written down."""

from collections.abc import Sequence

import pytest

from bridge.agent.providers import ProviderFailed, Recognized
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.words import ProviderEar, plain


class Recognizer:
    """Hears what it is given."""

    async def recognize(self, pcm: bytes) -> Recognized:
        if not pcm:
            raise ProviderFailed("stt: timeout", step="stt", reason="timeout")
        return Recognized(pcm.decode())


async def heard(speech: Sequence[str], *phrases: str) -> set[str]:
    return await ProviderEar(Recognizer()).heard([one.encode() for one in speech], phrases)


async def test_a_phrase_is_found_whatever_its_case_and_punctuation():
    assert await heard(
        ["We're open, from Nine to five."],
        "nine to five",
        "we\N{RIGHT SINGLE QUOTATION MARK}re open",
    ) == {
        "nine to five",
        "we\N{RIGHT SINGLE QUOTATION MARK}re open",
    }


async def test_a_phrase_may_go_over_a_pause():
    assert await heard(["Hello,", "this is me."], "hello this is") == {"hello this is"}


async def test_a_part_of_a_word_is_no_word():
    assert await heard(["Nineteen."], "nine") == set()


async def test_a_provider_that_fails_ends_the_scenario():
    with pytest.raises(ScenarioError, match="the speech-to-text provider failed"):
        await heard([""], "x")


def test_a_text_is_compared_by_its_words():
    assert plain(" It’s  9 o'clock! ") == "it's 9 o'clock"  # noqa: RUF001
