"""What agents do in their modes, and how they take turns."""

import asyncio

from bridge.agent.filler import tone
from bridge.agent.providers import HangUp
from bridge.agent.script import AgentMode
from bridge.call import events
from tests.support.sound.agent_talk import VOICE, talking


async def test_a_bot_says_its_greeting_and_hangs_up():
    async with talking(AgentMode.BOT) as talk:
        await talk.quiet()
        await talk.over()
        assert talk.minds.spoken() == ["Good day."]
        assert talk.hung_up == 1
        assert talk.transcript() == [("agent", "Good day.")]
        assert isinstance(talk.events[-1], events.LegEnded)


async def test_an_ivr_makes_text_of_one_utterance_and_hangs_up():
    async with talking(AgentMode.IVR) as talk:
        await talk.quiet()
        await talk.say()
        await talk.over()
        assert talk.transcript() == [("agent", "Good day."), ("caller", "A table, please.")]
        assert talk.hung_up == 1


async def test_an_ai_answers_sentence_by_sentence():
    async with talking() as talk:
        await talk.quiet()
        await talk.say()
        await talk.quiet()
        assert talk.minds.spoken() == ["Good day.", "For how many?", "We close at ten."]
        assert talk.transcript() == [
            ("agent", "Good day."),
            ("caller", "A table, please."),
            ("agent", "For how many? We close at ten."),
        ]
        asked = next(what for step, what in talk.minds.asked if step == "llm")
        talk_so_far = [("assistant", "Good day."), ("user", "A table, please.")]
        assert asked == ("Be brief.", talk_so_far)
        assert not talk.task.done()


async def test_a_model_hangs_up_once_its_last_words_are_heard():
    async with talking() as talk:
        await talk.quiet()
        talk.minds.pieces = ["Goodbye.", HangUp()]
        await talk.say()
        assert not talk.hung_up
        await talk.quiet()
        await talk.over()
        assert talk.hung_up == 1
        assert talk.transcript()[-1] == ("agent", "Goodbye.")


async def test_a_caller_who_speaks_over_a_goodbye_is_not_hung_up_on():
    async with talking() as talk:
        await talk.quiet()
        talk.minds.pieces = ["Goodbye.", HangUp()]
        await talk.say()
        talk.minds.pieces = ["For how many?"]
        await talk.say()
        await talk.quiet()
        assert not talk.hung_up
        assert not talk.task.done()


async def test_the_first_sound_of_a_reply_is_told_with_what_each_step_took():
    async with talking(greeting="") as talk:
        await talk.say()
        await talk.quiet()
        [took] = talk.told("agent.replied")
        assert {"sttMs", "llmMs", "ttsMs", "firstAudioMs", "overheadMs"} <= took.keys()
        assert talk.counts.steps == ["stt", "llm", "tts", "total"]


async def test_a_caller_who_speaks_stops_the_agent_within_a_hundred_milliseconds():
    async with talking() as talk:
        await talk.tick(count=20)
        said = await talk.tick(VOICE, 10)
        assert None not in said[:3]
        assert said[5:] == [None] * 5
        assert talk.counts.interruptions == 1


async def test_the_history_holds_only_what_was_heard():
    async with talking(greeting="") as talk:
        await talk.say()
        await talk.tick(count=60)
        await talk.tick(VOICE, 10)
        assert [said.content for said in talk.leg.history] == [
            "A table, please.",
            "For how many? We …",
        ]
        [interrupted] = talk.told("agent.interrupted")
        assert 1.0 < interrupted["heardSeconds"] < 1.4


async def test_what_is_said_in_two_breaths_is_heard_as_one():
    async with talking(greeting="") as talk:
        talk.minds.waiting.add("stt")
        await talk.say()
        talk.minds.waiting.clear()
        await talk.say()
        await talk.tick()
        first, second = [what for step, what in talk.minds.asked if step == "stt"]
        assert second > 1.8 * first


async def test_a_noise_without_words_is_not_answered():
    async with talking() as talk:
        talk.minds.text = ""
        await talk.quiet()
        await talk.say()
        await talk.quiet()
        assert [step for step, _ in talk.minds.asked] == ["tts", "tts end", "stt"]


async def test_a_noise_while_a_reply_is_thought_of_does_not_lose_it():
    async with talking(greeting="") as talk:
        talk.minds.waiting.add("llm")
        await talk.say()
        talk.minds.waiting.clear()
        talk.minds.text = ""
        await talk.say()
        await talk.quiet()
        assert talk.minds.spoken() == ["For how many?", "We close at ten."]


async def test_a_failing_step_is_told_and_apologised_for():
    for step in ("stt", "llm"):
        async with talking(greeting="") as talk:
            talk.minds.failing.add(step)
            await talk.say()
            await talk.quiet()
            assert " ".join(talk.minds.spoken()) == talk.leg.script.settings.fallback
            talk.minds.asked.clear()
            assert talk.told("agent.failed") == [
                {"agentId": "leg_1", "step": step, "reason": "status"}
            ]
            assert talk.counts.failed == [(step, "status")]
            talk.minds.failing.clear()
            await talk.say()
            await talk.quiet()
            assert talk.minds.spoken() == ["For how many?", "We close at ten."]


async def test_where_nobody_can_speak_a_tone_is_heard():
    async with talking() as talk:
        talk.minds.failing.add("tts")
        said = [frame for frame in await talk.tick(count=40) if frame]
        assert b"".join(said) == tone()
        assert talk.told("agent.failed")[0]["step"] == "tts"


async def test_three_failures_in_a_row_end_the_call():
    async with talking(greeting="") as talk:
        talk.minds.failing.add("llm")
        for _ in range(3):
            assert not talk.task.done()
            await talk.say()
            await talk.quiet()
        await talk.over()
        assert talk.hung_up == 1


async def test_a_bot_that_cannot_speak_hangs_up():
    async with talking(AgentMode.BOT) as talk:
        talk.minds.failing.add("tts")
        await talk.quiet()
        await talk.over()
        assert talk.hung_up == 1


async def test_a_silent_caller_is_asked_once_and_then_left():
    async with talking(greeting="", silence_seconds=1.0) as talk:
        await talk.tick(count=51)
        await talk.quiet()
        assert talk.minds.spoken() == ["Are you still there?"]
        await talk.tick(count=51)
        await talk.quiet()
        await talk.over()
        assert talk.minds.spoken()[1:] == ["Goodbye."]
        assert talk.hung_up == 1


async def test_a_talk_ends_at_its_limit():
    async with talking(talk_seconds=0.01) as talk:
        await asyncio.sleep(0.02)
        await talk.over()
        assert talk.hung_up == 1
        assert talk.told("agent.timed_out")


async def test_who_hangs_up_during_any_step_leaves_nothing_behind():
    for step in ("stt", "llm", "tts"):
        async with talking(greeting="") as talk:
            talk.minds.waiting.add(step)
            await talk.say()
            assert talk.minds.asked[-1][0] == step
            talk.task.cancel()
            await asyncio.gather(talk.task, return_exceptions=True)
            assert talk.hung_up == 0


async def test_a_mistake_of_ours_hangs_up_rather_than_leave_the_caller_alone():
    async with talking(greeting="") as talk:
        talk.minds.pieces = [None]
        await talk.say()
        await talk.tick(count=5)
        assert talk.task.done()
        assert talk.hung_up == 1
