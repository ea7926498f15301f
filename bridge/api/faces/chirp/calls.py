"""The Chirp face, `/v1/calls`: calls between channels, their list, and tickets for browsers."""

import math

from aiohttp import web

from bridge.api.body import call_in_path, read_body
from bridge.api.faces.chirp import commands, words
from bridge.api.faces.chirp.parties import read_metadata, read_parties
from bridge.api.listing import known_calls
from bridge.api.services import SERVICES
from bridge.api.tickets import read_identity
from bridge.api.webrtc import TRANSFER
from bridge.call.model import CallDetails, CallRecord, Party
from bridge.call.parties import WEBRTC
from bridge.errors import InvalidRequest, Unsupported
from bridge.node.runner import CallRunner
from bridge.wire.call_id import native

CALLS = "/v1/calls"
CALL = CALLS + "/{callId}"

MAX_LISTED = 100
LISTED = 20
MIN_TTL = 60
TTL = 3600
MAX_TTL = 86400


async def create(request: web.Request) -> web.Response:
    """Call somebody: over WhatsApp at once, in a browser as soon as that one comes."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    parties = read_parties(body, request.app[SERVICES].policies[line])
    details = CallDetails(parties=parties, metadata=read_metadata(body))
    manager = request.app[SERVICES].manager
    if parties.to_channel == WEBRTC:
        runner = await manager.open(line, details, peer=parties.to)
    else:
        runner = await manager.dial(line, parties.to.removeprefix("+"), details)
    return words.answer(_shown(request, runner.record()))


async def list_calls(request: web.Request) -> web.Response:
    """List the line's calls, live ones and those that ended lately, newest first."""
    line = request.app[SERVICES].keys.line(request)
    limit = _whole(request, "limit", default=LISTED, least=1, most=MAX_LISTED)
    offset = _whole(request, "offset", default=0, least=0, most=None)
    known = (await known_calls(request.app[SERVICES].manager, line))[::-1]
    page = [_shown(request, record) for record in known[offset : offset + limit]]
    return words.answer({"data": page, "totalCount": len(known)})


async def call(request: web.Request) -> web.Response:
    """Give one call, live or ended."""
    line = request.app[SERVICES].keys.line(request)
    record = request.app[SERVICES].manager.record(line, call_in_path(request))
    return words.answer(_shown(request, record))


async def token(request: web.Request) -> web.Response:
    """Give a ticket with which a browser joins a call by the name of its room.

    `callId` and `party` are our definition: what the browser says in `/call/webrtc/offer`.
    """
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    room = body.text("roomName")
    identity = read_identity(body.text("participantIdentity"), "participantIdentity")
    body.optional_text("participantName")
    seconds = body.number("ttl", default=TTL, least=MIN_TTL, most=MAX_TTL)
    runner = request.app[SERVICES].manager.live(line, native(room) or room)
    party = _party(runner, identity)
    text, expires = request.app[SERVICES].tickets.issue(
        line, runner.facts.call_id, seconds, party=party, identity=identity
    )
    return web.json_response(
        {
            "token": text,
            "expiresAt": int(expires.timestamp()),
            "callId": runner.facts.call_id,
            "party": party,
        }
    )


async def voicemail(request: web.Request) -> web.Response:
    """Refuse what is asked of voicemails: there are none."""
    request.app[SERVICES].keys.line(request)
    raise Unsupported(commands.NO_VOICEMAIL)


VOICEMAILS = CALLS + "/voicemails"

ROUTES = (
    web.get(VOICEMAILS, voicemail),
    web.get(VOICEMAILS + "/{voicemailId}", voicemail),
    web.delete(VOICEMAILS + "/{voicemailId}", voicemail),
    web.post(CALLS, create),
    web.get(CALLS, list_calls),
    web.post(CALLS + "/token", token),
    web.get(CALL, call),
    web.post(CALL + "/commands", commands.command),
)


def _party(runner: CallRunner, identity: str) -> str:
    """Say as whom a browser is to join."""
    if runner.machine.invited == identity:
        return TRANSFER
    parties = runner.facts.details.parties
    called = parties.to_channel == WEBRTC and parties.to == identity
    return (Party.FAR if called else Party.NEAR).value


def _shown(request: web.Request, record: CallRecord) -> dict[str, object]:
    return words.call(record, test=commands.is_test_key(request))


def _whole(request: web.Request, name: str, *, default: int, least: int, most: int | None) -> int:
    text = request.query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not least <= number <= (math.inf if most is None else most):
        wanted = f"from {least} to {most}" if most is not None else f"of at least {least}"
        raise InvalidRequest(f"{name}: expected a whole number {wanted}", field=name)
    return number
