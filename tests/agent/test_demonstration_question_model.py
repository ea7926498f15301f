"""The language model of the demonstration."""

from bridge.agent.answers import NOT_UNDERSTOOD, CallSituation
from bridge.agent.demonstration import QuestionModel
from bridge.agent.providers import HangUp, Message


async def replied(*talk):
    messages = [
        Message("user" if turn % 2 else "assistant", text) for turn, text in enumerate(talk)
    ]
    return [piece async for piece in QuestionModel(CallSituation).reply("", messages)]


async def test_the_call_is_looked_at_when_the_question_is_answered():
    calls = iter([CallSituation(seconds=3.0), CallSituation(seconds=9.0)])
    model = QuestionModel(lambda: next(calls))
    asked = [Message("user", "How long have we talked?")]
    said = [piece for _ in range(2) async for piece in model.reply("", asked)]
    assert said == ["We have talked for 3 seconds.", "We have talked for 9 seconds."]


async def test_speech_that_is_no_question_is_answered_with_what_can_be_asked():
    assert await replied("Hello!", "(2.3 seconds of speech)") == [NOT_UNDERSTOOD]


async def test_the_last_question_is_answered():
    said = await replied("Hello!", "Goodbye", "Goodbye.", "How many calls are there?")
    assert said == ["This is the only call on this bridge."]


async def test_what_was_said_last_is_repeated():
    assert await replied("Hello!", "say that again") == ["Hello!"]


async def test_without_anything_said_there_is_nothing_to_repeat():
    model = QuestionModel(CallSituation)
    asked = [Message("user", "say that again")]
    assert [piece async for piece in model.reply("", asked)] == ["I have said nothing yet."]


async def test_after_a_goodbye_the_model_hangs_up():
    assert await replied("Hello!", "goodbye") == ["Goodbye.", HangUp()]
