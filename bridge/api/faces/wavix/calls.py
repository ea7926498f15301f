"""The Wavix face, `/v1/call`: calls, and media streams to the customer's WebSocket."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from bridge.api.events.webhook_endpoints import checked
from bridge.api.faces.wavix.words import (
    CALL,
    CALLS,
    NEWER,
    WAVIX,
    Success,
    WavixCall,
    call_object,
)
from bridge.api.media.streams import (
    AudioEncoding,
    FrameMs,
    Machine,
    Parameters,
    ProtocolName,
    SampleRate,
    WebSocketUrl,
    order_of,
)
from bridge.api.server.fields import Phone, Url, field
from bridge.api.server.hangup import HangupQuery, StopQuery, hangup_request
from bridge.api.server.listing import find_call
from bridge.api.server.operation import CALL as OF_CALL
from bridge.api.server.operation import Context
from bridge.api.server.services import CONTROL, LINES, MEDIA, RECORDS
from bridge.call import events
from bridge.call.model import CallDetails, MachineDetection, Parties
from bridge.call.transcript import Transcribe
from bridge.errors import about_field
from bridge.node.streams.streams import StreamOrder
from bridge.wire import call_id as forms
from bridge.wire.stream.media_stream import Channel, StreamProtocol, StreamType

MAX_SECONDS: Final = 86_400
"""That a call may be asked to ring, or to last; the operator's limits hold all the same."""


Tag: TypeAlias = Annotated[str, field(min_length=0, max_length=1024)]
Record: TypeAlias = Annotated[
    bool, field("the field may also be spelled `recording`", spellings=("recording",))
]
Detection: TypeAlias = Annotated[
    bool, field("find out whether a machine answers (`machine_detected`); the call goes on")
]
Transcription: TypeAlias = Annotated[
    bool,
    field("record the call, and transcribe it after its end (`/v1/cdrs/{call_id}/transcription`)"),
]


class WavixNewCall(Struct, rename={"from_": "from"}):
    """Whom to call, and for how long."""

    from_: Phone
    to: Phone
    callback_url: Url | None = None
    status_callback: Annotated[Url, field("the older name of `callback_url`")] | None = None
    tag: Tag | None = None
    timeout: Annotated[int, field("seconds that it may ring", ge=1, le=MAX_SECONDS)] | None = None
    max_duration: (
        Annotated[int, field("seconds from the answer on", ge=1, le=MAX_SECONDS)] | None
    ) = None
    call_recording: Record = False
    call_transcription: Transcription = False
    machine_detection: Detection = False
    voicemail_detection: Annotated[
        bool, field("find out whether a machine answers, and hang up on it")
    ] = False


class WavixCalls(Struct):
    """Calls."""

    calls: list[WavixCall]


class OneCall(Struct):
    """A call."""

    call: WavixCall


class NewTag(Struct):
    """A tag."""

    tag: Tag


class Transfer(Struct, rename={"from_": "from"}):
    """Whom to call in place of our side."""

    to: Phone
    from_: Phone | None = None
    call_recording: Annotated[
        bool,
        field(
            "the field may also be spelled `recording` or `dual_channel_recording`",
            spellings=("recording", "dual_channel_recording"),
        ),
    ] = False
    machine_detection: Annotated[bool, field("read and not performed")] = False
    a_playback_audio: (
        Annotated[Url, field("played to the other party until the new one has answered")] | None
    ) = None
    b_playback_audio: (
        Annotated[Url, field("played to the new party before the two are joined")] | None
    ) = None


class NewStream(Struct):
    """What is streamed, and where to."""

    stream_type: StreamType
    stream_channel: Channel
    stream_url: WebSocketUrl = ""
    stream_protocol: ProtocolName = StreamProtocol.NATIVE
    stream_parameters: Parameters = {}
    stream_encoding: AudioEncoding | None = None
    stream_sample_rate: SampleRate | None = None
    stream_frame_ms: FrameMs | None = None
    machine: Machine = False


class StreamedAnswer(NewStream):
    """A stream that begins with the answer."""

    call_recording: Record = False
    call_transcription: Transcription = False

    @staticmethod
    def is_meant(given: Mapping[str, Any]) -> bool:
        """Whether a request has a field that only a stream has."""
        return any(given.get(name) for name in ("stream_url", "stream_type", "stream_channel"))


class PlainAnswer(Struct):
    """An answer without a stream."""

    call_recording: Record = False
    call_transcription: Transcription = False


class StreamStarted(Struct):
    """A stream that begins."""

    stream_id: str


class Answered(Struct):
    """What begins with the answer."""

    stream_id: str | UnsetType = UNSET


@WAVIX.post(CALLS, starts_call=True, errors=(404, 409, 422, 501, 502, 503))
async def create(context: Context, body: WavixNewCall) -> WavixCall:
    """Call a number.

    Over WhatsApp; over the line's SIP trunk where it has one and no other WhatsApp than the simulator.
    """
    line = context.line
    if body.call_transcription:
        context[RECORDS].transcripts.check(line)
    name = "status_callback" if body.callback_url is None else "callback_url"
    callback = body.status_callback if body.callback_url is None else body.callback_url
    details = CallDetails(
        Parties(
            from_=_caller(context, body.from_),
            to=f"+{body.to}",
            to_channel=context[LINES].policies[line].telephone_channel,
        ),
        tag=body.tag or "",
        callback_url=await checked(context, callback, name) if callback else "",
        ring_seconds=body.timeout or 0,
        talk_seconds=body.max_duration or 0,
        record=body.call_recording,
        machine_detection=_detection(body),
        transcribe=Transcribe.AFTER if body.call_transcription else Transcribe.OFF,
        trace=context.trace,
    )
    runner = await context[CONTROL].manager.dial(line, body.to, details)
    return call_object(runner.record())


@WAVIX.get(CALLS)
async def list_calls(context: Context) -> WavixCalls:
    """List the calls that have not ended, oldest first."""
    records = await context[CONTROL].manager.list(context.line)
    return WavixCalls([call_object(record) for record in records])


@WAVIX.get(CALL, errors=(404, 502))
async def call(context: Context) -> OneCall:
    """Return one call, live or ended."""
    return OneCall(call_object((await find_call(context)).record))


@WAVIX.patch(CALL, errors=(*OF_CALL, 503))
async def change(context: Context, body: NewTag) -> Success:
    """Change the tag of a live call."""
    context.live_call().tag(body.tag)
    return Success()


@WAVIX.delete(CALL, errors=(*OF_CALL, 503))
async def end(context: Context, query: HangupQuery) -> Success:
    """End a call in any state."""
    manager = context[CONTROL].manager
    manager.request(context.line, context.call_id, hangup_request(query.after))
    return Success()


@WAVIX.post(
    CALL + "/answer",
    NEWER + "/answer",
    reports_every_field=True,
    errors=(*OF_CALL, 422, 501, 503),
)
async def answer(context: Context, body: StreamedAnswer | PlainAnswer) -> Answered:
    """Answer an inbound call; with a stream's fields it is streamed too."""
    call_id = context.call_id
    if body.call_transcription:
        context[RECORDS].transcripts.check(context.line)
    order = order_of(body) if isinstance(body, StreamedAnswer) else None
    # A call whose stream cannot begin is not answered.
    if order is not None:
        context.live_call()
        with about_field("stream_url"):
            await context[MEDIA].streams.check(context.line, order)
    context[CONTROL].manager.request(context.line, call_id, events.AnswerRequested())
    if body.call_recording:
        await context[RECORDS].recordings.start(context.live_call())
    if body.call_transcription:
        await context[RECORDS].transcripts.order(context.line, call_id)
    return Answered() if order is None else Answered(await _start(context, order))


@WAVIX.post(
    CALL + "/streams",
    NEWER + "/streams",
    reports_every_field=True,
    errors=(*OF_CALL, 422, 503),
)
async def start_stream(context: Context, body: NewStream) -> StreamStarted:
    """Stream an answered call: one two-way and five one-way streams at most."""
    return StreamStarted(await _start(context, order_of(body)))


@WAVIX.delete(
    CALL + "/streams/{stream_id}",
    CALLS + "/answer/{call_id}/streams/{stream_id}",
    NEWER + "/streams/{stream_id}",
    errors=OF_CALL,
)
async def stop_stream(context: Context, query: StopQuery) -> Success:
    """Stop a stream of a call."""
    stream_id, last = context.path("stream_id"), query.after == "speech"
    context[MEDIA].streams.stop(context.live_call(), stream_id, after_speech=last)
    return Success()


@WAVIX.post(CALL + "/transfer", errors=(*OF_CALL, 403, 422, 429, 501, 503))
async def transfer(context: Context, body: Transfer) -> Success:
    """Call a number; once it is connected it takes the place of all near parties.

    The other party hears a ring-back tone or `a_playback_audio` meanwhile; when the number does not
    answer everything is as before.
    """
    if body.from_ is not None:
        _caller(context, body.from_)
    runner = context.live_call()
    context[CONTROL].transfers.check(runner)
    names = ("a_playback_audio", "b_playback_audio")
    urls = {name: getattr(body, name) for name in names}
    waiting, announcement = (await context[MEDIA].sounds.urls(context.line, urls)).values()
    channel = context[LINES].policies[context.line].telephone_channel
    await context[CONTROL].transfers.transfer(
        runner, body.to, channel=channel, waiting=waiting, announcement=announcement
    )
    if body.call_recording:
        await context[RECORDS].recordings.start(runner)
    return Success()


async def _start(context: Context, order: StreamOrder) -> str:
    runner, shown_id = context.live_call(), forms.wavix(context.call_id)
    order = replace(order, resumes=False)  # its documents know of one connection only
    with about_field("stream_url"):
        return await context[MEDIA].streams.start(runner, order, shown_id)


def _detection(body: WavixNewCall) -> MachineDetection:
    if body.voicemail_detection:
        return MachineDetection.HANGUP
    return MachineDetection.REPORT if body.machine_detection else MachineDetection.OFF


def _caller(context: Context, phone: str) -> str:
    """Return the caller's number in E.164; a line that has numbers may show only these."""
    number = f"+{phone}"
    policy = context[LINES].policies.get(context.line)
    if policy is not None and policy.numbers:
        policy.check_number(number, "from")
    return number
