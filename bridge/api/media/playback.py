"""Playback into a call: the native routes, which ZuckZapGo and WaGo share."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Struct

from bridge.api.media.agent import Stopped
from bridge.api.server.fields import CallId, Url, field
from bridge.api.server.operation import CALL, Context, Group
from bridge.api.server.services import MEDIA
from bridge.call.model import LineName
from bridge.call.routing import Audience
from bridge.errors import InvalidRequest
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound

MAX_DELAY_MS: Final = 10_000
MAX_DUCK_DECIBELS: Final = 60
AUDIENCES: Final = {"far": Audience.FAR, "all": Audience.ALL}
SOURCES: Final = {
    "audio_url": "audioUrl",
    "audio_base64": "audioBase64",
    "asset_id": "assetId",
    "audio_file": "AudioFile",
}
"""The fields of a source; a request names exactly one."""

GROUP: Final = Group(name="Playback")


class Play(Struct, rename={**SOURCES, "call_id": "callId", "delay_ms": "delayMs"}):
    """What to play into a call; exactly one source is named."""

    call_id: CallId
    audio_url: Url | None = None
    audio_base64: Annotated[str, field("data URLs are accepted too")] | None = None
    asset_id: Annotated[str, field("of POST /api/v1/call-audio-assets")] | None = None
    audio_file: (
        Annotated[
            str,
            field(
                "a path in the line's own or the shared media folder; the prefix `files/` is optional"
            ),
        ]
        | None
    ) = None
    delay_ms: Annotated[int, field(ge=0, le=MAX_DELAY_MS)] = 0
    repeat: Annotated[int, field(ge=1, le=MAX_REPEATS)] = 1
    duck: Annotated[
        int,
        field(
            "dB by which it lowers what else the far party hears meanwhile",
            ge=0,
            le=MAX_DUCK_DECIBELS,
        ),
    ] = 0
    hear: Annotated[Literal["far", "all"], field("who hears it")] = "far"


class WagoPlay(Play, rename={**SOURCES, "call_id": "CallID", "delay_ms": "delayMs"}):
    """The same as WaGo's clients spell it: with `AudioFile` or `CallID`."""

    call_id: CallId

    @staticmethod
    def is_meant(given: Mapping[str, Any]) -> bool:
        """Whether a request has this spelling."""
        return "AudioFile" in given or "CallID" in given


class Played(Struct, rename="camel"):
    """A playback that is queued."""

    playback_id: str
    ok: Literal[True] = True
    status: Literal["queued"] = "queued"


class PlaybackBody(Struct, rename="camel"):
    """A playback of a call; without `playbackId` all of them."""

    call_id: CallId
    playback_id: str | None = None


class Paused(Struct):
    """What was paused."""

    paused: Any


class Resumed(Struct):
    """What was resumed."""

    resumed: Any


@GROUP.post("/call/play", errors=(*CALL, 422, 503))
async def play(context: Context, body: WagoPlay | Play) -> Played:
    """Play WAV, MP3, Ogg, FLAC, AAC, AIFF, AMR, MP4 or WebM audio into a call.

    Exactly one of `audioUrl`, `audioBase64`, `assetId`, `AudioFile` is named. Bodies up to 16 MB.
    """
    line = context.line
    options = PlaybackOptions(
        delay_seconds=body.delay_ms / 1000,
        repeats=body.repeat,
        duck_decibels=body.duck,
    )
    runner = context.live_call(body.call_id)
    sound = await _sound(context, line, *_source(body))
    audience = AUDIENCES[body.hear]
    return Played(await context[MEDIA].playbacks.play(runner, sound, options, audience=audience))


@GROUP.post("/call/play/stop", errors=CALL)
async def stop(context: Context, body: PlaybackBody) -> Stopped:
    """Stop a playback, or all of a call."""
    playbacks = context[MEDIA].playbacks
    return Stopped(playbacks.stop(context.live_call(body.call_id), body.playback_id))


@GROUP.post("/call/play/pause", errors=CALL)
async def pause(context: Context, body: PlaybackBody) -> Paused:
    """Pause a playback, or all of a call."""
    playbacks = context[MEDIA].playbacks
    return Paused(playbacks.pause(context.live_call(body.call_id), body.playback_id, paused=True))


@GROUP.post("/call/play/resume", errors=CALL)
async def resume(context: Context, body: PlaybackBody) -> Resumed:
    """Resume a playback, or all of a call."""
    playbacks = context[MEDIA].playbacks
    return Resumed(playbacks.pause(context.live_call(body.call_id), body.playback_id, paused=False))


def _source(body: Play) -> tuple[str, str]:
    """Return the name and the value of the field that says what to play."""
    named = {wire: text for name, wire in SOURCES.items() if (text := getattr(body, name))}
    if not named and isinstance(body, WagoPlay):
        raise InvalidRequest("missing AudioFile in payload", field="AudioFile")
    if len(named) != 1:
        field = next(reversed(named), "audioUrl")
        raise InvalidRequest(f"expected exactly one of {', '.join(SOURCES.values())}", field=field)
    [(name, text)] = named.items()
    return name, text


async def _sound(context: Context, line: LineName, name: str, text: str) -> Sound:
    sounds = context[MEDIA].sounds
    match name:
        case "audioUrl":
            return await sounds.url(line, text, name)
        case "audioBase64":
            return await sounds.content(text, name)
        case "assetId":
            return await context[MEDIA].assets.find(line, text)
        case _:
            return await sounds.file(line, text, name)
