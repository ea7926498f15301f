"""For operators: is it alive, does it take calls."""

from aiohttp import web

from bridge.api.services import SERVICES, Services

READY_PATH = "/node/ready"
"""Where siblings tell each other that they take calls."""


async def healthz(_request: web.Request) -> web.Response:
    """Say that the process is alive and its loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Say whether new calls are taken: 503 while shutting down, or while a node is missing."""
    siblings = request.app[SERVICES].siblings
    status = "ready" if takes_calls(request.app[SERVICES]) else "draining"
    if status == "ready" and siblings is not None:
        answers = await siblings.get_all(READY_PATH)
        status = "node_missing" if None in answers.values() else status
    return web.json_response({"status": status}, status=200 if status == "ready" else 503)


def takes_calls(services: Services) -> bool:
    """Whether this node takes calls."""
    return not services.manager.draining
