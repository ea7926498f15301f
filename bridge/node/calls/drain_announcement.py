"""Tells the parties of live calls that their node is being stopped."""

import asyncio
import logging
from pathlib import Path

from bridge.call.routing import Heard
from bridge.errors import BridgeError
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.manager import Manager
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType

log = logging.getLogger(__name__)


class DrainAnnouncement:
    """An event for each call, and a sound that all its parties hear."""

    def __init__(self, manager: Manager, playbacks: Playbacks, path: Path | None) -> None:
        """`path` is that of the sound; None for none."""
        self._manager = manager
        self._playbacks = playbacks
        self._path = path
        self._playing: dict[str, asyncio.Event] = {}
        manager.publisher.subscribe(self._on_event)

    async def tell(self) -> None:
        """Publish the events, and play the sound to its end; it is not heard in calls that do not let it in."""
        calls = list(self._manager.calls())
        for call in calls:
            call.publish(EventType.CALL_DRAINING)
        if self._path is not None:
            await asyncio.gather(*(self._play(call, self._path) for call in calls))

    async def _play(self, call: CallRunner, path: Path) -> None:
        try:
            playback = await self._playbacks.play(call, Sound(path), heard=Heard.ALL)
        except BridgeError as error:
            log.warning(
                "call.not_told", extra={"call": call.facts.call_id, "error": type(error).__name__}
            )
            return
        over = self._playing[playback] = asyncio.Event()
        try:
            await over.wait()
        finally:
            del self._playing[playback]

    def _on_event(self, event: CallEvent) -> None:
        if event.type == EventType.LEG_LEFT:
            over = self._playing.get(str(event.data.get("legID")))
            if over is not None:
                over.set()
