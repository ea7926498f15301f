"""Streams of calls to customers' WebSockets: the native routes, and the fields that Wavix's bodies share with them."""

from collections.abc import Callable, Iterable
from dataclasses import astuple
from typing import Annotated, Final, Literal, Protocol, TypeAlias, cast

import msgspec
from msgspec import Struct

from bridge.api.server.fields import Json, field, wrong_field
from bridge.api.server.hangup import StopQuery
from bridge.api.server.operation import CALL, Context, Done, Group
from bridge.api.server.services import MEDIA
from bridge.errors import InvalidRequest, about_field
from bridge.node.streams.streams import StreamOrder
from bridge.wire.stream.media_format import MAX_FRAME_MS, MIN_FRAME_MS, Encoding, MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamProtocol, StreamType
from bridge.wire.stream.protocols import PROTOCOLS

MAX_PARAMETERS: Final = 50
MAX_PARAMETER_BYTES: Final = 500
"""Of a parameter's name and value together, as in Twilio's `<Parameter>`."""

GROUP: Final = Group(name="Native")


def _read_url(value: Json, name: str) -> Json:
    if isinstance(value, str) and value and not value.startswith(("ws://", "wss://")):
        raise wrong_field(name, "expected a WebSocket URL that begins with ws:// or wss://")
    return value


def _read_parameters(value: Json, name: str) -> Json:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_PARAMETERS
        or not all(_is_parameter(key, text) for key, text in value.items())
    ):
        raise wrong_field(
            name,
            f"expected an object of at most {MAX_PARAMETERS} strings, each with its name at most "
            f"{MAX_PARAMETER_BYTES} bytes",
        )
    return value


def _is_parameter(key: str, text: Json) -> bool:
    return isinstance(text, str) and len((key + text).encode()) <= MAX_PARAMETER_BYTES


def _join(protocols: Iterable[StreamProtocol]) -> str:
    return " and ".join(f"`{protocol}`" for protocol in protocols)


def _always(part: Callable[[MediaFormat], object]) -> str:
    """Return what a part of the format is with the protocols that have one format."""
    having: dict[object, list[StreamProtocol]] = {}
    for protocol, traits in PROTOCOLS.items():
        if traits.one_format:
            having.setdefault(part(traits.media), []).append(protocol)
    return ", ".join(f"{value} with {_join(protocols)}" for value, protocols in having.items())


WebSocketUrl: TypeAlias = Annotated[
    str,
    field(
        "ws:// or wss://, dialled by the bridge; needed, except with "
        f"{_join(name for name, traits in PROTOCOLS.items() if traits.model)} on a line that has a server",
        read=_read_url,
    ),
]
ProtocolName: TypeAlias = Annotated[
    StreamProtocol,
    field(
        "what the messages look like: "
        + "; ".join(f"`{protocol}`{traits.about}" for protocol, traits in PROTOCOLS.items())
    ),
]
Parameters: TypeAlias = Annotated[
    dict[str, str],
    field(
        "sent in `start`: Twilio's `customParameters`; up to 500 bytes each with its name",
        read=_read_parameters,
        max_length=MAX_PARAMETERS,
    ),
]
AudioEncoding: TypeAlias = Annotated[
    Encoding, field("default `s16le`; always " + _always(lambda media: f"`{media.encoding}`"))
]
SampleRate: TypeAlias = Annotated[
    Literal[8000, 16000, 24000, 48000],
    field("default 24000; always " + _always(lambda media: media.sample_rate)),
]
FrameMs: TypeAlias = Annotated[
    int,
    field(
        "length of the messages that are sent; default 20, and always "
        + _always(lambda media: media.frame_milliseconds),
        ge=MIN_FRAME_MS,
        le=MAX_FRAME_MS,
    ),
]
Machine: TypeAlias = Annotated[
    bool,
    field(
        "whether a machine speaks there: it is heard once the line's disclosure has been spoken (docs/disclosure.md), where it has one"
    ),
]


class NewStream(Struct, rename="camel"):
    """What is streamed, and where to."""

    stream_url: WebSocketUrl = ""
    stream_type: Annotated[StreamType, field("whether the server may play audio into the call")] = (
        StreamType.TWOWAY
    )
    stream_channel: Annotated[
        Channel,
        field("`inbound` is the far party; a two-way stream is sent this whatever is asked for"),
    ] = Channel.INBOUND
    stream_protocol: ProtocolName = StreamProtocol.NATIVE
    stream_parameters: Parameters = {}
    stream_encoding: AudioEncoding | None = None
    stream_sample_rate: SampleRate | None = None
    stream_frame_ms: FrameMs | None = None
    machine: Machine = False


class StreamBody(Protocol):
    """The fields of a stream, whatever their names in JSON."""

    stream_url: str
    stream_type: StreamType
    stream_channel: Channel
    stream_protocol: StreamProtocol
    stream_parameters: dict[str, str]
    stream_encoding: Encoding | None
    stream_sample_rate: SampleRate | None
    stream_frame_ms: int | None
    machine: bool


class StreamStarted(Struct, rename="camel"):
    """A stream that begins."""

    stream_id: str


@GROUP.post("/call/{callId}/streams", errors=(*CALL, 422, 503))
async def start(context: Context, body: NewStream) -> StreamStarted:
    """Stream an answered call to a WebSocket that the bridge connects to.

    A call has one two-way and five one-way streams at most. The events `stream.started` and
    `stream.ended` say whether the connection succeeded.
    """
    runner = context.live_call()
    order = order_of(body)
    with about_field("streamUrl"):
        stream_id = await context[MEDIA].streams.start(runner, order, context.call_id)
    return StreamStarted(stream_id)


@GROUP.delete("/call/{callId}/streams/{streamId}", errors=CALL)
async def stop(context: Context, query: StopQuery) -> Done:
    """Stop a stream of a call."""
    stream_id, last = context.path("streamId"), query.after == "speech"
    context[MEDIA].streams.stop(context.live_call(), stream_id, after_speech=last)
    return Done()


def order_of(body: StreamBody) -> StreamOrder:
    """Return the stream to begin; an empty URL is the line's own server.

    Raises:
        InvalidRequest: the URL is missing, a stream to a model is one-way, or as `media_format`.
    """
    protocol = body.stream_protocol
    model = PROTOCOLS[protocol].model
    if model and body.stream_type is not StreamType.TWOWAY:
        raise wrong_field(
            _name_sent(body, "stream_type"),
            f"streams of the protocol {protocol} are twoway: the model answers the caller",
        )
    media = media_format(body)
    if not body.stream_url and not model:
        url = _name_sent(body, "stream_url")
        raise InvalidRequest(f"missing {url} in payload", field=url)
    return StreamOrder(
        body.stream_url,
        body.stream_type,
        body.stream_channel,
        media,
        protocol,
        body.stream_parameters,
        machine=body.machine,
    )


def media_format(body: StreamBody) -> MediaFormat:
    """Return the format of a stream's audio: what was asked for, else the protocol's own.

    Raises:
        InvalidRequest: the protocol has one format only, and another was asked for.
    """
    protocol = PROTOCOLS[body.stream_protocol]
    default = protocol.media
    media = MediaFormat(
        body.stream_encoding or default.encoding,
        body.stream_sample_rate or default.sample_rate,
        body.stream_frame_ms or default.frame_milliseconds,
    )
    if protocol.one_format and media != default:
        fields = ("stream_encoding", "stream_sample_rate", "stream_frame_ms")
        parts = zip(fields, astuple(media), astuple(default), strict=True)
        name = _name_sent(body, next(field for field, one, own in parts if one != own))
        raise wrong_field(
            name,
            f"streams of the protocol {body.stream_protocol} are {default.encoding} at "
            f"{default.sample_rate} Hz in messages of {default.frame_milliseconds} ms; omit {name}",
        )
    return media


def _name_sent(body: StreamBody, field: str) -> str:
    """Return the name of a field in JSON."""
    known = msgspec.structs.fields(cast("Struct", body))
    return next(one.encode_name for one in known if one.name == field)
