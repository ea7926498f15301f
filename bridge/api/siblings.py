"""The routes between nodes, of an application that only siblings reach (`cluster.siblings`).

Bodies are read by `read_bytes` or `request.read()`: a signed request's body has been read to check it.
"""

import msgspec
from aiohttp import web
from msgspec import UNSET

from bridge.api.calls.history import ENTRIES_PATH, live_views
from bridge.api.forward import receive
from bridge.api.lines import cloud, gateway
from bridge.api.media import recording_files
from bridge.api.operations import drain, health, nodes, scrape
from bridge.api.server.middleware import answer_errors, identify
from bridge.api.server.reads import MAX_BYTES
from bridge.api.server.services import CLUSTER, CONTROL, LINES, MEDIA, NODE
from bridge.call.model import LineName
from bridge.cluster.directory import CALLS_PATH
from bridge.cluster.siblings import IDENTITY_PATH, NodeIdentity
from bridge.media.machine_files import FILES_PATH, UNLINK_PATH
from bridge.node.console.console import SNAPSHOT_PATH
from bridge.node.lines import LINES_PATH
from bridge.node.runner import CallRunner
from bridge.trunk.shared import CONNECT_PATH, MESSAGES_PATH, SharedSockets


async def calls(request: web.Request) -> web.Response:
    """List a line's live calls on this node."""
    line, manager = LineName(request.query["line"]), request.app[CONTROL].manager
    records = await manager.describe(line, CallRunner.record)
    return web.Response(body=msgspec.json.encode(records), content_type="application/json")


async def entries(request: web.Request) -> web.Response:
    """List the live calls of a line on this node, or of all lines, as `GET /calls` shows them."""
    line = request.query.get("line")
    found = await live_views(request.app[CONTROL].manager, LineName(line) if line else None)
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


async def console(request: web.Request) -> web.Response:
    """Describe this node for another node's consoles."""
    view = request.app[NODE].view
    found = await view.snapshot(history="history" in request.query)
    return web.Response(body=msgspec.json.encode(found), content_type="application/json")


async def identity(request: web.Request) -> web.Response:
    """Return which process this is, so that nobody takes it for dead."""
    siblings = request.app[CLUSTER].siblings
    if siblings is None:
        raise web.HTTPNotFound
    own = siblings.members.own
    return web.Response(body=msgspec.json.encode(NodeIdentity(own.node, own.boot)))


async def ready(request: web.Request) -> web.Response:
    """Report that this node is there, and how its trunks are if it has them.

    Also while it drains, which others may not know yet: it is not missing then.
    """
    trunks = health.own_trunks(request.app[LINES].sip)
    return web.Response(body=b"" if trunks is UNSET else msgspec.json.encode(trunks))


async def metrics(request: web.Request) -> web.Response:
    """Return this node's metrics."""
    return web.Response(body=await scrape.own(request.app))


async def asset(request: web.Request) -> web.FileResponse:
    """Return the file of an audio asset that is on this machine."""
    path = await request.app[MEDIA].assets.path_here(request.match_info["assetId"])
    return web.FileResponse(path)


async def lines(request: web.Request) -> web.Response:
    """Reload the lines, which have changed."""
    await request.app[LINES].lines.reload()
    await request.app[LINES].line_book.reload()
    return web.Response()


async def sip_messages(request: web.Request) -> web.Response:
    """Take messages of this node's dialogs, or messages to send."""
    try:
        _sip_sockets(request).take(await request.read())
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.Response()


async def sip_connect(request: web.Request) -> web.Response:
    """Connect to a target for another node."""
    try:
        body = await _sip_sockets(request).take_connect(await request.read())
    except msgspec.MsgspecError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return web.Response(body=body)


def _sip_sockets(request: web.Request) -> SharedSockets:
    shared = request.app[NODE].sip_sockets
    if shared is None:
        raise web.HTTPNotFound
    return shared


ROUTES = (
    web.get(CALLS_PATH, calls),
    web.get(ENTRIES_PATH, entries),
    web.get(SNAPSHOT_PATH, console),
    web.get(IDENTITY_PATH, identity),
    web.get(health.READY_PATH, ready),
    web.get(scrape.METRICS_PATH, metrics),
    web.get(LINES_PATH, lines),
    web.get(FILES_PATH + "/assets/{assetId}", asset),
    web.post(gateway.NODE_PATH, gateway.sibling_webhook),
    web.post(cloud.NODE_PATH, cloud.sibling_webhook),
    web.post(MESSAGES_PATH, sip_messages),
    web.post(CONNECT_PATH, sip_connect),
    web.post(drain.DRAIN_PATH, drain.take),
    web.get(nodes.FIGURES_PATH, nodes.figures),
    web.get(FILES_PATH + "/recordings/{recordingId}/{format}", recording_files.of_machine),
    web.post(FILES_PATH + UNLINK_PATH, recording_files.unlink),
)


def node_application() -> web.Application:
    """Return the application for siblings."""
    application = web.Application(
        middlewares=(receive, identify, answer_errors), client_max_size=MAX_BYTES
    )
    application.add_routes(ROUTES)
    return application
