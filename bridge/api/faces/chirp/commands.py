"""The commands of the Chirp face: one route, the command's name and its parameters."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from bridge.api.faces.chirp.parties import Channel, check_address
from bridge.api.faces.chirp.words import CHIRP
from bridge.api.fields import Digits, Url, field
from bridge.api.operation import CALL, Context
from bridge.api.services import Services
from bridge.call import events
from bridge.call.model import Direction, LegId, LineName, State
from bridge.call.parties import WEBRTC, WHATSAPP
from bridge.call.routing import Heard
from bridge.errors import BridgeError, InvalidRequest, InvalidState, LegNotFound, Unsupported
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.files import MP4, OGG, WAV, WEBM
from bridge.node.manager import Manager
from bridge.wire.call_id import chirp

MAX_REASON: Final = 500
ACCEPTED: Final = "accepted"
QUEUED: Final = "queued"
HOLDABLE: Final = frozenset({State.ACTIVE, State.HELD})

FORMATS: Final = (MP4, OGG, WEBM, WAV)
"""The formats of a recording, the default first."""

NO_VOICEMAIL: Final = "this bridge keeps no voicemail; record the call instead"
NOT_IMPLEMENTED: Final = frozenset({"send_to_voicemail"})
"""Known commands that are answered with 501."""


class Command(Struct, rename="camel"):
    """A command and its parameters."""

    type: Annotated[str, field("`answer`, `reject`, `hangup`, … ; `send_to_voicemail` answers 501")]
    reason: Annotated[str, field("of `reject`", max_length=MAX_REASON)] | None = None
    music_url: Annotated[Url, field("of `hold`")] | None = None
    participant_id: (
        Annotated[
            str,
            field(
                "a legID; of `mute` and `unmute`, which else mean all near legs, and of "
                "`remove_participant`"
            ),
        ]
        | None
    ) = None
    digits: Annotated[Digits, field("of `send_dtmf`")] | None = None
    format: Annotated[Literal["mp4", "ogg", "webm", "wav"], field("of `start_recording`")] = "mp4"
    to: Annotated[str, field("of `transfer` and `add_participant`")] | None = None
    to_channel: Channel = "pstn"
    audio_url: Annotated[Url, field("of `play_audio`")] | None = None


class Accepted(Struct, rename="camel"):
    """An accepted command."""

    call_id: str
    command: str
    status: Literal["accepted", "queued"] = "accepted"
    playback_id: Annotated[str, field("of `play_audio`")] | UnsetType = UNSET
    participant_id: Annotated[str, field("of `add_participant`")] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Asked:
    """A command, the call it is for, and who performs it."""

    line: LineName
    call_id: str
    body: Command
    services: Services

    @property
    def manager(self) -> Manager:
        """The call service."""
        return self.services.manager

    def request(self, wanted: events.Request) -> None:
        """Send a request to the call."""
        self.manager.request(self.line, self.call_id, wanted)


@CHIRP.post("/v1/calls/{callId}/commands", errors=(*CALL, 422, 501, 503))
async def command(context: Context, body: Command) -> Accepted:
    """Perform a command of a live call."""
    if body.type not in COMMANDS and body.type not in NOT_IMPLEMENTED:
        raise InvalidRequest(f"type: expected one of {', '.join(COMMANDS)}", field="type")
    runner = context.services.manager.live(context.line, context.call_id)
    if body.type in NOT_IMPLEMENTED:
        raise Unsupported(NO_VOICEMAIL)
    call_id = runner.facts.call_id
    more = await COMMANDS[body.type](Asked(context.line, call_id, body, context.services))
    return Accepted(chirp(call_id, test=context.is_test_key), body.type, **(more or {}))


More: TypeAlias = Mapping[str, Any] | None
"""Other fields of `Accepted`."""


async def _answer(asked: Asked) -> None:
    asked.request(events.AnswerRequested())


async def _reject(asked: Asked) -> None:
    record = asked.manager.record(asked.line, asked.call_id)
    if record.direction is not Direction.INBOUND or record.state is not State.RINGING:
        raise InvalidState(f"nothing to reject: the {record.direction} call is {record.state}")
    asked.request(events.HangupRequested())


async def _hang_up(asked: Asked) -> None:
    asked.request(events.HangupRequested())


async def _hold(asked: Asked) -> None:
    """Hold the call; the music is opened first, so that its failure changes nothing."""
    url = asked.body.music_url
    if not url or asked.manager.record(asked.line, asked.call_id).state not in HOLDABLE:
        asked.request(events.HoldRequested(held=True))
        return
    music = await asked.services.sounds.url(asked.line, url, "musicUrl")
    options = PlaybackOptions(repeats=MAX_REPEATS)
    playbacks = asked.services.playbacks
    played = await playbacks.play(asked.line, asked.call_id, music, options, heard=Heard.HELD)
    try:
        asked.request(events.HoldRequested(held=True))
    except BridgeError:
        _end_music(asked)
        raise
    _end_music(asked, but=played)


async def _unhold(asked: Asked) -> None:
    asked.request(events.HoldRequested(held=False))
    _end_music(asked)


def _end_music(asked: Asked, *, but: LegId | None = None) -> None:
    legs = asked.manager.live(asked.line, asked.call_id).machine.legs.values()
    for music in [leg.leg_id for leg in legs if leg.heard is Heard.HELD and leg.leg_id != but]:
        asked.request(events.CloseRequested(music))


async def _mute(asked: Asked) -> None:
    asked.request(events.MuteRequested(muted=True, leg_id=_participant(asked)))


async def _unmute(asked: Asked) -> None:
    asked.request(events.MuteRequested(muted=False, leg_id=_participant(asked)))


async def _send_digits(asked: Asked) -> None:
    asked.request(events.DigitsRequested(_required(asked.body.digits, "digits")))


async def _transfer(asked: Asked) -> More:
    """Ring the new party, which replaces all near parties once it is connected."""
    channel = asked.body.to_channel
    to = check_address(asked.body.to, "to", channel)
    if channel == WEBRTC:
        asked.request(events.InviteRequested(to))
        return {"status": QUEUED}
    _check_joined(asked, channel)
    await asked.manager.invite(asked.line, asked.call_id, to.removeprefix("+"), replaces=True)
    return {"status": QUEUED}


async def _add_participant(asked: Asked) -> More:
    """Ring one more party; a browser joins with a token instead."""
    channel = asked.body.to_channel
    to = check_address(asked.body.to, "to", channel)
    if channel == WEBRTC:
        raise InvalidRequest(
            "toChannel: a browser joins with a token of the call's room", field="toChannel"
        )
    _check_joined(asked, channel)
    leg_id = await asked.manager.invite(asked.line, asked.call_id, to.removeprefix("+"))
    return {"status": QUEUED, "participant_id": leg_id}


async def _remove_participant(asked: Asked) -> None:
    leg_id = LegId(_required(asked.body.participant_id, "participantId"))
    runner = asked.manager.live(asked.line, asked.call_id)
    if leg_id not in {leg.leg_id for leg in runner.machine.near()}:
        raise LegNotFound("the call has no such participant of ours")
    asked.request(events.CloseRequested(leg_id))


async def _play_audio(asked: Asked) -> More:
    url = _required(asked.body.audio_url, "audioUrl")
    sound = await asked.services.sounds.url(asked.line, url, "audioUrl")
    playback = await asked.services.playbacks.play(asked.line, asked.call_id, sound)
    return {"playback_id": playback}


async def _stop_audio(asked: Asked) -> None:
    asked.services.playbacks.stop(asked.line, asked.call_id)


def _check_joined(asked: Asked, channel: str) -> None:
    """Check that a party on a channel may join the call."""
    parties = asked.manager.record(asked.line, asked.call_id).facts.details.parties
    policy = asked.services.policies[asked.line]
    policy.check_route(channel, parties.from_channel or WHATSAPP, parties.to_channel)


async def _start_recording(asked: Asked) -> None:
    """Record both sides mixed, in the requested format."""
    recordings = asked.services.recordings
    await recordings.start(asked.line, asked.call_id, kinds=("mixed",), form=asked.body.format)


async def _stop_recording(asked: Asked) -> None:
    await asked.services.recordings.stop(asked.line, asked.call_id)


def _participant(asked: Asked) -> LegId | None:
    """Return the named near leg; None for all of them."""
    named = asked.body.participant_id
    return LegId(named) if named else None


def _required(value: str | None, name: str) -> str:
    """Return a required parameter.

    Raises:
        InvalidRequest: it is missing.
    """
    if not value:
        raise InvalidRequest(f"missing {name} in payload", field=name)
    return value


COMMANDS: Final[Mapping[str, Callable[[Asked], Awaitable[More]]]] = {
    "answer": _answer,
    "reject": _reject,
    "hangup": _hang_up,
    "hold": _hold,
    "unhold": _unhold,
    "mute": _mute,
    "unmute": _unmute,
    "transfer": _transfer,
    "send_dtmf": _send_digits,
    "play_audio": _play_audio,
    "stop_audio": _stop_audio,
    "add_participant": _add_participant,
    "remove_participant": _remove_participant,
    "start_recording": _start_recording,
    "stop_recording": _stop_recording,
}
