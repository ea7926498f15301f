"""The Chirp face, `/v1/calls`: calls between channels, their list, and tickets for browsers."""

from typing import Annotated, Final, Literal

from msgspec import Struct

from bridge.api.faces.chirp import words
from bridge.api.faces.chirp.parties import NewCall, encoded_metadata, parties_of
from bridge.api.faces.chirp.words import CHIRP, ChirpCall
from bridge.api.media.tickets import Identity
from bridge.api.media.webrtc import party_of
from bridge.api.server.fields import Count, PaginationQuery, field
from bridge.api.server.listing import find_call, known_calls
from bridge.api.server.operation import CALL as OF_CALL
from bridge.api.server.operation import Context
from bridge.api.server.services import ACCESS, CONTROL, LINES, SITE
from bridge.call.model import CallDetails
from bridge.call.parties import PSTN, WEBRTC
from bridge.node.calls.participants import call_from_telephone
from bridge.wire.call_id import native

CALLS: Final = "/v1/calls"
CALL: Final = CALLS + "/{callId}"


class ChirpCalls(Struct, rename="camel"):
    """A page of calls."""

    data: list[ChirpCall]
    total_count: Count


class TokenRequest(Struct, rename="camel"):
    """Who joins which room."""

    room_name: Annotated[str, field("`livekitRoomName` of the call")]
    participant_identity: Identity
    participant_name: str | None = None
    ttl: Annotated[int, field("seconds", ge=60, le=86_400)] = 3600


class Token(Struct, rename="camel"):
    """A ticket, for LiveKit's SDKs with `url`, for `/call/webrtc/offer` with the last two."""

    token: str
    expires_at: Annotated[int, field("seconds since 1970")]
    url: Annotated[str, field("what an SDK connects to, `ws://` or `wss://`")]
    call_id: str
    party: Literal["near", "far", "transfer"]


@CHIRP.post(CALLS, starts_call=True, errors=(404, 409, 501, 502, 503))
async def create(context: Context, body: NewCall) -> ChirpCall:
    """Call somebody: over WhatsApp or at a telephone at once, in a browser once it joins.

    `from` with the channel `pstn` is the number that a telephone is shown; where `to` is no telephone,
    the one with this number is called too, over the line's trunk, and the call ends when it hangs up.
    """
    line, manager = context.line, context[CONTROL].manager
    parties = parties_of(body, context[LINES].policies[line])
    metadata = encoded_metadata(body)
    details = CallDetails(parties=parties, metadata=metadata, trace=context.trace)
    if parties.from_channel == PSTN != parties.to_channel:
        runner = await call_from_telephone(manager, line, details)
    elif parties.to_channel == WEBRTC:
        runner = await manager.open(line, details, peer=parties.to)
    else:
        runner = await manager.dial(line, parties.to.removeprefix("+"), details)
    return words.call(runner.record(), test=context.is_test_key)


@CHIRP.get(CALLS)
async def list_calls(context: Context, query: PaginationQuery) -> ChirpCalls:
    """List the line's calls, live and ended, newest first."""
    shown, count = await known_calls(context, offset=query.offset, limit=query.limit)
    test = context.is_test_key
    return ChirpCalls([words.call(record, test=test) for record in shown], count)


@CHIRP.get(CALL, errors=(404, 502))
async def call(context: Context) -> ChirpCall:
    """Return one call, live or ended."""
    report = await find_call(context)
    return words.call(report.record, test=context.is_test_key)


@CHIRP.post(CALLS + "/token", errors=OF_CALL)
async def token(context: Context, body: TokenRequest) -> Token:
    """Return a token with which an SDK of LiveKit, or a browser, joins a call by the name of its room.

    LiveKit's client SDKs take it unchanged: `connect(url, token)`. Without an SDK, a browser sends `callId` and
    `party` of the answer to /call/webrtc/offer, with `token` as its key, as `/web/bridge.js` does. The
    bridge is no LiveKit server: a room is a call of two parties with audio.
    """
    room, identity = body.room_name, body.participant_identity
    runner = context.live_call(native(room) or room)
    party = party_of(runner, identity)
    text, expires = context[ACCESS].tickets.issue(
        context.line,
        runner.facts.call_id,
        body.ttl,
        party=party,
        identity=identity,
        name=body.participant_name or "",
    )
    url = context[SITE].socket_base(context.http)
    return Token(text, int(expires.timestamp()), url, runner.facts.call_id, party)
