"""Tickets: what a server gives to a browser, so that its own key stays with it."""

from typing import Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import call_in_path, read_body
from bridge.api.keys import KEYS, MANAGER, TICKETS
from bridge.wire.moment import moment

TTL_SECONDS: Final = 600
"""How long a ticket is good for, unless it is asked for otherwise."""
SHORTEST: Final = 60
LONGEST: Final = 86400


async def ticket(request: web.Request) -> web.Response:
    """Give a ticket for a live call: it opens the call's media, events and figures, nothing else."""
    line = request.app[KEYS].line(request)
    body = await read_body(request)
    seconds = body.number("ttl", default=TTL_SECONDS, least=SHORTEST, most=LONGEST)
    runner = request.app[MANAGER].live(line, call_in_path(request))
    text, expires = request.app[TICKETS].issue(line, runner.facts.call_id, seconds)
    return render.success({"ticket": text, "expiresAt": moment(expires)})
