"""What the nodes of a machine pass each other of SIP."""

import msgspec
from aiohttp import web

from bridge.api.server.services import SERVICES
from bridge.trunk.shared import CONNECT_PATH, MESSAGES_PATH, SharedSockets


async def messages(request: web.Request) -> web.Response:
    """Take messages of this node's dialogs, or messages to send."""
    try:
        _shared(request).take(await request.read())
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.Response()


async def connect(request: web.Request) -> web.Response:
    """Connect to a target for another node."""
    try:
        body = await _shared(request).take_connect(await request.read())
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.Response(body=body)


def _shared(request: web.Request) -> SharedSockets:
    shared = request.app[SERVICES].sip_sockets
    if shared is None:
        raise web.HTTPNotFound
    return shared


NODE_ROUTES = (web.post(MESSAGES_PATH, messages), web.post(CONNECT_PATH, connect))
