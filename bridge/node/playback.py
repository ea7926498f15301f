"""Plays sounds into calls."""

from bridge.audio.ducking import attenuation
from bridge.call import events
from bridge.call.model import LegId, LineName, Party
from bridge.call.routing import Heard, Hears
from bridge.errors import NotFound
from bridge.legs.base import new_leg_id
from bridge.legs.playback import PlaybackLeg, PlaybackOptions
from bridge.media.decoders import Decoders, InvalidMedia
from bridge.media.sounds import Sound
from bridge.node.manager import Manager


class Playbacks:
    """The playbacks of this node's calls."""

    def __init__(self, manager: Manager, decoders: Decoders) -> None:
        self._manager = manager
        self._decoders = decoders

    async def play(
        self,
        line: LineName,
        call_id: str,
        sound: Sound,
        options: PlaybackOptions | None = None,
        *,
        heard: Heard = Heard.FAR,
    ) -> LegId:
        """Play a sound into a live call; returns once its first frame is decoded.

        The sound is released once it has been played or has failed.

        Raises:
            CallNotFound, InvalidState: there is no such live call.
            InvalidMedia: the sound cannot be played.
            LimitExceeded: the call has all its legs, or too many sounds are being played.
        """
        try:
            self._manager.live(line, call_id)
            first = await self._decoders.open(sound.path, line)
        except BaseException as error:
            sound.release()
            if isinstance(error, InvalidMedia):
                error.field = error.field or sound.field or None
            raise
        options = options or PlaybackOptions()
        leg = PlaybackLeg(
            new_leg_id(),
            first=first,
            reopen=lambda skip: self._decoders.open(sound.path, line, skip=skip),
            release=sound.release,
            options=options,
        )
        try:
            self._manager.attach(
                line,
                call_id,
                leg,
                Party.SERVICE,
                hears=Hears.NOBODY,
                heard=heard,
                ducking_gain=attenuation(options.duck_decibels),
            )
        except BaseException:
            await leg.aclose()
            raise
        return leg.leg_id

    def stop(self, line: LineName, call_id: str, playback_id: str | None = None) -> int:
        """Stop a playback of a call, or all; return how many there were.

        Raises:
            CallNotFound, InvalidState: there is no such live call.
            NotFound: the call has no such playback.
        """
        chosen = self._find(line, call_id, playback_id)
        runner = self._manager.live(line, call_id)
        for leg in chosen:
            leg.note_stopped()
            runner.dispatch(events.CloseRequested(leg.leg_id))
        return len(chosen)

    def pause(
        self, line: LineName, call_id: str, playback_id: str | None = None, *, paused: bool
    ) -> int:
        """Pause or resume a playback of a call, or all; return how many there were.

        Raises:
            CallNotFound, InvalidState: there is no such live call.
            NotFound: the call has no such playback.
        """
        chosen = self._find(line, call_id, playback_id)
        for leg in chosen:
            leg.pause(paused=paused)
        return len(chosen)

    def _find(self, line: LineName, call_id: str, playback_id: str | None) -> list[PlaybackLeg]:
        legs = self._manager.live(line, call_id).legs()
        chosen = [
            leg
            for leg in legs
            if isinstance(leg, PlaybackLeg) and playback_id in (None, leg.leg_id)
        ]
        if playback_id is not None and not chosen:
            raise NotFound("the call has no such playback", field="playbackId")
        return chosen
