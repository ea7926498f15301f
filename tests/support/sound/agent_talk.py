"""An agent by itself: its clock and its providers are the test's."""

import asyncio
from contextlib import asynccontextmanager
from typing import cast

import numpy as np

from bridge.agent.providers import ProviderFailed, Providers, Recognized
from bridge.agent.script import AgentMode, Script
from bridge.agent.voice_detector import VoiceDetectors
from bridge.audio.frame import SILENCE, Frame
from bridge.call.model import LegId
from bridge.legs.agent import AgentLeg
from bridge.metrics.agent import AgentMetrics
from bridge.settings.agent import Agent
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

    async def recognize(self, pcm):
        await self._do("stt", len(pcm))
        return Recognized(self.text)

    async def reply(self, system, messages):
        await self._do("llm", (system, [(said.role, said.content) for said in messages]))
        for number, piece in enumerate(self.pieces):
            if number and "llm rest" in self.gates:
                await self.gates["llm rest"].wait()
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

    def filler_played(self):
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

    async def detects(self):
        """Wait until the agent has its voice detector."""
        await until(lambda: self.leg.listener.detector is not None)

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
async def talking(
    mode=AgentMode.AI,
    *,
    greeting="Good day.",
    model=None,
    former=None,
    delay=0.0,
    begins=True,
    **settings,
):
    """Run an agent, unless it is not to begin; `former` is what it was in another process."""
    minds, counts = Minds(), Counts()
    told = Script(mode, greeting, "Be brief.", Agent(**settings), delay)
    holder: list[Talk] = []

    def hang_up():
        holder[0].hung_up += 1

    leg = AgentLeg(
        LegId("leg_1"),
        told,
        Providers(minds, minds, minds),
        voices=VoiceDetectors(model and (lambda: model), maximum=1),
        counters=cast("AgentMetrics", counts),
        hang_up=hang_up,
    )
    if former is not None:
        leg.restore(former)
    talk = Talk(leg, minds, counts)
    holder.append(talk)
    before = asyncio.all_tasks()
    life = leg.run(talk.events.append) if begins else asyncio.sleep(0)
    task = asyncio.get_running_loop().create_task(life)
    await asyncio.sleep(0)
    talk.task = task
    yield talk
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asyncio.all_tasks() == before
