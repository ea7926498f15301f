"""Which requests use a call: those of its line that name it and change something."""

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
    """Let a call that is used without a browser live on (`limits.alone_seconds`).

    A browser's goodbye is no use: it is sent while the browser leaves.
    """
    response = await handler(request)
    if request.method in METHODS and request.match_info.handler != webrtc.close.answer:
        calls = request.app[SERVICES].manager.calls()
        alone = [one for one in calls if one.machine.usage.abandoned_since is not None]
        call_id = await call_named_by(request) if alone else None
        line = request.app[SERVICES].keys.line_asking(request) if call_id else None
        for runner in alone:
            if runner.facts.call_id == call_id and runner.facts.line == line:
                runner.dispatch(events.CallUsed())
    return response
