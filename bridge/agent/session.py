"""An agent in a call: listens, has what it heard answered, and speaks.

A service leg that hears the far party and is heard by all. What it does at a time is one step, a
task; the caller's voice ends it, within the frame in which it counts as a voice, and what was not
heard by then is forgotten: neither the talk's history nor its transcript holds it. Whatever a
provider does, the caller hears something.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from bridge.agent.providers import Message, ProviderFailed, Providers
from bridge.agent.timing import Stopwatch
from bridge.agent.tones import tone
from bridge.agent.turns import Moment, Said, Sentences, TurnLimits, Turns, heard, whole_frames
from bridge.audio.frame import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE, SILENCE, Frame, Push
from bridge.audio.level import level
from bridge.audio.paced import PacedQueue
from bridge.call import events
from bridge.call.bus import Relay, Sink, Source
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReceivedAudio, SentAudio

AHEAD_SECONDS: Final = 5.0
"""The next sentence is asked for when so little is left to be said."""
QUEUE_SECONDS: Final = 300.0
MOST_UNHEARD_BYTES: Final = 60 * 2 * SAMPLE_RATE
"""Of the caller's sound that waits to be made text of."""
MOST_MESSAGES: Final = 200
"""Of the talk's history; the oldest go."""
MOST_FAILURES: Final = 3
"""After so many in a row it gives up."""


class AgentMode(StrEnum):
    """What an agent does."""

    BOT = "bot"
    """Greets and hangs up."""
    IVR = "ivr"
    """Greets, makes text of one utterance, and hangs up."""
    AI = "ai"
    """Greets and talks."""


@dataclass(frozen=True, slots=True)
class Script:
    """What an agent is told."""

    mode: AgentMode
    greeting: str = ""
    system_prompt: str = ""
    fallback: str = "I am sorry, something went wrong. Please say that again."
    nudge: str = "Are you still there?"
    goodbye: str = "Goodbye."
    most_seconds: float = 1800.0
    turns: TurnLimits = field(default_factory=TurnLimits)


class AgentObserver(Protocol):
    """Counts what agents do; `agent_metrics.AgentMetrics` is one."""

    def step_took(self, step: str, seconds: float) -> None:
        """A step gave its first: text (`stt`), sentence (`llm`), sound (`tts`); `total` = all."""
        ...

    def step_failed(self, step: str, reason: str) -> None:
        """A provider did not do its step."""
        ...

    def interrupted(self) -> None:
        """A caller spoke while an agent did."""
        ...


class AgentLeg:
    """One agent in one call; it is its own source and sink."""

    kind = LegKind.AGENT
    timed = False
    relays = False
    steady = True
    packets = None

    def __init__(
        self,
        leg_id: LegId,
        script: Script,
        providers: Providers,
        *,
        observer: AgentObserver,
        hang_up: Callable[[], None],
    ) -> None:
        """Make an agent.

        Args:
            leg_id: unique within the call.
            script: what it does.
            providers: hear, think and speak for it.
            observer: counts.
            hang_up: called when it is done, just before the leg ends.
        """
        self.leg_id = leg_id
        self.script = script
        self.history: list[Message] = []
        """The talk, as far as it was heard."""
        self._providers = providers
        self._observer = observer
        self._hang_up = hang_up
        self._turns = Turns(script.turns)
        self._queue = PacedQueue(limit_seconds=QUEUE_SECONDS)
        self._watch = Stopwatch(observer.step_took)
        self._moved = asyncio.Event()
        """Set by every pull: what waits for the sound to be played looks again."""
        self._over = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._step: asyncio.Task[None] | None = None
        self._emit: Callable[[events.LegEvent], None] = _nothing
        self._unheard = b""
        self._said: list[Said] = []
        self._played = 0
        """Frames of what is in `_said`."""
        self._nudges = self._failures = 0
        self._taken = self._given = 0
        self._last_said = self._last_heard = SILENCE

    @property
    def source(self) -> Source:
        """The agent itself."""
        return self

    @property
    def sink(self) -> Sink:
        """The agent itself."""
        return self

    @property
    def speaking(self) -> bool:
        """Whether it has something to say that is not said."""
        return self._queue.buffered_seconds > 0

    def attach(self, push: Push | None, relay: Relay | None = None) -> None:
        """Do nothing: the clock pulls."""

    def pull(self) -> bytes | None:
        """Give the agent's next 20 ms; None while it says nothing."""
        frame = self._queue.pull()
        self._moved.set()
        self._last_said = frame or SILENCE
        if frame is None:
            return None
        self._given += 1
        self._played += 1
        if self._played == 1 and (took := self._watch.spoke(_now())):
            self._note("agent.replied", took)
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Take the next 20 ms of the caller."""
        self._last_heard = frame.pcm
        self._taken += 1
        if self._group is None or self._over.is_set() or self.script.mode is AgentMode.BOT:
            return
        busy = self.speaking or (self._step is not None and not self._step.done())
        match self._turns.push(frame.pcm, busy=busy, speaking=self.speaking):
            case Moment.STARTED:
                self._interrupt()
            case Moment.ENDED:
                self._unheard = (self._unheard + self._turns.take())[-MOST_UNHEARD_BYTES:]
                self._begin(self._answer())
            case Moment.SILENT:
                self._begin(self._nudge())
            case None:
                pass

    async def run(self, emit: Callable[[events.LegEvent], None]) -> None:
        """Talk until there is nothing more to say (`legs.base.Leg.run`)."""
        self._emit = emit
        emit(events.LegConnected(self.leg_id))
        try:
            async with asyncio.timeout(self.script.most_seconds), asyncio.TaskGroup() as group:
                self._group = group
                self._begin(self._open())
                await self._over.wait()
                self._end_step()
        except TimeoutError:
            self._over.set()
            self._queue.clear()
            self._note("agent.timed_out", {"seconds": self.script.most_seconds})
        except Exception:
            self._hang_up()
            raise
        finally:
            self._group = None
        self._settle()
        self._hang_up()
        emit(events.LegEnded(self.leg_id, EndReason.HANGUP))

    def answer(self) -> None:
        """Do nothing: an agent does not ring."""

    def send_digits(self, digits: str) -> None:
        """Do nothing: it does not take them."""

    async def aclose(self) -> None:
        """Do nothing: an agent that was never run holds nothing."""

    def statistics(self) -> LegStatistics:
        """Give the figures: `received` is what the agent says, `sent` what it hears."""
        return LegStatistics(
            received=ReceivedAudio(
                packets=self._given,
                bytes=self._given * FRAME_BYTES,
                frames=self._given,
                level_dbov=level(self._last_said),
            ),
            sent=SentAudio(
                packets=self._taken,
                bytes=self._taken * FRAME_BYTES,
                level_dbov=level(self._last_heard),
            ),
        )

    # What the caller's voice does

    def _interrupt(self) -> None:
        self._nudges = 0
        self._end_step()
        if self.speaking:
            self._queue.clear()
            self._observer.interrupted()
            self._note("agent.interrupted", {"heardSeconds": self._played * FRAME_SECONDS})
        self._settle()

    def _begin(self, step: Coroutine[Any, Any, None]) -> None:
        self._end_step()
        self._watch.restart(_now())
        if self._group is None:
            step.close()
            return
        self._step = self._group.create_task(step, name=f"agent {self.leg_id}")

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def _settle(self) -> None:
        """Keep what was heard of what was said."""
        text = heard(self._said, self._played * FRAME_SECONDS)
        self._said.clear()
        self._played = 0
        if text:
            self._remember("assistant", text)

    def _remember(self, role: str, text: str) -> None:
        self.history.append(Message(role, text))
        del self.history[:-MOST_MESSAGES]
        self._note(
            "transcript", {"role": "agent" if role == "assistant" else "caller", "text": text}
        )

    # Steps

    async def _open(self) -> None:
        if self.script.greeting:
            await self._guarded(self._say(self.script.greeting))
        if self.script.mode is AgentMode.BOT:
            self._over.set()

    async def _answer(self) -> None:
        await self._guarded(self._reply())
        if self.script.mode is AgentMode.IVR and any(said.role == "user" for said in self.history):
            self._over.set()

    async def _nudge(self) -> None:
        self._nudges += 1
        gives_up = self._nudges > 1 or self.script.mode is AgentMode.IVR
        text = self.script.goodbye if gives_up else self.script.nudge
        await self._guarded(self._say(text))
        if gives_up:
            self._over.set()

    async def _reply(self) -> None:
        text = await self._providers.stt.transcribe(self._unheard)
        self._watch.lap("stt", _now())
        self._unheard = b""
        if text:
            self._remember("user", text)
        # Without words, what was said before may still wait for its reply.
        waits = bool(self.history) and self.history[-1].role == "user"
        if not waits or self.script.mode is AgentMode.IVR:
            return
        sentences = Sentences()
        reply = self._providers.llm.reply(self.script.system_prompt, tuple(self.history))
        async with aclosing(reply):
            async for piece in reply:
                for sentence in sentences.add(piece):
                    self._watch.lap("llm", _now())
                    await self._speak(sentence)
        for sentence in sentences.finish():
            self._watch.lap("llm", _now())
            await self._speak(sentence)
        await self._spoken()

    async def _guarded(self, step: Coroutine[Any, Any, None]) -> None:
        """Do a step; when a provider fails in it, let the caller hear so."""
        try:
            await step
            self._failures = 0
        except ProviderFailed as error:
            await self._apologise(error)

    async def _apologise(self, error: ProviderFailed) -> None:
        self._failures += 1
        self._unheard = b""
        self._observer.step_failed(error.step, error.reason)
        self._note("agent.failed", {"step": error.step, "reason": error.reason})
        try:
            if error.step == "tts":
                raise error
            await self._say(self.script.fallback)
        except ProviderFailed as again:
            if again is not error:
                self._observer.step_failed(again.step, again.reason)
            self._queue.add(tone())
            await self._spoken()
        if self._failures >= MOST_FAILURES or self.script.mode is not AgentMode.AI:
            self._over.set()

    async def _say(self, text: str) -> None:
        sentences = Sentences()
        for sentence in sentences.add(text) + sentences.finish():
            await self._speak(sentence)
        await self._spoken()

    async def _speak(self, sentence: str) -> None:
        while self._queue.buffered_seconds > AHEAD_SECONDS:
            await self._wait_for_pull()
        began = _now()
        pcm = whole_frames(await self._providers.tts.speak(sentence))
        self._watch.lap("tts", _now(), since=began)
        self._said.append(Said(sentence, len(pcm) / FRAME_BYTES * FRAME_SECONDS))
        self._queue.add(pcm)

    async def _spoken(self) -> None:
        """Wait until all is said, and keep it."""
        while self.speaking:
            await self._wait_for_pull()
        self._settle()

    async def _wait_for_pull(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _note(self, kind: str, data: dict[str, Any]) -> None:
        self._emit(events.Noted(self.leg_id, kind, {"agentId": self.leg_id, **data}))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _nothing(event: events.LegEvent) -> None:
    """Tell nobody, before the leg runs."""
