"""The WADial face, `/api/v1`: sessions, which are our lines, their calls and their event streams."""

from typing import Annotated, Final, Literal

from aiohttp import web
from msgspec import Struct

from bridge.api.calls.ringing import ringing_call
from bridge.api.events.events import STREAM, After, stream_events
from bridge.api.faces.wadial.words import WADIAL, WadialCall, call_object
from bridge.api.server.fields import Peer, field
from bridge.api.server.hangup import HangupQuery, hangup_request
from bridge.api.server.listing import find_call, known_calls
from bridge.api.server.operation import CALL as OF_CALL
from bridge.api.server.operation import QUERY, Context
from bridge.api.server.services import CONTROL, LINES, RECORDS
from bridge.call import events
from bridge.call.model import CallDetails, LineName
from bridge.errors import NotFound
from bridge.wire.webhook import wadial

SESSIONS: Final = "/api/v1/sessions"
SESSION: Final = SESSIONS + "/{sessionId}"
CALLS: Final = SESSION + "/calls"
CALL: Final = CALLS + "/{callId}"
MAX_LISTED: Final = 1000


class NewSession(Struct, rename="camel"):
    """What a session is called."""

    display_name: str | None = None
    device_browser: str | None = None


class WadialSession(Struct, rename="camel"):
    """A session."""

    session_id: Annotated[str, field("the line's name")]
    display_name: str
    status: Literal["connected", "disconnected"]
    connected: bool
    connection_state: Literal["connected", "disconnected"]
    paired: bool = True


class WadialDial(Struct):
    """Whom to call."""

    to: Peer


class WadialMute(Struct):
    """Whether our side is muted."""

    muted: bool


@WADIAL.post(SESSIONS)
async def create_session(context: Context, body: NewSession) -> WadialSession:
    """Return the key's own session; a line is one session."""
    return _session_of(context, body.display_name)


@WADIAL.get(SESSIONS)
async def list_sessions(context: Context) -> list[WadialSession]:
    """List the key's only session."""
    return [_session_of(context)]


@WADIAL.get(SESSION, SESSION + "/status", errors=(404,))
async def session(context: Context) -> WadialSession:
    """Return a session and its state."""
    line_of(context)
    return _session_of(context)


@WADIAL.post(SESSION + "/connect", errors=(404, 503))
async def connect(context: Context) -> WadialSession:
    """Connect a session, or connect it again: changed settings take effect."""
    await context[LINES].lines.connect(line_of(context))
    return _session_of(context)


@WADIAL.post(CALLS, starts_call=True, errors=(404, 409, 501, 502, 503))
async def start(context: Context, body: WadialDial) -> WadialCall:
    """Call a number, given as a JID or as digits, or a party that hides its number (`…@lid`)."""
    line = line_of(context)
    details = CallDetails(trace=context.trace)
    runner = await context[CONTROL].manager.dial(line, body.to, details)
    context[RECORDS].recordings.automatic.capture(runner)
    return call_object(runner.record())


@WADIAL.get(CALLS, errors=(404,))
async def list_calls(context: Context) -> list[WadialCall]:
    """List the session's calls, live and ended, oldest first: the newest 1,000.

    `GET /calls` has all of them.
    """
    line_of(context)
    known, _ = await known_calls(context, limit=MAX_LISTED)
    return [call_object(record) for record in reversed(known)]


@WADIAL.get(CALL, errors=(404, 502))
async def call(context: Context) -> WadialCall:
    """Return one call, live or ended."""
    line_of(context)
    return call_object((await find_call(context)).record)


@WADIAL.post(CALL + "/accept", errors=(*OF_CALL, 503))
async def accept(context: Context) -> WadialCall:
    """Answer an inbound call."""
    accepted = _ask(context, events.AnswerRequested())
    context[RECORDS].recordings.automatic.capture(context.live_call())
    return accepted


@WADIAL.post(CALL + "/reject", errors=(*OF_CALL, 503))
async def reject(context: Context) -> WadialCall:
    """Decline an inbound call; with `voicemail.rejected` its caller may leave a message."""
    line_of(context)
    runner = ringing_call(context, context.call_id)
    context[CONTROL].voicemail_calls.reject(runner)
    return call_object(runner.record())


@WADIAL.post(CALL + "/end", errors=(*OF_CALL, 503))
async def end(context: Context, query: HangupQuery) -> WadialCall:
    """End a call in any state."""
    return _ask(context, hangup_request(query.after))


@WADIAL.post(CALL + "/mute", errors=OF_CALL)
async def mute(context: Context, body: WadialMute) -> WadialCall:
    """Remove our side from what the peer hears, or add it again."""
    return _ask(context, events.MuteRequested(muted=body.muted))


@WADIAL.get(
    SESSION + "/events",
    auth=QUERY,
    content="text/event-stream",
    gives=STREAM,
    errors=(404, 503),
)
async def stream(context: Context, query: After) -> web.StreamResponse:
    """Stream what happens on a session."""
    line_of(context)
    return await stream_events(context, query, wadial.body)


def line_of(context: Context) -> LineName:
    """Return the line whose session the path names.

    Raises:
        NotFound: the key's line is another one.
    """
    if context.path("sessionId") != context.line:
        raise NotFound("there is no such session")
    return context.line


def _ask(context: Context, wanted: events.Request) -> WadialCall:
    line, manager = line_of(context), context[CONTROL].manager
    manager.request(line, context.call_id, wanted)
    return call_object(manager.record(line, context.call_id))


def _session_of(context: Context, display_name: str | None = None) -> WadialSession:
    connected = context[LINES].lines.session(context.line).connected
    state: Literal["connected", "disconnected"] = "connected" if connected else "disconnected"
    return WadialSession(context.line, display_name or context.line, state, connected, state)
