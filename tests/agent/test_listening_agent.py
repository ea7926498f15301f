"""What an agent does with callers who speak over it, where only interruptions stop it."""

from bridge.audio.detect.overlap import OverlapKind
from tests.agent.test_listening import Overlaps
from tests.support.sound.agent_talk import VOICE, talking

LONG = "This is a sentence that is spoken. " * 4


async def over(talk, kind, frames=14):
    """Speak over the agent, which takes it for that."""
    talk.leg.listener.overlaps = Overlaps(kind)
    await talk.tick(count=20)
    await talk.tick(VOICE, frames)
    return await talk.tick(count=40)


async def test_an_agent_goes_on_after_a_backchannel():
    async with talking(greeting=LONG, interruptions="meant") as talk:
        said = await over(talk, OverlapKind.BACKCHANNEL)
        assert None not in said
        await talk.quiet()
        assert talk.transcript() == [("agent", LONG.strip())]
        assert talk.counts.interruptions == 0
        assert [step for step, _ in talk.minds.asked if step in ("stt", "llm")] == []


async def test_an_agent_stops_for_an_interruption_and_answers_it():
    async with talking(greeting=LONG, interruptions="meant") as talk:
        await over(talk, OverlapKind.INTERRUPTION)
        await talk.quiet()
        assert talk.counts.interruptions == 1
        assert talk.transcript()[1:] == [
            ("caller", "A table, please."),
            ("agent", "For how many? We close at ten."),
        ]


async def test_words_of_agreement_are_in_the_transcript_and_not_in_what_the_model_is_told():
    async with talking(greeting=LONG, interruptions="meant", interruption_words="en") as talk:
        talk.minds.text = "Okay."
        await over(talk, OverlapKind.BACKCHANNEL)
        await talk.quiet()
        assert talk.transcript() == [("caller", "Okay."), ("agent", LONG.strip())]
        assert [said.role for said in talk.leg.history] == ["assistant"]


async def test_words_stop_an_agent_that_took_them_for_agreement():
    async with talking(greeting=LONG, interruptions="meant", interruption_words="en") as talk:
        talk.minds.text = "No, wait."
        await over(talk, OverlapKind.BACKCHANNEL)
        await talk.quiet()
        assert talk.counts.interruptions == 1
        assert talk.transcript()[1] == ("caller", "No, wait.")
        assert talk.transcript()[2][0] == "agent"


async def test_words_that_cannot_be_had_change_nothing():
    async with talking(greeting=LONG, interruptions="meant", interruption_words="en") as talk:
        talk.minds.failing.add("stt")
        await over(talk, OverlapKind.BACKCHANNEL)
        await talk.quiet()
        assert talk.counts.failed == [("stt", "status")]
        assert talk.transcript() == [("agent", LONG.strip())]
