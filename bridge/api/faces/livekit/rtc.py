"""Where LiveKit's client SDKs connect, and the tokens for them: `/rtc/v1` for those with one peer connection, `/rtc` for those with two.

Both are also below `/livekit`.
"""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Struct

from bridge.api.faces.livekit.access import admit, check, counting
from bridge.api.faces.livekit.frames import FRAME_BYTES
from bridge.api.faces.livekit.session import Session
from bridge.api.faces.livekit.updates import GONE
from bridge.api.media.tickets import MAX_TTL, MIN_TTL, Identity
from bridge.api.media.webrtc import NEAR, Machine, PartyName
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
from bridge.api.server.services import ACCESS, NODE, SITE
from bridge.errors import InvalidRequest
from bridge.wire.iso8601 import iso8601
from bridge.wire.livekit.join import read_packed
from bridge.wire.livekit.protobuf import encode
from bridge.wire.livekit.request import JoinRequest
from bridge.wire.livekit.response import SignalResponse

CLOSE_SECONDS: Final = 0.5
"""How long to wait for the answer to our close frame."""
RESUMES: Final = ("1", "true")
TEXT: Final = "text/plain"
SOCKET: Final[Schema] = {
    "type": "string",
    "description": "no body: the connection becomes a WebSocket of LiveKit's signalling",
}
GROUP: Final = Group(name="LiveKit SDKs", auth=LIVEKIT)
TOKENS: Final = Group(name="LiveKit SDKs", auth=KEY, envelope=NATIVE)


class Join(Struct):
    """What an SDK with one peer connection sends to join, beside its token."""

    join_request: Annotated[str, field("protobuf, as the SDKs pack it")] = ""


class JoinWithTwo(Struct):
    """What an SDK with two peer connections sends to join, beside its token."""

    reconnect: Annotated[str, field("`1` or `true` to resume a session")] = ""
    sid: Annotated[str, field("of the session that is resumed")] = ""


class NewToken(Struct):
    """Who joins, and for how long the token is good."""

    party: PartyName = NEAR
    identity: Identity = ""
    name: Annotated[str, field("what SDKs show of the holder")] = ""
    ttl: Annotated[int, field("seconds", ge=MIN_TTL, le=MAX_TTL)] = 21_600
    machine: Machine = False


class Token(Struct, rename="camel"):
    """What an SDK's `connect` takes."""

    url: Annotated[str, field("`ws://` or `wss://`, as the request reached the bridge")]
    token: str
    expires_at: Timestamp


@TOKENS.post("/call/{callId}/livekit", errors=CALL)
async def token(context: Context, body: NewToken) -> Token:
    """Return what LiveKit's client SDKs need to join a live call as one of its parties: `connect(url, token)`.

    The token is a ticket: it ends with the call. Who joins with the same identity replaces the one before; without one
    the SDK's participant has that of its party.
    """
    runner = context.live_call()
    text, expires = context[ACCESS].tickets.issue(
        context.line,
        runner.facts.call_id,
        body.ttl,
        party=body.party,
        identity=body.identity,
        name=body.name,
        machine=body.machine,
    )
    return Token(context[SITE].socket_base(context.http), text, iso8601(expires))


@GROUP.get("/rtc/v1", "/livekit/rtc/v1", status=101, gives=SOCKET, errors=(400, 503))
async def join(context: Context, query: Join) -> web.StreamResponse:
    """Join a call with an SDK of LiveKit that uses one peer connection; errors are plain text."""
    with counting(context, "join"):
        request = read_packed(query.join_request)
    return await _serve(context, request, two_connections=False)


@GROUP.get("/rtc", "/livekit/rtc", status=101, gives=SOCKET, errors=(400, 503))
async def join_with_two(context: Context, query: JoinWithTwo) -> web.StreamResponse:
    """Join a call with an SDK of LiveKit that uses two peer connections; errors are plain text."""
    request = JoinRequest(reconnect=query.reconnect in RESUMES, participant_sid=query.sid)
    return await _serve(context, request, two_connections=True)


@GROUP.get(
    "/rtc/v1/validate",
    "/livekit/rtc/v1/validate",
    "/rtc/validate",
    "/livekit/rtc/validate",
    content=TEXT,
    gives=FILE,
    errors=(503,),
)
async def validate(context: Context) -> web.Response:
    """Say whether the token is good, as an SDK asks after a failure to join."""
    check(context)
    return web.Response(text="success", headers={"Access-Control-Allow-Origin": "*"})


async def _serve(
    context: Context, request: JoinRequest, *, two_connections: bool
) -> web.StreamResponse:
    ws = web.WebSocketResponse(timeout=CLOSE_SECONDS, compress=False, max_msg_size=FRAME_BYTES)
    if not ws.can_prepare(context.http).ok:
        raise InvalidRequest("this is a WebSocket: send an upgrade")
    with counting(context, "token"):
        resumes = request.participant_sid if request.reconnect else None
        guest = admit(context, resumes, two_connections=two_connections)
    if guest is None:
        return await _send_back(context, ws)
    await ws.prepare(context.http)
    session = Session(
        guest.context, guest.runner, guest.client, guest.role, ws, two_connections=two_connections
    )
    await session.run(request)
    return ws


async def _send_back(context: Context, ws: web.WebSocketResponse) -> web.WebSocketResponse:
    """Tell a client that resumes a session that is not here to join anew."""
    context[NODE].metrics.livekit.refused("resume")
    await ws.prepare(context.http)
    await ws.send_bytes(encode(SignalResponse(leave=GONE)))
    await ws.close()
    return ws
