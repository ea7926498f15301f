"""Runs scenarios: places their calls on a bridge, and checks them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bridge.agent.http_providers import http_providers
from bridge.call.events import AnswerRequested, HangupRequested
from bridge.call.model import EndReason, Party
from bridge.errors import BridgeError
from bridge.legs.agent import AgentLeg
from bridge.node.runner import CallRunner
from bridge.rehearse.background import Background
from bridge.rehearse.bench import Bench, configure, is_demonstration
from bridge.rehearse.bots import environment, invited
from bridge.rehearse.caller import ScriptedCaller
from bridge.rehearse.checks import checks
from bridge.rehearse.machine import MachineLoad
from bridge.rehearse.marks import marks
from bridge.rehearse.recorded import Recorded, Told, pieces
from bridge.rehearse.result import Result
from bridge.rehearse.scenario import Loss, Noise, Scenario, WaitFor
from bridge.rehearse.scenario_file import ScenarioError
from bridge.rehearse.talk import Cue, Talk
from bridge.rehearse.words import HearsWords, PocketsphinxEar, ProviderEar, find_words
from bridge.settings.model import Agent
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

ANSWER_SECONDS: Final = 10.0
"""For the bridge to answer a call, and to connect to the bot if it dials it."""
ATTACH_SECONDS: Final = 60.0
"""For a bot to connect to the bridge."""
END_SECONDS: Final = 15.0
"""For a call to end after its caller has hung up."""
OF_INTEREST: Final = (
    "turn", "overlap.", "disclosure.", "call.problem", "digit.", "stream.", "agent.", "call.ended",
)  # fmt: skip
"""Prefixes of the types of events that a result has."""
TIMED: Final = (EventType.TURN, EventType.DISCLOSURE_SPOKEN, EventType.OVERLAP_ENDED)
"""Events with the time `startedAt`."""


@dataclass(slots=True)
class _Call:
    """The events of one call as they come."""

    events: list[tuple[float, CallEvent]]
    answered: asyncio.Event
    attached: asyncio.Event
    ended: asyncio.Event


class Rehearsal:
    """Runs scenarios on one bridge, several at once."""

    def __init__(
        self, bench: Bench, ear: PocketsphinxEar, *, announce: Callable[[str], None]
    ) -> None:
        """`announce` shows a text to the user, such as where a bot should connect."""
        self._bench = bench
        self._manager = bench.bridge.manager
        self._ear = ear
        self._announce = announce
        self._loop = asyncio.get_running_loop()
        self._calls: dict[str, _Call] = {}
        self._configuring = asyncio.Lock()
        self._manager.publisher.subscribe(self._on_event)

    async def run(self, scenario: Scenario, cues: tuple[Cue, ...]) -> Result:
        """Run a scenario; what goes wrong is in the result. `cues` are its steps as `Voices.cues` returns them."""
        began, since, load = datetime.now(UTC), self._loop.time(), MachineLoad()
        result = Result(
            scenario.name, scenario.file, scenario.title, began.isoformat(timespec="milliseconds")
        )
        slow = ""
        try:
            recorded = await self._record(scenario, cues)
            slow = load.too_slow(recorded.late)
            result = replace(
                result,
                seconds=recorded.seconds,
                marks=marks(recorded),
                said=bytes(recorded.talk.said),
                heard=bytes(recorded.talk.heard),
                events=tuple(map(_described, recorded.events)),
            )
            await find_words(recorded, self._hearing(scenario))
            result = replace(result, checks=checks(recorded))
        except BridgeError as failed:
            seconds = result.seconds or self._loop.time() - since
            result = replace(result, seconds=seconds, error=str(failed))
            slow = slow or load.too_slow(0.0)
        return result if result.passed or not slow else result.excused(slow)

    def _hearing(self, scenario: Scenario) -> HearsWords:
        if not scenario.stt:
            return self._ear.with_words(scenario.words)
        line = self._bench.lines[scenario.file].name
        http = self._bench.bridge.events.http.of(line)
        return ProviderEar(http_providers(http, (scenario.stt, "", ""), "", Agent()).stt)

    async def _record(self, scenario: Scenario, cues: tuple[Cue, ...]) -> Recorded:
        """Place the call; raises `BridgeError` if it was not established."""
        line, caller = self._bench.lines[scenario.file], _caller(scenario, cues)
        async with AsyncExitStack() as stack:
            async with self._configured(scenario):
                runner = await self._manager.receive(line.name, scenario.caller.number, caller)
                call_id = runner.facts.call_id
                caller.filling = partial(_is_filling, runner)
                call = self._calls.setdefault(call_id, _new_call())
                if scenario.bot.listen:
                    found = environment(self._bench, scenario, call_id)
                    bot = invited(scenario, found, self._announce)
                    await self._attached(runner, call, await stack.enter_async_context(bot))
                await self._answered(call)
            async with self._listening(scenario, caller):
                too_long = not await self._until(call.ended, scenario.seconds)
                if too_long:
                    caller.hang_up()
                    await self._until(call.ended, END_SECONDS)
        caller.talk.close()
        self._calls.pop(call_id, None)
        return self._recorded(scenario, caller, call, too_long=too_long)

    def _recorded(
        self, scenario: Scenario, caller: ScriptedCaller, call: _Call, *, too_long: bool
    ) -> Recorded:
        if caller.began is None:
            raise ScenarioError("the call ended before any audio was exchanged")
        wall = datetime.now(UTC).timestamp() - self._loop.time() + caller.began
        told = [_told(at - caller.began, event, wall) for at, event in call.events]
        reason = next((one.data.get("reason") for one in told if one.type == "call.ended"), "")
        by = "caller" if reason == EndReason.REMOTE_HANGUP else "bot"
        for one in told:
            if one.type == "stream.ended" and one.data.get("reason") in ("unreachable", "blocked"):
                raise ScenarioError(
                    f"the bot at {scenario.bot.url} cannot be reached: {one.data.get('error') or one.data['reason']}"
                )
        return Recorded(scenario, caller.talk, told, by, too_long=too_long, late=caller.late)

    @asynccontextmanager
    async def _configured(self, scenario: Scenario) -> AsyncIterator[None]:
        """Configure the demo agent, whose line all scenarios share, for one scenario until its call is answered."""
        if not is_demonstration(scenario.bot):
            yield
            return
        async with self._configuring:
            await configure(self._bench.bridge, self._bench.lines[scenario.file].name, scenario.bot)
            yield

    @asynccontextmanager
    async def _listening(self, scenario: Scenario, caller: ScriptedCaller) -> AsyncIterator[None]:
        """Recognize the words that the script waits for."""
        tasks, ear, talk = Tasks(), self._hearing(scenario), caller.talk

        async def listen() -> None:
            while True:
                await caller.spoken.wait()
                caller.spoken.clear()
                if words := talk.waits_for_words:
                    speech = list(pieces(talk, talk.taken[-1].began, talk.now))
                    talk.words |= await ear.heard(speech, words)
                talk.recognizing = caller.spoken.is_set()

        if any(isinstance(step, WaitFor) and step.words for step in scenario.steps):
            tasks.spawn(listen(), name=f"listen to {scenario.name}")
        try:
            yield
        finally:
            await tasks.aclose()

    async def _attached(self, runner: CallRunner, call: _Call, exited: asyncio.Event) -> None:
        """Wait until the bot is connected, and answer the call."""
        if not await self._until(call.attached, ATTACH_SECONDS, call.ended, exited):
            why = "the command exited" if exited.is_set() else f"{ATTACH_SECONDS:g} s have passed"
            with suppress(BridgeError):
                self._manager.request(runner.facts.line, runner.facts.call_id, HangupRequested())
            raise ScenarioError(f"the bot did not connect to the call: {why}")
        with suppress(BridgeError):  # the bot may have answered it
            self._manager.request(runner.facts.line, runner.facts.call_id, AnswerRequested())

    async def _answered(self, call: _Call) -> None:
        if not await self._until(call.answered, ANSWER_SECONDS, call.ended):
            raise ScenarioError("the bridge did not answer the call")

    async def _until(self, wanted: asyncio.Event, seconds: float, *others: asyncio.Event) -> bool:
        """Wait for an event, or for `others` that make it impossible; return whether it came."""
        waiting = [self._loop.create_task(one.wait()) for one in (wanted, *others)]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return wanted.is_set()

    def _on_event(self, event: CallEvent) -> None:
        if event.call is None:
            return
        call = self._calls.setdefault(event.call.id, _new_call())
        if event.type.startswith(OF_INTEREST):
            call.events.append((self._loop.time(), event))
        match event.type:
            case EventType.CALL_ACTIVE:
                call.answered.set()
            case EventType.LEG_CONNECTED if event.data.get("party") != Party.FAR:
                call.attached.set()
            case EventType.CALL_ENDED:
                call.ended.set()


def _is_filling(runner: CallRunner) -> bool:
    return any(isinstance(leg, AgentLeg) and leg.filling for leg in runner.legs())


def _new_call() -> _Call:
    return _Call([], asyncio.Event(), asyncio.Event(), asyncio.Event())


def _caller(scenario: Scenario, cues: tuple[Cue, ...]) -> ScriptedCaller:
    """Return a scenario's caller, with its initial noise and loss."""
    background = Background(scenario.caller.level, scenario.caller.seed)
    first, steps = cues[:2], cues[2:]
    for cue in first:
        if isinstance(cue.step, Noise | Loss):
            background.change(cue.step, cue.sound)
    return ScriptedCaller(lambda leg: Talk(steps, background, press=leg.press, hang_up=leg.hang_up))


def _told(at: float, event: CallEvent, wall: float) -> Told:
    """Return an event of a call that was answered at a Unix time."""
    data = dict(event.data)
    if event.type in TIMED:
        data["began"] = datetime.fromisoformat(str(data["startedAt"])).timestamp() - wall
    if event.type == EventType.TURN:
        at = data["asked"] = data["began"] + float(data["speechMs"]) / 1000
    return Told(event.type, max(0.0, at), data)


def _described(told: Told) -> Mapping[str, Any]:
    return {"type": told.type, "at": round(told.at, 3), "data": dict(told.data)}
