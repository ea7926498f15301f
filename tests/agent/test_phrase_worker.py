"""Recognition of spoken questions: what share of them is understood, and what share of other speech is rejected."""

import pytest

from bridge.agent.questions import GRAMMAR, PRONUNCIATIONS, question_of
from tests.support.sound.spoken_questions import VOICES, utterance

pytestmark = [
    pytest.mark.espeak,
    pytest.mark.pocketsphinx,
]

ASKED = (
    "How good is this call?",
    "What is wrong with this call?",
    "Why do I not hear anything?",
    "Can you hear me?",
    "Who am I talking to?",
    "How many calls are there?",
    "How long have we talked?",
    "What is the packet loss?",
    "What can you do?",
    "Please say that again.",
    "Goodbye.",
    "Can you record this call?",
    "What is my number?",
    "Which codec do we use?",
)
OTHER = (
    "The weather is nice in Paris today.",
    "I would like to order a pizza with cheese.",
    "What time does the train to London leave?",
    "One two three four five.",
    "The quick brown fox jumps over the lazy dog.",
    "Turn on the light in the kitchen.",
    "My invoice is wrong and I want my money back.",
)


@pytest.fixture(scope="module")
def decoder():
    """A decoder; its module is imported here, since not every machine has pocketsphinx."""
    from bridge.agent.phrase_worker import PhraseDecoder

    return PhraseDecoder(GRAMMAR, PRONUNCIATIONS)


def understood(decoder, voices, **sound):
    """Return the share of the questions that are understood, and those that are not."""
    wrong = [
        (voice, text, heard)
        for voice in voices
        for text in ASKED
        if question_of(heard := decoder.recognize(utterance(text, voice, **sound)))
        is not question_of(text)
    ]
    return 1 - len(wrong) / (len(ASKED) * len(voices)), wrong


def test_most_questions_are_understood_from_several_voices(decoder):
    share, wrong = understood(decoder, VOICES[:2])
    assert share >= 0.9, wrong


def test_most_questions_are_understood_in_noise(decoder):
    share, wrong = understood(decoder, VOICES[:1], noise_db=20)
    assert share >= 0.8, wrong


@pytest.mark.long
@pytest.mark.parametrize(("noise_db", "least"), [(None, 0.75), (25, 0.75), (15, 0.5)])
def test_most_questions_are_understood_from_all_voices_in_any_noise(decoder, noise_db, least):
    share, wrong = understood(decoder, VOICES, noise_db=noise_db)
    assert share >= least, wrong


def test_other_speech_is_rejected(decoder):
    heard = [decoder.recognize(utterance(text, voice)) for text in OTHER for voice in VOICES[:1]]
    assert sum(map(bool, heard)) <= 1, heard


@pytest.mark.parametrize("pcm", [b"", bytes(3), bytes(6_401), b"\xff\x7f\x00\x80" * 8_000])
def test_sound_without_speech_is_no_phrase(decoder, pcm):
    assert decoder.recognize(pcm) == ""
