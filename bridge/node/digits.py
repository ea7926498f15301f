"""Collecting digits of far parties: plays prompts, hears keys, and tells what came of it.

Told are `digits.started`, and once `digits.collected` or `digits.failed`, each with the digits;
a call that ends meanwhile tells its end and nothing more.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bridge.call.digits import DigitCollection, Step, Wanted
from bridge.call.model import CallId, CallRecord, LineName, Party
from bridge.call.notices import CallEvent
from bridge.errors import BridgeError, InvalidState
from bridge.media.sounds import Sound
from bridge.node.manager import Manager
from bridge.node.playback import Playbacks
from bridge.tasks import Tasks

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    line: LineName
    call_id: CallId
    collection: DigitCollection
    prompt: Sound | None
    callback_url: str
    playback: str | None = None
    timer: asyncio.TimerHandle | None = None


class Digits:
    """The collections of this node's calls, one a call at most."""

    def __init__(
        self, manager: Manager, playbacks: Playbacks, *, publish: Callable[[CallEvent], None]
    ) -> None:
        """Make it.

        Args:
            manager: has the calls.
            playbacks: play the prompts.
            publish: hears what was collected.
        """
        self._manager = manager
        self._playbacks = playbacks
        self._publish = publish
        self._running: dict[CallId, _Running] = {}
        self._tasks = Tasks()
        self._loop = asyncio.get_running_loop()

    async def collect(
        self,
        line: LineName,
        call_id: str,
        wanted: Wanted,
        *,
        prompt: Sound | None = None,
        callback_url: str = "",
    ) -> None:
        """Begin to collect; returns once the prompt is about to be heard.

        Args:
            line: whose call.
            call_id: which.
            wanted: which digits.
            prompt: played at each attempt; released when it is needed no more.
            callback_url: where the call's events about this are sent, in place of the call's own.

        Raises:
            CallNotFound, InvalidState: there is no such answered call, or it collects already.
            InvalidMedia, LimitExceeded: as `Playbacks.play`.
        """
        try:
            runner = self._manager.live(line, call_id)
            if runner.machine.answered_at is None:
                raise InvalidState("digits need an answered call; this one still rings")
            call = runner.facts.call_id
            if call in self._running:
                raise InvalidState("digits of this call are being collected already")
        except BridgeError:
            if prompt is not None:
                prompt.release()
            raise
        running = _Running(line, call, DigitCollection(wanted), prompt, callback_url)
        self._running[call] = running
        try:
            await self._begin(running)
        except BaseException:
            self._let_go(running)
            raise
        self._tell("started", running)

    def happened(self, event: CallEvent) -> None:
        """Hear keys, prompts' ends and calls' ends."""
        running = self._running.get(event.call_id) if event.call_id else None
        if running is None:
            return
        now, data = self._loop.time(), event.data
        if event.type == "call.ended":
            self._let_go(running)
        elif event.type == "playback.completed" and data.get("playbackId") == running.playback:
            running.playback = None
            running.collection.prompt_ended(now)
            self._arm(running)
        elif event.type == "digit.received" and _of_far(event.record, data.get("legID")):
            step = running.collection.pressed(str(data.get("digit")), now)
            # Not at once: who reports this is in the middle of changing the call.
            self._loop.call_soon(self._take, running, step)

    async def aclose(self) -> None:
        """Let go of all that goes on."""
        for running in list(self._running.values()):
            self._let_go(running)
        await self._tasks.aclose()

    async def _begin(self, running: _Running) -> None:
        """Begin an attempt, with its prompt."""
        if running.prompt is not None:
            again = Sound(running.prompt.path)
            running.playback = await self._playbacks.play(running.line, running.call_id, again)
        running.collection.begin(self._loop.time(), prompting=running.playback is not None)
        self._arm(running)

    def _take(self, running: _Running, step: Step) -> None:
        if self._running.get(running.call_id) is not running:
            return
        match step:
            case Step.WAIT:
                self._arm(running)
            case Step.STOP_PROMPT:
                self._stop_prompt(running)
                self._arm(running)
            case Step.AGAIN:
                self._stop_prompt(running)
                self._tasks.spawn(self._again(running), name=f"prompt {running.call_id}")
            case Step.COLLECTED | Step.FAILED:
                self._stop_prompt(running)
                self._let_go(running)
                self._tell(step.value, running)

    async def _again(self, running: _Running) -> None:
        try:
            await self._begin(running)
        except (BridgeError, OSError):
            log.warning("digits.prompt_failed", extra={"call": running.call_id})
            self._let_go(running)
            self._tell(Step.FAILED.value, running)

    def _stop_prompt(self, running: _Running) -> None:
        playback, running.playback = running.playback, None
        if playback is not None:
            with suppress(BridgeError):
                self._playbacks.stop(running.line, running.call_id, playback)

    def _let_go(self, running: _Running) -> None:
        if self._running.get(running.call_id) is running:
            del self._running[running.call_id]
        if running.timer is not None:
            running.timer.cancel()
        prompt, running.prompt = running.prompt, None
        if prompt is not None:
            prompt.release()

    def _arm(self, running: _Running) -> None:
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None
        if running.collection.deadline is not None:
            running.timer = self._loop.call_at(
                running.collection.deadline, self._time_passed, running
            )

    def _time_passed(self, running: _Running) -> None:
        self._take(running, running.collection.time_passed(self._loop.time()))

    def _tell(self, what: str, running: _Running) -> None:
        try:
            record = self._manager.record(running.line, running.call_id)
        except BridgeError:
            return
        if running.callback_url:
            details = replace(record.facts.details, callback_url=running.callback_url)
            record = replace(record, facts=replace(record.facts, details=details))
        data: dict[str, Any] = {"digits": running.collection.digits}
        now = datetime.now(UTC)
        self._publish(CallEvent(f"digits.{what}", running.line, running.call_id, now, record, data))


def _of_far(record: CallRecord | None, leg_id: object) -> bool:
    return record is not None and any(
        leg.leg_id == leg_id and leg.party is Party.FAR for leg in record.legs
    )
