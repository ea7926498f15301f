"""An agent in a call: speech to text, a language model, text to speech.

A service leg that hears the far party and is heard by all. It does one step at a time, a task that
the caller's voice cancels (barge-in) in the frame in which it is detected; what was not heard by then
is in neither the history nor the transcript. Whatever a provider does, the caller hears something.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final

from bridge.agent.filler import Filler, tone
from bridge.agent.listening import Heard, Listener
from bridge.agent.overlap_tasks import OverlapTasks
from bridge.agent.providers import HangUp, Message, ProviderFailed, Providers
from bridge.agent.script import AgentMode, Script
from bridge.agent.sentences import Sentences
from bridge.agent.snapshot import AgentSnapshot
from bridge.agent.speaker import Speaker
from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.talk_limit import over_in_time
from bridge.agent.voice_detector import VoiceDetectors
from bridge.audio.detect.overlap import OverlapDetector, OverlapKind
from bridge.audio.frame import SAMPLE_RATE, SILENCE, Frame
from bridge.call import events
from bridge.call.bus.frame_counter import FrameCounter
from bridge.call.model import EndReason, LegId, LegKind, LegStatistics, ReplyTiming
from bridge.errors import HandoverRefused
from bridge.legs.agent_timing import Stopwatch, in_milliseconds
from bridge.legs.base import Emit, drop
from bridge.metrics.agent import AgentMetrics
from bridge.wire.call_event import EventType

MAX_UNTRANSCRIBED_BYTES: Final = 60 * 2 * SAMPLE_RATE
"""Of the caller's audio that is not transcribed yet."""
MAX_MESSAGES: Final = 200
"""Of the history; the oldest are dropped."""
MAX_REPLIES: Final = 100
"""Whose timing is kept."""
MAX_FAILURES: Final = 3
"""In a row, after which the agent leaves."""
PAUSE_SECONDS: Final = 20.0
"""How long a pause is waited for in which the agent can move; then it moves in the middle of a turn."""


class AgentLeg:
    """One agent in one call; it is its own source and sink."""

    kind = LegKind.AGENT
    always_clocked = True

    def __init__(
        self,
        leg_id: LegId,
        script: Script,
        providers: Providers,
        *,
        voices: VoiceDetectors,
        counters: AgentMetrics,
        hang_up: Callable[[], None],
    ) -> None:
        """Make an agent; it calls `hang_up` when it is done, just before the leg ends."""
        self.leg_id = leg_id
        self.source = self.sink = self
        self.script = script
        self.history: deque[Message] = deque(maxlen=MAX_MESSAGES)
        """The conversation, as far as it was heard."""
        self._providers = providers
        self._voices = voices
        self._counters = counters
        self._hang_up = hang_up
        self._speech = SpeechQueue()
        self.queue = self._speech.queue
        words = script.settings.interruption_words
        self._overlap_tasks = OverlapTasks(providers, words, counters.step_failed)
        self.listener = Listener(script.settings, self._speech, self._overlap_tasks.ask)
        self._watch = Stopwatch(counters.step_took)
        self._speaker = Speaker(self._speech, providers.tts, now=_now, began=self._tts_began)
        self._replies: deque[ReplyTiming] = deque(maxlen=MAX_REPLIES)
        self._over = asyncio.Event()
        self._begun = False
        self._group: asyncio.TaskGroup | None = None
        self._step: asyncio.Task[None] | None = None
        self._filling: asyncio.Task[None] | None = None
        self._emit: Emit = drop
        self._untranscribed = b""
        self._filler = Filler(script.settings, self._speech, providers.tts, counters)
        self._replying = self.filling = False
        """Whether it prepares a reply, and whether the last frame it said was no speech but a filler."""
        self._no_input_prompts = self._failures = 0
        self._counter = FrameCounter()
        self._begins_at = _now() + script.delay
        self._until = self._begins_at + script.settings.talk_seconds
        self._former: AgentSnapshot | None = None
        """What it was in another process, until it goes on in this one."""
        self._active = asyncio.Event()
        """Cleared while it is suspended."""
        self._active.set()
        self._asked_at: float | None = None
        """Since when a pause is waited for."""

    @property
    def speaking(self) -> bool:
        """Whether it has something left to say."""
        return self._speech.speaking

    def pull(self) -> bytes | None:
        """Return the agent's next 20 ms; None while it says nothing."""
        frame = self._speech.pull()
        if frame is None:
            self._counter.received_level.note(SILENCE)
            return None
        self._counter.count_received(frame)
        self.filling = self._speech.filling
        if self._speech.begins and (timing := self._watch.spoke(_now())):
            self._replies.append(timing)
            self._report(EventType.AGENT_REPLIED, in_milliseconds(timing))
        return frame

    def push(self, frame: Frame, now: float) -> None:
        """Take the next 20 ms of the caller."""
        self._counter.count_sent(frame.pcm)
        deaf = self.script.mode is AgentMode.BOT or _now() < self._begins_at
        if self._group is None or self._over.is_set() or deaf:
            return
        match self.listener.push(frame.pcm, busy=self._busy):
            case Heard.INTERRUPTS:
                self._interrupt()
            case Heard.ENDED:
                self._untranscribed = (self._untranscribed + self.listener.take_utterance())[
                    -MAX_UNTRANSCRIBED_BYTES:
                ]
                self._begin(self._answer())
            case Heard.AGREED:
                self._no_input_prompts = 0
                self._overlap_tasks.read(self.listener.take_utterance(), self._take_agreement)
            case Heard.SILENT:
                self._begin(self._prompt_again())
            case None:
                pass
        filling = self._filling is not None and not self._filling.done()
        if self._filler.is_due(replying=self._replying and not filling):
            self._filling = self._group.create_task(
                self._filler.play(), name=f"agent filler {self.leg_id}"
            )

    async def run(self, emit: Emit) -> None:
        """Converse until there is nothing more to say (`legs.base.Leg.run`)."""
        self._emit, self._begun = emit, True
        if self._former is None:
            emit(events.LegConnected(self.leg_id))
        try:
            async with asyncio.TaskGroup() as group:
                self._group = self._overlap_tasks.group = group
                listening = group.create_task(
                    self.listener.run(self._voices, self._over),
                    name=f"agent voice detector {self.leg_id}",
                )
                self._begin(self._open() if self._former is None else self._go_on(self._former))
                if not await over_in_time(self._over, self._until, self._speech):
                    limit = self.script.settings.talk_seconds
                    self._report(EventType.AGENT_TIMED_OUT, {"seconds": limit})
                self._end_step()
                listening.cancel()
        except Exception:
            self._hang_up()
            raise
        finally:
            self._group = self._overlap_tasks.group = None
        await self._active.wait()
        self._record_heard()
        self._hang_up()
        emit(events.LegEnded(self.leg_id, EndReason.HANGUP))

    def copy(self) -> AgentSnapshot:
        """Return the agent's state, also in the middle of a turn (`legs.base.Copyable`)."""
        self._check_present()
        return self._snapshot()

    def check_movable(self) -> None:
        """Raise `HandoverRefused` if the agent cannot move now (`legs.base.Movable`)."""
        self._check_present()
        if _now() < self._begins_at or not (self._busy or self.listener.hearing):
            self._asked_at = None
            return
        self._asked_at = _now() if self._asked_at is None else self._asked_at
        if self.script.mode is not AgentMode.AI or _now() - self._asked_at < PAUSE_SECONDS:
            raise HandoverRefused("somebody is speaking, or the agent has yet to answer")

    def suspend(self) -> tuple[AgentSnapshot, list[socket.socket]]:
        """Return the agent's state (`legs.base.Movable`); it says and hears nothing while nobody asks it."""
        self._active.clear()
        return self._snapshot(), []

    def _check_present(self) -> None:
        if self._over.is_set() or (self._begun and self._group is None):
            raise HandoverRefused("the agent is coming or going")

    def _snapshot(self) -> AgentSnapshot:
        said, mode = (self.history, self._replies), self.script.mode
        return AgentSnapshot.of(self, said, mode=mode, speech=self._speech, counter=self._counter)

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._active.set()

    async def abandon(self) -> None:
        """Leave the talk to another process (`legs.base.Movable`); what goes on here ends with the task."""
        self._emit = drop

    def restore(self, snapshot: AgentSnapshot) -> None:
        """Go on with another process's agent when it is run."""
        self._former = snapshot if snapshot.begun else None
        self._untranscribed, self._until = snapshot.untranscribed, snapshot.until
        self._begins_at, self._begun = snapshot.begins_at, snapshot.begun
        self._no_input_prompts, self._failures = snapshot.no_input_prompts, snapshot.failures
        self.history.extend(snapshot.history)
        self._replies.extend(snapshot.replies)
        self._counter.received_frames = snapshot.received_frames
        self._counter.sent_frames = snapshot.sent_frames

    @property
    def _busy(self) -> bool:
        """Whether it speaks or prepares what to say."""
        return self.speaking or (self._step is not None and not self._step.done())

    def statistics(self) -> LegStatistics:
        """Return the figures: `received` is what the agent says, `sent` what it hears."""
        return LegStatistics(
            received=self._counter.received(),
            sent=self._counter.sent(),
            replies=tuple(self._replies),
        )

    @property
    def overlaps(self) -> OverlapDetector | None:
        """The classifier of its caller's overlaps; None where any voice interrupts it."""
        return self.listener.overlaps

    def _take_agreement(self, text: str, words: OverlapKind | None) -> None:
        """Publish the transcript of what seemed to be a backchannel; answer it if the words say otherwise."""
        if words is not OverlapKind.INTERRUPTION:
            self._report(EventType.TRANSCRIPT, {"role": "caller", "text": text})
            return
        self._interrupt()
        self._remember("user", text)
        self._begin(self._answer())

    def _interrupt(self) -> None:
        self._no_input_prompts = 0
        self._end_step()
        if self.speaking:
            self._counters.interrupted()
            heard = round(self._speech.played_seconds, 2)
            self._report(EventType.AGENT_INTERRUPTED, {"heardSeconds": heard})
        self._speech.clear()
        self._record_heard()

    def _begin(self, step: Coroutine[Any, Any, None]) -> None:
        self._end_step()
        self._watch.restart(_now())
        if self._group is None:
            step.close()
            return
        self._step = self._group.create_task(step, name=f"agent {self.leg_id}")

    def _end_step(self) -> None:
        for task in (self._step, self._filling):
            if task is not None:
                task.cancel()
        self._step = self._filling = None
        self._replying = False

    def _record_heard(self) -> None:
        """Add to the history what was heard of what was said."""
        if text := self._speech.take_heard():
            self._remember("assistant", text)

    def _remember(self, role: str, text: str) -> None:
        self.history.append(Message(role, text))
        self._report(
            EventType.TRANSCRIPT,
            {"role": "agent" if role == "assistant" else "caller", "text": text},
        )

    async def _open(self) -> None:
        await asyncio.sleep(self._begins_at - _now())
        if self.script.greeting:
            await self._guarded(self._say(self.script.greeting))
        if self.script.mode is AgentMode.BOT:
            self._over.set()

    async def _go_on(self, former: AgentSnapshot) -> None:
        """Go on where another process was; what the agent was saying there counts as interrupted."""
        if former.interrupted:
            self._report(EventType.AGENT_INTERRUPTED, {"heardSeconds": former.heard_seconds})
        if former.heard:
            self._remember("assistant", former.heard)
        if self.script.mode is AgentMode.BOT or not (self.history or self._untranscribed):
            await self._open()
        elif self._untranscribed or self.history[-1].role == "user":
            await self._answer()

    async def _answer(self) -> None:
        self._replying = True
        try:
            await self._guarded(self._reply())
        finally:
            self._replying = False
        if self.script.mode is AgentMode.IVR and any(said.role == "user" for said in self.history):
            self._over.set()

    async def _prompt_again(self) -> None:
        self._no_input_prompts += 1
        settings, asked = self.script.settings, self._no_input_prompts
        leaves = asked > settings.no_input_prompts or self.script.mode is AgentMode.IVR
        await self._guarded(self._say(settings.goodbye if leaves else settings.no_input_prompt))
        if leaves:
            self._over.set()

    async def _reply(self) -> None:
        if self._untranscribed:
            text = (await self._providers.stt.recognize(self._untranscribed)).text
            self._watch.lap("stt", _now())
            self._untranscribed = b""
            if text:
                self._remember("user", text)
        # Without new words, earlier ones may still need a reply.
        unanswered = bool(self.history) and self.history[-1].role == "user"
        if not unanswered or self.script.mode is AgentMode.IVR:
            return
        sentences, leaves = Sentences(), False
        reply = self._providers.llm.reply(self.script.system_prompt, tuple(self.history))
        async with aclosing(reply):
            async for piece in reply:
                if isinstance(piece, HangUp):
                    leaves = True
                    continue
                for sentence in sentences.add(piece):
                    self._watch.lap("llm", _now())
                    await self._speaker.speak(sentence)
        for sentence in sentences.finish():
            self._watch.lap("llm", _now())
            await self._speaker.speak(sentence)
        if not self._speech.has_sentences:
            raise ProviderFailed("llm: its reply is empty", step="llm", reason="garbage")
        await self._spoken()
        if leaves:
            self._over.set()

    async def _guarded(self, step: Coroutine[Any, Any, None]) -> None:
        """Do a step; when a provider fails in it, say so to the caller."""
        try:
            await step
            self._failures = 0
        except ProviderFailed as error:
            await self._apologise(error)

    async def _apologise(self, error: ProviderFailed) -> None:
        self._failures += 1
        self._untranscribed = b""
        self._counters.step_failed(error.step, error.reason)
        self._report(EventType.AGENT_FAILED, {"step": error.step, "reason": error.reason})
        try:
            if error.step == "tts":
                raise error
            await self._say(self.script.settings.fallback)
        except ProviderFailed as again:
            if again is not error:
                self._counters.step_failed(again.step, again.reason)
            self._speech.end(whole=False)
            self._speech.fill(tone())
            await self._spoken()
        if self._failures >= MAX_FAILURES or self.script.mode is not AgentMode.AI:
            self._over.set()

    async def _say(self, text: str) -> None:
        await self._speaker.say(text)
        await self._spoken()

    def _tts_began(self, asked: float) -> None:
        self._watch.lap("tts", _now(), since=asked)

    async def _spoken(self) -> None:
        """Wait until all is said, and add it to the history."""
        await self._speech.wait_below(0)
        self._record_heard()

    def _report(self, kind: EventType, data: dict[str, Any]) -> None:
        self._emit(events.LegReported(self.leg_id, kind, {"agentId": self.leg_id, **data}))


def _now() -> float:
    return asyncio.get_running_loop().time()
