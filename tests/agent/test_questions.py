"""Which question a text asks."""

import random
import re

import pytest

from bridge.agent.questions import GRAMMAR, PRONUNCIATIONS, Question, question_of
from tests.agent.grammar import sentences, words

WORDINGS = {
    Question.QUALITY: (
        "How good is this call?",
        "how's the line",
        "What is the audio quality?",
        "Is the connection any good?",
        "Tell me how the quality of this call is",
        "what's the MOS",
    ),
    Question.PROBLEM: (
        "What is wrong?",
        "Is there a problem with my connection?",
        "Why is the sound so bad?",
        "Is anything broken?",
    ),
    Question.SILENCE: (
        "Why do I not hear anything?",
        "Why don't I hear you?",
        "I can't hear anybody.",
        "I can\N{RIGHT SINGLE QUOTATION MARK}t hear you",
        "I hear nothing at all",
        "There is no sound",
        "I cannot hear them",
    ),
    Question.HEARD: (
        "Can you hear me?",
        "Do you hear me",
        "Why don't you hear me?",
        "How loud am I",
    ),
    Question.IDENTITY: (
        "Who am I talking to?",
        "Who are you?",
        "What is this?",
        "Are you a robot?",
        "What's your name",
    ),
    Question.CALLS: ("How many calls are there?", "how many other calls", "How busy are you?"),
    Question.DURATION: ("How long have we talked?", "How long is this call", "the duration please"),
    Question.DELAY: (
        "What is the delay?",
        "How long is the round trip?",
        "tell me the latency",
    ),
    Question.LOSS: ("How many packets are lost?", "What's the packet loss?"),
    Question.RECORDING: (
        "Am I being recorded?",
        "Can I be recorded?",
        "Record this call, please.",
        "is there a recording",
    ),
    Question.NUMBER: ("What is my number?", "Which line is this?", "What line am I on"),
    Question.CODEC: ("Which codec do we use?", "How is the sound encoded?"),
    Question.HELP: ("Help!", "What can you do?", "What can I say?", "what else can you answer"),
    Question.REPEAT: ("Repeat that, please.", "Say that again", "Sorry, what did you say?"),
    Question.HELLO: ("Hello?", "Hi", "Good morning"),
    Question.THANKS: ("Thank you", "thanks a lot"),
    Question.GOODBYE: ("Goodbye.", "Bye!", "Hang up now", "end this call", "Good bye"),
}


@pytest.mark.parametrize(
    ("text", "question"),
    [(text, question) for question, texts in WORDINGS.items() for text in texts],
)
def test_a_question_is_understood_in_many_wordings(text, question):
    assert question_of(text) is question


def test_every_question_has_been_tried():
    assert set(WORDINGS) == set(Question)


@pytest.mark.parametrize("question", Question)
def test_each_sentence_of_the_grammar_asks_the_question_of_its_rule(question):
    drawn = sentences(GRAMMAR, question.value, random.Random(1), 200)
    assert {text: found for text in drawn if (found := question_of(text)) is not question} == {}


@pytest.mark.parametrize("question", [one for one in Question if one is not Question.HELLO])
def test_a_polite_opening_changes_no_question(question):
    [text] = sentences(GRAMMAR, question.value, random.Random(2), 1)
    assert question_of(f"hello {text} please") is question


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(2.3 seconds of speech)",
        "The weather is nice in Paris today.",
        "I would like to order a pizza.",
        "one two three",
        "What time is it?",
        "Goods are buyable",
    ],
)
def test_other_speech_asks_nothing(text):
    assert question_of(text) is None


def test_the_grammar_names_every_question_and_every_strange_word():
    public = GRAMMAR.partition("public <question>")[2]
    assert set(re.findall(r"<(\w+)>", public)) == {*map(str, Question), "opening", "NULL"}
    assert set(PRONUNCIATIONS) <= words(GRAMMAR)
