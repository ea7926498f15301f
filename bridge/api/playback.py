"""Playing into a call, the native verbs, which ZuckZapGo's and WaGo's clients share."""

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.services import SERVICES
from bridge.call.model import LineName
from bridge.call.routing import Heard
from bridge.errors import InvalidRequest
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound

MAX_DELAY_MS = 10_000
MAX_DUCK_DECIBELS = 60
SOURCES = ("audioUrl", "audioBase64", "assetId", "AudioFile")
"""What is played; a request names exactly one."""


async def play(request: web.Request) -> web.Response:
    """Play a URL, base64, an asset or a file of the media folder into a call."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    call_id = body.call_id(*(("CallID",) if _is_of_wago(body) else ()))
    options = PlaybackOptions(
        delay_seconds=body.number("delayMs", default=0, least=0, most=MAX_DELAY_MS) / 1000,
        repeats=body.number("repeat", default=1, least=1, most=MAX_REPEATS),
        duck_decibels=body.number("duck", default=0, least=0, most=MAX_DUCK_DECIBELS),
    )
    heard = _heard(body.optional_text("hear"))
    request.app[SERVICES].manager.live(line, call_id)
    sound = await _sound(request, line, body)
    playback = await request.app[SERVICES].playbacks.play(
        line, call_id, sound, options, heard=heard
    )
    return render.success({"ok": True, "status": "queued", "playbackId": playback})


async def stop(request: web.Request) -> web.Response:
    """Stop a playback, or all of a call."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    call_id, playback = body.call_id(), body.optional_text("playbackId")
    return render.success(
        {"stopped": request.app[SERVICES].playbacks.stop(line, call_id, playback)}
    )


async def pause(request: web.Request) -> web.Response:
    """Let a playback, or all of a call, stand still."""
    return await _pause(request, paused=True)


async def resume(request: web.Request) -> web.Response:
    """Let a playback, or all of a call, go on."""
    return await _pause(request, paused=False)


ROUTES = (
    web.post("/call/play", play),
    web.post("/call/play/stop", stop),
    web.post("/call/play/pause", pause),
    web.post("/call/play/resume", resume),
)


async def _pause(request: web.Request, *, paused: bool) -> web.Response:
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    call_id, playback = body.call_id(), body.optional_text("playbackId")
    chosen = request.app[SERVICES].playbacks.pause(line, call_id, playback, paused=paused)
    return render.success({"paused" if paused else "resumed": chosen})


async def _sound(request: web.Request, line: LineName, body: Body) -> Sound:
    named = {name: text for name in SOURCES if (text := body.optional_text(name))}
    if not named and _is_of_wago(body):
        raise InvalidRequest("missing AudioFile in payload", field="AudioFile")
    if len(named) != 1:
        field = next(reversed(named), body.spelt(*SOURCES))
        raise InvalidRequest(f"expected exactly one of {', '.join(SOURCES)}", field=field)
    [(name, text)] = named.items()
    sounds = request.app[SERVICES].sounds
    match name:
        case "audioUrl":
            return await sounds.url(line, text, name)
        case "audioBase64":
            return await sounds.content(text, name)
        case "assetId":
            return await request.app[SERVICES].assets.find(line, text)
        case _:
            return await sounds.file(line, text, name)


def _is_of_wago(body: Body) -> bool:
    """Whether a request is spelt as WaGo's clients spell it."""
    return body.names("AudioFile") or body.names("CallID")


def _heard(text: str | None) -> Heard:
    if text in (None, "far"):
        return Heard.FAR
    if text == "all":
        return Heard.ALL
    raise InvalidRequest('hear: expected "far" or "all"', field="hear")
