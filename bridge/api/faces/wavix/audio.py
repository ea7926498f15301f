"""Wavix's sound in calls: playing URLs, speaking texts, and collecting digits with a prompt."""

from typing import Annotated, Final, TypeAlias

from msgspec import Struct

from bridge.api.events.webhook_endpoints import checked
from bridge.api.faces.wavix.words import CALL, NEWER, WAVIX, Success
from bridge.api.server.fields import Json, Url, field, wrong_field
from bridge.api.server.operation import CALL as OF_CALL
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, MEDIA
from bridge.call.digits import DigitRules
from bridge.legs.playback import MAX_REPEATS, PlaybackOptions
from bridge.media.sounds import Sound

MAX_DELAY_MS: Final = 10_000
MAX_TEXT: Final = 4096
MAX_DIGITS: Final = 20
TERMINATORS: Final = frozenset("0123456789*#ABCD")


def _read_terminator(value: Json, name: str) -> Json:
    key = value.upper() if isinstance(value, str) else value
    if isinstance(key, str) and key and key not in TERMINATORS:
        raise wrong_field(name, "expected one of 0-9, *, #, A-D")
    return key


Text: TypeAlias = Annotated[str, field(max_length=MAX_TEXT)]
Voice: TypeAlias = Annotated[str, field("read and not used: the voice is the provider's")]
Delay: TypeAlias = Annotated[
    int,
    field(
        "milliseconds; the field may also be spelled `timeout_before_playing`",
        spellings=("timeout_before_playing",),
        ge=0,
        le=MAX_DELAY_MS,
    ),
]


class WavixPlay(Struct):
    """What to play."""

    audio_file: Url
    delay_before_playing: Delay = 0


class Speech(Struct):
    """What to say."""

    text: Text
    voice: Voice = ""
    max_repeat_count: Annotated[int, field(ge=1, le=MAX_REPEATS)] = 1
    delay_before_playing: Delay = 0


class WavixPlayed(Struct):
    """A playback that is queued."""

    playback_id: str


class Say(Struct):
    """A text to speak."""

    text: Text
    voice: Voice = ""
    language: Voice = ""


class Prompt(Struct):
    """What is heard before the digits are pressed: a URL or a text."""

    play: Url | None = None
    url: Annotated[Url, field("the older name of `play`")] | None = None
    say: Say | None = None
    stop_on_keypress: bool = True


class Collect(Struct):
    """Which digits to collect."""

    min_digits: Annotated[int, field(ge=1, le=MAX_DIGITS)] = 1
    max_digits: Annotated[int, field(ge=1, le=MAX_DIGITS)] = MAX_DIGITS
    timeout: Annotated[int, field("seconds that the next digit may take", ge=1, le=60)] = 5
    termination_character: Annotated[str, field("one of 0-9, *, #, A-D", read=_read_terminator)] = (
        ""
    )
    max_attempts: Annotated[int, field(ge=1, le=10)] = 1
    callback_url: Url = ""
    prompt: Prompt | None = None
    audio: Prompt | None = None
    """The older name of `prompt`."""


@WAVIX.post(CALL + "/play", NEWER + "/play", errors=(*OF_CALL, 422, 503))
async def play(context: Context, body: WavixPlay) -> WavixPlayed:
    """Play a URL into a call; returns once its first frame is decoded."""
    line = context.line
    runner = context.live_call()
    sound = await context[MEDIA].sounds.url(line, body.audio_file, "audio_file")
    options = PlaybackOptions(body.delay_before_playing / 1000)
    return WavixPlayed(await context[MEDIA].playbacks.play(runner, sound, options))


@WAVIX.post(CALL + "/tts", errors=(*OF_CALL, 422, 501, 503))
async def speak(context: Context, body: Speech) -> WavixPlayed:
    """Speak a text into a call, in the voice of the line's provider."""
    runner = context.live_call()
    options = PlaybackOptions(
        delay_seconds=body.delay_before_playing / 1000, repeats=body.max_repeat_count
    )
    sound = await _spoken(context, body.text)
    return WavixPlayed(await context[MEDIA].playbacks.play(runner, sound, options))


@WAVIX.delete(CALL + "/audio", NEWER + "/audio", errors=OF_CALL)
async def stop(context: Context) -> Success:
    """Stop all that is played into a call."""
    context[MEDIA].playbacks.stop(context.live_call())
    return Success()


@WAVIX.post(CALL + "/collect", NEWER + "/collect", errors=(*OF_CALL, 422, 501, 503))
async def collect(context: Context, body: Collect) -> Success:
    """Collect digits of an answered call.

    The result is an `on_call_event` with `type` `collect`, sent to the line's webhooks and to
    `callback_url`, else to the call's own callback. `say` needs a provider of speech (PUT
    /call/config); its voice is the provider's.
    """
    if body.min_digits > body.max_digits:
        raise wrong_field("min_digits", "more than max_digits")
    url = body.callback_url
    callback = await checked(context, url, "callback_url") if url else ""
    runner = context.live_call()
    prompt = body.prompt or body.audio or Prompt()
    rules = DigitRules(
        min_digits=body.min_digits,
        max_digits=body.max_digits,
        timeout_seconds=body.timeout,
        terminator=body.termination_character,
        attempts=body.max_attempts,
        interrupts=prompt.stop_on_keypress,
    )
    sound = await _sound(context, prompt)
    digits = context[CONTROL].digits
    await digits.collect(runner, rules, prompt=sound, callback_url=callback)
    return Success()


async def _sound(context: Context, prompt: Prompt) -> Sound | None:
    if prompt.say is not None:
        return await _spoken(context, prompt.say.text)
    name = "url" if prompt.play is None else "play"
    url = prompt.url if prompt.play is None else prompt.play
    return await context[MEDIA].sounds.url(context.line, url, name) if url else None


async def _spoken(context: Context, text: str) -> Sound:
    return context[MEDIA].sounds.spool(await context[CONTROL].agents.speak(context.line, text))
