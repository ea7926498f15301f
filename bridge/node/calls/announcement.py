"""Announces to everybody on a call that it is recorded, or that its node is being stopped."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from bridge.audio.file.wav import make_header
from bridge.audio.tone import tone
from bridge.call.model import CallId, State
from bridge.call.routing import Audience
from bridge.errors import BridgeError, CallEnded
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.disclosure.leg import DisclosureLeg
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

BEEP_HERTZ: Final = 1400
BEEP_SECONDS: Final = 0.2
"""The recorder tone of 47 CFR 64.501 (repealed): 1260 to 1540 Hz, 170 to 250 ms."""
UP: Final = (EventType.CALL_ACTIVE, EventType.CALL_RESUMED, EventType.CALL_ENDED)
"""Once active, everybody hears what is played to all."""

log = logging.getLogger(__name__)


class Announcement:
    """One sound, played to all parties of a call before it is recorded."""

    def __init__(self, playbacks: Playbacks, path: Path) -> None:
        self._playbacks = playbacks
        self._path = path
        self._up: dict[CallId, asyncio.Event] = {}

    def on_event(self, event: CallEvent) -> None:
        """Observe that a call is up."""
        if event.call and event.type in UP and (up := self._up.get(CallId(event.call.id))):
            up.set()

    async def play(self, runner: CallRunner) -> bool:
        """Play it once the call is up and no disclosure is being spoken; return whether it was played to its end.

        Raises:
            BridgeError: it cannot be played, or the call has ended.
        """
        call_id = runner.facts.call_id
        while (saying := _disclosure(runner)) is not None or not _is_up(runner):
            if saying is not None:
                await saying.finished.wait()
                continue
            up = self._up.setdefault(call_id, asyncio.Event())
            try:
                await up.wait()
            finally:
                self._up.pop(call_id, None)
        return await self._playbacks.play_out(runner, Sound(self._path), audience=Audience.ALL)


def _disclosure(runner: CallRunner) -> DisclosureLeg | None:
    """Return the legs that are speaking a disclosure."""
    legs = (leg for leg in runner.legs() if isinstance(leg, DisclosureLeg))
    return next((leg for leg in legs if not leg.finished.is_set()), None)


def _is_up(runner: CallRunner) -> bool:
    if not runner.live:
        raise CallEnded("the call has ended")
    return runner.machine.state is State.ACTIVE


def beep() -> bytes:
    """Return the beep as a WAV file."""
    pcm = tone(BEEP_HERTZ, BEEP_SECONDS)
    return make_header(len(pcm)) + pcm


class DrainAnnouncement:
    """An event for each call, and a sound that all its parties hear."""

    def __init__(self, manager: Manager, playbacks: Playbacks, path: Path | None) -> None:
        """`path` is that of the sound; None for none."""
        self._manager = manager
        self._playbacks = playbacks
        self._path = path

    async def announce(self) -> None:
        """Publish the events, and play the sound to its end; it is not heard in calls that do not let it in."""
        calls = list(self._manager.calls())
        for call in calls:
            call.publish(EventType.CALL_DRAINING)
        if self._path is not None:
            await asyncio.gather(*(self._play(call, self._path) for call in calls))

    async def _play(self, call: CallRunner, path: Path) -> None:
        try:
            await self._playbacks.play_out(call, Sound(path), audience=Audience.ALL)
        except BridgeError as error:
            log.warning(
                "call.drain_announcement_failed",
                extra={"call": call.facts.call_id, "error": type(error).__name__},
            )
