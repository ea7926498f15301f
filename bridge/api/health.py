"""Liveness and readiness."""

from typing import Final

from aiohttp import web
from msgspec import Struct

from bridge.api.operation import BARE, NOBODY, Context, Group
from bridge.api.services import Services

READY_PATH = "/node/ready"
"""Where siblings poll each other's readiness."""

GROUP: Final = Group(name="Service", envelope=BARE, auth=NOBODY)


class Health(Struct):
    """How the service is."""

    status: str


@GROUP.get("/healthz")
async def healthz(_context: Context) -> Health:
    """Report that the process is alive."""
    return Health("ok")


@GROUP.get("/readyz", gives=Health, also={503: Health})
async def readyz(context: Context) -> web.Response:
    """Report whether new calls are taken.

    503 with the same body while shutting down, or while a node is missing.
    """
    siblings = context.services.siblings
    status = "ready" if takes_calls(context.services) else "draining"
    if status == "ready" and siblings is not None:
        answers = await siblings.get_all(READY_PATH)
        status = "node_missing" if None in answers.values() else status
    return web.json_response({"status": status}, status=200 if status == "ready" else 503)


OPERATIONS: Final = (healthz, readyz)


def takes_calls(services: Services) -> bool:
    """Whether this node takes calls."""
    return not services.manager.draining
