"""An agent by itself: its clock and its providers are the test's."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np

from bridge.agent.providers import ProviderFailed, Providers
from bridge.agent.script import AgentMode, Manners, Script
from bridge.agent.session import AgentLeg
from bridge.agent.tones import tone
from bridge.agent.turns import TurnLimits
from bridge.agent.voice import Voices
from bridge.audio.frame import SILENCE, Frame
from bridge.call import events
from bridge.call.model import LegId
from tests.support.waiting import until

VOICE = (8000 * np.sin(np.arange(320) * 0.2)).astype("<i2").tobytes()
SPOKEN = (3000 * np.sin(np.arange(16000) * 0.1)).astype("<i2").tobytes()
"""A second."""


class Minds:
    """All three providers; each can be told to fail or to wait."""

    def __init__(self):
        self.text = "A table, please."
        self.pieces = ["For how many? ", "We close", " at ten."]
        self.failing = set()
        self.waiting = set()
        self.gates = {}
        self.asked = []

    async def _do(self, step, what):
        self.asked.append((step, what))
        for gate in (self.gates.get(step), self.gates.get(what) if step == "tts" else None):
            if gate is not None:
                await gate.wait()
        if step in self.waiting:
            await asyncio.sleep(3600)
        if step in self.failing:
            raise ProviderFailed("it failed", step=step.split()[0], reason="status")

    async def transcribe(self, pcm):
        await self._do("stt", len(pcm))
        return self.text

    async def reply(self, system, messages):
        await self._do("llm", (system, [(said.role, said.content) for said in messages]))
        for piece in self.pieces:
            yield piece

    async def speak(self, text):
        await self._do("tts", text)
        yield SPOKEN[:8000]
        await self._do("tts end", text)
        yield SPOKEN[8000:]

    def spoken(self):
        return [what for step, what in self.asked if step == "tts"]


class Counts:
    def __init__(self):
        self.failed = []
        self.steps = []
        self.interruptions = 0
        self.fillers = 0

    def step_took(self, step, seconds):
        self.steps.append(step)

    def step_failed(self, step, reason):
        self.failed.append((step, reason))

    def interrupted(self):
        self.interruptions += 1

    def filled(self):
        self.fillers += 1


class Talk:
    """An agent and the clock of its call."""

    def __init__(self, leg, minds, counts):
        self.leg, self.minds, self.counts = leg, minds, counts
        self.events = []
        self.task: asyncio.Task[None]
        self.hung_up = 0

    async def tick(self, frame=SILENCE, count=1):
        """Let time pass; gives what the agent said in it."""
        said = []
        for _ in range(count):
            said.append(self.leg.pull())
            self.leg.push(Frame(frame, 0, "t"), 0.0)
            for _ in range(8):
                await asyncio.sleep(0)
        return said

    async def quiet(self, most=1000):
        """Let time pass until the agent has said what there is to say."""
        await self.tick(count=3)
        for _ in range(most):
            if not self.leg.speaking:
                break
            await self.tick()
        await self.tick(count=3)

    async def say(self):
        """Speak for half a second, and wait for the end of the utterance."""
        await self.tick(VOICE, 25)
        await self.tick(count=36)

    async def over(self):
        """Wait until the agent is done."""
        async with asyncio.timeout(2):
            await self.task

    def told(self, kind):
        return [event.data for event in self.events if getattr(event, "type", "") == kind]

    def transcript(self):
        return [(data["role"], data["text"]) for data in self.told("transcript")]


@asynccontextmanager
async def talking(mode=AgentMode.AI, *, greeting="Good day.", model=None, **manners):
    minds, counts = Minds(), Counts()
    told = Script(mode, greeting=greeting, system_prompt="Be brief.", manners=Manners(**manners))
    holder: list[Talk] = []

    def hang_up():
        holder[0].hung_up += 1

    leg = AgentLeg(
        LegId("leg_1"),
        told,
        Providers(minds, minds, minds),
        voices=Voices(model and (lambda: model), most=1),
        observer=counts,
        hang_up=hang_up,
    )
    talk = Talk(leg, minds, counts)
    holder.append(talk)
    before = asyncio.all_tasks()
    task = asyncio.get_running_loop().create_task(leg.run(talk.events.append))
    await asyncio.sleep(0)
    talk.task = task
    yield talk
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == before


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
            assert " ".join(talk.minds.spoken()) == talk.leg.script.manners.fallback
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
    async with talking(greeting="", turns=TurnLimits(silence=1.0)) as talk:
        await talk.tick(count=51)
        await talk.quiet()
        assert talk.minds.spoken() == ["Are you still there?"]
        await talk.tick(count=51)
        await talk.quiet()
        await talk.over()
        assert talk.minds.spoken()[1:] == ["Goodbye."]
        assert talk.hung_up == 1


async def test_a_talk_ends_at_its_limit():
    async with talking(most_seconds=0.01) as talk:
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


# Sound that comes while it is made


async def test_a_sentence_is_heard_while_the_rest_of_it_is_still_made():
    async with talking(greeting="") as talk:
        talk.minds.waiting.add("tts end")
        await talk.tick(VOICE, 25)
        said = [frame for frame in await talk.tick(count=60) if frame]
        # What does not fill a frame waits for the rest no longer than one, then silence fills it.
        assert b"".join(said) == SPOKEN[:8000] + bytes(320)


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
        assert " ".join(talk.minds.spoken()) == talk.leg.script.manners.fallback


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


# Voices and noises


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
        await until(lambda: talk.leg._turns.judge is not None)
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
        await until(lambda: talk.leg._turns.judge is not None)
        await talk.tick(count=10)
        ears.voice = True
        said = await talk.tick(VOICE, 10)
        # The second loud frame decides; the frame of that tick had been given before.
        assert said[2:] == [None] * 8
        assert talk.counts.interruptions == 1


async def test_a_voice_that_is_known_late_ends_what_was_paused():
    ears = Ears()
    async with talking(model=ears) as talk:
        await until(lambda: talk.leg._turns.judge is not None)
        await talk.tick(count=10)
        await talk.tick(VOICE, 6)
        ears.voice = True
        await talk.tick(VOICE, 30)
        assert talk.counts.interruptions == 1
        [interrupted] = talk.told("agent.interrupted")
        assert interrupted["heardSeconds"] == 0.24


# Silence


async def test_a_silent_caller_is_asked_as_often_as_is_set():
    async with talking(greeting="", nudges=3, turns=TurnLimits(silence=1.0)) as talk:
        for _ in range(4):
            await talk.tick(count=51)
            await talk.quiet()
        await talk.over()
        assert talk.minds.spoken() == ["Are you still there?"] * 3 + ["Goodbye."]


async def test_a_caller_who_speaks_again_is_asked_anew():
    async with talking(greeting="", turns=TurnLimits(silence=1.0)) as talk:
        await talk.tick(count=51)
        await talk.quiet()
        await talk.say()
        await talk.quiet()
        await talk.tick(count=51)
        await talk.quiet()
        assert talk.minds.spoken()[-1] == "Are you still there?"
        assert not talk.task.done()
