"""Plays sounds into calls."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bridge.audio.ducking import attenuation
from bridge.call import events
from bridge.call.model import LegId, LineName, Party
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import NotFound
from bridge.legs.base import PassedLeg, new_leg_id
from bridge.legs.playback import PlaybackLeg, PlaybackOptions, PlaybackSnapshot
from bridge.media.decoding.decoders import Decoders, Decoding, InvalidMedia
from bridge.media.sounds import Sound
from bridge.node.runner import CallRunner
from bridge.wire.call_event import CallEvent, EventType


class Playbacks:
    """The playbacks of this node's calls."""

    def __init__(self, decoders: Decoders, take_over: Callable[[Path], Sound] = Sound) -> None:
        """`take_over` returns a sound of another process that has passed its playback (`Sounds.take_over`)."""
        self._decoders = decoders
        self.take_over = take_over
        self._over: dict[str, asyncio.Future[bool]] = {}

    def on_event(self, event: CallEvent) -> None:
        """Observe that a playback is over: completed, stopped, or cut off."""
        if event.type in (EventType.PLAYBACK_COMPLETED, EventType.LEG_LEFT):
            over = self._over.get(str(event.data.get("legID")))
            if over is not None and not over.done():
                over.set_result(event.data.get("status") == "completed")

    async def play(
        self,
        runner: CallRunner,
        sound: Sound,
        options: PlaybackOptions | None = None,
        *,
        audience: Audience = Audience.FAR,
    ) -> LegId:
        """Play a sound into a live call; returns once its first frame is decoded.

        The sound is released once it has been played or has failed.

        Raises:
            InvalidState: the call has ended.
            InvalidMedia: the sound cannot be played.
            LimitExceeded: the call has all its legs, or too many sounds are being played.
        """
        try:
            with runner.suspension.kept_here():
                first = await self._decoders.open(sound.path, runner.facts.line)
        except BaseException as error:
            sound.release()
            if isinstance(error, InvalidMedia):
                error.field = error.field or sound.field or None
            raise
        options = options or PlaybackOptions()
        leg = self._leg(new_leg_id(), runner.facts.line, sound, options, first)
        try:
            runner.add_leg(
                leg,
                LegRole(
                    Party.SERVICE,
                    Subscription.NOBODY,
                    audience,
                    ducking_gain=attenuation(options.duck_decibels),
                ),
            )
        except BaseException:
            await leg.aclose()
            raise
        return leg.leg_id

    async def play_out(
        self, runner: CallRunner, sound: Sound, *, audience: Audience = Audience.FAR
    ) -> bool:
        """Play a sound, and wait until that is over; return whether it was played to its end.

        Raises:
            BridgeError: as `play`.
        """
        playback = await self.play(runner, sound, audience=audience)
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._over[playback] = over
        try:
            with runner.suspension.kept_here(copied=True):
                return await over
        finally:
            del self._over[playback]

    def stop(self, runner: CallRunner, playback_id: str | None = None) -> int:
        """Stop a playback of a call, or all; return how many there were.

        Raises:
            NotFound: the call has no such playback.
        """
        chosen = _find(runner, playback_id)
        with runner.suspension.kept_here():
            for leg in chosen:
                leg.note_stopped()
                runner.dispatch(events.CloseRequested(leg.leg_id))
        return len(chosen)

    def pause(self, runner: CallRunner, playback_id: str | None = None, *, paused: bool) -> int:
        """Pause or resume a playback of a call, or all; return how many there were.

        Raises:
            NotFound: the call has no such playback.
        """
        chosen = _find(runner, playback_id)
        with runner.suspension.kept_here():
            for leg in chosen:
                leg.pause(paused=paused)
        return len(chosen)

    def restore_leg(self, passed: PassedLeg) -> PlaybackLeg:
        """Return a playback that goes on where another process has left it (`node.handover.RestoreLeg`)."""
        before = passed.read(PlaybackSnapshot)
        path = Path(before.path)
        # A file that was decoded to its end may have been released since.
        sound = self.take_over(path) if before.turns < before.repeats else Sound(path)
        options = PlaybackOptions(repeats=before.repeats)
        leg = self._leg(passed.leg_id, passed.call.line, sound, options, None)
        leg.restore(before)
        return leg

    def _leg(
        self,
        leg_id: LegId,
        line: LineName,
        sound: Sound,
        options: PlaybackOptions,
        first: Decoding | None,
    ) -> PlaybackLeg:
        return PlaybackLeg(
            leg_id,
            sound.path,
            first=first,
            reopen=lambda skip: self._decoders.open(sound.path, line, skip=skip),
            release=sound.release,
            options=options,
        )


def _find(runner: CallRunner, playback_id: str | None) -> list[PlaybackLeg]:
    playbacks = [leg for leg in runner.legs() if isinstance(leg, PlaybackLeg)]
    chosen = [leg for leg in playbacks if playback_id in (None, leg.leg_id)]
    if playback_id is not None and not chosen:
        raise NotFound("the call has no such playback", field="playbackId")
    return chosen
