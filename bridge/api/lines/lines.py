"""How a line takes calls, and its connection."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from bridge.api.media.streams import ProtocolName
from bridge.api.server.fields import Json, field, wrong_field
from bridge.api.server.operation import NOBODY, Context, Done, Group
from bridge.api.server.services import LINES, MEDIA
from bridge.errors import about_field
from bridge.http.address_guard import parse
from bridge.node.lines import InboundMode, Session, with_changes
from bridge.node.streams.streams import SCHEMES
from bridge.wire.stream.media_stream import StreamProtocol
from bridge.wire.webhook.zuckzapgo import SUBSCRIPTIONS

MAX_TEXT: Final = 32_768
MAX_SUBSCRIPTIONS: Final = 64

GROUP: Final = Group(name="Lines")


def _read_url(value: Json, name: str, schemes: Sequence[str] = ("https", "http")) -> Json:
    if isinstance(value, str) and value:
        with about_field(name):
            parse(value, schemes=schemes)
    return value


def _read_mode(value: Json, name: str) -> Json:
    if not value:
        return InboundMode.WEBHOOK.value
    if not isinstance(value, str) or value not in set(InboundMode):
        # Those that ZuckZapGo documents stand first.
        modes = ", ".join(InboundMode)
        raise wrong_field(name, f"expected one of {modes}")
    return value


Text = Annotated[str, field(max_length=MAX_TEXT)] | UnsetType | None
ServiceUrl = Annotated[str, field(max_length=MAX_TEXT, read=_read_url)] | UnsetType | None
StreamUrl = (
    Annotated[
        str,
        field(
            "a ws or wss URL, which calls of the mode `stream` are answered into",
            max_length=MAX_TEXT,
            read=partial(_read_url, schemes=SCHEMES),
        ),
    ]
    | UnsetType
    | None
)
Mode = Annotated[
    InboundMode,
    field(
        "`manual` lets it ring; missing or empty is `webhook`, which answers at once; `stream` answers into "
        "`callStreamUrl`",
        read=_read_mode,
    ),
]


NAMES: Final = {
    "calls_enabled": "callsEnabled",
    "mode": "callInboundMode",
    "record": "callRecord",
    "stt_url": "callSttUrl",
    "llm_url": "callLlmUrl",
    "tts_url": "callTtsUrl",
    "stream_url": "callStreamUrl",
    "stream_protocol": "callStreamProtocol",
    "system_prompt": "callSystemPrompt",
    "greeting": "callGreeting",
    "provider_token": "callProviderToken",
}
"""The fields of `node.lines.LineConfig` as ZuckZapGo spells them."""

OTHERS: Final = frozenset({"calls_enabled", "mode", "record", "stream_protocol"})
"""Those of them that are not texts, which null clears."""


class LineConfigChanges(Struct, rename=NAMES):
    """Changes to how a line takes calls."""

    snake_case: ClassVar = True

    calls_enabled: bool | None = None
    mode: Mode | None = InboundMode.WEBHOOK
    record: bool | UnsetType | None = UNSET
    stt_url: ServiceUrl = UNSET
    llm_url: ServiceUrl = UNSET
    tts_url: ServiceUrl = UNSET
    stream_url: StreamUrl = UNSET
    stream_protocol: ProtocolName | UnsetType | None = UNSET
    system_prompt: Text = UNSET
    greeting: Text = UNSET
    provider_token: Annotated[str, field("write-only", max_length=MAX_TEXT)] | UnsetType | None = (
        UNSET
    )


class LineConfigShown(Struct, rename=NAMES):
    """How a line takes calls."""

    calls_enabled: bool
    mode: InboundMode
    record: bool
    stt_url: str
    llm_url: str
    tts_url: str
    stream_url: str
    stream_protocol: StreamProtocol
    system_prompt: str
    greeting: str


Subscriptions = Annotated[
    list[Annotated[str, Meta(max_length=MAX_SUBSCRIPTIONS)]],
    field(names=lambda _: SUBSCRIPTIONS | {"call", "all"}, max_length=MAX_SUBSCRIPTIONS),
]
Ignored = Annotated[Any, field("ignored")]


class Subscription(Struct, rename="pascal"):
    """The events that vendors' clients name when they connect."""

    subscribe: Subscriptions | None = None
    immediate: Ignored = None
    phone: Ignored = None


class Connected(Struct):
    """A line that has been connected."""

    details: str
    jid: str
    events: Annotated[str, field("separated by commas")]


class Details(Struct):
    """What was done."""

    details: str


class SessionStatus(Struct, rename="camel"):
    """A line's connection, in the spellings of both WaGo and ZuckZapGo."""

    name: str
    connected: bool
    logged_in: bool
    jid: str
    events: Annotated[str, field("separated by commas")]
    wago_connected: bool = msgspec.field(name="Connected")
    wago_logged_in: bool = msgspec.field(name="LoggedIn")
    wago_jid: str = msgspec.field(name="Jid")
    wago_events: str = msgspec.field(name="Events")


@GROUP.get("/call/config")
async def config(context: Context) -> LineConfigShown:
    """Show how the line is set to take calls; never the providers' token."""
    stored = context[LINES].lines.stored(context.line)
    return msgspec.convert(stored, LineConfigShown, from_attributes=True)


@GROUP.put("/call/config", errors=(503,))
async def configure(context: Context, body: LineConfigChanges) -> Done:
    """Set how the line takes calls, from its next connect on.

    A field that is missing keeps its value and null clears it; the mode is `webhook` then. Names may be
    spelled in snake_case too (`call_inbound_mode`). A URL of
    another origin than before clears `callProviderToken`, unless a token comes along.
    """
    lines = context[LINES].lines
    given, protocol = msgspec.structs.asdict(body).items(), body.stream_protocol
    texts = {name: to or "" for name, to in given if name not in OTHERS and to is not UNSET}
    changed = with_changes(
        lines.stored(context.line),
        calls_enabled=body.calls_enabled,
        mode=body.mode,
        record=None if body.record is UNSET else bool(body.record),
        stream_protocol=None if protocol is UNSET else protocol or StreamProtocol.NATIVE,
        **texts,
    )
    context[MEDIA].inbound_streams.check(context.line, changed)
    context[MEDIA].disclosure_checks.check(context.line, changed)
    await lines.put(context.line, changed)
    return Done()


@GROUP.post("/session/connect", errors=(503,))
async def connect(context: Context, body: Subscription) -> Connected:
    """Connect the line, or connect it again: changed settings take effect."""
    lines = context[LINES].lines
    await lines.connect(context.line, body.subscribe)
    session = lines.session(context.line)
    return Connected("Connected!", _jid(session), ",".join(session.subscribed))


@GROUP.post("/session/disconnect", errors=(503,))
async def disconnect(context: Context) -> Details:
    """Disconnect the line; its calls end."""
    await context[LINES].lines.disconnect(context.line)
    return Details("Disconnected")


@GROUP.get("/session/status")
async def status(context: Context) -> SessionStatus:
    """Show the line's connection, in the spellings of both WaGo and ZuckZapGo."""
    session = context[LINES].lines.session(context.line)
    shown = (session.connected, True, _jid(session), ",".join(session.subscribed))
    return SessionStatus(context.line, *shown, *shown)


@GROUP.get("/server/ok", auth=NOBODY)
async def server_ok(_context: Context) -> Details:
    """Report that the server is up, as WaGo does."""
    return Details("ok")


def _jid(session: Session) -> str:
    return f"{session.number}@s.whatsapp.net" if session.number else ""
