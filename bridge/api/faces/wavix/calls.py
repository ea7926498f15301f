"""The Wavix face, `/v1/call`: calls, and media streams to the customer's WebSocket."""

from typing import Final

from aiohttp import web

from bridge.api.body import Body, call_in_path, read_body
from bridge.api.faces.wavix.words import (
    CALL,
    CALLS,
    NEWER,
    WrongFields,
    call_object,
    check_url,
    success,
)
from bridge.api.services import SERVICES
from bridge.call import events
from bridge.call.model import CallDetails, LineName, Parties
from bridge.errors import InvalidRequest, Unsupported, about_field
from bridge.node.streams import StreamOrder
from bridge.wire import call_id as forms
from bridge.wire.media_format import (
    MAX_FRAME_MS,
    MIN_FRAME_MS,
    SAMPLE_RATES,
    Encoding,
    MediaFormat,
)
from bridge.wire.media_stream import WAVIX, Channel, StreamType

STREAM_FIELDS: Final = ("stream_url", "stream_type", "stream_channel")
MAX_TAG: Final = 1024
MAX_SECONDS: Final = 86_400
"""That a call may be asked to ring, or to last; the operator's limits hold all the same."""
RECORD: Final = ("call_recording", "recording")
DETECTIONS: Final = ("machine_detection", "voicemail_detection")
"""Read and not performed: `machine_detected` is always false."""


async def create(request: web.Request) -> web.Response:
    """Ring a number; `timeout` is how long it may ring, `max_duration` how long it may last."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    number = body.phone("to")
    for name in DETECTIONS:
        body.optional_flag(name)
    details = CallDetails(
        Parties(from_=_caller(request, line, body), to=f"+{number}"),
        tag=_tag(body) or "",
        callback_url=await check_url(request, body, "callback_url", "status_callback"),
        ring_seconds=body.seconds("timeout", most=MAX_SECONDS),
        talk_seconds=body.seconds("max_duration", most=MAX_SECONDS),
        record=body.optional_flag(*RECORD) or False,
    )
    runner = await request.app[SERVICES].manager.dial(line, number, details)
    return success(**call_object(runner.record()))


async def list_calls(request: web.Request) -> web.Response:
    """List the calls that have not ended, oldest first."""
    line = request.app[SERVICES].keys.line(request)
    calls = [call_object(record) for record in await request.app[SERVICES].manager.list(line)]
    return success(calls=calls)


async def call(request: web.Request) -> web.Response:
    """Give one call; an ended one for as long as it is known."""
    line = request.app[SERVICES].keys.line(request)
    record = request.app[SERVICES].manager.record(line, call_in_path(request))
    return success(call=call_object(record))


async def change(request: web.Request) -> web.Response:
    """Give a live call another tag."""
    line = request.app[SERVICES].keys.line(request)
    tag = _tag(await read_body(request))
    if tag is None:
        raise InvalidRequest("missing tag in payload", field="tag")
    request.app[SERVICES].manager.live(line, call_in_path(request)).tag(tag)
    return success()


async def end(request: web.Request) -> web.Response:
    """End a call in any state."""
    line = request.app[SERVICES].keys.line(request)
    request.app[SERVICES].manager.request(line, call_in_path(request), events.HangupRequested())
    return success()


async def answer(request: web.Request) -> web.Response:
    """Accept a call that rings us; with a stream's fields in the body its streaming begins too."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    wanted = any(body.optional_text(name) for name in STREAM_FIELDS)
    order = _order(body) if wanted else None
    call_id, recorded = call_in_path(request), body.optional_flag(*RECORD)
    if body.optional_flag("call_transcription"):
        raise Unsupported("calls are not transcribed here; record them, or stream them")
    # Nobody is to be answered whose stream cannot begin.
    if order is not None:
        request.app[SERVICES].manager.live(line, call_id)
        await _check_stream(request, order)
    request.app[SERVICES].manager.request(line, call_id, events.AnswerRequested())
    if recorded:
        await request.app[SERVICES].recordings.start(line, call_id)
    return success() if order is None else await _start(request, line, call_id, order)


async def start_stream(request: web.Request) -> web.Response:
    """Begin to stream an answered call."""
    line = request.app[SERVICES].keys.line(request)
    order = _order(await read_body(request))
    return await _start(request, line, call_in_path(request), order)


async def stop_stream(request: web.Request) -> web.Response:
    """Stop a stream of a call."""
    line = request.app[SERVICES].keys.line(request)
    stream_id = request.match_info["stream_id"]
    request.app[SERVICES].streams.stop(line, call_in_path(request), stream_id)
    return success()


async def transfer(request: web.Request) -> web.Response:
    """Ring a number; once it is connected it takes the place of all near parties."""
    line = request.app[SERVICES].keys.line(request)
    body, call_id = await read_body(request), call_in_path(request)
    number = body.phone("to")
    if body.has("from"):
        _caller(request, line, body)
    for name in ("a_playback_audio", "b_playback_audio"):
        if body.optional_text(name):
            raise Unsupported(f"{name} is not played during a transfer; use /play")
    recorded = body.optional_flag(*RECORD, "dual_channel_recording")
    await request.app[SERVICES].manager.invite(line, call_id, number, replaces=True)
    if recorded:
        await request.app[SERVICES].recordings.start(line, call_id)
    return success()


async def _start(
    request: web.Request, line: LineName, call_id: str, order: StreamOrder
) -> web.Response:
    with about_field("stream_url"):
        stream_id = await request.app[SERVICES].streams.start(
            line, call_id, order, shown_id=forms.wavix(call_id)
        )
    return success(stream_id=stream_id)


async def _check_stream(request: web.Request, order: StreamOrder) -> None:
    with about_field("stream_url"):
        await request.app[SERVICES].streams.check(request.app[SERVICES].keys.line(request), order)


def _caller(request: web.Request, line: LineName, body: Body) -> str:
    """Give the caller's number in E.164; a line that has numbers may show only these."""
    number = f"+{body.phone('from')}"
    policy = request.app[SERVICES].policies.get(line)
    if policy is not None and policy.numbers:
        policy.check_number(number, "from")
    return number


def _tag(body: Body) -> str | None:
    tag = body.optional_text("tag")
    if tag is not None and len(tag) > MAX_TAG:
        raise InvalidRequest(f"tag: expected at most {MAX_TAG} characters", field="tag")
    return tag


def _order(body: Body) -> StreamOrder:
    """Read what is to be streamed.

    Raises:
        WrongFields: naming everything that is missing or wrong.
    """
    wrong: dict[str, str] = {}
    url = _word(body, "stream_url", wrong)
    kind = _word(body, "stream_type", wrong)
    channel = _word(body, "stream_channel", wrong)
    if url and not url.startswith(("ws://", "wss://")):
        wrong["stream_url"] = "must be a WebSocket URL that begins with ws:// or wss://"
    if kind and kind not in list(StreamType):
        wrong["stream_type"] = "must be oneway or twoway"
    if channel and channel not in list(Channel):
        wrong["stream_channel"] = "must be inbound, outbound or both"
    media = _media(body, wrong)
    if media is None or wrong:
        raise WrongFields(wrong)
    return StreamOrder(url, StreamType(kind), Channel(channel), media)


def _media(body: Body, wrong: dict[str, str]) -> MediaFormat | None:
    """Read what the sound of a stream is to look like; None, and why in `wrong`, if that is not clear."""
    encoding = body.optional_text("stream_encoding") or WAVIX.encoding
    if encoding not in list(Encoding):
        wrong["stream_encoding"] = f"must be one of {', '.join(Encoding)}"
    rate = _whole(body, "stream_sample_rate", WAVIX.sample_rate, wrong)
    if rate is not None and rate not in SAMPLE_RATES:
        wrong["stream_sample_rate"] = f"must be one of {', '.join(map(str, SAMPLE_RATES))}"
    length = _whole(body, "stream_frame_ms", WAVIX.frame_milliseconds, wrong)
    if length is not None and not MIN_FRAME_MS <= length <= MAX_FRAME_MS:
        wrong["stream_frame_ms"] = f"must be from {MIN_FRAME_MS} to {MAX_FRAME_MS}"
    if wrong or rate is None or length is None:
        return None
    return MediaFormat(Encoding(encoding), rate, length)


def _whole(body: Body, name: str, default: int, wrong: dict[str, str]) -> int | None:
    try:
        return body.number(name, default=default, least=1, most=1_000_000)
    except InvalidRequest as error:
        wrong[name] = str(error)
        return None


def _word(body: Body, name: str, wrong: dict[str, str]) -> str:
    try:
        return body.text(name)
    except InvalidRequest as error:
        wrong[name] = str(error)
        return ""


_STOPS: Final = (
    CALL + "/streams/{stream_id}",
    CALLS + "/answer/{call_id}/streams/{stream_id}",
    NEWER + "/streams/{stream_id}",
)
"""The vendor's documents name three."""

ROUTES: Final = (
    web.post(CALLS, create),
    web.get(CALLS, list_calls),
    web.get(CALL, call),
    web.patch(CALL, change),
    web.delete(CALL, end),
    web.post(CALL + "/transfer", transfer),
    *(web.post(path + "/answer", answer) for path in (CALL, NEWER)),
    *(web.post(path + "/streams", start_stream) for path in (CALL, NEWER)),
    *(web.delete(path, stop_stream) for path in _STOPS),
)
