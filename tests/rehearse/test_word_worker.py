"""The words that pocketsphinx hears."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.voices import Voices
from bridge.rehearse.words import PocketsphinxEar

pytestmark = [pytest.mark.espeak, pytest.mark.pocketsphinx, pytest.mark.full]
SENTENCES = {
    "We are open from nine to five.": "nine to five",
    "It costs twenty dollars.": "twenty dollars",
    "You can pay with a card.": "with a card",
    "Thank you for calling. Goodbye.": "thank you for calling",
}


@pytest.fixture
async def ear(tmp_path: Path) -> AsyncIterator[PocketsphinxEar]:
    made = PocketsphinxEar(Voices(tmp_path))
    yield made
    await made.aclose()


@pytest.mark.parametrize("voice", ["en-us", "en-us+f2", "en-us+m2"])
async def test_a_phrase_is_found_in_the_sentence_that_has_it_and_in_no_other(
    ear: PocketsphinxEar, tmp_path: Path, voice: str
):
    spoken = await asyncio.gather(
        *(Voices(tmp_path).speak(one, voice, 150, 50) for one in SENTENCES)
    )
    for said, phrase in zip(spoken, SENTENCES.values(), strict=True):
        assert await ear.with_words({}).heard([said], list(SENTENCES.values())) == {phrase}


async def test_a_word_that_the_dictionary_lacks_is_named(ear: PocketsphinxEar):
    with pytest.raises(
        ScenarioError, match=r"not in the pronunciation dictionary: zuckzap; .*\[words\]"
    ):
        await ear.with_words({}).heard([bytes(32_000)], ["zuckzap"])


async def test_a_scenario_says_how_a_word_is_pronounced(ear: PocketsphinxEar):
    words = {"zuckzap": "Z AH K Z AE P"}
    assert await ear.with_words(words).heard([bytes(32_000)], ["zuckzap"]) == set()
