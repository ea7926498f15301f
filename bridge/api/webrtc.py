"""WebRTC set-up: the configuration, the offer and its answer, the close. Bare bodies on success."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from bridge.api.body import read_body
from bridge.api.services import SERVICES
from bridge.call.model import Party
from bridge.errors import BridgeError, InvalidRequest

NEAR: Final = "near"
TRANSFER: Final = "transfer"
"""The party that a call is being transferred to: once connected it is the only near one."""
PARTIES: Final[Mapping[str, tuple[Party, bool]]] = {
    NEAR: (Party.NEAR, False),
    "far": (Party.FAR, False),
    TRANSFER: (Party.NEAR, True),
}
"""What an offer may say of its sender: which party, and whether it takes the others' place."""


async def config(request: web.Request) -> web.Response:
    """Tell a browser which STUN and TURN servers to use."""
    access = request.app[SERVICES].keys.access(request)
    if access.ticket is not None:
        try:
            request.app[SERVICES].manager.live(access.line, access.ticket.call_id)
        except BridgeError:
            access.check_call_lives(ended=True)
    return web.json_response(request.app[SERVICES].ice_configuration(access.line))


async def offer(request: web.Request) -> web.Response:
    """Answer a browser's offer: a new leg, or with `legID` a change to the one it has."""
    access = request.app[SERVICES].keys.access(request)
    body = await read_body(request)
    call_id = body.call_id("callID")
    line = access.to(call_id)
    kind = body.optional_text("type")
    if kind not in (None, "offer"):
        raise InvalidRequest('type: expected "offer"', field="type")
    sdp = body.text("sdp", "SDP")
    wanted = body.optional_text("party")
    party = access.party(None if wanted is None else read_party(wanted))
    browsers = request.app[SERVICES].browsers
    leg_id = body.leg_id()
    if leg_id is None:
        side, replaces = PARTIES[party or NEAR]
        leg_id, answer = await browsers.offer(
            line, call_id, sdp, side, replaces=replaces, owner=access.owner
        )
    else:
        answer = await browsers.reoffer(line, call_id, sdp, leg_id, owner=access.owner)
    turn = request.app[SERVICES].ice_configuration(line)["turn"]
    return web.json_response(
        {"callID": call_id, "legID": leg_id, "type": "answer", "sdp": answer, "turn": turn}
    )


async def close(request: web.Request) -> web.Response:
    """End the call's WebRTC legs, or one; a leg or call that is over already is no error.

    With a ticket, only legs that its party and identity made.
    """
    access = request.app[SERVICES].keys.access(request)
    body = await read_body(request)
    call_id = body.call_id()
    line = access.to(call_id)
    request.app[SERVICES].browsers.close(line, call_id, body.leg_id(), owner=access.owner)
    return web.json_response({"callID": call_id, "closed": True})


def read_party(text: str | None) -> str:
    """Return the party that is named; `near` where none is.

    Raises:
        InvalidRequest: there is no such party.
    """
    if (text or NEAR) not in PARTIES:
        raise InvalidRequest(f"party: expected one of {', '.join(PARTIES)}", field="party")
    return text or NEAR
