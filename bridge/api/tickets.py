"""Tickets: what a server gives to a browser, so that its own key stays with it."""

from typing import Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import call_in_path, read_body
from bridge.api.services import SERVICES
from bridge.api.webrtc import read_party
from bridge.errors import InvalidRequest
from bridge.wire.iso8601 import iso8601

TTL_SECONDS: Final = 600
"""How long a ticket is good for, unless it is asked for otherwise."""
SHORTEST: Final = 60
LONGEST: Final = 86400
MAX_IDENTITY: Final = 128
"""Characters."""


async def ticket(request: web.Request) -> web.Response:
    """Return a ticket for one party of a live call: its media, events and figures, nothing else."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    seconds = body.number("ttl", default=TTL_SECONDS, least=SHORTEST, most=LONGEST)
    party = read_party(body.optional_text("party"))
    identity = read_identity(body.optional_text("identity") or "", "identity")
    runner = request.app[SERVICES].manager.live(line, call_in_path(request))
    text, expires = request.app[SERVICES].tickets.issue(
        line, runner.facts.call_id, seconds, party=party, identity=identity
    )
    return render.success({"ticket": text, "expiresAt": iso8601(expires)})


def read_identity(text: str, field: str) -> str:
    """Return the identity of a ticket's holder.

    Raises:
        InvalidRequest: too long, or not printable.
    """
    if len(text) > MAX_IDENTITY or not text.isprintable():
        raise InvalidRequest(
            f"{field}: expected at most {MAX_IDENTITY} printable characters", field=field
        )
    return text
