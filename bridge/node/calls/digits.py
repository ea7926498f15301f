"""Collects digits from far parties: plays prompts and publishes what was pressed.

Published are `digits.started` and then one of `digits.collected` and `digits.failed`, each with the
digits; of a call that ends meanwhile only its end.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.call.digits import CollectionSnapshot, DigitCollection, DigitRules, Step
from bridge.call.model import CallId, LegId, Party
from bridge.errors import BridgeError, HandoverRefused, InvalidState
from bridge.legs.base import Leg
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.deadline import Deadline
from bridge.node.runner import CallRunner
from bridge.tasks import Tasks
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)


class DigitsSnapshot(msgspec.Struct, frozen=True):
    """A collection that passes with its call."""

    collection: CollectionSnapshot
    prompt: str
    """The path of its file; empty for none."""
    callback_url: str
    playback: str | None
    at: float
    """Since when no time passes for it."""


@dataclass(slots=True)
class _Running:
    runner: CallRunner
    collection: DigitCollection
    prompt: Sound | None
    callback_url: str
    deadline: Deadline
    playback: str | None = None
    begun: bool = False
    """Whether the current attempt is under way."""

    @property
    def call_id(self) -> CallId:
        return self.runner.facts.call_id


class Digits:
    """The collections of this node's calls, at most one per call."""

    def __init__(self, playbacks: Playbacks) -> None:
        self._playbacks = playbacks
        self._running: dict[CallId, _Running] = {}
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()

    async def collect(
        self,
        runner: CallRunner,
        wanted: DigitRules,
        *,
        prompt: Sound | None = None,
        callback_url: str = "",
    ) -> None:
        """Start to collect; return when the prompt is about to be played.

        The prompt is played at each attempt, and released when no longer needed. `callback_url` gets the
        events of this collection instead of the call's own.

        Raises:
            InvalidState: the call is not answered, or has a collection.
            CallMoving: the call is passing to another process.
            InvalidMedia, LimitExceeded: as `Playbacks.play`.
        """
        try:
            runner.machine.check_answered("digits need")
            if runner.facts.call_id in self._running:
                raise InvalidState("digits of this call are being collected already")
        except BridgeError:
            if prompt is not None:
                prompt.release()
            raise
        deadline = Deadline(lambda: self._time_passed(running))
        running = _Running(runner, DigitCollection(wanted), prompt, callback_url, deadline)
        try:
            with runner.suspension.kept_here():
                self._running[running.call_id] = running
                await self._begin(running)
        except BaseException:
            self._release(running)
            raise
        self._publish(EventType.DIGITS_STARTED, running)

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        """Raise `HandoverRefused` if a call's collection cannot move or be copied now (`node.handover.CallService`)."""
        running = self._running.get(call_id)
        if running is not None and not running.begun:
            raise HandoverRefused("a prompt for digits is about to be played")

    def suspend(self, call_id: CallId) -> DigitsSnapshot | None:
        """Stop a call's collection and return it (`node.handover.CallService`)."""
        if (running := self._running.get(call_id)) is None:
            return None
        running.deadline.set(None)
        prompt = "" if running.prompt is None else str(running.prompt.path.absolute())
        collection = running.collection.snapshot()
        playback, now = running.playback, self._loop.time()
        return DigitsSnapshot(collection, prompt, running.callback_url, playback, now)

    def resume(self, call_id: CallId) -> None:
        """Go on with it (`node.handover.CallService`)."""
        if (running := self._running.get(call_id)) is not None:
            running.deadline.set(running.collection.deadline)

    def abandon(self, call_id: CallId) -> None:
        """Leave it to another process (`node.handover.CallService`)."""
        if (running := self._running.get(call_id)) is not None:
            self._release(running)

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        """Go on with another process's collection (`node.handover.CallService`)."""
        before = msgspec.msgpack.decode(state, type=DigitsSnapshot)
        prompt = self._playbacks.take_over(Path(before.prompt)) if before.prompt else None
        collection = DigitCollection.restore(before.collection, self._loop.time() - before.at)
        deadline = Deadline(lambda: self._time_passed(running))
        running = _Running(runner, collection, prompt, before.callback_url, deadline)
        running.playback, running.begun = before.playback, True
        self._running[running.call_id] = running
        deadline.set(collection.deadline)

    def on_event(self, event: CallEvent) -> None:
        """Take the digits of far parties, and the ends of prompts and calls."""
        running = self._running.get(CallId(event.call.id)) if event.call else None
        if running is None:
            return
        now, data = self._loop.time(), event.data
        if event.type == EventType.CALL_ENDED:
            self._release(running)
        elif event.type in (EventType.PLAYBACK_COMPLETED, EventType.LEG_LEFT):
            if running.playback is not None and data.get("legID") == running.playback:
                running.playback = None
                running.collection.prompt_ended(now)
                running.deadline.set(running.collection.deadline)
        elif event.type == EventType.DIGIT_RECEIVED and data.get("party") == Party.FAR:
            self._take(running, running.collection.pressed(str(data.get("digit")), now))

    async def aclose(self) -> None:
        """Cancel all collections."""
        for running in list(self._running.values()):
            self._release(running)
        await self._tasks.aclose()

    async def _begin(self, running: _Running) -> None:
        """Start an attempt with its prompt."""
        if running.prompt is not None:
            again = Sound(running.prompt.path)
            running.playback = await self._playbacks.play(running.runner, again)
        running.begun = True
        running.collection.begin(self._loop.time(), prompting=running.playback is not None)
        running.deadline.set(running.collection.deadline)

    def _take(self, running: _Running, step: Step) -> None:
        if self._running.get(running.call_id) is not running:
            return
        match step:
            case Step.WAIT:
                running.deadline.set(running.collection.deadline)
            case Step.STOP_PROMPT:
                self._stop_prompt(running)
                running.deadline.set(running.collection.deadline)
            case Step.RETRY:
                self._stop_prompt(running)
                running.begun = False
                self._tasks.spawn(self._again(running), name=f"prompt {running.call_id}")
            case Step.COLLECTED | Step.FAILED:
                self._stop_prompt(running)
                self._release(running)
                collected = step is Step.COLLECTED
                self._publish(
                    EventType.DIGITS_COLLECTED if collected else EventType.DIGITS_FAILED, running
                )

    async def _again(self, running: _Running) -> None:
        try:
            await self._begin(running)
        except (BridgeError, OSError):
            log.warning("digits.prompt_failed", extra={"call": running.call_id})
            self._release(running)
            self._publish(EventType.DIGITS_FAILED, running)

    def _stop_prompt(self, running: _Running) -> None:
        playback, running.playback = running.playback, None
        if playback is not None:
            with suppress(BridgeError):
                self._playbacks.stop(running.runner, playback)

    def _release(self, running: _Running) -> None:
        if self._running.get(running.call_id) is running:
            del self._running[running.call_id]
        running.deadline.set(None)
        prompt, running.prompt = running.prompt, None
        if prompt is not None:
            prompt.release()

    def _time_passed(self, running: _Running) -> None:
        self._take(running, running.collection.time_passed(self._loop.time()))

    def _publish(self, kind: EventType, running: _Running) -> None:
        data = {"digits": running.collection.digits}
        running.runner.publish(kind, data, callback_url=running.callback_url)
