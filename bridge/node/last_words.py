"""Waits for the last words of a call, those that bots and playbacks have queued for its far parties."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.frame import FRAME_SECONDS
from bridge.call.bus.last_words import ARRIVAL_SECONDS, MAX_SECONDS, LastWords
from bridge.call.events import HangupRequested
from bridge.call.model import Party
from bridge.errors import BridgeError
from bridge.legs.base import Leg
from bridge.legs.playback import PlaybackLeg
from bridge.node.runner import CallRunner


@runtime_checkable
class SpeaksFromQueue(Protocol):
    """A leg whose party's audio waits in a queue until it is played."""

    @property
    def queue(self) -> PacedQueue:
        """What waits."""


async def wait_for_last_words(runner: CallRunner) -> None:
    """Wait until the far parties have received what waits to be said to them, or the call has ended; at most `MAX_SECONDS`."""
    now = asyncio.get_running_loop().time
    until = now() + MAX_SECONDS
    await asyncio.sleep(ARRIVAL_SECONDS)
    words = LastWords()
    queued = [(leg, waits) for leg in _heard(runner) if (waits := _speech_waits(leg)) is not None]
    while runner.live and now() < until:
        waiting = any(runner.leg(leg.leg_id) is leg and waits() for leg, waits in queued)
        sent = {leg.leg_id: leg.statistics().sent for leg in _far(runner)} if not waiting else {}
        if words.received(now(), waiting=waiting, sent=sent):
            return
        await asyncio.sleep(FRAME_SECONDS)


async def hang_up_after_speech(runner: CallRunner) -> None:
    """End a call once its last words have been received."""
    await wait_for_last_words(runner)
    with suppress(BridgeError):
        runner.dispatch(HangupRequested())


def _speech_waits(leg: Leg) -> Callable[[], bool] | None:
    """Return what says whether what a leg says now is still to be played; None if it has no queue."""
    if isinstance(leg, PlaybackLeg):
        return lambda: not leg.paused
    if isinstance(leg, SpeaksFromQueue):
        queue, end = leg.queue, leg.queue.speech_until(MAX_SECONDS)
        return lambda: queue.left_seconds < end
    return None


def _far(runner: CallRunner) -> list[Leg]:
    records = runner.machine.legs.records
    return [leg for leg in runner.legs() if records[leg.leg_id].role.party is Party.FAR]


def _heard(runner: CallRunner) -> list[Leg]:
    """Return whom the far parties hear."""
    heard = {one for far in _far(runner) for one in runner.bus.heard_by(far.leg_id)}
    return [leg for leg in runner.legs() if leg.leg_id in heard]
