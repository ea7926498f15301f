"""WebRTC set-up: the configuration, the offer and its answer, the close. Bare bodies on success."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from bridge.api.body import read_body
from bridge.api.keys import ICE_CONFIGURATION, KEYS, MANAGER
from bridge.call.model import Party
from bridge.errors import InvalidRequest

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
    line = request.app[KEYS].access(request).line
    return web.json_response(request.app[ICE_CONFIGURATION](line))


async def offer(request: web.Request) -> web.Response:
    """Answer a browser's offer: a new leg, or with `legID` a change to the one it has."""
    access = request.app[KEYS].access(request)
    body = await read_body(request)
    call_id = body.call_id()
    line = access.to(call_id)
    kind = body.optional_text("type")
    if kind not in (None, "offer"):
        raise InvalidRequest('type: expected "offer"', field="type")
    sdp = body.text("sdp", "SDP")
    manager = request.app[MANAGER]
    leg_id = body.leg_id()
    if leg_id is None:
        party, replaces = PARTIES[_party(body.optional_text("party"))]
        leg_id, answer = await manager.offer(line, call_id, sdp, party, replaces=replaces)
    else:
        answer = await manager.reoffer(line, call_id, sdp, leg_id)
    turn = request.app[ICE_CONFIGURATION](line)["turn"]
    return web.json_response(
        {"callID": call_id, "legID": leg_id, "type": "answer", "sdp": answer, "turn": turn}
    )


async def close(request: web.Request) -> web.Response:
    """End the call's WebRTC legs, or one; a leg or call that is over already is no error."""
    access = request.app[KEYS].access(request)
    body = await read_body(request)
    call_id = body.call_id()
    line = access.to(call_id)
    request.app[MANAGER].close(line, call_id, body.leg_id())
    return web.json_response({"callID": call_id, "closed": True})


def _party(text: str | None) -> str:
    if (text or NEAR) not in PARTIES:
        raise InvalidRequest(f"party: expected one of {', '.join(PARTIES)}", field="party")
    return text or NEAR
