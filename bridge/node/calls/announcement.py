"""Announces a recording to everybody on a call, with a beep or a sound file played to its end."""

import asyncio
from pathlib import Path
from typing import Final

from bridge.audio.file.wav import make_header
from bridge.audio.tone import tone
from bridge.call.model import CallId, State
from bridge.call.routing import Heard
from bridge.errors import CallEnded
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

BEEP_HERTZ: Final = 1400
BEEP_SECONDS: Final = 0.2
"""The recorder tone of 47 CFR 64.501 (repealed): 1260 to 1540 Hz, 170 to 250 ms."""
UP: Final = (EventType.CALL_ACTIVE, EventType.CALL_RESUMED, EventType.CALL_ENDED)
"""Once active, everybody hears what is played to all."""


class Announcement:
    """One sound, played to all parties of a call before it is recorded."""

    def __init__(self, playbacks: Playbacks, path: Path) -> None:
        self._playbacks = playbacks
        self._path = path
        self._up: dict[CallId, asyncio.Event] = {}
        self._playing: dict[str, asyncio.Future[bool]] = {}

    def on_event(self, event: CallEvent) -> None:
        """Observe that a call is up, or that a playback is over: completed, stopped, or cut off."""
        if event.call and event.type in UP and (up := self._up.get(CallId(event.call.id))):
            up.set()
        if event.type in (EventType.PLAYBACK_COMPLETED, EventType.LEG_LEFT):
            over = self._playing.get(str(event.data.get("legID")))
            if over is not None and not over.done():
                over.set_result(event.data.get("status") == "completed")

    async def play(self, runner: CallRunner) -> bool:
        """Play it once the call is up; return whether it was played to its end.

        Raises:
            BridgeError: it cannot be played, or the call has ended.
        """
        call_id = runner.facts.call_id
        while runner.machine.state is not State.ACTIVE:
            if not runner.live:
                raise CallEnded("the call has ended")
            up = self._up.setdefault(call_id, asyncio.Event())
            try:
                await up.wait()
            finally:
                self._up.pop(call_id, None)
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        playback = await self._playbacks.play(runner, Sound(self._path), heard=Heard.ALL)
        self._playing[playback] = over
        try:
            return await over
        finally:
            del self._playing[playback]


def beep() -> bytes:
    """Return the beep as a WAV file."""
    pcm = tone(BEEP_HERTZ, BEEP_SECONDS)
    return make_header(len(pcm)) + pcm
