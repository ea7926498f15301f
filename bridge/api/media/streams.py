"""Streams of calls to customers' WebSockets: the native routes, and the fields that Wavix's bodies share with them."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Annotated, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from bridge.api.server.fields import Json, field
from bridge.api.server.operation import CALL, Context, Done, Group
from bridge.errors import InvalidRequest, about_field
from bridge.node.streams.streams import StreamOrder
from bridge.wire.stream.media_format import MAX_FRAME_MS, MIN_FRAME_MS, Encoding, MediaFormat
from bridge.wire.stream.media_stream import Channel, StreamProtocol, StreamType
from bridge.wire.stream.protocols import ONLY_FORMATS, default_format

MAX_PARAMETERS: Final = 50
MAX_PARAMETER_BYTES: Final = 500
"""Of a parameter's name and value together, as in Twilio's `<Parameter>`."""

NAMES: Final = ("streamUrl", "streamType", "streamEncoding", "streamSampleRate", "streamFrameMs")
"""Of the fields that an order can be refused for."""

GROUP: Final = Group(name="Native")


def _read_url(value: Json, name: str) -> Json:
    if isinstance(value, str) and value and not value.startswith(("ws://", "wss://")):
        raise InvalidRequest(
            f"{name}: expected a WebSocket URL that begins with ws:// or wss://", field=name
        )
    return value


def _read_parameters(value: Json, name: str) -> Json:
    if (
        not isinstance(value, dict)
        or len(value) > MAX_PARAMETERS
        or not all(_is_parameter(key, text) for key, text in value.items())
    ):
        raise InvalidRequest(
            f"{name}: expected an object of at most {MAX_PARAMETERS} strings, each with its name at most "
            f"{MAX_PARAMETER_BYTES} bytes",
            field=name,
        )
    return value


def _is_parameter(key: str, text: Json) -> bool:
    return isinstance(text, str) and len((key + text).encode()) <= MAX_PARAMETER_BYTES


WebSocketUrl: TypeAlias = Annotated[
    str,
    field(
        "ws:// or wss://, dialled by the bridge; needed, except with `openai-realtime` on a line that has a server",
        read=_read_url,
    ),
]
ProtocolName: TypeAlias = Annotated[
    StreamProtocol,
    field(
        "what the messages look like: `native`, as Wavix documents them; `twilio`, Twilio Media Streams; "
        "`openai-realtime`, of which the bridge is the client"
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
    Encoding, field("default `s16le`; always `mulaw` with `twilio`, `s16le` with `openai-realtime`")
]
SampleRate: TypeAlias = Annotated[
    Literal[8000, 16000, 24000, 48000],
    field("default 24000; always 8000 with `twilio`, 24000 with `openai-realtime`"),
]
FrameMs: TypeAlias = Annotated[
    int,
    field(
        "length of the messages that are sent; default 20, and always 20 with `twilio` and `openai-realtime`",
        ge=MIN_FRAME_MS,
        le=MAX_FRAME_MS,
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
    order = order_of(body, NAMES)
    with about_field("streamUrl"):
        stream_id = await context.services.streams.start(runner, order, context.call_id)
    return StreamStarted(stream_id)


@GROUP.delete("/call/{callId}/streams/{streamId}", errors=CALL)
async def stop(context: Context) -> Done:
    """Stop a stream of a call."""
    context.services.streams.stop(context.live_call(), context.path("streamId"))
    return Done()


def order_of(body: StreamBody, names: Sequence[str]) -> StreamOrder:
    """Return the stream to begin; an empty URL is the line's own realtime server. `names` are as `NAMES`.

    Raises:
        InvalidRequest: the URL is missing, a stream to a model is one-way, or as `media_format`.
    """
    url, kind, *formats = names
    protocol = body.stream_protocol
    realtime = protocol is StreamProtocol.OPENAI_REALTIME
    if realtime and body.stream_type is not StreamType.TWOWAY:
        raise InvalidRequest(
            f"{kind}: streams of the protocol openai-realtime are twoway: the model answers the caller",
            field=kind,
        )
    media = media_format(
        protocol,
        body.stream_encoding,
        body.stream_sample_rate,
        body.stream_frame_ms,
        names=formats,
    )
    if not body.stream_url and not realtime:
        raise InvalidRequest(f"missing {url} in payload", field=url)
    return StreamOrder(
        body.stream_url,
        body.stream_type,
        body.stream_channel,
        media,
        protocol,
        body.stream_parameters,
    )


def media_format(
    protocol: StreamProtocol,
    encoding: Encoding | None,
    sample_rate: int | None,
    frame_ms: int | None,
    *,
    names: Sequence[str],
) -> MediaFormat:
    """Return the format of a stream's audio: what was asked for, else the protocol's own.

    `names` are the fields of the three.

    Raises:
        InvalidRequest: the protocol has one format only, and another was asked for.
    """
    default = default_format(protocol)
    media = MediaFormat(
        encoding or default.encoding,
        sample_rate or default.sample_rate,
        frame_ms or default.frame_milliseconds,
    )
    if protocol in ONLY_FORMATS and media != default:
        pairs = zip(names, astuple(media), astuple(default), strict=True)
        name = next(name for name, one, own in pairs if one != own)
        raise InvalidRequest(
            f"{name}: streams of the protocol {protocol.value} are {default.encoding.value} at "
            f"{default.sample_rate} Hz in messages of {default.frame_milliseconds} ms; omit {name}",
            field=name,
        )
    return media
