"""What an agent says, and how much of it was heard."""

import pytest

from bridge.agent.sentences import MAX_SENTENCE, Sentences, SpokenSentence, clean, heard_text

SAID = [SpokenSentence("Good day.", 1.0), SpokenSentence("What can I do for you?", 2.0)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, ""),
        (0.1, ""),
        (0.7, "Good …"),
        (1.0, "Good day."),
        (2.0, "Good day. What can I …"),
        (3.0, "Good day. What can I do for you?"),
        (9.0, "Good day. What can I do for you?"),
    ],
)
def test_what_was_heard_ends_with_the_last_whole_word(seconds, text):
    assert heard_text(SAID, seconds) == text


def test_a_text_in_pieces_becomes_sentences():
    sentences = Sentences()
    pieces = ["It is te", "n. Wh", "y do you a", "sk? At 3.5", " percent", "! ", "Bye"]
    assert [whole for piece in pieces for whole in sentences.add(piece)] == [
        "It is ten.",
        "Why do you ask?",
        "At 3.5 percent!",
    ]
    assert sentences.finish() == ["Bye"]
    assert sentences.finish() == []


def test_a_text_without_an_end_is_cut_at_words():
    sentences = Sentences()
    parts = sentences.add("word " * 200) + sentences.finish()
    assert all(len(part) <= MAX_SENTENCE for part in parts)
    assert " ".join(parts) == ("word " * 200).strip()


def test_a_single_endless_word_is_cut_too():
    assert [len(part) for part in Sentences().add("x" * 900)] == [MAX_SENTENCE] * 2


def test_what_has_no_text_only_takes_its_time():
    said = [SpokenSentence("", 1.0), SpokenSentence("Good day.", 1.0)]
    assert [heard_text(said, seconds) for seconds in (0.5, 1.0, 1.7, 2.0)] == [
        "",
        "",
        "Good …",
        "Good day.",
    ]


def test_a_text_is_given_without_what_nothing_can_write():
    assert clean("a\x00b\n\ud83d c \ud83d\ude00") == "a b\n\ufffd c \U0001f600"
