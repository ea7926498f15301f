"""Requests that keep a call without a browser alive: those of its line that change something."""

from typing import Final

from aiohttp import hdrs, web

from bridge.api import webrtc
from bridge.api.body import call_named_by
from bridge.api.middleware import Handler
from bridge.api.services import SERVICES
from bridge.call import events

METHODS: Final = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE})


@web.middleware
async def note_use(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Restart the timeout of a call without a browser (`limits.alone_seconds`).

    A browser's close request does not count, since it means that the browser leaves.
    """
    response = await handler(request)
    if request.method in METHODS and request.match_info.handler != webrtc.close.answer:
        calls = request.app[SERVICES].manager.calls()
        alone = [one for one in calls if one.machine.usage.abandoned_since is not None]
        call_id = await call_named_by(request) if alone else None
        line = request.app[SERVICES].keys.line_of(request, query=False) if call_id else None
        for runner in alone:
            if runner.facts.call_id == call_id and runner.facts.line == line:
                runner.dispatch(events.CallUsed())
    return response
