"""The commands of the Chirp face: one route, the command's name and its parameters."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from bridge.api.calls.ringing import ringing_call
from bridge.api.faces.chirp.parties import Channel, check_address
from bridge.api.faces.chirp.words import CHIRP
from bridge.api.server.fields import Digits, Url, field, wrong_field
from bridge.api.server.hangup import After, hangup_request
from bridge.api.server.operation import CALL, Context
from bridge.api.server.services import CONTROL, MEDIA, RECORDS
from bridge.audio.file.formats import MP4, OGG, WAV, WEBM
from bridge.call import events
from bridge.call.model import LegId
from bridge.call.parties import WEBRTC
from bridge.call.recording import RecordingRequest
from bridge.errors import InvalidRequest
from bridge.node.calls.participants import add_participant, remove_participant
from bridge.wire.call_id import chirp

MAX_REASON: Final = 500
QUEUED: Final = "queued"

FORMATS: Final = (MP4, OGG, WEBM, WAV)
"""The formats of a recording, the default first."""


class Command(Struct, rename="camel"):
    """A command and its parameters."""

    type: Annotated[str, field("`answer`, `reject`, `send_to_voicemail`, `hangup`, …")]
    reason: Annotated[str, field("of `reject`", max_length=MAX_REASON)] | None = None
    music_url: Annotated[Url, field("of `hold`")] | None = None
    participant_id: (
        Annotated[
            LegId,
            field(
                "a legID: of `mute` and `unmute`, which else mean all near legs, of `hold` and "
                "`unhold`, which else mean the call, of `remove_participant`, and of `transfer` "
                "without `to`, which leaves the call to the participants that were called"
            ),
        ]
        | None
    ) = None
    digits: Annotated[Digits, field("of `send_dtmf`")] | None = None
    format: Annotated[Literal["mp4", "ogg", "webm", "wav"], field("of `start_recording`")] = "mp4"
    to: Annotated[str, field("of `transfer` and `add_participant`")] | None = None
    to_channel: Channel = "pstn"
    audio_url: Annotated[Url, field("of `play_audio`")] | None = None
    after: After = UNSET
    """Of `hangup`."""


class Accepted(Struct, rename="camel"):
    """An accepted command."""

    call_id: str
    command: str
    status: Literal["accepted", "queued"] = "accepted"
    playback_id: Annotated[str, field("of `play_audio`")] | UnsetType = UNSET
    participant_id: Annotated[str, field("of `add_participant`")] | UnsetType = UNSET


@CHIRP.post("/v1/calls/{callId}/commands", errors=(*CALL, 422, 501, 503))
async def command(context: Context, body: Command) -> Accepted:
    """Perform a command of a live call."""
    if body.type not in COMMANDS:
        raise wrong_field("type", f"expected one of {', '.join(COMMANDS)}")
    context.live_call()
    more = await COMMANDS[body.type](context, body)
    call_id = chirp(context.call_id, test=context.is_test_key)
    return Accepted(call_id, body.type, **(more or {}))


More: TypeAlias = Mapping[str, Any] | None
"""Other fields of `Accepted`."""


def _request(context: Context, wanted: events.Request) -> None:
    context[CONTROL].manager.request(context.line, context.call_id, wanted)


async def _answer(context: Context, _: Command) -> None:
    _request(context, events.AnswerRequested())


async def _reject(context: Context, _: Command) -> None:
    context[CONTROL].voicemail_calls.reject(ringing_call(context, context.call_id))


async def _send_to_voicemail(context: Context, _: Command) -> None:
    context[CONTROL].voicemail_calls.send(context.live_call())


async def _hang_up(context: Context, body: Command) -> None:
    _request(context, hangup_request(body.after))


async def _hold(context: Context, body: Command) -> None:
    """Hold the call, or one participant, with music."""
    url = body.music_url
    runner = context.live_call()
    context[CONTROL].holds.check(runner)
    music = await context[MEDIA].sounds.url(context.line, url, "musicUrl") if url else None
    await context[CONTROL].holds.hold(runner, body.participant_id or None, music=music)


async def _unhold(context: Context, body: Command) -> None:
    context[CONTROL].holds.unhold(context.live_call(), body.participant_id or None)


async def _mute(context: Context, body: Command) -> None:
    """Mute the named participant, or all near legs; or unmute."""
    muted = body.type == "mute"
    _request(context, events.MuteRequested(muted=muted, leg_id=body.participant_id or None))


async def _send_digits(context: Context, body: Command) -> None:
    _request(context, events.DigitsRequested(_required(body.digits, "digits")))


async def _transfer(context: Context, body: Command) -> More:
    """Ring the new party, which takes the near parties' place; or leave the call to a participant."""
    runner = context.live_call()
    if body.participant_id and not body.to:
        runner.dispatch(events.LeaveRequested(body.participant_id))
        return None
    channel = body.to_channel
    to = check_address(body.to, "to", channel)
    if channel == WEBRTC:
        runner.dispatch(events.InviteRequested(to))
    else:
        number = to.removeprefix("+")
        await context[CONTROL].transfers.transfer(runner, number, channel=channel)
    return {"status": QUEUED}


async def _add_participant(context: Context, body: Command) -> More:
    """Ring one more party; a browser joins with a token instead."""
    channel = body.to_channel
    to = check_address(body.to, "to", channel)
    if channel == WEBRTC:
        raise wrong_field("toChannel", "a browser joins with a token of the call's room")
    runner, manager = context.live_call(), context[CONTROL].manager
    leg_id = await add_participant(manager, runner, to.removeprefix("+"), channel=channel)
    return {"status": QUEUED, "participant_id": leg_id}


async def _remove_participant(context: Context, body: Command) -> None:
    leg_id = LegId(_required(body.participant_id, "participantId"))
    remove_participant(context.live_call(), leg_id)


async def _play_audio(context: Context, body: Command) -> More:
    url = _required(body.audio_url, "audioUrl")
    sound = await context[MEDIA].sounds.url(context.line, url, "audioUrl")
    playback = await context[MEDIA].playbacks.play(context.live_call(), sound)
    return {"playback_id": playback}


async def _stop_audio(context: Context, body: Command) -> None:
    context[MEDIA].playbacks.stop(context.live_call())


async def _start_recording(context: Context, body: Command) -> None:
    """Record both sides mixed, in the requested format."""
    recordings = context[RECORDS].recordings
    await recordings.start(
        context.live_call(), RecordingRequest(("mixed",), copy_format=body.format)
    )


async def _stop_recording(context: Context, body: Command) -> None:
    await context[RECORDS].recordings.stop(context.line, context.call_id)


def _required(value: str | None, name: str) -> str:
    """Return a required parameter, or raise `InvalidRequest`."""
    if not value:
        raise InvalidRequest(f"missing {name} in payload", field=name)
    return value


COMMANDS: Final[Mapping[str, Callable[[Context, Command], Awaitable[More]]]] = {
    "answer": _answer,
    "reject": _reject,
    "send_to_voicemail": _send_to_voicemail,
    "hangup": _hang_up,
    "hold": _hold,
    "unhold": _unhold,
    "mute": _mute,
    "unmute": _mute,
    "transfer": _transfer,
    "send_dtmf": _send_digits,
    "play_audio": _play_audio,
    "stop_audio": _stop_audio,
    "add_participant": _add_participant,
    "remove_participant": _remove_participant,
    "start_recording": _start_recording,
    "stop_recording": _stop_recording,
}
