"""Wavix's sound in calls: playing URLs, speaking texts, and collecting digits with a prompt."""

from typing import Any, Final

from aiohttp import web

from bridge.api.body import Body, call_in_path, read_body
from bridge.api.faces.wavix.words import CALL, NEWER, check_url, success
from bridge.api.services import SERVICES
from bridge.audio.wav import make_header
from bridge.call.digits import DigitRules
from bridge.call.model import LineName
from bridge.errors import InvalidRequest
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound

DELAYS: Final = ("delay_before_playing", "timeout_before_playing")
MAX_DELAY_MS: Final = 10_000
MAX_TEXT: Final = 4096
MAX_DIGITS: Final = 20
MAX_PAUSE: Final = 60
PAUSE: Final = 5
MAX_ATTEMPTS: Final = 10
KEYS_OF_PHONES: Final = frozenset("0123456789*#ABCD")


async def play(request: web.Request) -> web.Response:
    """Play a URL into a call; returns once its first frame is decoded."""
    line = request.app[SERVICES].keys.line(request)
    body, call_id = await read_body(request), call_in_path(request)
    url = body.text("audio_file")
    options = PlaybackOptions(delay_seconds=_delay(body))
    request.app[SERVICES].manager.live(line, call_id)
    sound = await request.app[SERVICES].sounds.url(line, url, "audio_file")
    playback = await request.app[SERVICES].playbacks.play(line, call_id, sound, options)
    return success(playback_id=playback)


async def tell(request: web.Request) -> web.Response:
    """Speak a text into a call, in the voice of the line's own provider."""
    line = request.app[SERVICES].keys.line(request)
    body, call_id = await read_body(request), call_in_path(request)
    text = _text(body, "text")
    body.optional_text("voice")
    options = PlaybackOptions(
        delay_seconds=_delay(body),
        repeats=body.number("max_repeat_count", default=1, least=1, most=MAX_REPEATS),
    )
    request.app[SERVICES].manager.live(line, call_id)
    sound = await _spoken(request, line, text)
    playback = await request.app[SERVICES].playbacks.play(line, call_id, sound, options)
    return success(playback_id=playback)


async def stop(request: web.Request) -> web.Response:
    """Stop all that is played into a call."""
    line = request.app[SERVICES].keys.line(request)
    request.app[SERVICES].playbacks.stop(line, call_in_path(request))
    return success()


async def collect(request: web.Request) -> web.Response:
    """Collect digits of an answered call; what came of it is told by an event."""
    line = request.app[SERVICES].keys.line(request)
    body, call_id = await read_body(request), call_in_path(request)
    # The newer generation has `prompt`, the older one `audio`.
    told = Body(body.optional_object("prompt", "audio") or {})
    wanted = _wanted(body, told)
    callback = await check_url(request, body, "callback_url")
    request.app[SERVICES].manager.live(line, call_id)
    prompt = await _prompt(request, line, told)
    await request.app[SERVICES].digits.collect(
        line, call_id, wanted, prompt=prompt, callback_url=callback
    )
    return success()


ROUTES: Final = (
    *(web.post(path + "/play", play) for path in (CALL, NEWER)),
    *(web.delete(path + "/audio", stop) for path in (CALL, NEWER)),
    *(web.post(path + "/collect", collect) for path in (CALL, NEWER)),
    web.post(CALL + "/tts", tell),
)


def _wanted(body: Body, told: Body) -> DigitRules:
    most = body.number("max_digits", default=MAX_DIGITS, least=1, most=MAX_DIGITS)
    least = body.number("min_digits", default=1, least=1, most=MAX_DIGITS)
    if least > most:
        raise InvalidRequest("min_digits: more than max_digits", field="min_digits")
    end = (body.optional_text("termination_character") or "").upper()
    if end and end not in KEYS_OF_PHONES:
        raise InvalidRequest(
            "termination_character: expected one of 0-9, *, #, A-D", field="termination_character"
        )
    return DigitRules(
        min_digits=least,
        max_digits=most,
        timeout_seconds=body.number("timeout", default=PAUSE, least=1, most=MAX_PAUSE),
        terminator=end,
        attempts=body.number("max_attempts", default=1, least=1, most=MAX_ATTEMPTS),
        interrupts=told.optional_flag("stop_on_keypress") is not False,
    )


async def _prompt(request: web.Request, line: LineName, told: Body) -> Sound | None:
    say: dict[str, Any] | None = told.optional_object("say")
    if say is not None:
        words = Body(say)
        words.optional_text("voice")
        words.optional_text("language")
        return await _spoken(request, line, _text(words, "text"))
    url = told.optional_text("play", "url")
    return (
        await request.app[SERVICES].sounds.url(line, url, told.spelt("play", "url"))
        if url
        else None
    )


async def _spoken(request: web.Request, line: LineName, text: str) -> Sound:
    pcm = await request.app[SERVICES].agents.speak(line, text)
    return request.app[SERVICES].sounds.spool(make_header(len(pcm)) + pcm)


def _text(body: Body, name: str) -> str:
    text = body.text(name)
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"{name}: longer than {MAX_TEXT} characters", field=name)
    return text


def _delay(body: Body) -> float:
    return body.number(*DELAYS, default=0, least=0, most=MAX_DELAY_MS) / 1000
