"""Holds calls and single parties, with music."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from bridge.call import events
from bridge.call.model import LegId, LineName, State
from bridge.call.routing import Audience
from bridge.errors import BridgeError, InvalidState
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound
from bridge.node.calls.playback import Playbacks
from bridge.node.runner import CallRunner

HOLDABLE: Final = frozenset({State.ACTIVE, State.HELD})


class Holds:
    """The holds of this node's calls; all held parties of a call hear the same music."""

    def __init__(self, playbacks: Playbacks, music_of: Callable[[LineName], Path | None]) -> None:
        """`music_of` returns a line's own music."""
        self._playbacks = playbacks
        self._music_of = music_of

    def check(self, runner: CallRunner) -> None:
        """Raise `InvalidState` if the call cannot be held, before its music is fetched."""
        state = runner.machine.state
        if state not in HOLDABLE:
            raise InvalidState(f"only an active call can be held; this one is {state}")

    async def hold(
        self, runner: CallRunner, leg_id: LegId | None = None, *, music: Sound | None = None
    ) -> None:
        """Hold a call, or one party of it; the music is opened first, so that its failure changes nothing.

        Without `music` it is the line's, and a held call keeps what it has.

        Raises:
            InvalidState: the call is not active.
            LegNotFound: it has no such party.
            InvalidMedia, LimitExceeded: the music cannot be played.
        """
        wanted = events.HoldRequested(held=True, leg_id=leg_id)
        before = _music(runner)
        if music is None and not before:
            path = self._music_of(runner.facts.line)
            music = None if path is None else Sound(path)
        if music is None:
            runner.dispatch(wanted)
            return
        options = PlaybackOptions(repeats=MAX_REPEATS)
        played = await self._playbacks.play(runner, music, options, audience=Audience.HELD)
        try:
            runner.dispatch(wanted)
        except BridgeError:
            _end(runner, [played])
            raise
        _end(runner, before)

    def unhold(self, runner: CallRunner, leg_id: LegId | None = None) -> None:
        """Resume a call, or one party of it; the music ends with the last hold.

        Raises:
            InvalidState, LegNotFound: as `hold`.
        """
        runner.dispatch(events.HoldRequested(held=False, leg_id=leg_id))
        machine = runner.machine
        if machine.state is not State.HELD and not any(
            leg.held for leg in machine.legs.records.values()
        ):
            _end(runner, _music(runner))


def _music(runner: CallRunner) -> list[LegId]:
    legs = runner.machine.legs.records.values()
    return [leg.leg_id for leg in legs if leg.role.audience is Audience.HELD]


def _end(runner: CallRunner, music: list[LegId]) -> None:
    for leg_id in music:
        runner.dispatch(events.CloseRequested(leg_id))
