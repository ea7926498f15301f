"""What callers hear while agents wait, and what agents make of what they hear meanwhile."""

import asyncio

import pytest

from bridge.agent.script import AgentMode
from bridge.call.events import LegConnected
from bridge.errors import HandoverRefused
from tests.support.sound.agent_talk import SPOKEN, VOICE, talking

# Sound that comes while it is made


async def test_a_sentence_is_heard_while_the_rest_of_it_is_still_made():
    async with talking(greeting="") as talk:
        talk.minds.waiting.add("tts end")
        await talk.tick(VOICE, 25)
        said = [frame for frame in await talk.tick(count=60) if frame]
        # What does not fill a frame waits for the rest no longer than one, then silence fills it.
        assert b"".join(said) == SPOKEN[:8000] + bytes(320)


async def test_the_first_sentence_is_heard_while_the_model_still_writes():
    async with talking(greeting="") as talk:
        gate = talk.minds.gates["llm rest"] = asyncio.Event()
        await talk.say()
        await talk.quiet()
        assert talk.minds.spoken() == ["For how many?"]
        assert talk.leg.statistics().received.frames == 50
        gate.set()
        await talk.quiet()
        assert talk.minds.spoken() == ["For how many?", "We close at ten."]


@pytest.mark.parametrize("ticks", [0, 1, 2, 7, 23, 44, 47, 60, 80])
async def test_what_is_remembered_is_what_was_given_to_the_sample(ticks):
    async with talking(greeting="One two three four. Five six seven eight.") as talk:
        frames = await talk.tick(count=ticks)
        frames += await talk.tick(VOICE, 10)
        given = b"".join(frame for frame in frames if frame)
        assert given == (SPOKEN + SPOKEN)[: len(given)]
        heard = len(given) / 32000
        assert talk.told("agent.interrupted") == [{"agentId": "leg_1", "heardSeconds": heard}]
        words = " ".join(said.content for said in talk.leg.history).replace(" …", "").split()
        # Eight words in two seconds: one more than fits may be counted, never two.
        assert len(words) <= heard * 4 + 1
        assert words == talk.leg.script.greeting.split()[: len(words)]


async def test_a_sentence_whose_sound_breaks_off_is_remembered_as_far_as_it_was_heard():
    async with talking(greeting="") as talk:
        talk.minds.pieces = ["We have a table for two at the window at eight."]
        talk.minds.failing.add("tts end")
        await talk.say()
        await talk.quiet()
        assert talk.told("agent.failed")[0]["step"] == "tts"
        assert talk.leg.history[-1].content == "We …"


async def test_an_empty_reply_is_a_failure_and_no_silence():
    async with talking(greeting="") as talk:
        talk.minds.pieces = ["", " "]
        await talk.say()
        await talk.quiet()
        assert talk.counts.failed == [("llm", "garbage")]
        assert " ".join(talk.minds.spoken()) == talk.leg.script.settings.fallback


# Fillers


async def test_a_slow_reply_is_filled_with_words_once_and_then_with_tones():
    async with talking(greeting="", filler="Wait.", filler_seconds=1.0) as talk:
        talk.minds.waiting.add("llm")
        await talk.say()
        assert not any(await talk.tick(count=49))
        await talk.quiet()
        assert talk.minds.spoken() == ["Wait."]
        said = [frame for frame in await talk.tick(count=80) if frame]
        assert 0 < len(said) <= 20
        assert talk.minds.spoken() == ["Wait."]
        assert talk.counts.fillers == 2
        assert talk.leg.history[-1].role == "user"


async def test_without_words_the_filler_is_a_tone():
    for failing in (set(), {"tts"}):
        async with talking(
            greeting="", filler="Wait." if failing else "", filler_seconds=1.0
        ) as talk:
            talk.minds.failing |= failing
            talk.minds.waiting.add("llm")
            await talk.say()
            said = [frame for frame in await talk.tick(count=75) if frame]
            assert len(said) == 20
            assert talk.counts.fillers == 1


async def test_the_reply_follows_the_filler_and_is_timed_without_it():
    async with talking(greeting="", filler="Wait.", filler_seconds=1.0) as talk:
        gate = asyncio.Event()
        talk.minds.gates["llm"] = gate
        await talk.say()
        await talk.tick(count=55)
        assert talk.told("agent.replied") == []
        gate.set()
        await talk.quiet()
        assert talk.minds.spoken() == ["Wait.", "For how many?", "We close at ten."]
        assert talk.leg.history[-1].content == "For how many? We close at ten."
        assert len(talk.told("agent.replied")) == 1


async def test_a_filler_that_comes_after_the_reply_is_not_heard():
    async with talking(greeting="", filler="Wait.", filler_seconds=1.0) as talk:
        gates = talk.minds.gates = {"llm": asyncio.Event(), "Wait.": asyncio.Event()}
        await talk.say()
        await talk.tick(count=55)
        gates["llm"].set()
        await talk.tick(count=5)
        gates["Wait."].set()
        await talk.quiet()
        assert talk.counts.fillers == 0
        assert talk.leg.history[-1].content == "For how many? We close at ten."


async def test_who_interrupts_a_filler_is_answered_all_the_same():
    async with talking(greeting="", filler="Wait.", filler_seconds=1.0) as talk:
        talk.minds.waiting.add("llm")
        await talk.say()
        await talk.tick(count=60)
        talk.minds.waiting.clear()
        await talk.say()
        await talk.quiet()
        assert talk.leg.history[-1].content == "For how many? We close at ten."


async def test_no_filler_is_played_where_none_is_wanted():
    async with talking(greeting="", filler_seconds=0.0) as talk:
        talk.minds.waiting.add("llm")
        await talk.say()
        assert not any(await talk.tick(count=500))


# VoiceDetectors and noises


class Ears:
    """A model that the test tells what it hears."""

    def __init__(self):
        self.voice = False

    def reset(self):
        pass

    def process(self, data):
        return float(self.voice)


async def test_a_noise_pauses_the_agent_for_a_moment_and_loses_no_sample():
    async with talking(model=Ears()) as talk:
        await talk.detects()
        before = await talk.tick(count=10)
        paused = await talk.tick(VOICE, 3)
        rest = await talk.tick(VOICE, 60)
        assert paused[2] is None
        assert rest[:12] == [None] * 12
        said = [frame for frame in before + paused + rest if frame]
        assert b"".join(said) == (SPOKEN + bytes(-len(SPOKEN) % 640))[: 640 * len(said)]
        assert len(said) == 50
        assert talk.counts.interruptions == 0


async def test_a_voice_stops_the_agent_as_soon_as_a_noise_pauses_it():
    ears = Ears()
    async with talking(model=ears) as talk:
        await talk.detects()
        await talk.tick(count=10)
        ears.voice = True
        said = await talk.tick(VOICE, 10)
        # The second loud frame decides; the frame of that tick had been given before.
        assert said[2:] == [None] * 8
        assert talk.counts.interruptions == 1


async def test_a_voice_that_is_known_late_ends_what_was_paused():
    ears = Ears()
    async with talking(model=ears) as talk:
        await talk.detects()
        await talk.tick(count=10)
        await talk.tick(VOICE, 6)
        ears.voice = True
        await talk.tick(VOICE, 30)
        assert talk.counts.interruptions == 1
        [interrupted] = talk.told("agent.interrupted")
        assert interrupted["heardSeconds"] == 0.24


# Silence


async def test_a_silent_caller_is_asked_as_often_as_is_set():
    async with talking(greeting="", no_input_prompts=3, silence_seconds=1.0) as talk:
        for _ in range(4):
            await talk.tick(count=51)
            await talk.quiet()
        await talk.over()
        assert talk.minds.spoken() == ["Are you still there?"] * 3 + ["Goodbye."]


async def test_a_caller_who_speaks_again_is_asked_anew():
    async with talking(greeting="", silence_seconds=1.0) as talk:
        await talk.tick(count=51)
        await talk.quiet()
        await talk.say()
        await talk.quiet()
        await talk.tick(count=51)
        await talk.quiet()
        assert talk.minds.spoken()[-1] == "Are you still there?"
        assert not talk.task.done()


@pytest.mark.virtual_time
async def test_a_greeting_waits_for_the_end_of_the_announcement():
    async with talking(AgentMode.BOT, delay=12.0) as talk:
        await asyncio.sleep(11.9)
        assert talk.minds.spoken() == []
        await asyncio.sleep(0.2)
        assert talk.minds.spoken() == ["Good day."]


@pytest.mark.virtual_time
async def test_what_is_announced_is_no_turn_of_the_caller():
    async with talking(greeting="", delay=12.0) as talk:
        await talk.tick(VOICE, 100)
        await talk.tick(count=100)
        assert talk.minds.asked == []
        await asyncio.sleep(12.1)
        await talk.say()
        assert talk.minds.asked[0][0] == "stt"


@pytest.mark.virtual_time
async def test_an_agent_moves_while_it_waits_and_waits_on():
    async with talking(delay=12.0) as talk:
        await asyncio.sleep(2.0)
        talk.leg.check_movable()
        snapshot = talk.leg.copy()
    async with talking(former=snapshot) as again:
        await again.tick(VOICE, 100)
        assert (again.minds.asked, again.leg.copy().begins_at) == ([], snapshot.begins_at)
        await asyncio.sleep(10.1)
        assert again.minds.spoken() == ["Good day."]


@pytest.mark.virtual_time
async def test_an_agent_that_has_not_begun_is_copied_and_begins_there():
    async with talking(begins=False) as held:
        copy = held.leg.copy()
    async with talking(former=copy) as again:
        assert [type(event) for event in again.events] == [LegConnected]
        await again.quiet()
        assert again.minds.spoken() == ["Good day."]


async def test_an_agent_that_has_left_is_not_copied():
    async with talking(AgentMode.BOT) as talk:
        await talk.quiet()
        await talk.over()
        with pytest.raises(HandoverRefused):
            talk.leg.copy()


@pytest.mark.virtual_time
async def test_an_agent_that_has_talked_long_enough_finishes_its_sentence():
    async with talking(talk_seconds=0.5) as talk:
        await talk.tick(count=10)
        await asyncio.sleep(1.0)
        said = await talk.tick(count=60)
        assert sum(frame is not None for frame in said) > 38
        await talk.over()
        assert talk.transcript() == [("agent", "Good day.")]
        assert talk.told("agent.timed_out") == [{"agentId": "leg_1", "seconds": 0.5}]
