"""Where LiveKit's client SDKs connect, `/rtc/v1`, also below `/livekit`, and the tokens for them.

`/rtc`, where an SDK with two peer connections connects, answers 404: those that can then use one do.
"""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Struct

from bridge.api.faces.livekit.room import Client, leg_of
from bridge.api.faces.livekit.session import Session
from bridge.api.faces.livekit.updates import GONE
from bridge.api.media.tickets import MAX_TTL, MIN_TTL, Identity
from bridge.api.media.webrtc import NEAR, PARTIES, PartyName
from bridge.api.server.fields import Timestamp, field
from bridge.api.server.operation import (
    CALL,
    FILE,
    KEY,
    LIVEKIT,
    NATIVE,
    Context,
    Group,
    Schema,
)
from bridge.api.server.services import ACCESS, CONTROL, LINES, SITE
from bridge.call.routing import LegRole
from bridge.errors import CallEnded, CallNotFound, Forbidden, InvalidRequest, NotFound, Unauthorized
from bridge.legs.base import new_leg_id
from bridge.node.runner import CallRunner
from bridge.wire.iso8601 import iso8601
from bridge.wire.livekit.join import read_packed
from bridge.wire.livekit.protobuf import encode
from bridge.wire.livekit.response import SignalResponse

FRAME_BYTES: Final = 64 * 1024
CLOSE_SECONDS: Final = 0.5
"""How long to wait for the answer to our close frame."""
TEXT: Final = "text/plain"
SOCKET: Final[Schema] = {
    "type": "string",
    "description": "no body: the connection becomes a WebSocket of LiveKit's signalling",
}
GROUP: Final = Group(name="LiveKit SDKs", auth=LIVEKIT)
TOKENS: Final = Group(name="LiveKit SDKs", auth=KEY, envelope=NATIVE)


class Join(Struct):
    """What an SDK sends to join, beside its token."""

    join_request: Annotated[str, field("protobuf, as the SDKs pack it")] = ""


class NewToken(Struct):
    """Who joins, and for how long the token is good."""

    party: PartyName = NEAR
    identity: Identity = ""
    ttl: Annotated[int, field("seconds", ge=MIN_TTL, le=MAX_TTL)] = 21_600


class Token(Struct, rename="camel"):
    """What an SDK's `connect` takes."""

    url: Annotated[str, field("`ws://` or `wss://`, as the request reached the bridge")]
    token: str
    expires_at: Timestamp


@TOKENS.post("/call/{callId}/livekit", errors=CALL)
async def token(context: Context, body: NewToken) -> Token:
    """Return what LiveKit's client SDKs need to join a live call as one of its parties: `connect(url, token)`.

    The token is a ticket: it ends with the call. Who joins with the same identity replaces the one before.
    """
    runner = context.live_call()
    text, expires = context[ACCESS].tickets.issue(
        context.line, runner.facts.call_id, body.ttl, party=body.party, identity=body.identity
    )
    url = context[SITE].base(context.http).removeprefix("http")
    return Token(f"ws{url}", text, iso8601(expires))


@GROUP.get("/rtc/v1", "/livekit/rtc/v1", status=101, gives=SOCKET, errors=(400, 503))
async def join(context: Context, query: Join) -> web.StreamResponse:
    """Join a call with an SDK of LiveKit that uses one peer connection; errors are plain text."""
    runner = _check(context)
    request = read_packed(query.join_request)
    ws = web.WebSocketResponse(timeout=CLOSE_SECONDS, compress=False, max_msg_size=FRAME_BYTES)
    if not ws.can_prepare(context.http).ok:
        raise InvalidRequest("this is a WebSocket: send an upgrade")
    client, role = _client(context, runner)
    browsers = context[CONTROL].browsers
    if request.reconnect:
        leg_id = leg_of(request.participant_sid)
        if browsers.leg_of_sdk(runner, role.owner, leg_id) is None:
            return await _send_back(context, ws)
        client = Client(client.call_id, leg_id, client.party, client.identity)
    await ws.prepare(context.http)
    await Session(context, runner, client, role, ws).run(request)
    return ws


@GROUP.get("/rtc/v1/validate", "/livekit/rtc/v1/validate", content=TEXT, gives=FILE, errors=(503,))
async def validate(context: Context) -> web.Response:
    """Say whether the token is good, as an SDK asks after a failure to join."""
    _check(context)
    return web.Response(text="success", headers={"Access-Control-Allow-Origin": "*"})


@GROUP.get(
    "/rtc",
    "/rtc/validate",
    "/livekit/rtc",
    "/livekit/rtc/validate",
    content=TEXT,
    gives=FILE,
    errors=(404,),
)
async def two_connections(_context: Context) -> web.Response:
    """Refuse SDKs that need two peer connections."""
    raise NotFound(
        "this bridge takes SDKs that use one peer connection (/rtc/v1): Python and Node 1.x, JavaScript 2.23 or later"
    )


def _check(context: Context) -> CallRunner:
    """Return the live call of the request's ticket.

    Raises:
        Unauthorized: the call has ended.
        Forbidden: the request has a key, no ticket.
        LineDisabled, StillDialling.
    """
    ticket = context.access.ticket
    if ticket is None:
        raise Forbidden("send a token of POST /call/{callId}/livekit, not the line's key")
    context[LINES].lines.check_on(context.line)
    try:
        return context[CONTROL].manager.live(context.line, ticket.call_id)
    except (CallEnded, CallNotFound) as error:
        raise Unauthorized("the call of this token has ended") from error


def _client(context: Context, runner: CallRunner) -> tuple[Client, LegRole]:
    """Return the ticket's holder as a party: with the leg that it has in the call already, or a new one."""
    ticket, owner = context.access.ticket, context.access.owner
    assert ticket is not None  # `_check`
    side, replaces = PARTIES[ticket.party]
    leg_id = context[CONTROL].browsers.leg_of_sdk(runner, owner) or new_leg_id()
    client = Client(runner.facts.call_id, leg_id, side, ticket.identity or ticket.party)
    return client, LegRole(side, replaces=replaces, owner=owner)


async def _send_back(context: Context, ws: web.WebSocketResponse) -> web.WebSocketResponse:
    """Tell a client that resumes a session that is not here to join anew."""
    await ws.prepare(context.http)
    await ws.send_bytes(encode(SignalResponse(leave=GONE)))
    await ws.close()
    return ws
