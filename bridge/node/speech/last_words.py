"""Wait for last words: the speech that bots and playbacks have queued for the far parties of a call."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from bridge.audio.frame import FRAME_SECONDS
from bridge.call.bus.bus import Bus
from bridge.call.bus.last_words import (
    ARRIVAL_SECONDS,
    MAX_SECONDS,
    MUSIC_SECONDS,
    LastWords,
)
from bridge.call.commands import CloseAfterSpeech
from bridge.call.events import CloseRequested, Event, HangupRequested
from bridge.call.machine import CallMachine
from bridge.call.model import LegId, Party
from bridge.errors import BridgeError
from bridge.legs.base import Leg, SpeaksFromQueue
from bridge.legs.playback import PlaybackLeg


class SpokenCall(Protocol):
    """What is needed of a call (`node.runner.CallRunner`)."""

    machine: CallMachine
    bus: Bus

    @property
    def live(self) -> bool:
        """Whether the call has not ended."""

    def legs(self) -> list[Leg]:
        """The legs that are in the call now."""

    def leg(self, leg_id: LegId) -> Leg | None:
        """The leg with this id, while it is in the call."""

    def dispatch(self, event: Event) -> None:
        """Dispatch an event."""


async def wait_for_last_words(call: SpokenCall) -> None:
    """Wait until the far parties have received all queued speech, or the call has ended; at most `MAX_SECONDS`."""
    now = asyncio.get_running_loop().time
    until = now() + MAX_SECONDS
    await asyncio.sleep(ARRIVAL_SECONDS)
    words, waits = LastWords(), _waiting(call, _heard(call))
    while call.live and now() < until:
        waiting = waits()
        sent = {leg.leg_id: leg.statistics().sent for leg in _far(call)} if not waiting else {}
        if words.received(now(), waiting=waiting, sent=sent):
            return
        await asyncio.sleep(FRAME_SECONDS)


async def wait_until_said(call: SpokenCall) -> None:
    """Wait until all queued speech of the bots that the far parties hear has been played; at most `MAX_SECONDS`."""
    bots = [leg for leg in _heard(call) if isinstance(leg, SpeaksFromQueue)]
    if bots:
        await asyncio.sleep(ARRIVAL_SECONDS)
        await _wait(call, _waiting(call, bots))


async def close_after_speech(call: SpokenCall, command: CloseAfterSpeech) -> None:
    """End a leg once its queued speech has been played, or the call once it has been received."""
    if command.leg_id is None:
        await wait_for_last_words(call)
        last: CloseRequested | HangupRequested = HangupRequested()
    else:
        leg = call.leg(command.leg_id)
        await asyncio.sleep(ARRIVAL_SECONDS)
        await _wait(call, _waiting(call, [] if leg is None else [leg]))
        last = CloseRequested(command.leg_id)
    if call.live:
        with suppress(BridgeError):
            call.dispatch(last)


async def _wait(call: SpokenCall, waits: Callable[[], bool]) -> None:
    now = asyncio.get_running_loop().time
    until = now() + MAX_SECONDS
    while call.live and waits():
        if now() >= until:
            return
        await asyncio.sleep(FRAME_SECONDS)


def _waiting(call: SpokenCall, legs: Iterable[Leg]) -> Callable[[], bool]:
    """Return a predicate: whether speech that these legs have queued by now is still to be played."""
    queued = [(leg, waits) for leg in legs if (waits := _speech_waits(leg)) is not None]
    return lambda: any(call.leg(leg.leg_id) is leg and waits() for leg, waits in queued)


def _speech_waits(leg: Leg) -> Callable[[], bool] | None:
    """Return the predicate of one leg; None if it has no queue."""
    if isinstance(leg, PlaybackLeg):
        now = asyncio.get_running_loop().time
        until = now() + (MUSIC_SECONDS if leg.repeats else MAX_SECONDS)
        return lambda: not leg.paused and now() < until
    if isinstance(leg, SpeaksFromQueue):
        queue, end = leg.queue, leg.queue.speech_until(MAX_SECONDS)
        return lambda: queue.left_seconds < end
    return None


def _far(call: SpokenCall) -> list[Leg]:
    records = call.machine.legs.records
    return [leg for leg in call.legs() if records[leg.leg_id].role.party is Party.FAR]


def _heard(call: SpokenCall) -> list[Leg]:
    """Return the legs that the far parties hear."""
    heard = {one for far in _far(call) for one in call.bus.heard_by(far.leg_id)}
    return [leg for leg in call.legs() if leg.leg_id in heard]
